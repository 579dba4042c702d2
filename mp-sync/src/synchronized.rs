//! Synchronized: values without a lock, under a lock that several of them share.

use crate::array::{Array, RawArray};
use crate::error::{AcquireError, OutOfRange, OwnerDied};
use crate::held::Held;
use crate::rlock::{RLock, RLockGuard};
use crate::value::{RawValue, Value};
use mp_core::MemError;
use mp_core::mem::Shareable;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeBounds;
use std::time::Duration;

/// A [`RawValue`] or a [`RawArray`] under a given [`RLock`], which may be that of other values too. So a change of several
/// of them is one step for all who take the lock.
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
/// Values are copied in and out, and no guard gives a reference to them: whoever has the lock can release it.
///
/// # When a process dies
/// While it holds the lock: the next [`lock`](Synchronized::lock) says [`OwnerDied`]. The calls that take the lock for
/// themselves go on with what it left, perhaps half changed.
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
    /// An object that exists already, under this lock. Whoever has the object itself can still reach it without the lock.
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

    /// Takes the lock; waits for it, unless the calling thread holds it. Python: `acquire`, `with value:`.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock.
    #[doc(alias = "acquire")]
    pub fn lock(&self) -> Result<RLockGuard<'_>, OwnerDied<RLockGuard<'_>>> {
        self.lock.acquire()
    }

    /// Takes the lock if it is free now, or held by the calling thread. Python: `acquire(block=False)`.
    pub fn try_lock(&self) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        self.lock.try_acquire()
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `acquire(timeout=...)`.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<RLockGuard<'_>, AcquireError<RLockGuard<'_>>> {
        self.lock.acquire_timeout(timeout)
    }

    /// The lock, whoever died in it.
    fn locked(&self) -> RLockGuard<'_> {
        Held::whatever_happened(&self.lock)
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

    /// Changes a copy of the value under the lock and puts it back; gives what `change` gives. If `change` panics,
    /// nothing is changed.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let _held = self.locked();
        let mut value = self.object.get();
        let result = change(&mut value);
        self.object.set(value);
        result
    }
}

impl<T: Shareable> Synchronized<RawArray<T>> {
    /// How many elements it has. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.object.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.object.is_empty()
    }

    /// A copy of one element; `None` past the end. Python: `array[index]`.
    pub fn get(&self, index: usize) -> Option<T> {
        let _held = self.locked();
        self.object.get(index)
    }

    /// Puts another value in an element's place. Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there is no such element.
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRange> {
        let _held = self.locked();
        self.object.set(index, value)
    }

    /// A copy of the elements in a range. Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRange`]: some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRange> {
        let _held = self.locked();
        self.object.read(range)
    }

    /// A copy of all elements. Python: `array[:]`.
    pub fn to_vec(&self) -> Vec<T> {
        let _held = self.locked();
        self.object.to_vec()
    }

    /// Puts all of `values` in the place of the elements from `index` on.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there are not so many elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRange> {
        let _held = self.locked();
        self.object.write(index, values)
    }
}

impl<T: Shareable> Value<T> {
    /// A value under a given lock, which may be that of other values too. Python: `Value(typecode, value, lock=lock)`.
    ///
    /// # Errors
    /// No memory, or no descriptor, for the shared object.
    pub fn with_lock(value: T, lock: &RLock) -> Result<Synchronized<RawValue<T>>, MemError> {
        Ok(Synchronized::new(RawValue::new(value)?, lock))
    }
}

impl<T: Shareable> Array<T> {
    /// A copy of these values under a given lock, which may be that of other values too.
    ///
    /// Python: `Array(typecode, sequence, lock=lock)`.
    ///
    /// # Errors
    /// No memory for so many, or no descriptor, for the shared object.
    pub fn with_lock(values: &[T], lock: &RLock) -> Result<Synchronized<RawArray<T>>, MemError> {
        Ok(Synchronized::new(RawArray::from_slice(values)?, lock))
    }
}

impl<O: fmt::Debug> fmt::Debug for Synchronized<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Synchronized").field("object", &self.object).field("lock", &self.lock).finish()
    }
}
