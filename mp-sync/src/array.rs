//! Array and RawArray: plain values side by side in shared memory, with and without a lock.

use crate::cell::{Element, Plain};
use crate::elements::Elements;
use crate::error::{AcquireError, OwnerDiedError};
use crate::guard::{Guard, Guarding, Locked};
use crate::relock::{Lent, RelockCell};
use crate::row;
use mp_core::mem::{Loan, Shareable};
use mp_core::word::Deadline;
use mp_core::{MemError, OutOfRangeError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeBounds;
use std::time::Duration;

/// An array in shared memory with one lock for all elements. Its length is fixed when it is made.
///
/// ```
/// use mp_sync::Array;
///
/// let array = Array::from_slice(&[1, 2, 3, 4])?;
/// array.set(0, 10).unwrap();
/// array.update(|elements| elements.reverse());
/// assert_eq!(array.to_vec(), [4, 3, 2, 10]);
/// assert_eq!(array.read(1..3).unwrap(), [3, 2]);
/// assert_eq!(array.get(4), None);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// ```compile_fail,E0277
/// let shared = mp_sync::Array::from_slice(&[String::new()]); // its text is in this process's own heap
/// ```
///
/// ```compile_fail,E0080
/// #[derive(Clone, Copy, mp_core::mem::Shareable)]
/// #[repr(C, align(256))]
/// struct Wide([u64; 32]);
/// let shared = mp_sync::Array::from_slice(&[Wide([0; 32])]); // shared memory aligns its data to 128 bytes
/// ```
///
/// Each call takes the lock by itself. To read, decide and write in one step, use one
/// [`update`](Array::update), or hold [`lock`](Array::lock). Clones share the elements; so do copies that are
/// sent to other processes.
///
/// Python: `multiprocessing.Array`. A slice of another length is an error in both. Indices count from the
/// beginning only; for a slice with a step use a loop over [`lock`](Array::lock). The types for Python's
/// codes are in the [crate's](crate#types) documentation.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Array<T: Shareable> {
    elements: Elements<Element<T>>,
}

impl<T: Shareable> Array<T> {
    /// Makes an array of `len` zeros, possibly none.
    ///
    /// ```
    /// assert_eq!(mp_sync::Array::<f64>::zeroed(3)?.to_vec(), [0.0; 3]);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Array(typecode, len)`.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn zeroed(len: usize) -> Result<Array<T>, MemError> {
        Ok(Array { elements: Elements::zeroed("mp-array", len)? })
    }

    /// Makes an array of these values. Python: `Array(typecode, sequence)`.
    ///
    /// # Errors
    /// The errors of [`zeroed`](Array::zeroed).
    pub fn from_slice(values: &[T]) -> Result<Array<T>, MemError> {
        let new = Array::zeroed(values.len())?;
        new.update(|elements| elements.copy_from_slice(values));
        Ok(new)
    }

    /// Makes an array of an iterator's values.
    ///
    /// ```
    /// let squares = mp_sync::Array::from_values((0..4_u32).map(|x| x * x))?;
    /// assert_eq!(squares.to_vec(), [0, 1, 4, 9]);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Array(typecode, sequence)`.
    ///
    /// # Errors
    /// The errors of [`zeroed`](Array::zeroed).
    #[doc(alias = "from_iter")]
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<Array<T>, MemError> {
        Array::from_slice(&Vec::from_iter(values))
    }

    /// The number of elements. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// A copy of one element; `None` past the end. Waits for the lock, unless the calling thread holds it.
    ///
    /// If a holder died, it is the element that it left: only [`lock`](Array::lock) reports that, not this
    /// call and those below.
    ///
    /// Python: `array[index]`.
    ///
    /// # Panics
    /// This and all calls that read panic if a guard of the calling thread has lent a `&mut` to the elements.
    /// Calls that write panic if it has lent any reference. Use that guard.
    pub fn get(&self, index: usize) -> Option<T> {
        Guard::whatever_happened(self).peek().get(index).copied()
    }

    /// Replaces one element. Waits as [`get`](Array::get) does.
    ///
    /// Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there is no such element.
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRangeError> {
        self.write(index, &[value])
    }

    /// A copy of the elements in a range, all from one moment.
    ///
    /// Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRangeError> {
        let range = self.elements.range(range)?;
        Ok(Guard::whatever_happened(self).peek()[range].to_vec())
    }

    /// A copy of all elements, all from one moment. Python: `array[:]`, `sharedctypes.copy`.
    #[doc(alias = "raw")]
    pub fn to_vec(&self) -> Vec<T> {
        Guard::whatever_happened(self).peek().to_vec()
    }

    /// Copies elements from `index` on into the whole of `to`, without a vector.
    ///
    /// ```
    /// let array = mp_sync::Array::from_slice(b"abcde")?;
    /// let mut two = [0; 2];
    /// array.copy_to(3, &mut two).unwrap();
    /// assert_eq!(&two, b"de");
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there are fewer elements; nothing was copied.
    pub fn copy_to(&self, index: usize, to: &mut [T]) -> Result<(), OutOfRangeError> {
        let range = self.elements.span(index, to.len())?;
        to.copy_from_slice(&Guard::whatever_happened(self).peek()[range]);
        Ok(())
    }

    /// Replaces the elements from `index` on by all of `values`, in one step for all others.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there are fewer elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRangeError> {
        let range = self.elements.span(index, values.len())?;
        Guard::whatever_happened(self).peek_mut()[range].copy_from_slice(values);
        Ok(())
    }

    /// Changes elements under the lock; returns the result of `change`. If `change` panics, its changes stay.
    ///
    /// Python: `with array.get_lock(): ...`.
    pub fn update<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> R {
        change(&mut Guard::whatever_happened(self))
    }

    /// Acquires the lock; the guard is used like a slice. The thread that holds it may acquire it again, and
    /// use the short forms while it has not dereferenced the guard.
    ///
    /// ```
    /// let array = mp_sync::Array::<u32>::zeroed(3)?;
    /// let mut elements = array.lock().unwrap();
    /// for at in 0..3 {
    ///     elements[at] = at as u32;
    /// }
    /// assert_eq!(elements.iter().sum::<u32>(), 3);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Array.get_lock`, `Array.get_obj`, `with array:`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock: elements may be half changed.
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, OwnerDiedError<ArrayGuard<'_, T>>> {
        Guard::take(self)
    }

    /// Acquires the lock if it is free now, or held by the calling thread.
    ///
    /// Python: `Array.get_lock().acquire(block=False)`.
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, AcquireError<ArrayGuard<'_, T>>> {
        Guard::try_take(self)
    }

    /// Acquires the lock; waits for it at most `timeout`, then [`AcquireError::Timeout`]. Python:
    /// `Array.get_lock().acquire(timeout=...)`.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ArrayGuard<'_, T>, AcquireError<ArrayGuard<'_, T>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }
}

/// A locked [`Array`], used like a slice.
pub type ArrayGuard<'a, T> = Guard<'a, Array<T>>;

impl<T: Shareable> Locked for Array<T> {
    type Raw = RelockCell;
    type Loan = Loan;

    #[inline]
    fn raw(&self) -> &RelockCell {
        &self.elements.head.lock
    }

    #[inline]
    fn release_lent(&self, lent: Lent) {
        self.elements.head.lock.release_lent(lent);
    }

    fn take_back(&self, lent: Lent) {
        self.elements.head.lock.take_back(lent);
    }
}

impl<T: Shareable> Guarding for Array<T> {
    type Data = [T];

    fn data(&self, before: Lent, now: Lent) -> &[T] {
        self.elements.head.data(&self.elements, before, now)
    }

    fn data_mut(&self, before: Lent, now: Lent) -> &mut [T] {
        self.elements.head.data_mut(&self.elements, before, now)
    }
}

impl<T: Shareable> Clone for Array<T> {
    fn clone(&self) -> Self {
        Array { elements: self.elements.clone() }
    }
}

impl<T: Shareable> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>({})", std::any::type_name::<T>(), self.len())
    }
}

/// An array in shared memory without a lock.
///
/// [`get`](RawArray::get) and [`set`](RawArray::set) read and write a number of up to 8 bytes as a whole.
/// Calls that copy or iterate many elements see some before another process's write and some after; an
/// element of more than one number may be a mixture. Use it where each process has its own part, or where
/// elements no longer change; otherwise use [`Array`].
///
/// ```
/// let pixels = mp_sync::RawArray::<u8>::zeroed(1000)?;
/// pixels.write(990, &[7; 10]).unwrap();
/// assert_eq!(pixels.fold(0_u32, |sum, pixel| sum + u32::from(pixel)), 70);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Python: `multiprocessing.RawArray`.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct RawArray<T: Shareable> {
    elements: Elements<Plain<T>>,
}

impl<T: Shareable> RawArray<T> {
    /// Makes an array of `len` zeros, possibly none. Python: `RawArray(typecode, len)`.
    ///
    /// # Errors
    /// The errors of [`Array::zeroed`].
    pub fn zeroed(len: usize) -> Result<RawArray<T>, MemError> {
        Ok(RawArray { elements: Elements::zeroed("mp-raw-array", len)? })
    }

    /// Makes an array of these values. Python: `RawArray(typecode, sequence)`.
    ///
    /// # Errors
    /// The errors of [`Array::zeroed`].
    pub fn from_slice(values: &[T]) -> Result<RawArray<T>, MemError> {
        let new = RawArray::zeroed(values.len())?;
        row::copy_in(&new.elements, values);
        Ok(new)
    }

    /// Makes an array of an iterator's values. Python: `RawArray(typecode, sequence)`.
    ///
    /// # Errors
    /// The errors of [`Array::zeroed`].
    #[doc(alias = "from_iter")]
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<RawArray<T>, MemError> {
        RawArray::from_slice(&Vec::from_iter(values))
    }

    /// The number of elements. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// A copy of one element; `None` past the end. Python: `array[index]`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        self.elements.get(index).map(Plain::get)
    }

    /// Replaces one element. Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there is no such element.
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRangeError> {
        let none = OutOfRangeError::new(index, index.saturating_add(1), self.len());
        self.elements.get(index).ok_or(none)?.set(value);
        Ok(())
    }

    /// A copy of the elements in a range. Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRangeError> {
        Ok(row::to_vec(&self.elements[self.elements.range(range)?]))
    }

    /// A copy of all elements. Python: `array[:]`.
    pub fn to_vec(&self) -> Vec<T> {
        row::to_vec(&self.elements)
    }

    /// Copies elements from `index` on into the whole of `to`, without a vector.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there are fewer elements; nothing was copied.
    pub fn copy_to(&self, index: usize, to: &mut [T]) -> Result<(), OutOfRangeError> {
        row::copy_out(&self.elements[self.elements.span(index, to.len())?], to);
        Ok(())
    }

    /// Replaces the elements from `index` on by all of `values`.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if there are fewer elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRangeError> {
        row::copy_in(&self.elements[self.elements.span(index, values.len())?], values);
        Ok(())
    }

    /// Passes each element to `step`, in order, with the result of the step before: a sum without a second
    /// array. One part at a time is copied to the stack, so each element is read once.
    ///
    /// ```
    /// let array = mp_sync::RawArray::from_values((1..=100).map(f64::from))?;
    /// assert_eq!(array.fold(0.0, |sum, x| sum + x), 5050.0);
    /// assert_eq!(array.fold(f64::MIN, f64::max), 100.0);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    #[inline]
    pub fn fold<A>(&self, begin: A, step: impl FnMut(A, T) -> A) -> A {
        row::fold(&self.elements, begin, step)
    }

    /// Passes each element to `step`, in order. Each is read once.
    #[inline]
    pub fn for_each(&self, mut step: impl FnMut(T)) {
        self.fold((), |(), element| step(element));
    }
}

impl<T: Shareable> Clone for RawArray<T> {
    fn clone(&self) -> Self {
        RawArray { elements: self.elements.clone() }
    }
}

impl<T: Shareable> fmt::Debug for RawArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawArray<{}>({})", std::any::type_name::<T>(), self.len())
    }
}
