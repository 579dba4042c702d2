//! Window: a part of a sparse object that this process maps at its first use.
//!
//! ```text
//!  the file:      [ header | words ][ part 0 ][ part 1    ][ part 2             ]
//!  this process:  [ Mapping ]       [ open ]   (not yet)    (not yet)
//! ```
//!
//! An object that may grow to a gigabyte costs a process only the addresses of the parts that it has used. Parts
//! are left out of core dumps: the kernel would read every page of them while others wait for the locks of the
//! crashed process.
//!
//! A window stays open as long as the `Window` lives: another thread may be copying from it.
//!
//! # Safety
//! The one invariant: while `len` is not 0, `base` is the beginning of `len` mapped bytes that this window owns.
//! # When a process dies
//! Nothing here is shared between processes. A fork between the two stores leaves the child `base` without `len`:
//! it maps once more, finds `base` there, and stores `len`.
#![allow(unsafe_code)]

use super::bytes::Range;
use super::mapping::Mapping;
use crate::error::{MemError, OsResult};
use crate::sys::memory::{PAGE, Pages};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A part of an object beyond its mapped payload, of whole pages.
#[derive(Debug)]
pub struct Window {
    /// Dangling: not open.
    base: AtomicPtr<u8>,
    /// 0: not open.
    len: AtomicUsize,
    /// Its offset in the file.
    offset: usize,
    /// Its length in bytes, open or not.
    whole: usize,
}

/// A window of zero bytes, which can never be opened.
impl Default for Window {
    fn default() -> Window {
        Window { base: AtomicPtr::new(CLOSED), len: AtomicUsize::new(0), offset: 0, whole: 0 }
    }
}

const CLOSED: *mut u8 = ptr::dangling_mut();

impl Window {
    /// The part of `len` bytes at `offset` of the payload, not open yet. A part of zero bytes can never be opened.
    ///
    /// # Errors
    /// It does not lie within the object, or not on whole pages.
    pub fn of(mapping: &Mapping, offset: usize, len: usize) -> Result<Window, MemError> {
        let begin = offset.checked_add(Mapping::header_bytes());
        let is_whole = begin.is_some_and(|begin| begin.is_multiple_of(PAGE) && len.is_multiple_of(PAGE));
        let end = begin.and_then(|begin| begin.checked_add(len));
        match (begin, end) {
            (Some(offset), Some(end)) if is_whole && end <= mapping.file_bytes() => {
                let (base, open) = (AtomicPtr::new(CLOSED), AtomicUsize::new(0));
                Ok(Window { base, len: open, offset, whole: len })
            }
            _ => Err(MemError::NotOurs("it is too short")),
        }
    }

    /// Maps it, if it is not mapped yet. `mapping` is the one that it was made from.
    #[inline]
    pub fn open(&self, mapping: &Mapping) -> OsResult<()> {
        // ORDERING: Relaxed: only whether it is open. Each use checks again, with Acquire.
        if self.len.load(Ordering::Relaxed) != 0 { Ok(()) } else { self.map(mapping) }
    }

    #[cold]
    fn map(&self, mapping: &Mapping) -> OsResult<()> {
        let pages = Pages::map_part(mapping.file(), self.offset, self.whole)?;
        pages.leave_out_of_core_dumps();
        // ORDERING: AcqRel: of several threads one keeps its mapping; each of them stores `len` after that.
        let first =
            self.base.compare_exchange(CLOSED, pages.base().as_ptr(), Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            pages.leak();
        }
        // ORDERING: Release, pairs with the Acquire in `range`: a thread that sees the length sees the base.
        self.len.store(self.whole, Ordering::Release);
        Ok(())
    }

    #[inline]
    fn range(&self) -> Range {
        // ORDERING: Acquire, pairs with the Release in `map`.
        let len = self.len.load(Ordering::Acquire);
        // ORDERING: Relaxed: after the length, and never changed once that is there.
        let base = self.base.load(Ordering::Relaxed);
        // SAFETY: dangling or mapped, never null.
        let base = unsafe { NonNull::new_unchecked(base) };
        // SAFETY: the invariant: mapped until this window is dropped. While the length is 0 nothing is accessed.
        unsafe { Range::new(base, len) }
    }

    /// Copies `from` to `offset`.
    ///
    /// # Panics
    /// If it is not open, or `from` does not fit: the caller checks both.
    #[inline]
    pub fn write(&self, offset: usize, from: &[u8]) {
        self.range().write(offset, from);
    }

    /// Appends `len` bytes from `offset` to a vector.
    ///
    /// # Panics
    /// If it is not open, or has fewer bytes: the caller checks both.
    #[inline]
    pub fn read_onto(&self, offset: usize, len: usize, to: &mut Vec<u8>) {
        self.range().read_onto(offset, len, to);
    }

    /// Reads eight bytes at `offset` once, as a number in this machine's byte order.
    ///
    /// # Panics
    /// In the cases of [`write`](Window::write), and if the offset is not a multiple of eight.
    #[inline]
    pub fn load(&self, offset: usize) -> u64 {
        self.range().load(offset)
    }

    /// Writes eight bytes, which [`load`](Window::load) reads.
    ///
    /// # Panics
    /// In the cases of [`load`](Window::load).
    #[inline]
    pub fn store(&self, offset: usize, value: u64) {
        self.range().store(offset, value);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let base = *self.base.get_mut();
        if base != CLOSED
            && let Some(base) = NonNull::new(base)
        {
            // SAFETY: the invariant: these pages are this window's, which nothing refers to any more.
            drop(unsafe { Pages::of(base, self.whole) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::mapping::{Extent, Kind};
    use super::*;

    const WORDS: usize = PAGE - Mapping::header_bytes();

    fn object() -> std::sync::Arc<Mapping> {
        let extent = Extent { payload: WORDS + 8 * PAGE, mapped: WORDS, reserved: WORDS + 8 * PAGE };
        Mapping::create_sparse("test", Kind::of::<u8>(), extent).unwrap()
    }

    #[test]
    fn what_one_window_writes_another_reads() {
        let object = object();
        let window = || Window::of(&object, WORDS + 2 * PAGE, 2 * PAGE).unwrap();
        let (one, other) = (window(), window());
        one.open(&object).unwrap();
        one.open(&object).unwrap();
        one.write(2 * PAGE - 3, b"end");
        one.store(8, 77);
        other.open(&object).unwrap();
        let mut read = Vec::new();
        other.read_onto(2 * PAGE - 3, 3, &mut read);
        assert_eq!((read.as_slice(), other.load(8)), (&b"end"[..], 77));
    }

    #[test]
    fn it_lies_within_the_object_on_whole_pages() {
        let object = object();
        Window::of(&object, WORDS, 8 * PAGE).unwrap();
        for (offset, len) in [(WORDS, 9 * PAGE), (WORDS + 1, PAGE), (WORDS, PAGE + 1), (usize::MAX, PAGE)] {
            assert!(Window::of(&object, offset, len).is_err(), "{offset}, {len}");
        }
        assert!(Window::of(&object, WORDS, usize::MAX / PAGE * PAGE).is_err());
        assert!(Window::of(&object, WORDS, 0).unwrap().open(&object).is_err());
    }

    #[test]
    #[should_panic(expected = "range outside the shared bytes")]
    fn one_that_is_not_open_is_not_used() {
        Window::of(&object(), WORDS, PAGE).unwrap().load(0);
    }

    #[test]
    #[should_panic(expected = "range outside the shared bytes")]
    fn nothing_beyond_it_is_used() {
        let object = object();
        let window = Window::of(&object, WORDS, PAGE).unwrap();
        window.open(&object).unwrap();
        window.write(PAGE - 1, &[1, 2]);
    }

    #[test]
    fn threads_that_open_it_at_once_share_one_mapping() {
        let object = object();
        let window = Window::of(&object, WORDS, PAGE).unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (window, object) = (&window, &object);
                scope.spawn(move || {
                    window.open(object).unwrap();
                    window.store(8 * number, number as u64 + 1);
                });
            }
        });
        assert_eq!([0, 1, 2, 3].map(|number| window.load(8 * number)), [1, 2, 3, 4]);
    }
}
