//! Rows of data without a lock: many elements copied, or gone through, at the speed of a slice.
//!
//! No reference into the row is made, since others write there. To go through it without a copy in between,
//! 64 bytes at a time are read into registers, and each of these bytes once: the optimiser may not go back
//! for a second look, which could find something else there.
//!
//! # Safety
//! The one invariant: bytes are read and written within the row, at the alignment of its elements, and what
//! was read is a value, since every bit pattern is one (`Shareable`).
#![allow(unsafe_code)]

use crate::cell::Plain;
use mp_core::mem::Shareable;
use std::{array, ptr};

#[cfg(target_arch = "x86_64")]
type Register = std::arch::x86_64::__m128i;
#[cfg(target_arch = "aarch64")]
type Register = std::arch::aarch64::uint8x16_t;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Register = u64;

/// What is read at a time.
#[repr(C, align(64))]
struct Line([Register; LINE / size_of::<Register>()]);

const LINE: usize = 64;

impl Line {
    /// How many `T`s make a line; 0: no number of them does.
    const fn of<T>() -> usize {
        let fits = size_of::<T>() != 0 && LINE.is_multiple_of(size_of::<T>()) && align_of::<T>() <= LINE;
        if fits { LINE / size_of::<T>() } else { 0 }
    }

    #[inline]
    fn read<T: Shareable>(cells: &[Plain<T>]) -> Line {
        assert!(size_of_val(cells) == LINE);
        let from = cells.as_ptr().cast::<Register>();
        assert!(from.is_aligned());
        Line(array::from_fn(|at| {
            // SAFETY: within the cells, as was just checked.
            let register = unsafe { from.add(at) };
            // SAFETY: as above, aligned; every bit pattern is a register's. Volatile: read once and for all.
            unsafe { register.read_volatile() }
        }))
    }

    #[inline]
    fn get<T: Shareable>(&self, at: usize) -> T {
        assert!(at < Line::of::<T>());
        // SAFETY: within the line, as was just checked.
        let element = unsafe { ptr::from_ref(self).cast::<T>().add(at) };
        // SAFETY: as above; a line is aligned for all that fit into it; every bit pattern is a value.
        unsafe { element.read() }
    }
}

/// Gives each element to `step`, in order. Each is read once.
#[inline]
pub(crate) fn fold<T: Shareable, A>(row: &[Plain<T>], begin: A, mut step: impl FnMut(A, T) -> A) -> A {
    let mut so_far = begin;
    let mut rest = row;
    if Line::of::<T>() > 0 && row.as_ptr().cast::<Register>().is_aligned() {
        let lines = row.chunks_exact(Line::of::<T>());
        rest = lines.remainder();
        for cells in lines {
            let line = Line::read(cells);
            for at in 0..Line::of::<T>() {
                so_far = step(so_far, line.get(at));
            }
        }
    }
    rest.iter().fold(so_far, |so_far, cell| step(so_far, cell.get()))
}

/// Copies the row out.
#[inline]
pub(crate) fn copy_out<T: Shareable>(row: &[Plain<T>], to: &mut [T]) {
    assert!(row.len() == to.len());
    // SAFETY: as many elements on both sides, as was just checked; a Rust slice cannot overlap the row, since
    // nobody has a reference into it.
    unsafe { ptr::copy_nonoverlapping(row.as_ptr().cast::<T>(), to.as_mut_ptr(), to.len()) };
}

/// The row as a vector.
pub(crate) fn to_vec<T: Shareable>(row: &[Plain<T>]) -> Vec<T> {
    let mut copy = Vec::<T>::with_capacity(row.len());
    // SAFETY: the vector has room for so many elements, reserved above; new memory does not overlap the row.
    unsafe { ptr::copy_nonoverlapping(row.as_ptr().cast::<T>(), copy.as_mut_ptr(), row.len()) };
    // SAFETY: these elements were just written; every bit pattern is a value.
    unsafe { copy.set_len(row.len()) };
    copy
}

/// Copies into the row.
#[inline]
pub(crate) fn copy_in<T: Shareable>(row: &[Plain<T>], from: &[T]) {
    assert!(row.len() == from.len());
    // SAFETY: as in `copy_out`; the row is made of cells.
    unsafe { ptr::copy_nonoverlapping(from.as_ptr(), row.as_ptr().cast::<T>().cast_mut(), from.len()) };
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
