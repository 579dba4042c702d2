//! Value and RawValue: one plain value in shared memory, with and without a lock.

use crate::cell::{Guarded, Plain};
use crate::error::{AcquireError, OwnerDiedError};
use crate::guard::{Guard, Guarding, Locked};
use crate::relock::{Lent, RelockCell};
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable, SharedRef};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A value in shared memory with its own lock.
///
/// ```
/// let counter = mp_sync::Value::new(0_i64)?;
/// counter.update(|count| *count += 1);
/// assert_eq!(counter.get(), 1);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// ```compile_fail,E0277
/// let shared = mp_sync::Value::new(vec![1, 2, 3]); // its elements are in this process's own heap
/// ```
///
/// ```compile_fail,E0080
/// #[derive(Clone, Copy, mp_core::mem::Shareable)]
/// #[repr(C, align(256))]
/// struct Wide([u64; 32]);
/// let shared = mp_sync::Value::new(Wide([0; 32])); // shared memory aligns its data to 128 bytes
/// ```
///
/// Python: `multiprocessing.Value`. There `v.value += 1` takes the lock twice and loses updates; here
/// [`update`](Value::update) is the short form, and loses none. The types for Python's codes, and its
/// `lock=`, are in the [crate's](crate#types) documentation.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Value<T: Shareable> {
    shared: SharedRef<Guarded<T, RelockCell>>,
}

impl<T: Shareable> Value<T> {
    /// Makes a value in shared memory. Python: `Value(typecode, value)`.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn new(value: T) -> Result<Value<T>, MemError> {
        let new: Value<T> = Value { shared: SharedRef::create("mp-value")? };
        *Guard::whatever_happened(&new).peek_mut() = value;
        Ok(new)
    }

    /// A copy of the value. Waits for the lock, unless the calling thread holds it.
    ///
    /// If a holder died, it is the value that it left, perhaps half changed: only [`lock`](Value::lock)
    /// reports that.
    ///
    /// Python: `Value.value`, `sharedctypes.copy`.
    ///
    /// # Panics
    /// If a guard of the calling thread has lent a `&mut` to the value. Use that guard.
    #[inline]
    pub fn get(&self) -> T {
        *Guard::whatever_happened(self).peek()
    }

    /// Replaces the value. Waits as [`get`](Value::get) does.
    ///
    /// The value is whole then, so the death of an earlier holder is no longer reported.
    ///
    /// Python: `Value.value = ...`.
    ///
    /// # Panics
    /// If a guard of the calling thread has lent a reference to the value. Use that guard.
    #[inline]
    pub fn set(&self, value: T) {
        let mut guard = Guard::whatever_happened(self);
        *guard.peek_mut() = value;
        guard.clear_owner_died();
    }

    /// Changes the value under the lock; returns the result of `change`. If `change` panics, its changes
    /// stay. If a holder died, `change` gets the value that it left, as [`get`](Value::get) does.
    ///
    /// Python: `with v.get_lock(): v.value ...`.
    ///
    /// # Panics
    /// In the cases of [`set`](Value::set), and if `change` itself reaches the value through another handle.
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut Guard::whatever_happened(self))
    }

    /// Acquires the lock, for several reads and changes in one step. The thread that holds it may acquire it
    /// again, and use the short forms:
    ///
    /// ```
    /// let value = mp_sync::Value::new(0_i32)?;
    /// let _guard = value.lock().unwrap();
    /// value.set(value.get() + 1);
    /// assert_eq!(value.get(), 1);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Value.get_lock`, `with value:`. The guard stands for `get_obj`, and its drop for `release`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock: the value may be half changed.
    #[inline]
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, OwnerDiedError<ValueGuard<'_, T>>> {
        Guard::take(self)
    }

    /// Acquires the lock if it is free now, or held by the calling thread.
    ///
    /// ```
    /// let value = mp_sync::Value::new(1_u32)?;
    /// let guard = value.lock().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(matches!(value.try_lock(), Err(mp_sync::AcquireError::WouldBlock))));
    /// });
    /// drop(guard);
    /// assert_eq!(*value.try_lock().unwrap(), 1);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Value.get_lock().acquire(block=False)`.
    pub fn try_lock(&self) -> Result<ValueGuard<'_, T>, AcquireError<ValueGuard<'_, T>>> {
        Guard::try_take(self)
    }

    /// Acquires the lock; waits for it at most `timeout`, then [`AcquireError::Timeout`]. Python:
    /// `Value.get_lock().acquire(timeout=...)`.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ValueGuard<'_, T>, AcquireError<ValueGuard<'_, T>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }
}

impl<T: Shareable> Locked for Value<T> {
    type Raw = RelockCell;
    type Loan = Loan;

    #[inline]
    fn raw(&self) -> &RelockCell {
        &self.shared.lock
    }

    #[inline]
    fn release_lent(&self, lent: Lent) {
        self.shared.lock.release_lent(lent);
    }

    fn take_back(&self, lent: Lent) {
        self.shared.lock.take_back(lent);
    }
}

impl<T: Shareable> Guarding for Value<T> {
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

impl<T: Shareable> Clone for Value<T> {
    fn clone(&self) -> Self {
        Value { shared: self.shared.clone() }
    }
}

impl<T: Shareable> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value<{}>", std::any::type_name::<T>())
    }
}

/// A locked [`Value`].
pub type ValueGuard<'a, T> = Guard<'a, Value<T>>;

/// A value in shared memory without a lock.
///
/// A number of up to 8 bytes is read and written as a whole. Of anything larger (an array, a structure,
/// `u128`) a read may see one part before and one part after another process's write. Two processes that
/// read, add and write can lose one of the additions: for counters use [`Value`].
///
/// ```
/// let progress = mp_sync::RawValue::new(0.0_f64)?;
/// progress.set(0.5);
/// assert_eq!(progress.get(), 0.5);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Python: `multiprocessing.RawValue`.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RawValue<T: Shareable> {
    shared: SharedRef<Plain<T>>,
}

impl<T: Shareable> RawValue<T> {
    /// Makes a value in shared memory. Python: `RawValue(typecode, value)`.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn new(value: T) -> Result<RawValue<T>, MemError> {
        let new = RawValue { shared: SharedRef::create("mp-raw-value")? };
        new.set(value);
        Ok(new)
    }

    /// A copy of the value. Python: `RawValue.value`.
    #[inline]
    pub fn get(&self) -> T {
        self.shared.get()
    }

    /// Replaces the value. Python: `RawValue.value = ...`.
    #[inline]
    pub fn set(&self, value: T) {
        self.shared.set(value);
    }
}

impl<T: Shareable> Clone for RawValue<T> {
    fn clone(&self) -> Self {
        RawValue { shared: self.shared.clone() }
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}
