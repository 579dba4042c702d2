//! Forked copies, made by the program's own `fork`: of the process that has a pool, and of a worker within a task.
//!
//! | copy of           | what it does                                                                        |
//! |-------------------|-------------------------------------------------------------------------------------|
//! | the pool's process | touches neither the board nor the lock: its calls are refused, its tasks are lost    |
//! | that of a pool of threads | the same: it has none of the threads (`threads/task.rs`, `threads/crew.rs`)   |
//! | a worker          | ends when the task's function has returned: the worker alone goes on, and answers    |
//!
//! The board is memory that both processes have. A copy that collected would take results that the original waits for,
//! and two processes would hand out the same slots. The lock of a copy may have been held by a thread that is not
//! there.

use crate::error::{SubmitError, TaskError};
use crate::job::Job;
use crate::supervisor::Shared;
use mp_core::sys::owning_process::OwningProcess;

const REASON: &str =
    "this process is a forked copy of the one that made the pool, and has no part in it: make a pool here";

impl Shared {
    /// Whether this process is a forked copy of the pool's.
    #[inline]
    pub(crate) fn is_copied(&self) -> bool {
        !self.owner.is_current() && !self.spec.is_stepped
    }

    /// Refuses a call in a copy.
    #[inline]
    pub(crate) fn check_process(&self) -> Result<(), SubmitError> {
        if self.is_copied() { Err(refused_in_copy()) } else { Ok(()) }
    }

    /// Whether this process is a copy. The job is settled then, if it was not when the copy was made: nothing will
    /// come.
    pub(crate) fn is_lost(&self, job: &Job) -> bool {
        if self.is_copied() {
            job.lose(&lost_to_copy());
            return true;
        }
        false
    }
}

/// What a call is in a copy.
#[cold]
pub(crate) fn refused_in_copy() -> SubmitError {
    SubmitError::Broken(REASON.to_owned())
}

/// What becomes of a task in a copy.
#[cold]
pub(crate) fn lost_to_copy() -> TaskError {
    TaskError::Broken(REASON.to_owned())
}

/// The process that a worker is. A copy of it that comes back from what is the program's ends: what it would say of the
/// task is the worker's to say.
pub(crate) struct OneProcess(OwningProcess);

impl OneProcess {
    #[inline]
    pub(crate) fn current() -> OneProcess {
        OneProcess(OwningProcess::current())
    }

    /// Goes on in that process alone.
    #[inline]
    pub(crate) fn check(&self) {
        if !self.0.is_current() {
            std::process::exit(0);
        }
    }
}

/// Calls what is the program's, in a worker.
#[inline]
pub(crate) fn in_one_process<T>(call: impl FnOnce() -> T) -> T {
    let process = OneProcess::current();
    let value = call();
    process.check();
    value
}
