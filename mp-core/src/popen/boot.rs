//! The hook that runs before `main` in a re-executed child, so that the user's program needs no set-up line.
//!
//! ```text
//!  exec ──► dynamic linker ──► hook() ──┬─ no boot variable of its parent's ──► the other constructors ──► main
//!                                       └─ boot variable: remove it, call the other constructors, read the boot
//!                                          socket, become a child or template: never enter main.
//!                                          (A service calls no constructors.)
//! ```
//!
//! A child has no other descriptors of its parent than the standard three and the boot socket: the parent closes them
//! before it executes the program ([`execute::spawn_self`]). The hook closes none. What is open by then was opened in
//! this process: by a preloaded library, an auditor, or a constructor with a lower number.
//!
//! Constructors run in each child as they do in the program. One that starts a process would start one in each child,
//! without end. So an executed child starts no process before it runs its function ([`check_stage`]):
//!
//! | stage    | ends when                                                               | a start                             |
//! |----------|-------------------------------------------------------------------------|-------------------------------------|
//! | unhooked | the hook runs, after the constructors of linked libraries               | refused if there is a boot variable |
//! | starting | a child or service calls its function; a template has run its preload   | refused                             |
//! | started  | the process ends. The program itself is in this stage from the hook on  | allowed                             |
//!
//! The environment comes from any process that started the program, not always from a parent of this family. So the
//! variable is always removed, and this is checked before a byte of its descriptor is read:
//!
//! | what it finds                                                        | what follows                     |
//! |----------------------------------------------------------------------|----------------------------------|
//! | a privileged program (set-uid, set-gid, file capabilities)           | `main`, as if nothing were there |
//! | no packet socket, or its maker is not this process's parent and user | the same                         |
//! | its maker has ended                                                  | it exits: no process waits for it |
//! | the kernel gives no credentials, or the message is malformed         | one clear line, and it exits     |
//!
//! A child whose parent lives never enters `main`: the program would start once more for each child, a fork bomb. A
//! program whose re-execution would be privileged is therefore refused in the parent ([`launch`]).
//!
//! # Safety
//! The one invariant: the hook runs once, on the only thread, before any code of the user's. What the standard
//! library sets up before `main` is not ready yet; printing, threads, unwinding and `env::args` work without it.
#![allow(unsafe_code)]

use super::job::{Boot, Job};
use super::{method, raw_fork, service, template};
use crate::process::args_os;
use crate::process::bootstrap::ChildBootstrap;
use crate::sys::boot_peer::{BootPeer, boot_peer};
use crate::sys::image::{Constructor, NoTable, constructors_after};
use crate::sys::poll::pidfd_open;
use crate::sys::socket::{Mode, packet_pair};
use crate::sys::{execute, fd, loader, privilege, process};
use crate::transfer::{Message, ParcelError, pack, receive_parts, send_parts, unpack};
use std::ffi::{CString, c_char, c_int};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicU8, Ordering};

use super::StartError;

/// The variable that names the boot descriptor. Removed from the environment before any other code runs.
const VARIABLE: &str = "MP_RS_BOOT";
/// The suffix of the number where none of the program's own constructors are called.
const BARE: &str = "-bare";

/// How far this process has come: see the top.
static STAGE: AtomicU8 = AtomicU8::new(UNHOOKED);
const UNHOOKED: u8 = 0;
const STARTING: u8 = 1;
const STARTED: u8 = 2;

fn enter(stage: u8) {
    // ORDERING: Relaxed: written while the process has one thread, or, with a constructor's thread beside it, only for
    // a start that would be allowed a moment later.
    STAGE.store(stage, Ordering::Relaxed);
}

/// From now on this process may start others.
pub(super) fn has_started() {
    enter(STARTED);
}

/// Refuses a start in a process that is not yet what it was started as.
pub(crate) fn check_stage() -> Result<(), StartError> {
    // ORDERING: as in `enter`.
    match STAGE.load(Ordering::Relaxed) {
        STARTING => Err(StartError::StillStarting),
        // The hook takes the variable out.
        UNHOOKED if std::env::var_os(VARIABLE).is_some() => Err(StartError::StillStarting),
        _ => Ok(()),
    }
}

#[used]
// SAFETY: the dynamic linker calls every entry of this section once, before those without a number, and after the
// standard library's (00099), which notes the arguments; the type is what it calls.
#[unsafe(link_section = ".init_array.00100")]
static HOOK: Constructor = hook;

extern "C" fn hook(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    enter(STARTED);
    loader::note(args_os);
    // While there is one thread: a copy forked in the middle of it would wait for its other half for ever.
    raw_fork::install();
    if privilege::is_privileged() {
        for name in [VARIABLE, method::VARIABLE] {
            // SAFETY: before `main`, on the only thread.
            unsafe { process::take_variable(name) };
        }
        return;
    }
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // In a library that has this crate too: the variable is for the program, whose hook is yet to come.
    let Ok(others) = constructors_after(&HOOK) else { return };
    // SAFETY: before `main`, on the only thread.
    let Some(value) = (unsafe { process::take_variable(VARIABLE) }) else { return };
    let text = value.to_str().unwrap_or_default();
    let bare = text.strip_suffix(BARE);
    let number: Option<RawFd> = bare.unwrap_or(text).parse().ok();
    let Some(number) = number.filter(|number| *number > 2) else { return };
    match boot_peer(number) {
        Ok(BootPeer::Parent) => {}
        Ok(BootPeer::Stranger) => return,
        Ok(BootPeer::Gone) => process::exit_now(1),
        Err(error) => refuse(&format!("its boot descriptor cannot be examined: {error}")),
    }
    // Before any constructor, which may execute another program: that is not to hold it.
    // SAFETY: inherited under this number for this purpose; nothing else knows of it.
    let Ok(socket) = (unsafe { fd::inherited(number) }) else { refuse("its boot descriptor is not open") };
    enter(STARTING);
    if bare.is_none() {
        // This never returns, so the linker does not come to them.
        for constructor in others {
            constructor(count, arguments, environment);
        }
    }
    run(socket)
}

fn run(socket: OwnedFd) -> ! {
    let (boot, arguments) = match receive_parts(socket.as_fd(), Mode::Block) {
        Ok(both) => both,
        // The parent has ended, or closed the socket before it sent the work: no process waits for this one.
        Err(ParcelError::Closed) => process::exit_now(1),
        Err(error) => template::not_received(&socket, &error),
    };
    match unpack::<Boot>(&boot.bytes, boot.handles) {
        Ok(Boot::Serve { preload, blocked, parent, family }) => {
            template::serve(socket, preload, &blocked, (parent, family))
        }
        Ok(Boot::Attend { title, code, family }) => {
            drop(socket);
            has_started();
            service::attend(&title, code, family, arguments)
        }
        Ok(Boot::Run(Job { identity, code, lifeline })) => {
            let call =
                move || code.call(&arguments.bytes, arguments.handles).map_err(|error| error.to_string());
            has_started();
            ChildBootstrap::of_spawn(identity).run(lifeline.into_fd().ok(), socket, call)
        }
        Err(_) => refuse("its parent uses another version of this library: start it from the same build"),
    }
}

fn refuse(why: &str) -> ! {
    let line = format!(
        "mp-core: this program was started as a child process, but {why}: start it without {VARIABLE} in its environment\n"
    );
    process::write_stderr(line.as_bytes());
    process::exit_now(70)
}

/// A new process that executes this program.
pub(super) struct Launched {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    /// The parent's end of the boot socket.
    pub(super) socket: OwnedFd,
}

/// Executes this program as the process that `boot` describes; once more if it is killed before it receives the
/// message.
pub(super) fn launch(boot: &Boot, arguments: &Message) -> Result<Launched, StartError> {
    check_hook()?;
    // A service calls no constructors, so it starts no others.
    if !matches!(boot, Boot::Attend { .. }) {
        check_stage()?;
    }
    if privilege::execution_may_be_privileged() {
        return Err(StartError::Privileged);
    }
    match launch_once(boot, arguments) {
        Err(StartError::Died) => launch_once(boot, arguments),
        launched => launched,
    }
}

fn launch_once(boot: &Boot, arguments: &Message) -> Result<Launched, StartError> {
    let (ours, theirs) = packet_pair()?;
    let message = pack(boot)?;
    let pid = start(theirs.as_fd(), boot)?;
    drop(theirs);
    // Open the pidfd before the message: until then the process waits and does not exit, so the number is its own.
    let begun = pidfd_open(pid).map_err(StartError::from).and_then(|pidfd| {
        match send_parts(ours.as_fd(), (&message).into(), arguments.into()) {
            Ok(()) => Ok(pidfd),
            // A constructor has ended it, or a signal.
            Err(ParcelError::Closed) => Err(StartError::ended_early(process::end_of(pidfd.as_fd()))),
            Err(error) => Err(error.into()),
        }
    });
    match begun {
        Ok(pidfd) => Ok(Launched { pid, pidfd, socket: ours }),
        Err(error @ (StartError::EndedEarly { .. } | StartError::Died)) => Err(error),
        Err(error) => {
            // Its boot socket ends, so it exits. It is reaped here: no other code knows of it.
            drop(ours);
            process::end_child(pid);
            Err(error)
        }
    }
}

fn start(socket: BorrowedFd<'_>, boot: &Boot) -> Result<u32, StartError> {
    let text = |bytes: Vec<u8>| CString::new(bytes).expect("arguments and variables hold no zero byte");
    let (arguments, suffix) = match boot {
        // A title of its own: tools that search for the program shall not find it.
        Boot::Attend { title, .. } => (vec![title.clone().into()], BARE),
        Boot::Run(_) | Boot::Serve { .. } => (args_os(), ""),
    };
    let arguments = loader::command(arguments).ok_or(StartError::StartedByLoader)?;
    let arguments: Vec<CString> = arguments.into_iter().map(|argument| text(argument.into_vec())).collect();
    let variable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        text([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let mut environment: Vec<CString> = std::env::vars_os().map(variable).collect();
    environment.push(text(format!("{VARIABLE}={}{suffix}", execute::BOOT).into_bytes()));
    let is_helper = !matches!(boot, Boot::Run(_));
    execute::spawn_self(&arguments, &environment, socket, is_helper).map_err(StartError::of_execution)
}

/// Checks that the hook is in this program and has run: otherwise the child would run `main`.
fn check_hook() -> Result<(), StartError> {
    // This reference keeps the hook, and the section's entry, in every program that can start a process: the linker
    // drops unreferenced ones.
    constructors_after(&HOOK).map_err(|why| match why {
        NoTable::Elsewhere => StartError::NotTheProgram,
        NoTable::Untold => StartError::NoSectionHeaders,
    })?;
    // A child would have two.
    if std::env::var_os(VARIABLE).is_some() { Err(StartError::HookMissing) } else { Ok(()) }
}
