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
//!
//! | process                          | its hook     | what runs behind the note                            |
//! |----------------------------------|--------------|------------------------------------------------------|
//! | a child                          | `note`       | the program's own hook, if it had one, or `print`    |
//! | a template                       | a closure    | `print`                                              |
//! | a program that calls `caught`    | `note_first` | the hook that was there, the standard library's too  |

use super::current;
use crate::component::{Component, Rank, Steps};
use crate::sys::process::write_stderr;
use std::any::{Any, TypeId};
use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// How many panics are kept: as many may be on their way at once, in nested unwinding or in several threads.
const KEPT: usize = 16;

/// How long another thread's note is kept: that thread's unwinding is over by then.
const KEPT_FOR: Duration = Duration::from_secs(10);

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// A panic that a hook has seen.
struct Note {
    is: Mark,
    thread: ThreadId,
    location: String,
    at: Instant,
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
/// The hook that was there before [`note_first`].
static BEFORE: Mutex<Option<Arc<Hook>>> = Mutex::new(None);

fn theirs() -> MutexGuard<'static, Option<Arc<Hook>>> {
    COMPONENT.register();
    THEIRS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn before_ours() -> MutexGuard<'static, Option<Arc<Hook>>> {
    COMPONENT.register();
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn notes() -> MutexGuard<'static, VecDeque<Note>> {
    COMPONENT.register();
    NOTES.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) static COMPONENT: Component = Component::new(
    Rank::Panics,
    Steps { hold: Some(|| Box::new((before_ours(), notes(), theirs()))), ..Steps::NONE },
);

/// A process begins its work: no panic from before it can be its own, in whatever thread of its original's that was.
pub(super) fn begin_process() {
    notes().clear();
}

/// A call begins: no panic of this thread's from before it can be its own.
#[inline]
pub(crate) fn begin() {
    // ORDERING: Relaxed, here and below: written under the lock of the notes, and this thread sees its own.
    if NOTED.load(Ordering::Relaxed) {
        forget();
    }
}

/// Forgets what this thread has noted. A call of another thread's may be on its way to the one that catches its panic,
/// so what that noted stays, for a while.
#[cold]
fn forget() {
    let here = std::thread::current().id();
    let mut notes = notes();
    notes.retain(|note| note.thread != here && note.at.elapsed() < KEPT_FOR);
    NOTED.store(!notes.is_empty(), Ordering::Relaxed);
}

/// The message and the location of the panic with this payload. The location is empty if this library's hook did
/// not run.
#[cold]
pub(crate) fn explain(payload: Box<dyn Any + Send>) -> (String, String) {
    let message = text(&*payload).unwrap_or("(a payload that is not text)").to_owned();
    let (mark, here) = (Mark::of(&*payload), std::thread::current().id());
    let mut notes = notes();
    let find = |notes: &VecDeque<Note>, is_one: &dyn Fn(&Note) -> bool| {
        notes.iter().rposition(|note| note.is == mark && is_one(note))
    };
    let its = find(&notes, &|note| note.thread == here).or_else(|| find(&notes, &|_| true));
    let location = its.and_then(|at| notes.remove(at)).map(|note| note.location).unwrap_or_default();
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
        let before = if same(&before, &first()) { before_ours().clone() } else { Some(Arc::new(before)) };
        *theirs() = before.filter(|before| !same(before, &default));
    }
    set_hook(ours());
}

/// In a process that calls [`caught`](super::caught), and is no child: panics are noted from now on, and the hook that
/// was there runs as before. A hook that the program sets later in its place alone is told of panics then.
#[doc(hidden)]
pub fn note_panics() {
    // A child notes already. A thread that panics may not set a hook: the next call does.
    if REPORT.get().is_some() || std::thread::panicking() {
        return;
    }
    let mut before = before_ours();
    // Once: a hook of the program's may stand in front of this one by now, and pass on to it.
    if before.is_none() {
        *before = Some(Arc::new(take_hook()));
        set_hook(first());
    }
}

#[inline(never)]
fn first() -> Hook {
    Box::new(note_first)
}

fn note_first(info: &PanicHookInfo<'_>) {
    remember(info);
    let before = before_ours().clone();
    if let Some(before) = before {
        before(info);
    }
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

thread_local! {
    /// The program's hook runs in this thread, called by this one.
    static PASSED_ON: Cell<bool> = const { Cell::new(false) };
}

fn note(info: &PanicHookInfo<'_>) {
    // A hook that a child had set in front of this one passes on to it, and is behind it in a fork of that child.
    if PASSED_ON.get() {
        return print(current::current_process().name(), info, &place(info));
    }
    let location = remember(info);
    let theirs = theirs().clone();
    match theirs {
        Some(theirs) => {
            PASSED_ON.set(true);
            theirs(info);
            PASSED_ON.set(false);
        }
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
    let location = place(info);
    let note = Note {
        is: Mark::of(info.payload()),
        thread: std::thread::current().id(),
        location: location.clone(),
        at: Instant::now(),
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

fn place(info: &PanicHookInfo<'_>) -> String {
    info.location().map(ToString::to_string).unwrap_or_default()
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
