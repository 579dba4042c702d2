//! Semaphore and BoundedSemaphore: permits that any thread may release.

use crate::cell::SemaphoreCell;
use crate::error::{AcquireError, ReleaseError};
use crate::raw::MOST_PERMITS;
use mp_core::CreateError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A count of permits between processes. Any thread may release a permit, also one that another thread took.
/// Where a Python program releases a lock that another process acquired, use `Semaphore::new(1)`.
///
/// ```
/// let seats = mp_sync::Semaphore::new(2)?;
/// let seat = seats.acquire();
/// assert_eq!(seats.get_value(), 1);
/// drop(seat);
/// assert_eq!(seats.get_value(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
/// Its permits are lost, as in Python. An [`OwnedSemaphore`](crate::OwnedSemaphore) gets them back.
///
/// Python: `multiprocessing.Semaphore`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Semaphore {
    shared: SharedRef<SemaphoreCell>,
}

fn too_many(permits: u32) -> CreateError {
    CreateError::Argument(format!(
        "{permits} permits are too many for a semaphore: ask for at most {MOST_PERMITS}"
    ))
}

impl Semaphore {
    /// Makes a semaphore with `permits` permits. Python: `Semaphore(value)`; the default there is 1.
    ///
    /// # Errors
    /// More than 2,147,483,647 permits, or no memory or no descriptor for the shared object.
    pub fn new(permits: u32) -> Result<Semaphore, CreateError> {
        Semaphore::of(permits, MOST_PERMITS)
    }

    fn of(permits: u32, most: u32) -> Result<Semaphore, CreateError> {
        if permits > MOST_PERMITS {
            return Err(too_many(permits));
        }
        let new = Semaphore { shared: SharedRef::create_small()? };
        // ORDERING: Relaxed: it is not shared yet.
        new.shared.most.store(most, Ordering::Relaxed);
        new.shared.permits.release(permits, most).map_err(|_| too_many(permits))?;
        Ok(new)
    }

    /// Takes a permit; waits for it. The permit is released when the guard is dropped.
    ///
    /// Python: `Semaphore.acquire`.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        while !self.shared.permits.acquire(None) {}
        Permit { semaphore: self }
    }

    /// Takes a permit if one is free now; else [`AcquireError::WouldBlock`]. Python: `Semaphore.acquire(block=False)`.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
        let taken = self.shared.permits.try_acquire();
        if taken { Ok(Permit { semaphore: self }) } else { Err(AcquireError::WouldBlock) }
    }

    /// Takes a permit; waits for it at most `timeout`, then [`AcquireError::Timeout`].
    /// Python: `Semaphore.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
        let taken = self.shared.permits.acquire(Deadline::after(timeout));
        if taken { Ok(Permit { semaphore: self }) } else { Err(AcquireError::Timeout) }
    }

    /// Releases one permit, whether the caller has taken one or not. Python: `Semaphore.release`.
    ///
    /// # Errors
    /// The errors of [`release_many`](Semaphore::release_many).
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.release_many(1)
    }

    /// Releases `count` permits at once. Python: `threading.Semaphore.release(n)`; `multiprocessing` has no
    /// counterpart.
    ///
    /// # Errors
    /// [`ReleaseError::TooMany`] if there would be more than 2,147,483,647; none is added then.
    #[inline]
    pub fn release_many(&self, count: u32) -> Result<(), ReleaseError> {
        let most = self.most();
        self.shared.permits.release(count, most).map_err(|_| ReleaseError::TooMany { most })
    }

    fn most(&self) -> u32 {
        // ORDERING: Relaxed: it never changes after `of`.
        self.shared.most.load(Ordering::Relaxed)
    }

    /// The number of free permits. Python: `Semaphore.get_value`.
    pub fn get_value(&self) -> u32 {
        self.shared.permits.value()
    }

    /// Whether no permit is free now. Python: `Semaphore.locked`.
    pub fn locked(&self) -> bool {
        self.get_value() == 0
    }
}

/// Python: `<Semaphore(value=2)>`.
impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &self.get_value()).finish()
    }
}

/// A permit, released when dropped.
///
/// Python: `with semaphore:`.
#[derive(Debug)]
#[must_use = "if it is not kept, the permit is released at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Keeps the permit without a guard, until any thread calls [`Semaphore::release`].
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Fails only if another thread has released more permits than were taken.
        let _ = self.semaphore.release();
    }
}

/// A semaphore that never has more permits than it began with: a further release is an error.
///
/// ```
/// let seats = mp_sync::BoundedSemaphore::new(2)?;
/// assert!(seats.release().is_err());
/// assert_eq!(seats.get_value(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.BoundedSemaphore`.
#[derive(Clone, Serialize, Deserialize)]
pub struct BoundedSemaphore(Semaphore);

impl BoundedSemaphore {
    /// Makes a semaphore with `permits` permits, and never more.
    ///
    /// Python: `BoundedSemaphore(value)`; the default there is 1.
    ///
    /// # Errors
    /// The errors of [`Semaphore::new`].
    pub fn new(permits: u32) -> Result<BoundedSemaphore, CreateError> {
        Semaphore::of(permits, permits).map(BoundedSemaphore)
    }

    /// Takes a permit; waits for it. The permit is released when the guard is dropped.
    ///
    /// Python: `BoundedSemaphore.acquire`.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        self.0.acquire()
    }

    /// Takes a permit if one is free now; else [`AcquireError::WouldBlock`].
    ///
    /// Python: `BoundedSemaphore.acquire(block=False)`.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
        self.0.try_acquire()
    }

    /// Takes a permit; waits for it at most `timeout`, then [`AcquireError::Timeout`].
    ///
    /// Python: `BoundedSemaphore.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
        self.0.acquire_timeout(timeout)
    }

    /// Releases one permit. Python: `BoundedSemaphore.release`.
    ///
    /// # Errors
    /// [`ReleaseError::TooMany`] if all permits are free already; none is added then.
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.0.release()
    }

    /// Releases `count` permits at once.
    ///
    /// # Errors
    /// [`ReleaseError::TooMany`] if there would be more than it began with; none is added then.
    #[inline]
    pub fn release_many(&self, count: u32) -> Result<(), ReleaseError> {
        self.0.release_many(count)
    }

    /// The number of free permits. Python: `BoundedSemaphore.get_value`.
    pub fn get_value(&self) -> u32 {
        self.0.get_value()
    }

    /// Whether no permit is free now. Python: `BoundedSemaphore.locked`.
    pub fn locked(&self) -> bool {
        self.0.locked()
    }
}

/// Python: `<BoundedSemaphore(value=1, maxvalue=2)>`.
impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, most) = (self.get_value(), self.0.most());
        f.debug_struct("BoundedSemaphore").field("value", &value).field("most", &most).finish()
    }
}
