//! Slices of shared data without a lock: many elements copied, or iterated, at the speed of a slice.
//!
//! No reference into the elements is made, since other processes write there; every access is atomic
//! (`mp_core::mem::copy_out`). An iteration copies one part at a time to the stack, and reads the elements
//! there.
//!
//! # Safety
//! The one invariant: elements are read and written within the row, and what was read is a value, since every
//! bit pattern is one (`Shareable`).
#![allow(unsafe_code)]

use crate::cell::Plain;
use mp_core::mem::{self, Shareable};
use std::mem::MaybeUninit;
use std::slice;

/// The part that is copied to the stack at a time.
#[repr(align(128))]
struct Part([MaybeUninit<u8>; PART]);

/// In bytes: long enough that the start of a copy does not count, and short enough for the first-level cache.
const PART: usize = 4096;

impl Part {
    /// The number of `T`s that fit into a part.
    const fn of<T>() -> usize {
        if size_of::<T>() == 0 || align_of::<T>() > align_of::<Part>() { 0 } else { PART / size_of::<T>() }
    }

    /// The elements, copied to this part.
    fn read<T: Shareable>(&mut self, cells: &[Plain<T>]) -> &[T] {
        assert!(cells.len() <= Part::of::<T>());
        let to = self.0.as_mut_ptr().cast::<T>();
        // SAFETY: the cells are mapped and aligned; the part has room for as many, as was just checked, and
        // is aligned for them, since it has room for one.
        unsafe { mem::copy_out(cells.as_ptr().cast::<T>(), to, cells.len()) };
        // SAFETY: these elements were just written; every bit pattern is a value.
        unsafe { slice::from_raw_parts(to, cells.len()) }
    }
}

/// Passes each element to `step`, in order. Each is read once.
#[inline]
pub(crate) fn fold<T: Shareable, A>(row: &[Plain<T>], begin: A, mut step: impl FnMut(A, T) -> A) -> A {
    if Part::of::<T>() == 0 {
        return row.iter().fold(begin, |so_far, cell| step(so_far, cell.get()));
    }
    let mut part = Part([MaybeUninit::uninit(); PART]);
    let parts = row.chunks(Part::of::<T>());
    parts
        .fold(begin, |so_far, cells| part.read(cells).iter().fold(so_far, |so_far, &item| step(so_far, item)))
}

/// Copies the row out.
#[inline]
pub(crate) fn copy_out<T: Shareable>(row: &[Plain<T>], to: &mut [T]) {
    assert!(row.len() == to.len());
    // SAFETY: as many elements on both sides, as was just checked; a Rust slice cannot overlap the row, since
    // no reference into it exists.
    unsafe { mem::copy_out(row.as_ptr().cast::<T>(), to.as_mut_ptr(), to.len()) };
}

/// The row as a vector.
pub(crate) fn to_vec<T: Shareable>(row: &[Plain<T>]) -> Vec<T> {
    let mut copy = Vec::<T>::with_capacity(row.len());
    // SAFETY: the vector has room for so many elements, reserved above; new memory does not overlap the row.
    unsafe { mem::copy_out(row.as_ptr().cast::<T>(), copy.as_mut_ptr(), row.len()) };
    // SAFETY: these elements were just written; every bit pattern is a value.
    unsafe { copy.set_len(row.len()) };
    copy
}

/// Copies into the row.
#[inline]
pub(crate) fn copy_in<T: Shareable>(row: &[Plain<T>], from: &[T]) {
    assert!(row.len() == from.len());
    // SAFETY: as in `copy_out`; the row is made of cells.
    unsafe { mem::copy_in(from.as_ptr(), row.as_ptr().cast::<T>().cast_mut(), from.len()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row in this process's own memory, filled by single sets.
    fn row<T: Shareable>(items: &[T]) -> Vec<Plain<T>> {
        items.iter().map(|&item| Plain::holding(item)).collect()
    }

    fn all_ways<T: Shareable + PartialEq + std::fmt::Debug>(items: &[T]) {
        let row = row(items);
        for from in 0..items.len().min(9) {
            let (row, items) = (&row[from..], &items[from..]);
            assert_eq!(to_vec(row), items);
            let mut seen = Vec::new();
            fold(row, (), |(), item| seen.push(item));
            assert_eq!(seen, items);
            let mut copy = items.to_vec();
            copy.reverse();
            copy_in(row, &copy);
            let mut back = items.to_vec();
            copy_out(row, &mut back);
            assert_eq!(back, copy);
            copy_in(row, items);
        }
    }

    #[test]
    fn every_way_sees_the_same_elements() {
        all_ways(&(0..200).collect::<Vec<u8>>());
        all_ways(&(0..131).map(|x| x * 77).collect::<Vec<i16>>());
        all_ways(&(0..67).map(|x| x * 1_000_003).collect::<Vec<u32>>());
        all_ways(&(0..67).map(f64::from).collect::<Vec<f64>>());
        all_ways(&(0..33).map(|x| u128::MAX / (x + 1)).collect::<Vec<u128>>());
        all_ways(&(0..41).map(|x| [x, x + 1, x * x]).collect::<Vec<[u32; 3]>>());
        all_ways(&(0..9).map(|x| [x; 40]).collect::<Vec<[u16; 40]>>());
        all_ways::<u64>(&[]);
    }
}
