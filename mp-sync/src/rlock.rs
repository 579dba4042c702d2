//! RLock: a lock that its holder may take again.

use crate::cell::RLockCell;
use crate::error::{AcquireError, NotOwner, OwnerDied};
use crate::held::{Held, Locked};
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A lock between processes that the thread which holds it may take again; it is free when it was given back as often.
/// It survives its holder's death as [`Lock`](crate::Lock) does.
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
    place: SharedRef<RLockCell>,
}

/// An [`RLock`], held once more.
pub type RLockGuard<'a> = Held<'a, RLock>;

impl RLock {
    /// A free lock. Python: `RLock()`.
    pub fn new() -> Result<RLock, MemError> {
        Ok(RLock { place: SharedRef::create_small()? })
    }

    /// Takes the lock; waits for it, unless the calling thread holds it.
    ///
    /// Python: `RLock.acquire`.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock and nobody has cleared that: said by the
    /// first acquire, and not by those inside it.
    #[doc(alias = "lock")]
    pub fn acquire(&self) -> Result<RLockGuard<'_>, OwnerDied<RLockGuard<'_>>> {
        Held::take(self)
    }

    /// Takes the lock if it is free now, or held by the calling thread. Python: `RLock.acquire(block=False)`.
    #[doc(alias = "try_lock")]
    pub fn try_acquire(&self) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        Held::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `RLock.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        Held::take_until(self, Deadline::after(timeout))
    }

    /// Gives back one acquire whose guard was [kept](Held::keep).
    ///
    /// Python: `RLock.release`.
    ///
    /// # Errors
    /// [`NotOwner`] if the calling thread does not hold it; nothing is changed then.
    pub fn release(&self) -> Result<(), NotOwner> {
        if self.place.release() { Ok(()) } else { Err(NotOwner) }
    }

    /// Whether somebody holds it. Python: `RLock.locked`.
    #[doc(alias = "is_locked")]
    pub fn locked(&self) -> bool {
        self.place.is_locked()
    }

    /// How often the calling thread holds it; 0 if it does not. Python: the number in its `repr`.
    pub fn depth(&self) -> u32 {
        self.place.depth()
    }
}

/// Says who holds it, by the thread's id, and how often the calling thread does:
/// `RLock { owner: Some(4711), depth: 3 }`.
///
/// Python: `<RLock(MainProcess, 3)>`.
impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock").field("owner", &self.place.owner()).field("depth", &self.depth()).finish()
    }
}

impl Locked for RLock {
    type Raw = RLockCell;
    type Loan = ();

    #[inline]
    fn raw(&self) -> &RLockCell {
        &self.place
    }
}
