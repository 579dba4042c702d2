//! What can go wrong with shared locks.

use mp_core::transfer::CodeError;
use mp_core::{CodecError, MemError};
use std::fmt;

/// Who held the lock before died with it, or panicked. The lock is held now, and what it guards may be half changed.
///
/// As std's poison: every acquire says so until somebody calls `clear_owner_died` on a guard.
///
/// Python has no counterpart: there the lock stays locked for ever.
pub struct OwnerDied<G> {
    guard: G,
}

impl<G> OwnerDied<G> {
    pub(crate) fn new(guard: G) -> Self {
        OwnerDied { guard }
    }

    /// The lock, held.
    pub fn into_guard(self) -> G {
        self.guard
    }
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerDied")
    }
}

impl<G> fmt::Display for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the holder of the lock died or panicked; what it guards may be half changed")
    }
}

impl<G> std::error::Error for OwnerDied<G> {}

/// Why a lock was not simply taken.
pub enum AcquireError<G> {
    /// Somebody holds it; with a timeout: until it passed.
    Busy,
    /// It is held now, and its holder before died.
    OwnerDied(OwnerDied<G>),
}

impl<G> fmt::Debug for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AcquireError::Busy => "Busy",
            AcquireError::OwnerDied(_) => "OwnerDied",
        })
    }
}

impl<G> fmt::Display for AcquireError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::Busy => f.write_str("the lock is held by somebody"),
            AcquireError::OwnerDied(died) => died.fmt(f),
        }
    }
}

impl<G> std::error::Error for AcquireError<G> {}

/// The calling thread does not hold the lock that it wanted to release.
///
/// Python: `AssertionError: attempt to release recursive lock not owned by thread`, and `ValueError: semaphore or
/// lock released too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calling thread does not hold the lock")]
pub struct NotOwner;

/// The elements asked for do not all lie in the array. None of them was touched.
///
/// Python: `IndexError`; for a slice of another length than its place, `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("elements {start}..{end} do not lie within an array of {len}")]
pub struct OutOfRange {
    /// The index of the first that was asked for.
    pub start: usize,
    /// One more than the index of the last.
    pub end: usize,
    /// How many elements the array has.
    pub len: usize,
}

/// What went wrong in a wait for a condition. The lock is held again, or as it was before.
///
/// Python: `RuntimeError: cannot wait on un-acquired lock` for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The calling thread does not hold the lock: its guard is a copy of its parent's, in a forked child.
    #[error("the calling thread does not hold the condition's lock")]
    NotOwner,
    /// 128 threads wait already.
    #[error("as many threads wait for the condition as can")]
    TooMany,
    /// A holder of the lock died or panicked meanwhile, and nobody has cleared that: what it guards may be half changed.
    #[error("a holder of the condition's lock died or panicked; what it guards may be half changed")]
    OwnerDied {
        /// Whether the wait was notified; else its time was up.
        notified: bool,
    },
}

/// There would be more permits than the semaphore may have; none was given.
///
/// Python: `ValueError: semaphore or lock released too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the semaphore was released too many times: it may have {most} permits")]
pub struct OverReleased {
    /// The most permits that it may have.
    pub most: u32,
}

/// Why a semaphore was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewSemaphoreError {
    /// More than there can be.
    #[error("such a semaphore has at most {most} permits, not {permits}")]
    TooMany {
        /// What was asked for.
        permits: u32,
        /// The most that there can be.
        most: u32,
    },
    /// Nobody would ever have one: of an [`OwnedSemaphore`](crate::OwnedSemaphore), which nobody can add permits to.
    #[error("a semaphore whose permits have owners needs at least one")]
    NoPermits,
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] MemError),
}

/// A party timed out, died, gave up or panicked in the action: nobody passes until the barrier is reset.
///
/// Python: `threading.BrokenBarrierError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the barrier is broken")]
pub struct BrokenBarrier;

/// Why a barrier was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewBarrierError {
    /// Nobody would ever meet.
    #[error("a barrier needs at least one party")]
    NoParties,
    /// The action cannot be called in another process.
    #[error("action: {0}")]
    Action(#[from] CodeError),
    /// The action's arguments cannot be serialised.
    #[error("action: {0}")]
    Arguments(#[from] CodecError),
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] MemError),
}
