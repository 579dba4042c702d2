//! SharedRef: a typed reference into a mapping. SharedSlice: a slice of a mapping. And the two traits of types that
//! may live there.
//!
//! # Safety
//! The one invariant: a `SharedRef<T>` points at a `T`, and a `SharedSlice<T>` at its number of them, inside the
//! mapping that it keeps alive, aligned for `T`, and `T` is made of parts that any process may change at any time
//! through a shared reference.
#![allow(unsafe_code)]

use super::mapping::{Kind, Mapping};
use super::small;
use crate::error::MemError;
use crate::sys::futex::FutexWord;
use crate::sys::robust::RobustWord;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic;

/// Plain data that may lie in memory which other processes map: integers, floats, arrays and `repr(C)` structs
/// of them. For your own struct use `#[derive(Shareable)]`:
///
/// ```
/// use mp_core::mem::Shareable;
///
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
/// ```
///
/// ```compile_fail,E0277
/// fn in_shared_memory<T: mp_core::mem::Shareable>() {}
/// in_shared_memory::<Vec<u8>>(); // its bytes point into this process's own heap
/// ```
/// ```compile_fail,E0277
/// fn in_shared_memory<T: mp_core::mem::Shareable>() {}
/// in_shared_memory::<&'static str>();
/// ```
/// ```compile_fail,E0277
/// fn in_shared_memory<T: mp_core::mem::Shareable>() {}
/// in_shared_memory::<bool>(); // a peer could write a 2 there
/// ```
///
/// A type that is aligned to more than 128 bytes does not compile as the data of a shared object. (A queue copies
/// its items, and takes it.)
///
/// # Safety
/// Every bit pattern is a value of the type, all zeros included; it holds no pointer, reference or descriptor
/// number that means something in one process only; it has no padding.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot lie in memory that other processes map",
    label = "not `Shareable`",
    note = "numbers, arrays of `Shareable` things and `#[repr(C)]` structs with `#[derive(Shareable)]` can; \
            what points into this process's own memory cannot, and neither can what has bit patterns that are \
            no value: for a `bool` there is `AtomicBool`, or a `u8`"
)]
pub unsafe trait Shareable: Copy + Send + 'static {}

/// A structure of words: the shared state of an algorithm.
///
/// # Safety
/// Every part may be changed by other processes while a shared reference exists (atomics, words, or cells that
/// are reached only through a protocol); all zeros is a valid value; it holds no pointer that is followed
/// without the owner's own check, and has no `Drop`.
pub unsafe trait Structure: Sync + 'static {}

macro_rules! shareable {
    ($($plain:ty => $atomic:ty),*) => {$(
        // SAFETY: an integer: every bit pattern is a value.
        unsafe impl Shareable for $plain {}
        // SAFETY: an atomic integer.
        unsafe impl Structure for $atomic {}
    )*};
}
shareable!(u8 => atomic::AtomicU8, i8 => atomic::AtomicI8, u16 => atomic::AtomicU16, i16 => atomic::AtomicI16,
    u32 => atomic::AtomicU32, i32 => atomic::AtomicI32, u64 => atomic::AtomicU64, i64 => atomic::AtomicI64,
    usize => atomic::AtomicUsize, isize => atomic::AtomicIsize);

// SAFETY: every bit pattern is a value.
unsafe impl Shareable for u128 {}
// SAFETY: every bit pattern is a value.
unsafe impl Shareable for i128 {}
// SAFETY: every bit pattern is a value (many are NaN).
unsafe impl Shareable for f32 {}
// SAFETY: every bit pattern is a value (many are NaN).
unsafe impl Shareable for f64 {}
// SAFETY: elements side by side, without padding between them.
unsafe impl<T: Shareable, const N: usize> Shareable for [T; N] {}

// SAFETY: one atomic word.
unsafe impl Structure for FutexWord {}
// SAFETY: atomic words; the links are checked by their owner (sys/robust.rs).
unsafe impl Structure for RobustWord {}
// SAFETY: elements side by side.
unsafe impl<T: Structure, const N: usize> Structure for [T; N] {}

const TOO_ALIGNED: &str = "this type is aligned to more than 128 bytes, as much as shared memory is: give it `align(128)` \
                           or less";

/// A reference to a `T` in shared memory. Clones share it; other processes get it by transfer.
pub struct SharedRef<T> {
    mapping: Arc<Mapping>,
    at: NonNull<T>,
    shares: PhantomData<T>,
}

// SAFETY: a shared reference to a `Sync` value, and the means to keep it mapped.
unsafe impl<T: Structure> Send for SharedRef<T> {}
// SAFETY: as above.
unsafe impl<T: Structure> Sync for SharedRef<T> {}

impl<T: Structure> SharedRef<T> {
    /// Makes a shared object that holds one `T`, all zeros, at the beginning of its payload. `name` is what
    /// process maps show.
    pub fn create(name: &str) -> Result<SharedRef<T>, MemError> {
        SharedRef::at(Mapping::create(name, Kind::of::<T>(), size_of::<T>())?, 0)
    }

    /// Makes one `T`, all zeros, in a page that small objects of this process share, without a descriptor of its
    /// own. A process that gets one object can write to the others in the page, so it is for objects without data.
    pub fn create_small() -> Result<SharedRef<T>, MemError> {
        const { assert!(size_of::<T>() <= small::LARGEST, "this is no small object") };
        let (page, offset) = small::take(Kind::of::<T>(), size_of::<T>())?;
        SharedRef::at(page, offset)
    }

    /// Its offset in the mapping's payload.
    pub(crate) fn offset(&self) -> usize {
        let begin = self.mapping.address(0, 0).map_or(0, |begin| begin.addr().get());
        self.at.addr().get() - begin
    }

    /// The `T` at `offset` of a mapping's payload. Compiles only if the payload's alignment is enough for it.
    pub fn at(mapping: Arc<Mapping>, offset: usize) -> Result<SharedRef<T>, MemError> {
        const { assert!(align_of::<T>() <= Mapping::ALIGNMENT, "{}", TOO_ALIGNED) }
        let address = mapping.address(offset, size_of::<T>()).ok_or(MemError::NotOurs("it is too short"))?;
        let at = address.cast::<T>();
        if !at.is_aligned() {
            return Err(MemError::NotOurs("a part of it is not aligned"));
        }
        Ok(SharedRef { mapping, at, shares: PhantomData })
    }

    /// The mapping that it refers to.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

impl<T: Structure> Deref for SharedRef<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: within the live mapping and aligned (checked in `at`); every bit pattern is a value and all
        // parts bear being changed by others (`Structure`).
        unsafe { self.at.as_ref() }
    }
}

impl<T> Clone for SharedRef<T> {
    fn clone(&self) -> Self {
        SharedRef { mapping: Arc::clone(&self.mapping), at: self.at, shares: PhantomData }
    }
}

impl<T> std::fmt::Debug for SharedRef<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedRef<{}>({:p})", std::any::type_name::<T>(), self.at)
    }
}

/// A slice of `T`s in shared memory. Clones share them.
///
/// ```
/// use mp_core::mem::{Kind, Mapping, SharedSlice};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
///
/// let mapping = Mapping::create("counts", Kind::of::<[AtomicU32]>(), 40)?;
/// let counts = SharedSlice::<AtomicU32>::at(mapping, 0, 10)?;
/// counts[9].store(7, Relaxed);
/// assert_eq!(counts.iter().map(|count| count.load(Relaxed)).sum::<u32>(), 7);
/// # Ok::<(), mp_core::MemError>(())
/// ```
pub struct SharedSlice<T> {
    mapping: Arc<Mapping>,
    at: NonNull<T>,
    len: usize,
    shares: PhantomData<T>,
}

// SAFETY: a shared reference to `Sync` values, and the means to keep them mapped.
unsafe impl<T: Structure> Send for SharedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Structure> Sync for SharedSlice<T> {}

impl<T: Structure> SharedSlice<T> {
    /// The `len` `T`s at `offset` of a mapping's payload. Compiles only if the payload's alignment is enough for
    /// them.
    ///
    /// # Errors
    /// The payload has fewer bytes: a length from another process is checked here.
    pub fn at(mapping: Arc<Mapping>, offset: usize, len: usize) -> Result<SharedSlice<T>, MemError> {
        const { assert!(align_of::<T>() <= Mapping::ALIGNMENT, "{}", TOO_ALIGNED) }
        let address = len.checked_mul(size_of::<T>()).and_then(|bytes| mapping.address(offset, bytes));
        let at = address.ok_or(MemError::NotOurs("it is too short"))?.cast::<T>();
        if !at.is_aligned() {
            return Err(MemError::NotOurs("a part of it is not aligned"));
        }
        Ok(SharedSlice { mapping, at, len, shares: PhantomData })
    }

    /// The mapping that it refers to.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

impl<T: Structure> Deref for SharedSlice<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: within the live mapping and aligned (checked in `at`); every bit pattern is a value and all
        // parts bear being changed by others (`Structure`). A mapping is smaller than `isize::MAX`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        SharedSlice { mapping: Arc::clone(&self.mapping), at: self.at, len: self.len, shares: PhantomData }
    }
}

impl<T> std::fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedSlice<{}>({:p}, {})", std::any::type_name::<T>(), self.at, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    #[test]
    fn a_row_lies_within_its_mapping() {
        let mapping = Mapping::create("row", Kind::of::<u32>(), 100).unwrap();
        let bytes = mapping.payload_bytes();
        let row = SharedSlice::<AtomicU64>::at(mapping.clone(), 8, bytes / 8 - 1).unwrap();
        row.last().unwrap().store(u64::MAX, Ordering::Relaxed);
        assert!(row[..row.len() - 1].iter().all(|word| word.load(Ordering::Relaxed) == 0));
        for len in [bytes / 8, bytes, usize::MAX / 8, usize::MAX / 4, usize::MAX] {
            assert!(SharedSlice::<AtomicU64>::at(mapping.clone(), 8, len).is_err(), "{len}");
        }
        assert!(SharedSlice::<AtomicU32>::at(mapping.clone(), 2, 1).is_err());
        assert!(SharedSlice::<AtomicU32>::at(mapping.clone(), bytes, 0).unwrap().is_empty());
        assert!(SharedSlice::<AtomicU32>::at(mapping, bytes + 4, 0).is_err());
    }
}
