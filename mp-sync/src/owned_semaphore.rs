//! OwnedSemaphore: permits that come back when their holder dies.

use crate::cell::SeatsCell;
use crate::error::{NewSemaphoreError, NotOwner};
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Up to 128 permits, each with an owner: the thread that took it, which alone can give it back. Those of a process that
/// dies are had by others, where a [`Semaphore`](crate::Semaphore) has lost them for good. For what must not run out:
/// connections, licences, workers at a time.
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
/// Whoever comes next has its permits; whoever waits has them within a second.
#[derive(Clone, Serialize, Deserialize)]
pub struct OwnedSemaphore {
    place: SharedRef<SeatsCell>,
}

impl OwnedSemaphore {
    /// A semaphore with `permits` permits, 1 to 128.
    ///
    /// # Errors
    /// None, or more than 128; no memory, or no descriptor, for the shared object.
    pub fn new(permits: u32) -> Result<OwnedSemaphore, NewSemaphoreError> {
        match permits {
            0 => Err(NewSemaphoreError::NoPermits),
            1..=SeatsCell::MOST => {
                let new = OwnedSemaphore { place: SharedRef::create("mp-owned-semaphore")? };
                new.place.init(permits);
                Ok(new)
            }
            _ => Err(NewSemaphoreError::TooMany { permits, most: SeatsCell::MOST }),
        }
    }

    /// Takes a permit; waits for it. It is given back when the guard is dropped.
    pub fn acquire(&self) -> OwnedPermit<'_> {
        loop {
            if let Some(permit) = self.permit(self.place.acquire(None)) {
                return permit;
            }
        }
    }

    /// Takes a permit if there is one now.
    pub fn try_acquire(&self) -> Option<OwnedPermit<'_>> {
        self.permit(self.place.try_acquire())
    }

    /// Takes a permit; waits for it at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<OwnedPermit<'_>> {
        self.permit(self.place.acquire(Deadline::after(timeout)))
    }

    /// Gives back a permit whose guard was [kept](OwnedPermit::keep).
    ///
    /// # Errors
    /// [`NotOwner`] if the calling thread has none; nothing is changed then.
    pub fn release(&self) -> Result<(), NotOwner> {
        let mine = (0..self.permits() as usize).any(|seat| self.place.release(seat));
        if mine { Ok(()) } else { Err(NotOwner) }
    }

    /// Permits that can be had now, those of the dead among them.
    pub fn get_value(&self) -> u32 {
        self.place.value()
    }

    /// How many permits there are.
    pub fn permits(&self) -> u32 {
        self.place.count()
    }

    fn permit(&self, seat: Option<usize>) -> Option<OwnedPermit<'_>> {
        Some(OwnedPermit { semaphore: self, seat: seat?, own_thread_only: PhantomData })
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

/// A permit of an [`OwnedSemaphore`]; given back when dropped.
#[derive(Debug)]
#[must_use = "dropped at once, the permit is given back at once"]
pub struct OwnedPermit<'a> {
    semaphore: &'a OwnedSemaphore,
    seat: usize,
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
        // Not ours in a forked child, which has a copy of its parent's guard: then nothing is given back.
        self.semaphore.place.release(self.seat);
    }
}
