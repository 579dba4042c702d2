//! RwLock: data that many threads may read at a time, or one may write.

use crate::cell::Shared;
use crate::error::{AcquireError, OwnerDiedError};
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable, SharedRef};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Data in shared memory that up to 128 threads of any processes may read at a time, or one may write:
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
/// A waiting writer keeps new readers out. So a thread that reads twice at a time can deadlock with itself,
/// as with std's lock. One read takes two turns of a lock: for short reads a [`Mutex`](crate::Mutex) is
/// faster.
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
/// A dead reader or waiter leaves no trace. After a writer's death each read and write returns [`OwnerDiedError`],
/// until a writer clears it. Waiters go on within a second.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RwLock<T: Shareable> {
    shared: SharedRef<Shared<T>>,
}

impl<T: Shareable> RwLock<T> {
    /// Makes a free lock with the data.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn new(data: T) -> Result<RwLock<T>, MemError> {
        let new = RwLock { shared: SharedRef::create("mp-rwlock")? };
        if let Ok(mut guard) = new.write() {
            *guard = data;
        }
        Ok(new)
    }

    /// Acquires the lock to read; waits while a thread writes or waits to write.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a writer died or panicked: the data may be half changed.
    pub fn read(&self) -> Result<ReadGuard<'_, T>, OwnerDiedError<ReadGuard<'_, T>>> {
        waited(|| self.read_until(None))
    }

    /// Acquires the lock to read; waits at most `timeout`, then [`AcquireError::Timeout`].
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        self.read_until(Deadline::after(timeout))
    }

    /// Acquires the lock to read if that is possible now; [`AcquireError::WouldBlock`] if not.
    pub fn try_read(&self) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        at_once(self.read_timeout(Duration::ZERO))
    }

    /// Acquires the lock to write; waits until all others have left.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a writer died or panicked: the data may be half changed.
    pub fn write(&self) -> Result<WriteGuard<'_, T>, OwnerDiedError<WriteGuard<'_, T>>> {
        waited(|| self.write_until(None))
    }

    /// Acquires the lock to write; waits at most `timeout`, then [`AcquireError::Timeout`].
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        self.write_until(Deadline::after(timeout))
    }

    /// Acquires the lock to write if that is possible now; [`AcquireError::WouldBlock`] if not.
    pub fn try_write(&self) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        at_once(self.write_timeout(Duration::ZERO))
    }

    fn read_until(
        &self,
        until: Option<Deadline>,
    ) -> Result<ReadGuard<'_, T>, AcquireError<ReadGuard<'_, T>>> {
        let (slot, found) = self.shared.lock.read(until).ok_or(AcquireError::Timeout)?;
        let guard = ReadGuard { lock: self, slot, _loan: Loan::default() };
        OwnerDiedError::unless_clean(found, guard).map_err(AcquireError::OwnerDied)
    }

    fn write_until(
        &self,
        until: Option<Deadline>,
    ) -> Result<WriteGuard<'_, T>, AcquireError<WriteGuard<'_, T>>> {
        let found = self.shared.lock.write(until).ok_or(AcquireError::Timeout)?;
        let panicking = std::thread::panicking();
        let guard = WriteGuard { lock: self, panicking, _loan: Loan::default() };
        OwnerDiedError::unless_clean(found, guard).map_err(AcquireError::OwnerDied)
    }
}

fn at_once<G>(result: Result<G, AcquireError<G>>) -> Result<G, AcquireError<G>> {
    result.map_err(|error| if let AcquireError::Timeout = error { AcquireError::WouldBlock } else { error })
}

fn waited<G>(come_in: impl Fn() -> Result<G, AcquireError<G>>) -> Result<G, OwnerDiedError<G>> {
    loop {
        match come_in() {
            Ok(guard) => return Ok(guard),
            Err(AcquireError::OwnerDied(died)) => return Err(died),
            Err(AcquireError::WouldBlock | AcquireError::Timeout) => {}
        }
    }
}

impl<T: Shareable> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        RwLock { shared: self.shared.clone() }
    }
}

impl<T: Shareable> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RwLock<{}>", std::any::type_name::<T>())
    }
}

/// The data of an [`RwLock`], to read. The lock is released when it is dropped.
///
/// # Panics
/// Access panics through the copy of a guard in a child that the program forked by itself (`libc::fork`): its
/// parent holds the lock. `Process::fork` is refused while the thread has a guard.
#[must_use = "if it is not kept, the lock is released at once"]
pub struct ReadGuard<'a, T: Shareable> {
    lock: &'a RwLock<T>,
    slot: usize,
    /// Belongs to the guard's thread.
    _loan: Loan,
}

impl<T: Shareable> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.lock.shared.read(self.slot)
    }
}

impl<T: Shareable> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.shared.lock.leave(self.slot);
    }
}

/// The data of an [`RwLock`], to write. The lock is released when it is dropped.
///
/// # Panics
/// Access panics through the copy of a guard in a child that the program forked by itself (`libc::fork`): its
/// parent holds the lock. `Process::fork` is refused while the thread has a guard.
#[must_use = "if it is not kept, the lock is released at once"]
pub struct WriteGuard<'a, T: Shareable> {
    lock: &'a RwLock<T>,
    /// Whether the thread was unwinding when it acquired the lock.
    panicking: bool,
    /// As in [`ReadGuard`].
    _loan: Loan,
}

impl<T: Shareable> WriteGuard<'_, T> {
    /// Marks the data as repaired: later calls no longer return [`OwnerDiedError`] for the writer that died.
    pub fn clear_owner_died(&self) {
        self.lock.shared.lock.clear_died();
    }
}

impl<T: Shareable> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.lock.shared.written()
    }
}

impl<T: Shareable> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lock.shared.written_mut()
    }
}

impl<T: Shareable> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.lock.shared.lock.set_died();
        }
        self.lock.shared.lock.release();
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
