//! OwnedSemaphore: permits that are free again when their owner dies.

use crate::cell::OwnedSemaphoreCell;
use crate::error::{AcquireError, ReleaseError};
use mp_core::CreateError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A semaphore of up to 128 permits, each with an owner: only the thread that took a permit can release it.
/// Permits of a dead process are free again; a [`Semaphore`](crate::Semaphore) loses them. Use it for what
/// must not run out: connections, licences, workers.
///
/// ```
/// let seats = mp_sync::OwnedSemaphore::new(2)?;
/// let seat = seats.acquire();
/// assert_eq!(seats.get_value(), 1);
/// drop(seat);
/// assert_eq!(seats.get_value(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A permit belongs to its thread:
///
/// ```compile_fail,E0277
/// let seats = mp_sync::OwnedSemaphore::new(2).unwrap();
/// let seat = seats.acquire();
/// std::thread::scope(|scope| scope.spawn(|| drop(seat)));
/// ```
///
/// Python has no counterpart.
///
/// # When a process dies
/// Its permits are free at once for new calls, and within a second for waiters.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnedSemaphore {
    shared: SharedRef<OwnedSemaphoreCell>,
}

impl OwnedSemaphore {
    /// Makes a semaphore with `permits` permits, 1 to 128.
    ///
    /// # Errors
    /// Zero or more than 128 permits, or no memory or no descriptor for the shared object.
    pub fn new(permits: u32) -> Result<OwnedSemaphore, CreateError> {
        match permits {
            // None can be added later, so each acquire would wait for ever.
            0 => Err(CreateError::Argument(
                "an OwnedSemaphore without permits could never be acquired: ask for at least one".to_owned(),
            )),
            1..=OwnedSemaphoreCell::MOST => {
                let new = OwnedSemaphore { shared: SharedRef::create("mp-owned-semaphore")? };
                new.shared.init(permits);
                Ok(new)
            }
            _ => Err(CreateError::Argument(format!(
                "{permits} permits are too many for an OwnedSemaphore: ask for at most {}",
                OwnedSemaphoreCell::MOST
            ))),
        }
    }

    /// Takes a permit; waits for it. The permit is released when the guard is dropped.
    pub fn acquire(&self) -> OwnedPermit<'_> {
        loop {
            if let Some(permit) = self.permit(self.shared.acquire(None)) {
                return permit;
            }
        }
    }

    /// Takes a permit if one is free now; else [`AcquireError::WouldBlock`].
    pub fn try_acquire(&self) -> Result<OwnedPermit<'_>, AcquireError> {
        self.permit(self.shared.try_acquire()).ok_or(AcquireError::WouldBlock)
    }

    /// Takes a permit; waits for it at most `timeout`, then [`AcquireError::Timeout`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<OwnedPermit<'_>, AcquireError> {
        self.permit(self.shared.acquire(Deadline::after(timeout))).ok_or(AcquireError::Timeout)
    }

    /// Releases a permit whose guard was [kept](OwnedPermit::keep).
    ///
    /// # Errors
    /// [`ReleaseError::NotOwner`] if the calling thread has none; nothing is changed then.
    pub fn release(&self) -> Result<(), ReleaseError> {
        let mine = (0..self.permits() as usize).any(|permit| self.shared.release(permit));
        if mine { Ok(()) } else { Err(ReleaseError::NotOwner) }
    }

    /// The number of free permits, including those of dead processes.
    pub fn get_value(&self) -> u32 {
        self.shared.value()
    }

    /// The number of permits.
    pub fn permits(&self) -> u32 {
        self.shared.count()
    }

    fn permit(&self, permit: Option<usize>) -> Option<OwnedPermit<'_>> {
        Some(OwnedPermit { semaphore: self, permit: permit?, own_thread_only: PhantomData })
    }
}

impl fmt::Debug for OwnedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphore")
            .field("value", &self.get_value())
            .field("permits", &self.permits())
            .finish()
    }
}

/// A permit of an [`OwnedSemaphore`], released when dropped.
#[derive(Debug)]
#[must_use = "if it is not kept, the permit is released at once"]
pub struct OwnedPermit<'a> {
    semaphore: &'a OwnedSemaphore,
    permit: usize,
    own_thread_only: PhantomData<*const ()>,
}

impl OwnedPermit<'_> {
    /// Keeps the permit without a guard, until the same thread calls [`OwnedSemaphore::release`] or ends.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for OwnedPermit<'_> {
    fn drop(&mut self) {
        // In a forked child this is a copy of the parent's guard, and nothing is released.
        self.semaphore.shared.release(self.permit);
    }
}
