//! Lock: one thread of one process at a time.

use crate::cell::LockCell;
use crate::error::{AcquireError, OwnerDiedError, ReleaseError};
use crate::guard::{Guard, Locked};
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A lock between processes, and between the threads in each. It has an owner, the thread that acquired it,
/// and survives the owner's death: the next acquire returns [`OwnerDiedError`].
///
/// ```
/// let lock = mp_sync::Lock::new()?;
/// let guard = lock.acquire().unwrap();
/// assert!(lock.locked());
/// drop(guard);
/// assert!(!lock.locked());
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// A guard belongs to its thread:
///
/// ```compile_fail,E0277
/// let lock = mp_sync::Lock::new().unwrap();
/// let guard = lock.acquire().unwrap();
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)));
/// ```
///
/// Python: `multiprocessing.Lock`. There any process may release a lock. To hand a turn from one process to
/// another, use a [`Semaphore`](crate::Semaphore) or an [`Event`](crate::Event) here.
#[derive(Clone, Serialize, Deserialize)]
pub struct Lock {
    shared: SharedRef<LockCell>,
}

/// A held [`Lock`].
pub type LockGuard<'a> = Guard<'a, Lock>;

impl Lock {
    /// Makes a free lock. Python: `Lock()`.
    pub fn new() -> Result<Lock, MemError> {
        Ok(Lock { shared: SharedRef::create_small()? })
    }

    /// Acquires the lock; waits for it. A thread that holds it already deadlocks.
    ///
    /// ```
    /// # let lock = mp_sync::Lock::new()?;
    /// // To acquire the lock whether its previous holder died or not:
    /// let guard = lock.acquire().unwrap_or_else(|died| died.into_guard());
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Lock.acquire`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock and that was not cleared.
    #[doc(alias = "lock")]
    #[inline]
    pub fn acquire(&self) -> Result<LockGuard<'_>, OwnerDiedError<LockGuard<'_>>> {
        Guard::take(self)
    }

    /// Acquires the lock if it is free now. Python: `Lock.acquire(block=False)`.
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self) -> Result<LockGuard<'_>, AcquireError<LockGuard<'_>>> {
        Guard::try_take(self)
    }

    /// Acquires the lock; waits for it at most `timeout`, then [`AcquireError::Timeout`]. Python:
    /// `Lock.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>, AcquireError<LockGuard<'_>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }

    /// Releases a lock whose guard was [kept](Guard::keep).
    ///
    /// Python: `Lock.release`.
    ///
    /// # Errors
    /// [`ReleaseError::NotOwner`] if the calling thread does not hold it; nothing is changed then.
    pub fn release(&self) -> Result<(), ReleaseError> {
        if self.shared.release() { Ok(()) } else { Err(ReleaseError::NotOwner) }
    }

    /// Whether a thread holds it. Python: `Lock.locked`.
    #[doc(alias = "is_locked")]
    pub fn locked(&self) -> bool {
        self.shared.is_locked()
    }
}

/// Shows the holder by its thread id, as `ps -L` does: `Lock { owner: Some(4711) }`.
///
/// Python: `<Lock(owner=MainProcess)>`, where the holder is in this process; else `SomeOtherProcess`.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("owner", &self.shared.owner()).finish()
    }
}

impl Locked for Lock {
    type Raw = LockCell;
    type Loan = ();

    #[inline]
    fn raw(&self) -> &LockCell {
        &self.shared
    }
}
