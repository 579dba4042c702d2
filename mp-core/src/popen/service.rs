//! A service: a process that attends to others of the family and is nobody's child.
//!
//! ```text
//!  starter ──this program, executed anew──► first ──fork──► the service: a session of its own, no descriptors but
//!     │◄──────────── ends at once ────────────┘              those it is handed; calls its function; ends with it
//! ```
//!
//! It has nothing of the program's: no terminal, no standard descriptors (they are `/dev/null`), no directory (it is
//! in `/`), no arguments; none of the program's constructors has run, and no signal but SIGKILL ends it. It has no
//! other parent than the system, so its starter may end before it, does not hear of its end, and finds it among no
//! children that it waits for.
//!
//! # When a process dies
//! A service ends when its function returns: it is the function's business to see when nobody needs it any more, by
//! what it was handed (a pidfd, a socket). One that is killed is gone, and its sockets end: who needs it starts
//! another. A starter that is killed in the middle leaves a service that was told everything, or one that finds its
//! socket at an end and exits.

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

/// Starts a service that calls `function` with `arguments`; `title` is its name in process lists, of which 15 bytes
/// are shown. Returns when it exists. It works with any threads, and in any process of the family.
pub fn start<F, A>(title: &str, function: F, arguments: &A) -> Result<(), StartError>
where
    F: Target<A, Output = ()>,
    A: Serialize + DeserializeOwned,
{
    let code = Code::of::<F, A>(&function)?;
    let family = Family::of_this_process()?;
    // A process that adopts orphans adopts this one.
    orphans::prepare();
    orphans::reap();
    let boot = Boot::Attend { title: title.to_owned(), code, family };
    let Launched { pidfd, socket: _open_until_it_has_read, .. } = launch(&boot, &pack(arguments)?)?;
    let ended = process::end_of(pidfd.as_fd());
    if ended.is_none_or(|ended| ended == Ended::Exited(0)) { Ok(()) } else { Err(StartError::Died) }
}

/// The service's whole life.
pub(super) fn attend(title: &str, code: Code, family: Family, arguments: Message) -> ! {
    // Both are called so: when the first has ended, the second is.
    process::set_title(title);
    let first = std::process::id();
    match fork::fork_alone() {
        Ok(Forked::Child) => {}
        Ok(Forked::Parent(_)) => {
            // Its starter may have been killed by now.
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

/// What it would hold of the program's, others would miss: an end of a pipe, a folder to be unmounted.
fn leave_the_program() {
    // A fresh process leads no group, so it may.
    let _ = process::begin_session();
    let _ = std::env::set_current_dir("/");
    if let Ok(null) = fd::dev_null() {
        for number in 0..=2 {
            let _ = fd::put_at_standard(null.as_fd(), number);
        }
    }
}
