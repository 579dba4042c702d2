//! Array and RawArray: a row of plain values in shared memory, with its lock and without.

use crate::cell::{Element, Plain};
use crate::elements::Elements;
use crate::error::{AcquireError, OutOfRange, OwnerDied};
use crate::held::{Guarding, Held, Locked};
use crate::relock::{Lent, RelockCell};
use crate::row;
use mp_core::MemError;
use mp_core::mem::{Loan, Shareable};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::RangeBounds;
use std::time::Duration;

/// Values in shared memory, side by side, with one lock for all of them. Their number is fixed when it is
/// made.
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
/// Each call takes the lock for itself: who reads, decides and writes does it within one
/// [`update`](Array::update), or holds [`lock`](Array::lock). Clones share the elements; so do copies that travel to
/// other processes.
///
/// Python: `multiprocessing.Array`. A slice of another length than its place is an error in both. Indices count
/// from the beginning only; a slice with a step is a loop over [`lock`](Array::lock). Which type stands for which
/// of its codes is in the [crate's](crate#types) documentation.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Array<T: Shareable> {
    elements: Elements<Element<T>>,
}

impl<T: Shareable> Array<T> {
    /// `len` zeros; none is fine.
    ///
    /// ```
    /// assert_eq!(mp_sync::Array::<f64>::zeroed(3)?.to_vec(), [0.0; 3]);
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Array(typecode, len)`.
    ///
    /// # Errors
    /// No memory for so many, or no descriptor, for the shared object.
    pub fn zeroed(len: usize) -> Result<Array<T>, MemError> {
        Ok(Array { elements: Elements::zeroed("mp-array", len)? })
    }

    /// A copy of these values. Python: `Array(typecode, sequence)`.
    ///
    /// # Errors
    /// As [`zeroed`](Array::zeroed).
    pub fn from_slice(values: &[T]) -> Result<Array<T>, MemError> {
        let new = Array::zeroed(values.len())?;
        new.update(|elements| elements.copy_from_slice(values));
        Ok(new)
    }

    /// The values that an iterator gives.
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
    /// As [`zeroed`](Array::zeroed).
    #[doc(alias = "from_iter")]
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<Array<T>, MemError> {
        Array::from_slice(&Vec::from_iter(values))
    }

    /// How many elements it has. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// A copy of one element; `None` past the end. Waits for the lock, unless the calling thread holds it.
    ///
    /// If a holder died, it is what he left: [`lock`](Array::lock) tells, this and the calls below do not.
    ///
    /// Python: `array[index]`.
    ///
    /// # Panics
    /// This and all calls that read: if a guard of the calling thread has given out a `&mut` to the elements, which may
    /// be alive; those that write: if it has given out any reference. Use that guard.
    pub fn get(&self, index: usize) -> Option<T> {
        Held::whatever_happened(self).peek().get(index).copied()
    }

    /// Puts another value in an element's place. Waits as [`get`](Array::get) does.
    ///
    /// Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there is no such element.
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRange> {
        self.write(index, &[value])
    }

    /// A copy of the elements in a range, all as they were at one moment.
    ///
    /// Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRange`]: some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRange> {
        let range = self.elements.range(range)?;
        Ok(Held::whatever_happened(self).peek()[range].to_vec())
    }

    /// A copy of all elements, as they were at one moment. Python: `array[:]`, `sharedctypes.copy`.
    pub fn to_vec(&self) -> Vec<T> {
        Held::whatever_happened(self).peek().to_vec()
    }

    /// Copies the elements from `index` on into all of `to`, without making a vector.
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
    /// [`OutOfRange`]: there are not so many; nothing was copied.
    pub fn copy_to(&self, index: usize, to: &mut [T]) -> Result<(), OutOfRange> {
        let range = self.elements.span(index, to.len())?;
        to.copy_from_slice(&Held::whatever_happened(self).peek()[range]);
        Ok(())
    }

    /// Puts all of `values` in the place of the elements from `index` on, as one step for all others.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there are not so many elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRange> {
        let range = self.elements.span(index, values.len())?;
        Held::whatever_happened(self).peek_mut()[range].copy_from_slice(values);
        Ok(())
    }

    /// Changes elements under the lock, and gives what `change` gives. If `change` panics, what it has
    /// changed stays.
    ///
    /// Python: `with array.get_lock(): ...`.
    pub fn update<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> R {
        change(&mut Held::whatever_happened(self))
    }

    /// Takes the lock; the guard is reached like a slice. The thread that holds it may take it again, and use the short
    /// forms while it has not reached into the guard.
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
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock: elements may be half changed.
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, OwnerDied<ArrayGuard<'_, T>>> {
        Held::take(self)
    }

    /// Takes the lock if it is free now, or held by the calling thread.
    ///
    /// Python: `Array.get_lock().acquire(block=False)`.
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, AcquireError<ArrayGuard<'_, T>>> {
        Held::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `Array.get_lock().acquire(timeout=...)`.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ArrayGuard<'_, T>, AcquireError<ArrayGuard<'_, T>>> {
        Held::take_until(self, Deadline::after(timeout))
    }
}

/// An [`Array`], locked: reached like a slice.
pub type ArrayGuard<'a, T> = Held<'a, Array<T>>;

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

/// Values in shared memory, side by side, without a lock.
///
/// A number of up to 8 bytes is read and written whole by [`get`](RawArray::get) and [`set`](RawArray::set).
/// What copies or goes through many elements sees some as they were before another process's write and some
/// after, and elements of more than one number may be a mixture. It is for who divides an array among
/// processes, each with its part, or reads what no longer changes; for anything else take [`Array`].
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
    /// `len` zeros; none is fine. Python: `RawArray(typecode, len)`.
    ///
    /// # Errors
    /// As [`Array::zeroed`].
    pub fn zeroed(len: usize) -> Result<RawArray<T>, MemError> {
        Ok(RawArray { elements: Elements::zeroed("mp-raw-array", len)? })
    }

    /// A copy of these values. Python: `RawArray(typecode, sequence)`.
    ///
    /// # Errors
    /// As [`Array::zeroed`].
    pub fn from_slice(values: &[T]) -> Result<RawArray<T>, MemError> {
        let new = RawArray::zeroed(values.len())?;
        row::copy_in(&new.elements, values);
        Ok(new)
    }

    /// The values that an iterator gives. Python: `RawArray(typecode, sequence)`.
    ///
    /// # Errors
    /// As [`Array::zeroed`].
    #[doc(alias = "from_iter")]
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<RawArray<T>, MemError> {
        RawArray::from_slice(&Vec::from_iter(values))
    }

    /// How many elements it has. Python: `len(array)`.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// A copy of one element; `None` past the end. Python: `array[index]`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        self.elements.get(index).map(Plain::get)
    }

    /// Puts another value in an element's place. Python: `array[index] = value`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there is no such element.
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<(), OutOfRange> {
        let none = OutOfRange { start: index, end: index.saturating_add(1), len: self.len() };
        self.elements.get(index).ok_or(none)?.set(value);
        Ok(())
    }

    /// A copy of the elements in a range. Python: `array[start:end]`.
    ///
    /// # Errors
    /// [`OutOfRange`]: some of them do not exist.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, OutOfRange> {
        Ok(row::to_vec(&self.elements[self.elements.range(range)?]))
    }

    /// A copy of all elements. Python: `array[:]`.
    pub fn to_vec(&self) -> Vec<T> {
        row::to_vec(&self.elements)
    }

    /// Copies the elements from `index` on into all of `to`, without making a vector.
    ///
    /// # Errors
    /// [`OutOfRange`]: there are not so many; nothing was copied.
    pub fn copy_to(&self, index: usize, to: &mut [T]) -> Result<(), OutOfRange> {
        row::copy_out(&self.elements[self.elements.span(index, to.len())?], to);
        Ok(())
    }

    /// Puts all of `values` in the place of the elements from `index` on.
    ///
    /// Python: `array[index:index + len(values)] = values`.
    ///
    /// # Errors
    /// [`OutOfRange`]: there are not so many elements; none was changed.
    pub fn write(&self, index: usize, values: &[T]) -> Result<(), OutOfRange> {
        row::copy_in(&self.elements[self.elements.span(index, values.len())?], values);
        Ok(())
    }

    /// Gives each element to `step`, in order, with what the step before gave: a sum without a second array. A part of it
    /// at a time is copied to the stack, so each element is read once.
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

    /// Gives each element to `look`, in order. Each is read once.
    #[inline]
    pub fn for_each(&self, mut look: impl FnMut(T)) {
        self.fold((), |(), element| look(element));
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
