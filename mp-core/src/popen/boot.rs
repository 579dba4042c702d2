//! The hook that runs before `main` in a re-executed child, so that the user's program needs no set-up line.
//!
//! ```text
//!  exec ──► dynamic linker ──► hook() ──┬─ no boot variable of its parent's ──► the other constructors ──► main
//!                                       └─ boot variable: remove it, close other descriptors, call the other
//!                                          constructors, read the boot socket, become a child or template:
//!                                          never enter main. (A service calls no constructors.)
//! ```
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
use super::{method, service, template};
use crate::process::args_os;
use crate::process::bootstrap::ChildBootstrap;
use crate::sys::boot_peer::{BootPeer, boot_peer};
use crate::sys::image::{Constructor, constructors_after};
use crate::sys::poll::pidfd_open;
use crate::sys::socket::{Mode, packet_pair};
use crate::sys::{execute, fd, privilege, process};
use crate::transfer::{Message, ParcelError, pack, receive_parts, send_parts, unpack};
use std::ffi::{CString, c_char, c_int};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::StartError;

/// The variable that names the boot descriptor. Removed from the environment before any other code runs.
const VARIABLE: &str = "MP_RS_BOOT";
/// The suffix of the number where none of the program's own constructors are called.
const BARE: &str = "-bare";

#[used]
// SAFETY: the dynamic linker calls every entry of this section once, before those without a number, and after the
// standard library's (00099), which notes the arguments; the type is what it calls.
#[unsafe(link_section = ".init_array.00100")]
static HOOK: Constructor = hook;

extern "C" fn hook(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    if privilege::is_privileged() {
        for name in [VARIABLE, method::VARIABLE] {
            // SAFETY: before `main`, on the only thread.
            unsafe { process::take_variable(name) };
        }
        return;
    }
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
    // SAFETY: a fresh program: nothing of ours or of the user's has opened a descriptor.
    unsafe { fd::close_all_but(number) };
    // This never returns, so the linker does not come to the others.
    let others = if bare.is_some() { None } else { constructors_after(&HOOK) };
    for constructor in others.unwrap_or_default() {
        constructor(count, arguments, environment);
    }
    run(number)
}

fn run(number: RawFd) -> ! {
    // SAFETY: inherited under this number for this purpose; no other code uses it.
    let Ok(socket) = (unsafe { fd::inherited(number) }) else { refuse("its boot descriptor is not open") };
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
            service::attend(&title, code, family, arguments)
        }
        Ok(Boot::Run(Job { identity, code, lifeline })) => {
            let call = move || code.call(&arguments.bytes, arguments.handles);
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
    let arguments: Vec<CString> = arguments.into_iter().map(|argument| text(argument.into_vec())).collect();
    let variable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        text([name.as_bytes(), b"=", value.as_bytes()].concat())
    };
    let mut environment: Vec<CString> = std::env::vars_os().map(variable).collect();
    environment.push(text(format!("{VARIABLE}={}{suffix}", socket.as_raw_fd()).into_bytes()));
    let is_helper = !matches!(boot, Boot::Run(_));
    execute::spawn_self(&arguments, &environment, socket, is_helper).map_err(StartError::of_execution)
}

/// Checks that the hook is in this program and has run: otherwise the child would run `main`.
fn check_hook() -> Result<(), StartError> {
    if std::env::var_os(VARIABLE).is_some() {
        return Err(StartError::HookMissing);
    }
    // This reference keeps the hook, and the section's entry, in every program that can start a process: the linker
    // drops unreferenced ones.
    constructors_after(&HOOK).map(drop).ok_or(StartError::NotTheProgram)
}
