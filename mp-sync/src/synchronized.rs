//! Synchronized: values under a lock that several of them share.

use crate::array::{Array, RawArray};
use crate::error::{AcquireError, OwnerDiedError};
use crate::guard::Guard;
use crate::rlock::{RLock, RLockGuard};
use crate::value::{RawValue, Value};
use mp_core::mem::Shareable;
use mp_core::{MemError, OutOfRangeError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeBounds;
use std::time::Duration;

/// A [`RawValue`] or a [`RawArray`] under a given [`RLock`], which other values may share. So a change of
/// several of them is atomic for all threads that take the lock.
///
/// ```
/// use mp_sync::{RLock, Value};
///
/// let lock = RLock::new()?;
/// let from = Value::with_lock(100_i64, &lock)?;
/// let to = Value::with_lock(0_i64, &lock)?;
/// let both = lock.acquire().unwrap();
/// from.set(from.get() - 30);
/// to.set(to.get() + 30);
/// drop(both);
/// assert_eq!((from.get(), to.get()), (70, 30));
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Values are copied in and out. No guard lends a reference to them, since any handle of the lock can release
/// it.
///
/// # When a process dies
/// If it holds the lock, the next [`lock`](Synchronized::lock) returns [`OwnerDiedError`]. The calls that take the
/// lock themselves go on with the value that it left, perhaps half changed.
///
/// Python: `Value(..., lock=lock)`, `Array(..., lock=lock)`, `sharedctypes.synchronized`.
#[derive(Clone, Serialize, Deserialize)]
#[doc(alias = "synchronized")]
#[doc(alias = "SynchronizedBase")]
pub struct Synchronized<O> {
    object: O,
    lock: RLock,
}

impl<O> Synchronized<O> {
    /// Puts an existing object under this lock. Other handles of the object can still reach it without the
    /// lock.
    ///
    /// Python: `sharedctypes.synchronized(object, lock)`.
    pub fn new(object: O, lock: &RLock) -> Synchronized<O> {
        Synchronized { object, lock: lock.clone() }
    }

    /// The lock. Python: `get_lock`.
    pub fn get_lock(&self) -> &RLock {
        &self.lock
    }

    /// The object, without the lock. Python: `get_obj`.
    pub fn get_obj(&self) -> &O {
        &self.object
    }

    /// Acquires the lock; waits for it, unless the calling thread holds it. Python: `acquire`, `with value:`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> Result<RLockGuard<'_>, OwnerDiedError<RLockGuard<'_>>> {
        self.lock.acquire()
    }

    /// Acquires the lock if it is free now, or held by the calling thread. Python: `acquire(block=False)`.
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        self.lock.try_acquire()
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `acquire(timeout=...)`.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        self.lock.acquire_timeout(timeout)
    }

    /// Acquires the lock, whether its previous holder died or not.
    fn locked(&self) -> RLockGuard<'_> {
        Guard::whatever_happened(&self.lock)
    }
}

impl<T: Shareable> Synchronized<RawValue<T>> {
    /// A copy of the value. Python: `Value.value`.
    pub fn get(&self) -> T {
        let _held = self.locked();
        self.object.get()
    }

    /// Puts another value in its place. Python: `Value.value = ...`.
    pub fn set(&self, value: T) {
        let _held = self.locked();
        self.object.set(value);
    }

    /// Changes a copy of the value under the lock and stores it; returns the result of `change`. If `change`
    /// panics, nothing is changed.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let _held = self.locked();
        let mut value = self.object.get();
        let result = change(&mut value);
        self.object.set(value);
        result
    }
}

impl<T: Shareable> Synchronized<RawArray<T>> {
    /// The number of elements. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.object.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// A copy of one element; `None` past the end. Python: `array[index]`.
    pub fn get(&self, index: usize) -> Option<T> {
        let _held = self.locked();
        self.object.get(index)
    }

    /// Replaces one element. Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there is no such element.
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRangeError> {
        let _held = self.locked();
        self.object.set(index, value)
    }

    /// A copy of the elements in a range. Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRangeError> {
        let _held = self.locked();
        self.object.read(range)
    }

    /// A copy of all elements. Python: `array[:]`.
    pub fn to_vec(&self) -> Vec<T> {
        let _held = self.locked();
        self.object.to_vec()
    }

    /// Replaces the elements from `index` on by all of `values`.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there are fewer elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRangeError> {
        let _held = self.locked();
        self.object.write(index, values)
    }
}

impl<T: Shareable> Value<T> {
    /// Makes a value under a given lock, which other values may share. Python: `Value(typecode, value,
    /// lock=lock)`.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn with_lock(value: T, lock: &RLock) -> Result<Synchronized<RawValue<T>>, MemError> {
        Ok(Synchronized::new(RawValue::new(value)?, lock))
    }
}

impl<T: Shareable> Array<T> {
    /// Makes an array of these values under a given lock, which other values may share.
    ///
    /// Python: `Array(typecode, sequence, lock=lock)`.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn with_lock(values: &[T], lock: &RLock) -> Result<Synchronized<RawArray<T>>, MemError> {
        Ok(Synchronized::new(RawArray::from_slice(values)?, lock))
    }
}

impl<O: fmt::Debug> fmt::Debug for Synchronized<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synchronized").field("object", &self.object).field("lock", &self.lock).finish()
    }
}
