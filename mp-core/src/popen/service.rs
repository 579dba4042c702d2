//! Service: a process that serves others of the family and is not their child.
//!
//! ```text
//!  starter ──this program, executed again──► first ──fork──► the service: its own session, no descriptors but
//!     │◄──────────── ends at once ────────────┘              those it is given; calls its function, then exits
//! ```
//!
//! It has no resources of the program: no terminal, no standard descriptors (they are `/dev/null`), no
//! directory (it is in `/`), no arguments. None of the program's constructors has run, and only SIGKILL ends
//! it. The system is its parent. So its starter may end before it, is not told of its end, and does not find it
//! among its children.
//!
//! # When a process dies
//! A service ends when its function returns. The function must detect by what it was given (a pidfd, a socket)
//! when it is not needed any more. When a service is killed, its sockets end: a process that needs it starts
//! another. A starter that is killed in the middle leaves a service that received everything, or one that finds
//! the end of its socket and exits.

use super::StartError;
use super::boot::{Launched, launch};
use super::fork;
use super::job::Boot;
use super::orphans;
use crate::process::Family;
use crate::sys::fd;
use crate::sys::process::{self, Ended, Forked};
use crate::sys::signal;
use crate::transfer::{Code, Message, Target, pack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Starts a service that calls `function` with `arguments`; `title` is its name in process lists, which show 15
/// bytes. Returns when it exists. It works beside threads, and in any process of the family.
pub fn start<F, A>(title: &str, function: F, arguments: &A) -> Result<(), StartError>
where
    F: Target<A, Output = ()>,
    A: Serialize + DeserializeOwned,
{
    let code = Code::of::<F, A>(&function)?;
    let family = Family::of_this_process()?;
    // If this process adopts orphans, it adopts the service.
    orphans::prepare();
    orphans::reap();
    let boot = Boot::Attend { title: title.to_owned(), code, family };
    let Launched { pidfd, socket: _open_until_it_has_read, .. } = launch(&boot, &pack(arguments)?)?;
    let ended = process::end_of(pidfd.as_fd());
    if ended.is_none_or(|ended| ended == Ended::Exited(0)) { Ok(()) } else { Err(StartError::Died) }
}

/// The main function of the service's process.
pub(super) fn attend(title: &str, code: Code, family: Family, arguments: Message) -> ! {
    // Both processes have this title: the first one, and the service after it.
    process::set_title(title);
    let first = std::process::id();
    match fork::fork_alone() {
        Ok(Forked::Child) => {}
        Ok(Forked::Parent(_)) => {
            // The starter may have been killed by now.
            orphans::call(family);
            process::exit_now(0)
        }
        Err(_) => process::exit_now(1),
    }
    signal::hold_back_all();
    leave_the_program();
    orphans::call_after(first, family);
    let call = || code.call(&arguments.bytes, arguments.handles);
    let done = catch_unwind(AssertUnwindSafe(call));
    process::exit_now(if matches!(done, Ok(Ok(_))) { 0 } else { 1 })
}

/// Drops resources of the program that a copy would keep alive: an end of a pipe, a folder that shall be
/// unmounted.
fn leave_the_program() {
    // A new process leads no group, so this succeeds.
    let _ = process::begin_session();
    let _ = std::env::set_current_dir("/");
    if let Ok(null) = fd::dev_null() {
        for number in 0..=2 {
            let _ = fd::put_at_standard(null.as_fd(), number);
        }
    }
}
