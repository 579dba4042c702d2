//! The lifeline: a pipe that is never written to, whose end tells every child that this process is gone.
//!
//! The kernel closes the write end however a process ends, so no end can be missed: no handler runs, no signal
//! has to be sent, and no thread has to live. A daemon arms its end so that the kernel itself kills it (SIGKILL,
//! which cannot be masked or stopped); others only look at theirs.

use crate::error::{OsError, OsResult};
use crate::sys::fd::{self, pipe};
use crate::sys::poll::{Interest, wait_for};
use crate::sys::signal::SIGKILL;
use crate::transfer::Handle;
use crate::word::Deadline;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

struct Pipe {
    read: OwnedFd,
    /// Held, never written to. Forked children close it first thing.
    _write: OwnedFd,
}

static OURS: Mutex<Option<Pipe>> = Mutex::new(None);

/// An end of this process's lifeline, for a child to be given.
pub(crate) fn for_child() -> OsResult<Handle> {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    if ours.is_none() {
        let (read, write) = pipe()?;
        *ours = Some(Pipe { read, _write: write });
    }
    let pipe = ours.as_ref().expect("made above");
    let copy = pipe.read.try_clone();
    copy.map(Handle::new).map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })
}

/// In a forked child: the parent's lifeline is not ours to hold.
pub(crate) fn after_fork() {
    *OURS.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The parent's lifeline as a child holds it.
#[derive(Debug)]
pub(crate) struct Lifeline(OwnedFd);

impl Lifeline {
    /// Takes the end that the parent gave. It is opened anew, since its settings must be this process's own.
    pub(crate) fn hold(given: &Handle) -> OsResult<Lifeline> {
        fd::reopen_for_reading(given.as_fd()).map(Lifeline)
    }

    /// From now on this process is killed as soon as its parent is gone.
    pub(crate) fn arm(&self) -> OsResult<()> {
        fd::signal_on_hangup(self.0.as_fd(), SIGKILL)?;
        // An end that came before the arming sends nothing.
        if self.parent_is_gone(Deadline::after(Duration::ZERO))? {
            crate::sys::process::exit_now(1);
        }
        Ok(())
    }

    /// Waits for the parent's end; `false` at the deadline.
    pub(crate) fn parent_is_gone(&self, until: Option<Deadline>) -> OsResult<bool> {
        wait_for(self.0.as_fd(), Interest::Hangup, until)
    }
}
