//! A word that each forked copy of a process finds at zero, whatever call has made the copy: a page that the kernel
//! empties (`MADV_WIPEONFORK`).
//!
//! A copy that shares its parent's memory, as `vfork` makes one, sees what the parent sees.
//!
//! Some emulators of the kernel (older qemu-user) accept every advice and do nothing. They also accept one that does
//! not exist, so that is tried first. There the word is not used.
//!
//! # Safety
//! The one invariant: the page is mapped for as long as the process lives.
#![allow(unsafe_code)]

use super::memory::PAGE;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use std::num::NonZeroUsize;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Null: no page was asked for yet. [`NONE`]: there is none to be had.
static WORD: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
static NONE: AtomicU64 = AtomicU64::new(0);
/// The number of no advice.
const NO_ADVICE: libc::c_int = -1;

/// The word. `None`: the kernel has no such pages.
#[inline]
pub(super) fn word() -> Option<&'static AtomicU64> {
    // ORDERING: Relaxed: the page is the kernel's, and begins with zeros.
    let known = WORD.load(Ordering::Relaxed);
    let word = if known.is_null() { map() } else { known };
    if ptr::eq(word, &NONE) {
        return None;
    }
    // SAFETY: the start of a page that is mapped for good, and is reached as an atomic only.
    Some(unsafe { &*word })
}

#[cold]
fn map() -> *mut AtomicU64 {
    let word = page().unwrap_or(ptr::from_ref(&NONE).cast_mut());
    // ORDERING: Relaxed: as above.
    match WORD.compare_exchange(ptr::null_mut(), word, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => word,
        // A page that another thread was quicker with is one too many, once in a process.
        Err(first) => first,
    }
}

fn page() -> Option<*mut AtomicU64> {
    let length = NonZeroUsize::new(PAGE)?;
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh range, chosen by the kernel: no other memory is touched.
    let page = unsafe { mmap_anonymous(None, length, protection, MapFlags::MAP_PRIVATE) }.ok()?;
    // SAFETY: advice for this range, which holds nothing yet.
    let accepts_any = unsafe { libc::madvise(page.as_ptr(), PAGE, NO_ADVICE) } == 0;
    // SAFETY: as above.
    if !accepts_any && unsafe { madvise(page, PAGE, MmapAdvise::MADV_WIPEONFORK) }.is_ok() {
        return Some(page.as_ptr().cast());
    }
    // SAFETY: the range above, which nothing else knows.
    let _ = unsafe { munmap(page, PAGE) };
    None
}
