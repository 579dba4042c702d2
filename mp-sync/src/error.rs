//! The errors of shared locks.

use crate::raw::Acquired;
use mp_core::transfer::CodeError;
use mp_core::{CodecError, MemError};
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

/// Why a lock was not simply taken.
#[non_exhaustive]
pub enum AcquireError<G> {
    /// Another thread holds it; `try_` calls only.
    WouldBlock,
    /// Another thread held it until the time was over; `_timeout` calls only.
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
            AcquireError::WouldBlock => f.write_str("the lock is held"),
            AcquireError::Timeout => f.write_str("the lock was held until the time was over"),
            AcquireError::OwnerDied(died) => died.fmt(f),
        }
    }
}

impl<G> std::error::Error for AcquireError<G> {}

/// The calling thread does not hold the lock that it tried to release.
///
/// Python: `AssertionError: attempt to release recursive lock not owned by thread`, and `ValueError:
/// semaphore or lock released too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calling thread does not hold the lock")]
pub struct NotOwnerError;

/// The elements asked for do not all lie in the array. None of them was touched.
///
/// Python: `IndexError`; for a slice of another length than its place, `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("elements {start}..{end} do not lie within an array of {len}")]
#[non_exhaustive]
pub struct OutOfRangeError {
    /// The index of the first that was asked for.
    pub start: usize,
    /// One more than the index of the last.
    pub end: usize,
    /// How many elements the array has.
    pub len: usize,
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

/// The release would give the semaphore more permits than it may have. It gave none.
///
/// Python: `ValueError: semaphore or lock released too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the semaphore was released too many times: it may have {most} permits")]
#[non_exhaustive]
pub struct OverReleasedError {
    /// The most permits that it may have.
    pub most: u32,
}

/// The error of making a semaphore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewSemaphoreError {
    /// More permits than such a semaphore can have.
    #[error("{permits} permits are too many for this semaphore: ask for at most {most}")]
    TooMany {
        /// The permits that were asked for.
        permits: u32,
        /// The most permits that it can have.
        most: u32,
    },
    /// No permits for an [`OwnedSemaphore`](crate::OwnedSemaphore): permits cannot be added later, so every
    /// acquire would wait for ever.
    #[error("an OwnedSemaphore without permits could never be acquired: ask for at least one")]
    NoPermits,
    /// Shared memory could not be made.
    #[error(transparent)]
    Memory(#[from] MemError),
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

/// Why no permit was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// There is none now; `try_acquire` only.
    #[error("the semaphore has no permit now")]
    WouldBlock,
    /// There was none in time; `acquire_timeout` only.
    #[error("the semaphore had no permit in time")]
    Timeout,
}

/// The error of making a barrier.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewBarrierError {
    /// Zero parties.
    #[error("a barrier of no parties could never open: give at least one party")]
    NoParties,
    /// The action cannot be called in another process.
    #[error("the action of the barrier: {0}")]
    Action(#[from] CodeError),
    /// The action's arguments cannot be serialised.
    #[error("the arguments of the barrier's action: {0}")]
    Arguments(#[from] CodecError),
    /// Shared memory could not be made.
    #[error(transparent)]
    Memory(#[from] MemError),
}
