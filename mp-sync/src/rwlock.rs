//! RwLock: data that many may read at a time, or one may write.

use crate::cell::Shared;
use crate::error::{AcquireError, OwnerDied};
use crate::raw::Acquired;
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable, SharedRef};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Data in shared memory that up to 128 threads may read at a time, in whatever processes, or one may write:
/// `std::sync::RwLock` between processes.
///
/// ```
/// let limits = mp_sync::RwLock::new([10_u32, 20])?;
/// {
///     let (one, other) = (limits.read().unwrap(), limits.read().unwrap());
///     assert_eq!(one[0] + other[1], 30);
/// }
/// limits.write().unwrap()[0] = 11;
/// assert_eq!(*limits.read().unwrap(), [11, 20]);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// A writer who waits keeps new readers out. So a thread that reads twice at a time can wait for itself, as with std's.
/// Coming and going takes two turns of a lock: where nobody reads for long, a [`Mutex`](crate::Mutex) is faster.
///
/// A guard belongs to its thread:
///
/// ```compile_fail,E0277
/// let limits = mp_sync::RwLock::new(1_u32).unwrap();
/// let guard = limits.read().unwrap();
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)));
/// ```
///
/// Python has no counterpart.
///
/// # When a process dies
/// Reading, or waiting: it was never there. Writing: whoever comes next, to read or to write, gets [`OwnerDied`], until a
/// writer clears it. Whoever waits comes in within a second.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RwLock<T: Shareable> {
    place: SharedRef<Shared<T>>,
}

impl<T: Shareable> RwLock<T> {
    /// A lock that nobody holds, and the data behind it.
    ///
    /// # Errors
    /// No memory, or no descriptor, for the shared object.
    pub fn new(data: T) -> Result<RwLock<T>, MemError> {
        let new = RwLock { place: SharedRef::create("mp-rwlock")? };
        if let Ok(mut guard) = new.write() {
            *guard = data;
        }
        Ok(new)
    }

    /// Comes in to read; waits while somebody writes, or waits to.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a writer died or panicked: the data may be half changed.
    pub fn read(&self) -> Result<ReadGuard<'_, T>, OwnerDied<ReadGuard<'_, T>>> {
        waited(|| self.read_until(None))
    }

    /// As [`read`](RwLock::read), at most `timeout`.
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        self.read_until(Deadline::after(timeout))
    }

    /// Comes in to read if that can be now.
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        self.read_timeout(Duration::ZERO)
    }

    /// Comes in to write; waits until all others have left.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a writer died or panicked: the data may be half changed.
    pub fn write(&self) -> Result<WriteGuard<'_, T>, OwnerDied<WriteGuard<'_, T>>> {
        waited(|| self.write_until(None))
    }

    /// As [`write`](RwLock::write), at most `timeout`.
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        self.write_until(Deadline::after(timeout))
    }

    /// Comes in to write if that can be now.
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        self.write_timeout(Duration::ZERO)
    }

    fn read_until(
        &self,
        until: Option<Deadline>,
    ) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        let (place, found) = self.place.lock.read(until).ok_or(AcquireError::Busy)?;
        as_found(found, ReadGuard { lock: self, place, _loan: Loan::default() })
    }

    fn write_until(
        &self,
        until: Option<Deadline>,
    ) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        let found = self.place.lock.write(until).ok_or(AcquireError::Busy)?;
        let panicking = std::thread::panicking();
        as_found(found, WriteGuard { lock: self, panicking, _loan: Loan::default() })
    }
}

fn as_found<G>(found: Acquired, guard: G) -> Result<G, AcquireError<G>> {
    match found {
        Acquired::Clean => Ok(guard),
        Acquired::OwnerDied => Err(AcquireError::OwnerDied(OwnerDied::new(guard))),
    }
}

fn waited<G>(come_in: impl Fn() -> Result<G, AcquireError<G>>) -> Result<G, OwnerDied<G>> {
    loop {
        match come_in() {
            Ok(guard) => return Ok(guard),
            Err(AcquireError::OwnerDied(died)) => return Err(died),
            Err(AcquireError::Busy) => {}
        }
    }
}

impl<T: Shareable> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        RwLock { place: self.place.clone() }
    }
}

impl<T: Shareable> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RwLock<{}>", std::any::type_name::<T>())
    }
}

/// The data of an [`RwLock`], to read; left when dropped.
///
/// # Panics
/// The data cannot be reached through the copy of a guard that a child has which the program forked by itself
/// (`libc::fork`): the place is its parent's. `Process::fork` is refused while the thread has a guard.
#[must_use = "dropped at once, it is left at once"]
pub struct ReadGuard<'a, T: Shareable> {
    lock: &'a RwLock<T>,
    place: usize,
    /// Of the thread that the guard belongs to, and no other.
    _loan: Loan,
}

impl<T: Shareable> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.lock.place.read(self.place)
    }
}

impl<T: Shareable> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.place.lock.leave(self.place);
    }
}

/// The data of an [`RwLock`], to write; left when dropped.
///
/// # Panics
/// The data cannot be reached through the copy of a guard that a child has which the program forked by itself
/// (`libc::fork`): the lock is its parent's. `Process::fork` is refused while the thread has a guard.
#[must_use = "dropped at once, it is left at once"]
pub struct WriteGuard<'a, T: Shareable> {
    lock: &'a RwLock<T>,
    /// Whether the thread was unwinding when it came in.
    panicking: bool,
    /// As in [`ReadGuard`].
    _loan: Loan,
}

impl<T: Shareable> WriteGuard<'_, T> {
    /// Says that the data is whole again: who comes in is no longer told of the writer who died.
    pub fn clear_owner_died(&self) {
        self.lock.place.lock.clear_died();
    }
}

impl<T: Shareable> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.lock.place.written()
    }
}

impl<T: Shareable> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lock.place.written_mut()
    }
}

impl<T: Shareable> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.lock.place.lock.set_died();
        }
        self.lock.place.lock.release();
    }
}

macro_rules! debug {
    ($($guard:ident)*) => {$(
        impl<T: Shareable> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($guard), "<{}>"), std::any::type_name::<T>())
            }
        }
    )*};
}
debug!(ReadGuard WriteGuard);
