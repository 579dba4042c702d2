//! The message and the location of a panic, for the process that requested the call.
//!
//! ```text
//!  panic ──hook──► noted: text, place, thread ──unwinds──► caught: the payload's own text, and the place that was
//!                    └──► printed, or the program's own hook      noted with it, if any
//! ```
//!
//! The message is the payload's, so it belongs to the call that unwound, whatever other threads panicked meanwhile,
//! and whatever hook the program has set since. The place is known to a hook alone. A payload's text does not move
//! when it becomes the payload that is caught, so the text's address tells which note belongs to it, in whatever
//! thread that was.

use super::current;
use crate::component::{Component, Rank, Steps};
use crate::sys::process::write_stderr;
use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// How many panics are kept: as many may be on their way at once, in nested unwinding or in several threads.
const KEPT: usize = 16;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// A panic that a hook has seen.
struct Note {
    is: Mark,
    thread: ThreadId,
    location: String,
}

/// By what a payload is known again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// Address and length.
    Text(usize, usize),
    Other(TypeId),
}

impl Mark {
    fn of(payload: &(dyn Any + Send)) -> Mark {
        text(payload).map_or_else(
            || Mark::Other(payload.type_id()),
            |text| Mark::Text(text.as_ptr() as usize, text.len()),
        )
    }
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&'static str>().copied())
}

static NOTES: Mutex<VecDeque<Note>> = Mutex::new(VecDeque::new());
/// There may be notes.
static NOTED: AtomicBool = AtomicBool::new(false);
/// Tells the parent of a panic that ends this process.
pub(super) type Report = fn(message: String, location: String);
static REPORT: OnceLock<Report> = OnceLock::new();
/// The program's own hook, if it had set one before this process became a child.
static THEIRS: Mutex<Option<Arc<Hook>>> = Mutex::new(None);

fn theirs() -> MutexGuard<'static, Option<Arc<Hook>>> {
    COMPONENT.register();
    THEIRS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn notes() -> MutexGuard<'static, VecDeque<Note>> {
    COMPONENT.register();
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) static COMPONENT: Component =
    Component::new(Rank::Panics, Steps { hold: Some(|| Box::new((notes(), theirs()))), ..Steps::NONE });

/// A call begins: no panic from before it can be its own.
#[inline]
pub(crate) fn begin() {
    // ORDERING: Relaxed, here and below: written under the lock of the notes. What another thread notes just now may
    // stay, as it may when it is noted just after this.
    if NOTED.load(Ordering::Relaxed) {
        let mut notes = notes();
        NOTED.store(false, Ordering::Relaxed);
        notes.clear();
    }
}

/// The message and the location of the panic with this payload. The location is empty if this library's hook did
/// not run.
#[cold]
pub(crate) fn explain(payload: Box<dyn Any + Send>) -> (String, String) {
    let message = text(&*payload).unwrap_or("(a payload that is not text)").to_owned();
    let (mark, here) = (Mark::of(&*payload), std::thread::current().id());
    let notes = notes();
    let mut its = notes.iter().rev().filter(|note| note.is == mark);
    let mine = its.clone().find(|note| note.thread == here).or_else(|| its.next());
    let location = mine.map(|note| note.location.clone()).unwrap_or_default();
    // What the hook notes of a panic in the drop.
    drop(notes);
    drop_payload(payload);
    (message, location)
}

/// Drops what a panic carried: it may hold memory or handles. If that panics, too, the second payload is not dropped:
/// it may do the same.
fn drop_payload(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// In a child: panics are noted from now on. A hook that the program has set, in `main` before a fork, runs as
/// well; where there is none the panic is printed. `report` is told of one that ends the process.
pub(crate) fn install(report: Report) {
    let _ = REPORT.set(report);
    let (before, default) = (take_hook(), take_hook());
    // A process that is itself a child has this hook already, and keeps the program's earlier one.
    if !same(&before, &ours()) {
        let theirs = (!same(&before, &default)).then(|| Arc::new(before));
        *self::theirs() = theirs;
    }
    set_hook(ours());
}

/// In one place, so that there is one table of its functions.
#[inline(never)]
fn ours() -> Hook {
    Box::new(note)
}

/// Whether two hooks without data are the same function: the addresses are the same, the tables of functions tell.
fn same(one: &Hook, other: &Hook) -> bool {
    std::ptr::eq(&raw const **one, &raw const **other)
}

fn note(info: &PanicHookInfo<'_>) {
    let location = remember(info);
    let theirs = theirs().clone();
    match theirs {
        Some(theirs) => theirs(info),
        None => print(current::current_process().name(), info, &location),
    }
    if cfg!(panic = "abort") {
        // Nothing comes back to report it: the process aborts when this returns.
        let message = info.payload_as_str().unwrap_or("(a payload that is not text)").to_owned();
        if let Some(report) = REPORT.get() {
            report(message, location);
        }
    }
}

/// In a template, whose hook its children must not inherit.
pub(crate) fn install_for_template() {
    set_hook(Box::new(|info| {
        let location = remember(info);
        print("mp-template", info, &location);
    }));
}

fn remember(info: &PanicHookInfo<'_>) -> String {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let note = Note {
        is: Mark::of(info.payload()),
        thread: std::thread::current().id(),
        location: location.clone(),
    };
    let mut notes = notes();
    if notes.len() == KEPT {
        notes.pop_front();
    }
    notes.push_back(note);
    // ORDERING: as in `begin`.
    NOTED.store(true, Ordering::Relaxed);
    location
}

/// Prints a panic as `Process NAME panicked at PLACE:`, in one piece.
fn print(name: &str, info: &PanicHookInfo<'_>, location: &str) {
    let message = info.payload_as_str().unwrap_or("(a payload that is not text)");
    let mut text = format!("Process {name} panicked at {location}:\n{message}\n");
    match std::env::var("RUST_BACKTRACE") {
        Ok(how) if how == "full" => text.push_str(&backtrace()),
        Ok(how) if how != "0" => text.push_str(&trimmed(&backtrace())),
        _ => {}
    }
    write_stderr(text.as_bytes());
}

fn backtrace() -> String {
    format!("stack backtrace:\n{}\n", std::backtrace::Backtrace::force_capture())
}

/// The frames between the two marks that std sets, as std prints them: without the hook, and without what called
/// the program's function.
fn trimmed(backtrace: &str) -> String {
    let (mut text, mut inside, mut number) = ("stack backtrace:\n".to_owned(), false, 0);
    for line in backtrace.lines() {
        let frame = line.trim_start().split_once(": ").filter(|(count, _)| count.parse::<u32>().is_ok());
        match frame {
            Some((_, name)) if name.contains("__rust_end_short_backtrace") => inside = true,
            Some((_, name)) if name.contains(BEGIN) => break,
            Some((_, name)) if inside => {
                text.push_str(&format!("{number:>4}: {name}\n"));
                number += 1;
            }
            None if inside && number > 0 => text.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    // Without symbols there are no marks.
    if number == 0 { backtrace.to_owned() } else { text }
}

const BEGIN: &str = "__rust_begin_short_backtrace";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backtrace_is_cut_at_both_marks() {
        let whole = "   0: hook\n             at hook.rs:1:1\n   1: std::__rust_end_short_backtrace::<x>\n             \
                     at std.rs:2:2\n   2: core::panicking::panic_fmt\n   3: user::work\n             at user.rs:3:3\n   \
                     4: mp_core::__rust_begin_short_backtrace\n   5: main\n";
        let cut = "stack backtrace:\n   0: core::panicking::panic_fmt\n   1: user::work\n             at user.rs:3:3\n";
        assert_eq!(trimmed(whole), cut);
        assert_eq!(trimmed("   0: 0x55\n"), "   0: 0x55\n");
    }

    #[test]
    fn hooks_are_told_apart() {
        let mine: Hook = Box::new(|_| {});
        assert!(same(&ours(), &ours()) && same(&mine, &mine) && !same(&ours(), &mine));
    }
}
