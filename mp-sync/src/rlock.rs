//! RLock: a lock that its holder may acquire again.

use crate::cell::RLockCell;
use crate::error::{AcquireError, OwnerDiedError, ReleaseError};
use crate::guard::{Guard, Locked};
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A recursive lock between processes: the thread that holds it may acquire it again. It is free when it was
/// released as often. It survives its holder's death as [`Lock`](crate::Lock) does.
///
/// ```
/// let lock = mp_sync::RLock::new()?;
/// let outer = lock.acquire().unwrap();
/// let inner = lock.acquire().unwrap();
/// drop(outer);
/// assert!(lock.locked());
/// drop(inner);
/// assert!(!lock.locked());
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Python: `multiprocessing.RLock`.
#[derive(Clone, Serialize, Deserialize)]
pub struct RLock {
    shared: SharedRef<RLockCell>,
}

/// A held [`RLock`]: one acquire.
pub type RLockGuard<'a> = Guard<'a, RLock>;

impl RLock {
    /// Makes a free lock. Python: `RLock()`.
    pub fn new() -> Result<RLock, MemError> {
        Ok(RLock { shared: SharedRef::create_small()? })
    }

    /// Acquires the lock; waits for it, unless the calling thread holds it.
    ///
    /// Python: `RLock.acquire`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock and that was not cleared. The
    /// first acquire returns it, nested ones do not.
    #[doc(alias = "lock")]
    pub fn acquire(&self) -> Result<RLockGuard<'_>, OwnerDiedError<RLockGuard<'_>>> {
        Guard::take(self)
    }

    /// Acquires the lock if it is free now, or held by the calling thread. Python:
    /// `RLock.acquire(block=False)`.
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        Guard::try_take(self)
    }

    /// Acquires the lock; waits for it at most `timeout`, then [`AcquireError::Timeout`]. Python:
    /// `RLock.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }

    /// Releases one acquire whose guard was [kept](Guard::keep).
    ///
    /// Python: `RLock.release`.
    ///
    /// # Errors
    /// [`ReleaseError::NotOwner`] if the calling thread does not hold it; nothing is changed then.
    pub fn release(&self) -> Result<(), ReleaseError> {
        if self.shared.release() { Ok(()) } else { Err(ReleaseError::NotOwner) }
    }

    /// Whether a thread holds it. Python: `RLock.locked`.
    #[doc(alias = "is_locked")]
    pub fn locked(&self) -> bool {
        self.shared.is_locked()
    }

    /// How often the calling thread holds it; 0 if it does not. Python: the number in its `repr`.
    pub fn depth(&self) -> u32 {
        self.shared.depth()
    }
}

/// Shows the holder's thread id, and how often the calling thread holds it:
/// `RLock { owner: Some(4711), depth: 3 }`.
///
/// Python: `<RLock(MainProcess, 3)>`.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock").field("owner", &self.shared.owner()).field("depth", &self.depth()).finish()
    }
}

impl Locked for RLock {
    type Raw = RLockCell;
    type Loan = ();

    #[inline]
    fn raw(&self) -> &RLockCell {
        &self.shared
    }
}
