//! DataGuard: shared data while its lock is held, whatever the data is.

use crate::cell::LockCell;
use crate::error::{AcquireError, OwnerDied};
use crate::raw::Acquired;
use mp_core::word::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A handle on data that lies beside its lock.
///
/// Nobody but [`DataGuard`] calls these: the trait has no public path.
pub trait Guarding {
    /// What a holder of the lock reaches.
    type Data: ?Sized;
    /// The lock.
    fn lock_cell(&self) -> &LockCell;
    /// The data, for a holder. Panics if the calling thread does not hold the lock.
    fn data(&self) -> &Self::Data;
    /// The data, for a holder whose guard is borrowed mutably. Panics as `data` does.
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    fn data_mut(&self) -> &mut Self::Data;
}

/// Shared data, locked; given back when dropped.
///
/// It belongs to its thread:
///
/// ```compile_fail,E0277
/// let value = mp_sync::Value::new(1_u32).unwrap();
/// let guard = value.lock().unwrap();
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)));
/// ```
///
/// # Panics
/// The data cannot be reached through the copy of a guard that a forked child has: the lock is its parent's.
#[must_use = "dropped at once, the lock is given back at once"]
pub struct DataGuard<'a, H: Guarding> {
    handle: &'a H,
    own_thread_only: PhantomData<*const ()>,
}

impl<'a, H: Guarding> DataGuard<'a, H> {
    /// Waits for the lock.
    pub(crate) fn wait(handle: &'a H) -> Result<Self, OwnerDied<Self>> {
        loop {
            match DataGuard::of(handle, handle.lock_cell().acquire(None)) {
                Ok(guard) => return Ok(guard),
                Err(AcquireError::OwnerDied(died)) => return Err(died),
                Err(AcquireError::Busy) => {}
            }
        }
    }

    /// Waits for the lock until the deadline.
    pub(crate) fn wait_until(handle: &'a H, until: Option<Deadline>) -> Result<Self, AcquireError<Self>> {
        DataGuard::of(handle, handle.lock_cell().acquire(until))
    }

    /// Takes the lock if it is free now.
    pub(crate) fn attempt(handle: &'a H) -> Result<Self, AcquireError<Self>> {
        DataGuard::of(handle, handle.lock_cell().try_acquire())
    }

    /// Waits for the lock; a holder who died is nobody's concern.
    pub(crate) fn whatever_happened(handle: &'a H) -> Self {
        DataGuard::wait(handle).unwrap_or_else(OwnerDied::into_guard)
    }

    fn of(handle: &'a H, taken: Option<Acquired>) -> Result<Self, AcquireError<Self>> {
        let guard = || DataGuard { handle, own_thread_only: PhantomData };
        match taken {
            Some(Acquired::Clean) => Ok(guard()),
            Some(Acquired::OwnerDied) => Err(AcquireError::OwnerDied(OwnerDied::new(guard()))),
            None => Err(AcquireError::Busy),
        }
    }

    /// Says that the data is whole again: locks no longer report the holder who died.
    pub fn clear_owner_died(&self) {
        self.handle.lock_cell().clear_died();
    }
}

impl<H: Guarding> Deref for DataGuard<'_, H> {
    type Target = H::Data;
    #[inline]
    fn deref(&self) -> &H::Data {
        self.handle.data()
    }
}

impl<H: Guarding> DerefMut for DataGuard<'_, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut H::Data {
        self.handle.data_mut()
    }
}

impl<H: Guarding> fmt::Debug for DataGuard<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataGuard<{}>", std::any::type_name::<H>())
    }
}

impl<H: Guarding> Drop for DataGuard<'_, H> {
    fn drop(&mut self) {
        // Not ours in a forked child, which has a copy of its parent's guard: then nothing is released.
        self.handle.lock_cell().release();
    }
}
