//! How long a call may sleep: the three forms of each blocking call.

use mp_core::error::OsResult;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::socket::Mode;
use mp_core::word::Deadline;
use parking_lot::{Mutex, MutexGuard};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// How long a call may sleep.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// `x()`
    Forever,
    /// `x_timeout()`
    Until(Deadline),
    /// `try_x()`
    Never,
}

impl Patience {
    pub(crate) fn of(timeout: Duration) -> Patience {
        Deadline::after(timeout).map_or(Patience::Forever, Patience::Until)
    }

    /// `never` for a call that does not wait, else `late`.
    pub(crate) fn error<E>(self, never: E, late: E) -> E {
        match self {
            Patience::Never => never,
            Patience::Forever | Patience::Until(_) => late,
        }
    }

    /// `None`: without limit.
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Patience::Forever => None,
            Patience::Until(deadline) => Some(deadline),
            Patience::Never => Deadline::after(Duration::ZERO),
        }
    }

    pub(crate) fn lock<T>(self, mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        match self {
            Patience::Forever => Some(mutex.lock()),
            Patience::Until(deadline) => mutex.try_lock_for(deadline.remaining()),
            Patience::Never => mutex.try_lock(),
        }
    }

    pub(crate) fn mode(self) -> Mode {
        match self {
            Patience::Forever => Mode::Block,
            Patience::Until(_) | Patience::Never => Mode::Now,
        }
    }

    /// Waits until the socket is ready; `false` when it is time to give up.
    pub(crate) fn wait(self, socket: BorrowedFd<'_>, interest: Interest) -> OsResult<bool> {
        match self {
            Patience::Never => Ok(false),
            // Without limit only where another process that shares the socket has made it non-blocking.
            Patience::Forever | Patience::Until(_) => wait_for(socket, interest, self.deadline()),
        }
    }
}
