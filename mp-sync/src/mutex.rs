//! Mutex: data that only the holder of its lock can reach.

use crate::cell::{Guarded, LockCell};
use crate::error::{AcquireError, OwnerDiedError};
use crate::guard::{Guard, Guarding, Locked};
use crate::relock::Lent;
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable, SharedRef};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Data in shared memory under a lock: `std::sync::Mutex` between processes.
///
/// ```
/// let totals = mp_sync::Mutex::new([0_u64; 2])?;
/// {
///     let mut totals = totals.lock().unwrap();
///     totals[0] += 1;
///     totals[1] += 10;
/// }
/// assert_eq!(*totals.lock().unwrap(), [1, 10]);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// A [`Condition`](crate::Condition) can be made over it. Python has no counterpart; a
/// [`Value`](crate::Value) is the same with short forms for one read or change.
///
/// # When a process dies
/// If it holds the lock, the next `lock` returns [`OwnerDiedError`], with the guard in it.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Mutex<T: Shareable> {
    shared: SharedRef<Guarded<T>>,
}

/// A locked [`Mutex`], with access to its data.
pub type MutexGuard<'a, T> = Guard<'a, Mutex<T>>;

impl<T: Shareable> Mutex<T> {
    /// Makes a free lock with the data.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn new(data: T) -> Result<Mutex<T>, MemError> {
        let new = Mutex { shared: SharedRef::create("mp-mutex")? };
        *Guard::whatever_happened(&new) = data;
        Ok(new)
    }

    /// Acquires the lock; waits for it. A thread that holds it already deadlocks.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock or panicked: the data may be half
    /// changed.
    #[doc(alias = "acquire")]
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, OwnerDiedError<MutexGuard<'_, T>>> {
        Guard::take(self)
    }

    /// Acquires the lock if it is free now; [`AcquireError::WouldBlock`] if not.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, AcquireError<MutexGuard<'_, T>>> {
        Guard::try_take(self)
    }

    /// Acquires the lock; waits for it at most `timeout`, then [`AcquireError::Timeout`].
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<MutexGuard<'_, T>, AcquireError<MutexGuard<'_, T>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }

    /// Whether a thread holds the lock.
    pub fn is_locked(&self) -> bool {
        self.shared.lock.is_locked()
    }
}

impl<T: Shareable> Locked for Mutex<T> {
    type Raw = LockCell;
    type Loan = Loan;

    #[inline]
    fn raw(&self) -> &LockCell {
        &self.shared.lock
    }
}

impl<T: Shareable> Guarding for Mutex<T> {
    type Data = T;

    #[inline]
    fn data(&self, before: Lent, now: Lent) -> &T {
        self.shared.data(before, now)
    }

    #[inline]
    fn data_mut(&self, before: Lent, now: Lent) -> &mut T {
        self.shared.data_mut(before, now)
    }
}

impl<T: Shareable> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Mutex { shared: self.shared.clone() }
    }
}

impl<T: Shareable> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex<{}>", std::any::type_name::<T>())
    }
}
