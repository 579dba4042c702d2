//! Lock: one thread of one process at a time.

use crate::cell::LockCell;
use crate::error::{AcquireError, NotOwner, OwnerDied};
use crate::held::{Held, Locked};
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A lock between processes, and between the threads in each. It has an owner, the thread that took it, and
/// survives his death.
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
/// Python: `multiprocessing.Lock`. There any process may release a lock; what that is used for (handing a turn from
/// one process to another) is a semaphore's or an event's work here.
#[derive(Clone, Serialize, Deserialize)]
pub struct Lock {
    place: SharedRef<LockCell>,
}

/// A [`Lock`], held.
pub type LockGuard<'a> = Held<'a, Lock>;

impl Lock {
    /// A free lock. Python: `Lock()`.
    pub fn new() -> Result<Lock, MemError> {
        Ok(Lock { place: SharedRef::create_small()? })
    }

    /// Takes the lock; waits for it. A thread that holds it already waits for itself.
    ///
    /// ```
    /// # let lock = mp_sync::Lock::new()?;
    /// // Who does not care how the holder before ended takes the lock either way:
    /// let guard = lock.acquire().unwrap_or_else(|died| died.into_guard());
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Lock.acquire`.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock and nobody has cleared that.
    #[doc(alias = "lock")]
    #[inline]
    pub fn acquire(&self) -> Result<LockGuard<'_>, OwnerDied<LockGuard<'_>>> {
        Held::take(self)
    }

    /// Takes the lock if it is free now. Python: `Lock.acquire(block=False)`.
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self) -> Result<LockGuard<'_>, AcquireError<LockGuard<'_>>> {
        Held::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `Lock.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<LockGuard<'_>, AcquireError<LockGuard<'_>>> {
        Held::take_until(self, Deadline::after(timeout))
    }

    /// Gives back a lock whose guard was [kept](Held::keep).
    ///
    /// Python: `Lock.release`.
    ///
    /// # Errors
    /// [`NotOwner`] if the calling thread does not hold it; nothing is changed then.
    pub fn release(&self) -> Result<(), NotOwner> {
        if self.place.release() { Ok(()) } else { Err(NotOwner) }
    }

    /// Whether somebody holds it. Python: `Lock.locked`.
    #[doc(alias = "is_locked")]
    pub fn locked(&self) -> bool {
        self.place.is_locked()
    }
}

/// Says who holds it, by the thread's id as `ps -L` shows it: `Lock { owner: Some(4711) }`.
///
/// Python: `<Lock(owner=MainProcess)>`, where the holder is in this process; else `SomeOtherProcess`.
impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("owner", &self.place.owner()).finish()
    }
}

impl Locked for Lock {
    type Raw = LockCell;
    type Loan = ();

    #[inline]
    fn raw(&self) -> &LockCell {
        &self.place
    }
}
