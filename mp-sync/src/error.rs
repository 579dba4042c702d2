//! The errors of locks, semaphores, conditions and barriers.

use crate::raw::Acquired;
use std::convert::Infallible;
use std::fmt;

/// The previous holder of the lock died or panicked while it held it. The caller holds the lock now; the data
/// that it guards may be half changed.
///
/// It lasts, like poison in std: every acquire returns it until `clear_owner_died` is called on a guard.
///
/// Python has no counterpart: there the lock stays locked for ever.
pub struct OwnerDiedError<G> {
    guard: G,
}

impl<G> OwnerDiedError<G> {
    /// The guard of a lock that was acquired in this state: an error if a holder died.
    #[inline]
    pub(crate) fn unless_clean(taken: Acquired, guard: G) -> Result<G, Self> {
        match taken {
            Acquired::Clean => Ok(guard),
            Acquired::OwnerDied => Err(OwnerDiedError { guard }),
        }
    }

    /// The lock, held.
    pub fn into_guard(self) -> G {
        self.guard
    }
}

impl<G> fmt::Debug for OwnerDiedError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerDiedError")
    }
}

impl<G> fmt::Display for OwnerDiedError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a holder of the lock died or panicked, so its data may be half changed: repair it, call clear_owner_died")
    }
}

impl<G> std::error::Error for OwnerDiedError<G> {}

/// The error of acquiring a lock, or a permit of a semaphore, of which no holder dies: there `G` has no values.
#[non_exhaustive]
pub enum AcquireError<G = Infallible> {
    /// It cannot be had now; `try_` calls only.
    WouldBlock,
    /// It could not be had until the time was over; `_timeout` calls only.
    Timeout,
    /// It is held now, and its holder before died.
    OwnerDied(OwnerDiedError<G>),
}

impl<G> fmt::Debug for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireError::WouldBlock => "WouldBlock",
            AcquireError::Timeout => "Timeout",
            AcquireError::OwnerDied(_) => "OwnerDied",
        })
    }
}

impl<G> fmt::Display for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::WouldBlock => f.write_str("it is held by others: try again, or wait"),
            AcquireError::Timeout => f.write_str("it was held by others until the time was over: try again"),
            AcquireError::OwnerDied(died) => died.fmt(f),
        }
    }
}

impl<G> std::error::Error for AcquireError<G> {}

/// The error of a release. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The calling thread does not hold the lock, or a permit. Python: `AssertionError: attempt to release recursive
    /// lock not owned by thread`.
    #[error("the calling thread does not hold it: release it in the thread that acquired it, once")]
    NotOwner,
    /// The semaphore would have more permits than it may have. Python: `ValueError: semaphore or lock released too many
    /// times`.
    #[error("the semaphore was released too many times: it may have {most} permits")]
    TooMany {
        /// The most permits that it may have.
        most: u32,
    },
}

/// The error of waiting for a condition. The caller holds the lock again, if it held it before.
///
/// Python: `RuntimeError: cannot wait on un-acquired lock` for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over before it was notified, or before what it waits for was so; `_timeout` calls only.
    #[error("the condition was not notified in time")]
    Timeout,
    /// The calling thread does not hold the lock: its guard is a copy of its parent's, in a forked child.
    #[error("the calling thread does not hold the condition's lock: acquire it before the wait")]
    NotOwner,
    /// 128 threads wait for the condition already, the most that can.
    #[error("128 threads wait for the condition, the most that can: use one more condition")]
    TooMany,
    /// A holder of the lock died or panicked during the wait, and that was not cleared: the guarded data may
    /// be half changed.
    #[error(
        "a holder of the condition's lock died or panicked, so its data may be half changed: repair it, call \
         clear_owner_died"
    )]
    OwnerDied {
        /// Whether the wait was notified. If not, its timeout passed.
        notified: bool,
    },
}

/// The barrier is broken: no party passes until it is reset.
///
/// Python: `threading.BrokenBarrierError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenBarrierError {
    /// This party's time was over before all were there, so the barrier is broken.
    #[error("not all parties came in time, so the barrier is broken: reset it to use it again")]
    Timeout,
    /// Another party timed out, died, gave up or panicked in the action.
    #[error("the barrier is broken: reset it to use it again")]
    Broken,
}
