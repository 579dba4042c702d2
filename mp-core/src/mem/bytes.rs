//! Bytes: a part of a mapping that is copied in and out, never borrowed.
//!
//! # Safety
//! The one invariant: a [`Bytes`] lies within the mapping that it keeps alive, and a [`Range`] is used only
//! while its source lives. The protocol decides whether two processes may access the same bytes at once; a copy of
//! torn bytes is still only bytes.
#![allow(unsafe_code)]

use super::mapping::Mapping;
use crate::error::MemError;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// A range of raw bytes in shared memory. No reference into it is ever made, since other processes write there.
#[derive(Debug, Clone)]
pub struct Bytes {
    mapping: Arc<Mapping>,
    range: Range,
}

/// Addresses that are mapped while the source of this range lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: a range of addresses and the means to keep it mapped; access is by copying.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// The range of `len` bytes at `offset` of a mapping's payload.
    pub fn at(mapping: Arc<Mapping>, offset: usize, len: usize) -> Result<Bytes, MemError> {
        let at = mapping.address(offset, len).ok_or(MemError::NotOurs("it is too short"))?;
        Ok(Bytes { mapping, range: Range { at, len } })
    }

    /// Its length.
    pub fn len(&self) -> usize {
        self.range.len
    }

    /// Whether its length is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The mapping that it refers to.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    /// Begins to fetch the cache line at `offset`, to be read soon. Changes nothing.
    #[inline]
    pub fn prefetch(&self, offset: usize) {
        self.range.prefetch(offset);
    }

    /// Copies `from` to `offset`.
    ///
    /// # Panics
    /// If it does not fit: the caller checks offsets before.
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) {
        self.range.write(offset, from);
    }

    /// What writes one after the other into `len` bytes from `offset` on.
    ///
    /// # Panics
    /// If there are fewer bytes: the caller checks offsets before.
    pub fn writer(&self, offset: usize, len: usize) -> Writer<'_> {
        Writer { range: self.range.part(offset, len), bytes: PhantomData }
    }

    /// Copies bytes at `offset` into `to`.
    ///
    /// # Panics
    /// If there are fewer bytes: the caller checks offsets before.
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        self.range.read(offset, to);
    }

    /// A copy of `N` bytes at `offset`.
    ///
    /// # Panics
    /// If there are fewer bytes: the caller checks offsets before.
    #[inline]
    pub fn read_array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut to = [0; N];
        self.range.read(offset, &mut to);
        to
    }

    /// Appends `len` bytes from `offset` to a vector.
    ///
    /// # Panics
    /// If there are not that many bytes: the caller has checked that.
    #[inline]
    pub fn read_onto(&self, offset: usize, len: usize, to: &mut Vec<u8>) {
        self.range.read_onto(offset, len, to);
    }
}

/// Writes into a part of shared memory, one after the other.
#[derive(Debug)]
pub struct Writer<'a> {
    /// What is left.
    range: Range,
    bytes: PhantomData<&'a Bytes>,
}

impl Writer<'_> {
    /// Bytes that are left.
    #[inline]
    pub fn left(&self) -> usize {
        self.range.len
    }

    /// No more than so many are left.
    #[inline]
    pub fn limit(&mut self, left: usize) {
        self.range.len = self.range.len.min(left);
    }

    /// Writes the next bytes.
    ///
    /// # Panics
    /// If they do not fit: the caller looks at what is left before.
    #[inline]
    pub fn write(&mut self, from: &[u8]) {
        self.range.write(0, from);
        self.range = self.range.behind(from.len());
    }
}

/// Copies `N` to `2 * N` bytes.
///
/// # Safety
/// As many bytes as `from` has are mapped at `to`, and writable; `from` does not overlap them.
#[inline]
unsafe fn write_ends<const N: usize>(to: NonNull<u8>, from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        // SAFETY: `from` has at least `N` bytes.
        unsafe { ptr::copy_nonoverlapping(first.as_ptr(), to.as_ptr(), N) };
        // SAFETY: the last `N` of as many bytes.
        let to = unsafe { to.add(from.len() - N) };
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(last.as_ptr(), to.as_ptr(), N) };
    }
}

impl Range {
    /// # Safety
    /// The addresses stay mapped, readable and writable as long as this and its copies are used.
    pub(super) unsafe fn new(at: NonNull<u8>, len: usize) -> Range {
        Range { at, len }
    }

    /// `len` bytes at `offset`.
    fn part(self, offset: usize, len: usize) -> Range {
        self.check(offset, len);
        Range { len, ..self.behind(offset) }
    }

    /// What is behind the first `count` bytes.
    #[inline]
    fn behind(self, count: usize) -> Range {
        self.check(count, 0);
        // SAFETY: within the range or at its end, as was just checked.
        let at = unsafe { self.at.add(count) };
        Range { at, len: self.len - count }
    }

    #[inline]
    fn prefetch(self, offset: usize) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let at = self.at.as_ptr().wrapping_add(offset);
            // SAFETY: a hint, which never faults, whatever the address.
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast()) };
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = offset;
    }

    #[inline]
    pub(super) fn write(self, offset: usize, from: &[u8]) {
        self.check(offset, from.len());
        // SAFETY: within the range, as was just checked; a Rust slice cannot overlap it.
        let to = unsafe { self.at.add(offset) };
        match from.len() {
            // Few bytes as two pieces of a fixed length, which may overlap: a call of `memcpy` costs more.
            // SAFETY: as many bytes as `from` has are within the range, as was just checked.
            8..=16 => unsafe { write_ends::<8>(to, from) },
            // SAFETY: as above.
            4..8 => unsafe { write_ends::<4>(to, from) },
            // SAFETY: as above.
            2..4 => unsafe { write_ends::<2>(to, from) },
            // SAFETY: as above.
            _ => unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), from.len()) },
        }
    }

    #[inline]
    pub(super) fn read(self, offset: usize, to: &mut [u8]) {
        self.check(offset, to.len());
        // SAFETY: within the range, as was just checked.
        let from = unsafe { self.at.add(offset) };
        // SAFETY: as above; a Rust slice cannot overlap it.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), to.len()) };
    }

    /// Appends `len` bytes from `offset` to a vector, without writing zeros there first.
    #[inline]
    pub(super) fn read_onto(self, offset: usize, len: usize, to: &mut Vec<u8>) {
        self.check(offset, len);
        to.reserve(len);
        // SAFETY: within the range, as was just checked.
        let from = unsafe { self.at.add(offset) };
        let spare = to.spare_capacity_mut();
        // SAFETY: the spare capacity has room for `len` bytes, reserved above.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), spare.as_mut_ptr().cast(), len) };
        // SAFETY: those bytes were just written.
        unsafe { to.set_len(to.len() + len) };
    }

    /// Reads eight bytes at `offset` once, as a number in this machine's byte order.
    #[inline]
    pub(super) fn load(self, offset: usize) -> u64 {
        // SAFETY: within the range and aligned, checked there.
        unsafe { self.word(offset).read_volatile() }
    }

    #[inline]
    pub(super) fn store(self, offset: usize, value: u64) {
        // SAFETY: as in `load`.
        unsafe { self.word(offset).write_volatile(value) };
    }

    #[inline]
    fn word(self, offset: usize) -> NonNull<u64> {
        self.check(offset, size_of::<u64>());
        // SAFETY: within the range, as was just checked.
        let at = unsafe { self.at.add(offset) }.cast::<u64>();
        assert!(at.is_aligned(), "a word of the shared bytes is aligned");
        at
    }

    #[inline]
    fn check(self, offset: usize, len: usize) {
        assert!(offset <= self.len && len <= self.len - offset, "range outside the shared bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_writer_writes_one_behind_the_other_and_stays_within_its_part() {
        let mapping = Mapping::create("mp-test", Kind::of::<u8>(), 64).unwrap();
        let bytes = Bytes::at(mapping, 0, 64).unwrap();
        let mut writer = bytes.writer(8, 24);
        for (piece, left) in [(&[1_u8, 2][..], 22), (&[3; 9], 13), (&[], 13), (&[4; 10], 3)] {
            writer.write(piece);
            assert_eq!(writer.left(), left);
        }
        assert!(catch_unwind(AssertUnwindSafe(|| writer.write(&[5; 4]))).is_err());
        writer.limit(10);
        assert_eq!(writer.left(), 3);
        writer.limit(2);
        assert!(catch_unwind(AssertUnwindSafe(|| writer.write(&[5; 3]))).is_err());
        writer.write(&[5; 2]);
        let mut all = Vec::new();
        bytes.read_onto(0, 64, &mut all);
        assert_eq!(all[8..32], [&[1, 2][..], &[3; 9], &[4; 10], &[5; 2], &[0]].concat());
        assert!(all[..8].iter().chain(&all[32..]).all(|byte| *byte == 0));
        assert!(catch_unwind(AssertUnwindSafe(|| bytes.writer(60, 5).left())).is_err());
    }
}
