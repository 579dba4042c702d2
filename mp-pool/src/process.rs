//! A worker's process, wherever it runs, as the pool holds it: a child of this process, or a process of another host
//! behind a link.

use mp_core::sys::clock::cpu_time;
use mp_core::{Child, Ended, OsError};
use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How the pool learns of a worker's end, and brings it about. Tasks do not pass here.
pub(crate) trait WorkerProcess: fmt::Debug + Send + Sync {
    fn name(&self) -> &str;

    /// Its process id on its host; `None`: it is not known yet.
    fn pid(&self) -> Option<u32>;

    /// Whether it may still take something from the board.
    fn is_alive(&self) -> bool;

    /// How it ended; `None`: it has not, or that could not be learnt.
    fn end(&self) -> Option<Ended>;

    /// A descriptor that is readable once it has ended.
    fn sentinel(&self) -> BorrowedFd<'_>;

    /// SIGKILL. An error: this process may not, and the worker ends after its task.
    fn kill(&self) -> Result<(), OsError>;

    /// SIGTERM.
    fn terminate(&self) -> Result<(), OsError>;

    /// What it has taken of a CPU, if that can be known here.
    fn cpu_time(&self) -> Option<Duration>;
}

impl WorkerProcess for Child<()> {
    fn name(&self) -> &str {
        self.name()
    }

    fn pid(&self) -> Option<u32> {
        Some(self.pid())
    }

    fn is_alive(&self) -> bool {
        self.is_alive()
    }

    fn end(&self) -> Option<Ended> {
        self.exitcode().map(|code| if code < 0 { Ended::Signaled(-code) } else { Ended::Exited(code) })
    }

    fn sentinel(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }

    fn kill(&self) -> Result<(), OsError> {
        self.kill()
    }

    fn terminate(&self) -> Result<(), OsError> {
        self.terminate()
    }

    fn cpu_time(&self) -> Option<Duration> {
        cpu_time(self.pid())
    }
}
