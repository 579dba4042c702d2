//! Value and RawValue: one plain value in shared memory, with its lock and without.

use crate::cell::{Guarded, Plain};
use crate::error::{AcquireError, OwnerDied};
use crate::held::{Guarding, Held, Locked};
use crate::relock::{Lent, RelockCell};
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable, SharedRef};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A value in shared memory with a lock of its own.
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
/// [`update`](Value::update) is the short form and cannot. Which type stands for which of its codes is in the
/// [crate's](crate#types) documentation, and so is what its `lock=` comes to.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Value<T: Shareable> {
    place: SharedRef<Guarded<T, RelockCell>>,
}

impl<T: Shareable> Value<T> {
    /// A value in shared memory. Python: `Value(typecode, value)`.
    ///
    /// # Errors
    /// No memory, or no descriptor, for the shared object.
    pub fn new(value: T) -> Result<Value<T>, MemError> {
        let new: Value<T> = Value { place: SharedRef::create("mp-value")? };
        *Held::whatever_happened(&new).peek_mut() = value;
        Ok(new)
    }

    /// A copy of the value. Waits for the lock, unless the calling thread holds it.
    ///
    /// If a holder died, it is what he left, perhaps half changed: [`lock`](Value::lock) tells, this does not.
    ///
    /// Python: `Value.value`, `sharedctypes.copy`.
    ///
    /// # Panics
    /// If a guard of the calling thread has given out a `&mut` to the value: it may be alive. Use that guard.
    #[inline]
    pub fn get(&self) -> T {
        *Held::whatever_happened(self).peek()
    }

    /// Puts another value in its place. Waits as [`get`](Value::get) does.
    ///
    /// The value is whole then: if a holder died, nobody needs to be told any more.
    ///
    /// Python: `Value.value = ...`.
    ///
    /// # Panics
    /// If a guard of the calling thread has given out a reference to the value: it may be alive. Use that guard.
    #[inline]
    pub fn set(&self, value: T) {
        let mut guard = Held::whatever_happened(self);
        *guard.peek_mut() = value;
        guard.clear_owner_died();
    }

    /// Changes the value under the lock, and gives what `change` gives. If `change` panics, what it has changed
    /// stays. If a holder died, `change` gets what he left, as [`get`](Value::get) does.
    ///
    /// Python: `with v.get_lock(): v.value ...`.
    ///
    /// # Panics
    /// As [`set`](Value::set). `change` itself cannot reach the value by another way.
    #[inline]
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut Held::whatever_happened(self))
    }

    /// Takes the lock, for several reads and changes as one. The thread that holds it may take it again, and use the
    /// short forms:
    ///
    /// ```
    /// let value = mp_sync::Value::new(0_i32)?;
    /// let _guard = value.lock().unwrap();
    /// value.set(value.get() + 1);
    /// assert_eq!(value.get(), 1);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Value.get_lock`, `with value:`; the guard is what `get_obj` gives, and its end is `release`.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock: the value may be half changed.
    #[inline]
    pub fn lock(&self) -> Result<ValueGuard<'_, T>, OwnerDied<ValueGuard<'_, T>>> {
        Held::take(self)
    }

    /// Takes the lock if it is free now, or held by the calling thread.
    ///
    /// ```
    /// let value = mp_sync::Value::new(1_u32)?;
    /// let guard = value.lock().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| assert!(matches!(value.try_lock(), Err(mp_sync::AcquireError::Busy))));
    /// });
    /// drop(guard);
    /// assert_eq!(*value.try_lock().unwrap(), 1);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Value.get_lock().acquire(block=False)`.
    pub fn try_lock(&self) -> Result<ValueGuard<'_, T>, AcquireError<ValueGuard<'_, T>>> {
        Held::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `Value.get_lock().acquire(timeout=...)`.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ValueGuard<'_, T>, AcquireError<ValueGuard<'_, T>>> {
        Held::take_until(self, Deadline::after(timeout))
    }
}

impl<T: Shareable> Locked for Value<T> {
    type Raw = RelockCell;
    type Loan = Loan;

    #[inline]
    fn raw(&self) -> &RelockCell {
        &self.place.lock
    }

    #[inline]
    fn release_lent(&self, lent: Lent) {
        self.place.lock.release_lent(lent);
    }

    fn take_back(&self, lent: Lent) {
        self.place.lock.take_back(lent);
    }
}

impl<T: Shareable> Guarding for Value<T> {
    type Data = T;

    #[inline]
    fn data(&self, before: Lent, now: Lent) -> &T {
        self.place.data(before, now)
    }

    #[inline]
    fn data_mut(&self, before: Lent, now: Lent) -> &mut T {
        self.place.data_mut(before, now)
    }
}

impl<T: Shareable> Clone for Value<T> {
    fn clone(&self) -> Self {
        Value { place: self.place.clone() }
    }
}

impl<T: Shareable> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value<{}>", std::any::type_name::<T>())
    }
}

/// A [`Value`], locked.
pub type ValueGuard<'a, T> = Held<'a, Value<T>>;

/// A value in shared memory without a lock.
///
/// A number of up to 8 bytes is read and written whole. Of anything larger (an array, a structure, `u128`) a read
/// may see one part before and one part after another process's write. Two who read, add and write lose one of the
/// additions: for counters take [`Value`].
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
    place: SharedRef<Plain<T>>,
}

impl<T: Shareable> RawValue<T> {
    /// A value in shared memory. Python: `RawValue(typecode, value)`.
    ///
    /// # Errors
    /// No memory, or no descriptor, for the shared object.
    pub fn new(value: T) -> Result<RawValue<T>, MemError> {
        let new = RawValue { place: SharedRef::create("mp-raw-value")? };
        new.set(value);
        Ok(new)
    }

    /// A copy of the value. Python: `RawValue.value`.
    #[inline]
    pub fn get(&self) -> T {
        self.place.get()
    }

    /// Puts another value in its place. Python: `RawValue.value = ...`.
    #[inline]
    pub fn set(&self, value: T) {
        self.place.set(value);
    }
}

impl<T: Shareable> Clone for RawValue<T> {
    fn clone(&self) -> Self {
        RawValue { place: self.place.clone() }
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}
