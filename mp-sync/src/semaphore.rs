//! Semaphore and BoundedSemaphore: permits that anybody may give.

use crate::cell::SemaphoreCell;
use crate::error::{NewSemaphoreError, OverReleased};
use crate::raw::MOST_PERMITS;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A count of permits between processes. Who takes a permit need not be the one who gives it back: where Python has
/// one process release a lock that another took, `Semaphore::new(1)` is meant.
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
/// A process that dies with a permit has lost it for all, as in Python. [`OwnedSemaphore`](crate::OwnedSemaphore) gets it
/// back.
///
/// Python: `multiprocessing.Semaphore`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Semaphore {
    place: SharedRef<SemaphoreCell>,
}

impl Semaphore {
    /// A semaphore with `permits` permits. Python: `Semaphore(value)`, where it is 1 unless said.
    ///
    /// # Errors
    /// More than 2,147,483,647 permits; no memory, or no descriptor, for the shared object.
    pub fn new(permits: u32) -> Result<Semaphore, NewSemaphoreError> {
        Semaphore::of(permits, MOST_PERMITS)
    }

    fn of(permits: u32, most: u32) -> Result<Semaphore, NewSemaphoreError> {
        if permits > MOST_PERMITS {
            return Err(NewSemaphoreError::TooMany { permits, most: MOST_PERMITS });
        }
        let new = Semaphore { place: SharedRef::create_small()? };
        // ORDERING: Relaxed: nobody else has it yet.
        new.place.most.store(most, Ordering::Relaxed);
        new.place
            .permits
            .release(permits, most)
            .map_err(|_| NewSemaphoreError::TooMany { permits, most: MOST_PERMITS })?;
        Ok(new)
    }

    /// Takes a permit; waits for it. It is given back when the guard is dropped.
    ///
    /// Python: `Semaphore.acquire`.
    #[inline]
    pub fn acquire(&self) -> Permit<'_> {
        while !self.place.permits.acquire(None) {}
        Permit { semaphore: self }
    }

    /// Takes a permit if there is one now. Python: `Semaphore.acquire(block=False)`.
    #[inline]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.place.permits.try_acquire().then(|| Permit { semaphore: self })
    }

    /// Takes a permit; waits for it at most `timeout`. Python: `Semaphore.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        self.place.permits.acquire(Deadline::after(timeout)).then(|| Permit { semaphore: self })
    }

    /// Gives one permit, whether the caller has taken one or not. Python: `Semaphore.release`.
    ///
    /// # Errors
    /// As [`release_many`](Semaphore::release_many).
    #[inline]
    pub fn release(&self) -> Result<(), OverReleased> {
        self.release_many(1)
    }

    /// Gives `count` permits at once. Python: `threading.Semaphore.release(n)`; `multiprocessing` has no counterpart.
    ///
    /// # Errors
    /// [`OverReleased`] if there would be more than 2,147,483,647, or more than a bounded one began with; none is
    /// given then.
    #[inline]
    pub fn release_many(&self, count: u32) -> Result<(), OverReleased> {
        let most = self.most();
        self.place.permits.release(count, most).map_err(|_| OverReleased { most })
    }

    fn most(&self) -> u32 {
        // ORDERING: Relaxed: it never changes after `of`.
        self.place.most.load(Ordering::Relaxed)
    }

    /// Permits that are there now. Python: `Semaphore.get_value`.
    pub fn get_value(&self) -> u32 {
        self.place.permits.value()
    }

    /// Whether there is no permit now. Python: `Semaphore.locked`.
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

/// A permit; given back when dropped.
///
/// Python: `with semaphore:`.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Permit<'_> {
    /// Keeps the permit without a guard: whoever gives it back calls [`Semaphore::release`].
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Refused only if somebody else has given back more than was taken.
        let _ = self.semaphore.release();
    }
}

/// A semaphore that never has more permits than it began with: a release too many is an error.
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
    /// A semaphore with `permits` permits, and never more.
    ///
    /// Python: `BoundedSemaphore(value)`, where it is 1 unless said.
    ///
    /// # Errors
    /// As [`Semaphore::new`].
    pub fn new(permits: u32) -> Result<BoundedSemaphore, NewSemaphoreError> {
        Semaphore::of(permits, permits).map(BoundedSemaphore)
    }
}

/// Python: `<BoundedSemaphore(value=1, maxvalue=2)>`.
impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, most) = (self.get_value(), self.most());
        f.debug_struct("BoundedSemaphore").field("value", &value).field("most", &most).finish()
    }
}

/// All that a semaphore can do, with its bound.
impl std::ops::Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.0
    }
}
