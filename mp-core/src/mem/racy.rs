//! Copies out of memory that other processes may write meanwhile, and into it.
//!
//! A plain copy of what another thread writes is a data race: undefined behaviour, whatever is done with the copy.
//! So each unit (the largest integer of 1, 2, 4 or 8 bytes that the type's alignment allows) is one relaxed atomic
//! access. All accesses to a type in shared memory without a lock are made here, so that they never differ in size.
//!
//! A loop of atomic accesses is not vectorised. On x86-64 a long copy is therefore one string instruction
//! (`rep movsq` and similar), whose accesses the machine defines: it moves unit by unit, and an aligned unit as a
//! whole. The loop does the same, so both copies are equivalent.
//!
//! # Safety
//! The one invariant: both sides have room for that many elements, and the private side does not overlap the shared
//! one.
#![allow(unsafe_code)]

use super::shared_ref::Shareable;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// The bytes of one access to a `T`.
const fn unit<T>() -> usize {
    let align = align_of::<T>();
    if align < 8 { align } else { 8 }
}

/// From this many units on a string instruction is faster than the loop.
const LONG: usize = 24;

/// Copies `count` elements out of shared memory.
///
/// # Safety
/// `from` is aligned, with that many elements mapped there; `to` is this thread's own, with room for as many.
#[doc(hidden)]
#[inline]
pub unsafe fn copy_out<T: Shareable>(from: *const T, to: *mut T, count: usize) {
    let units = count * (size_of::<T>() / unit::<T>());
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if units >= LONG {
        // SAFETY: as the caller promises.
        return unsafe { move_units(from.cast(), to.cast(), units, unit::<T>()) };
    }
    for at in 0..units {
        // SAFETY: within what the caller promises.
        unsafe { load(from.cast_mut().cast(), to.cast(), at, unit::<T>()) };
    }
}

/// Copies `count` elements into shared memory.
///
/// # Safety
/// `to` is aligned, with that many elements mapped there; no thread writes to `from` meanwhile, which has as many.
#[doc(hidden)]
#[inline]
pub unsafe fn copy_in<T: Shareable>(from: *const T, to: *mut T, count: usize) {
    let units = count * (size_of::<T>() / unit::<T>());
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if units >= LONG {
        // SAFETY: as the caller promises.
        return unsafe { move_units(from.cast(), to.cast(), units, unit::<T>()) };
    }
    for at in 0..units {
        // SAFETY: within what the caller promises.
        unsafe { store(from.cast(), to.cast(), at, unit::<T>()) };
    }
}

macro_rules! by_unit {
    ($unit:expr, $with:ident!($($arguments:tt)*)) => {
        match $unit {
            1 => $with!(u8, AtomicU8, $($arguments)*),
            2 => $with!(u16, AtomicU16, $($arguments)*),
            4 => $with!(u32, AtomicU32, $($arguments)*),
            _ => $with!(u64, AtomicU64, $($arguments)*),
        }
    };
}

macro_rules! load_one {
    ($number:ty, $atomic:ty, $from:ident, $to:ident, $at:ident) => {{
        // SAFETY: the unit lies within what the caller promises.
        let from = unsafe { $from.cast::<$number>().add($at) };
        // SAFETY: mapped and aligned; every access to it is an atomic one of this size (the top comment).
        let from = unsafe { <$atomic>::from_ptr(from) };
        // ORDERING: Relaxed: no lock, so no promise about anything else.
        let value = from.load(Ordering::Relaxed);
        // SAFETY: as for `from`.
        let to = unsafe { $to.cast::<$number>().add($at) };
        // SAFETY: the caller's own, aligned as the elements are.
        unsafe { to.write(value) };
    }};
}

macro_rules! store_one {
    ($number:ty, $atomic:ty, $from:ident, $to:ident, $at:ident) => {{
        // SAFETY: the unit lies within what the caller promises.
        let from = unsafe { $from.cast::<$number>().add($at) };
        // SAFETY: no thread writes there meanwhile; aligned as the elements are, which have no padding.
        let value = unsafe { from.read() };
        // SAFETY: as for `from`.
        let to = unsafe { $to.cast::<$number>().add($at) };
        // SAFETY: mapped and aligned; every access to it is an atomic one of this size (the top comment).
        let to = unsafe { <$atomic>::from_ptr(to) };
        // ORDERING: Relaxed, as in `load_one`.
        to.store(value, Ordering::Relaxed);
    }};
}

/// Copies one unit out of shared memory.
///
/// # Safety
/// Both sides have a unit there, as in [`copy_out`].
#[inline]
unsafe fn load(from: *mut u8, to: *mut u8, at: usize, unit: usize) {
    by_unit!(unit, load_one!(from, to, at));
}

/// Copies one unit into shared memory.
///
/// # Safety
/// Both sides have a unit there, as in [`copy_in`].
#[inline]
unsafe fn store(from: *const u8, to: *mut u8, at: usize, unit: usize) {
    by_unit!(unit, store_one!(from, to, at));
}

/// Copies `count` units by a string instruction.
///
/// # Safety
/// Both sides have as many, and do not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn move_units(from: *const u8, to: *mut u8, units: usize, unit: usize) {
    use std::arch::asm;
    macro_rules! move_by {
        ($instruction:literal) => {
            // SAFETY: reads and writes what the caller promises, upwards, since the direction flag is clear at each
            // `asm`; changes no flag.
            unsafe {
                asm!($instruction, inout("rcx") units => _, inout("rsi") from => _, inout("rdi") to => _,
                    options(nostack, preserves_flags));
            }
        };
    }
    match unit {
        1 => move_by!("rep movsb"),
        2 => move_by!("rep movsw"),
        4 => move_by!("rep movsd"),
        _ => move_by!("rep movsq"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Shareable + PartialEq + std::fmt::Debug>(value: impl Fn(usize) -> T) {
        for count in (0..70).chain([1000]) {
            let items: Vec<T> = (0..count).map(&value).collect();
            let (mut shared, mut back) = (vec![value(7); count + 1], vec![value(9); count + 1]);
            // SAFETY: as many on each side, in vectors of this thread's own.
            unsafe { copy_in(items.as_ptr(), shared.as_mut_ptr(), count) };
            // SAFETY: as above.
            unsafe { copy_out(shared.as_ptr(), back.as_mut_ptr(), count) };
            assert_eq!(back[..count], items);
            assert_eq!((shared[count], back[count]), (value(7), value(9)), "nothing beyond them is touched");
        }
    }

    #[test]
    fn every_unit_is_copied_there_and_back() {
        there_and_back(|at| at as u8);
        there_and_back(|at| (at as i16).wrapping_mul(77));
        there_and_back(|at| at as f32);
        there_and_back(|at| at as u64 * 1_000_003);
        there_and_back(|at| u128::MAX / (at as u128 + 1));
        there_and_back(|at| [at as u32, 1, at as u32 * 5]);
        there_and_back(|at| [at as u8; 5]);
    }
}
