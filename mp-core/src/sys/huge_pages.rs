//! Huge pages for long private memory: the kernel makes one where it would make 512, each by a fault of its own.
//!
//! # Safety
//! The one invariant: the advice is given for whole pages of memory that the caller has alone. It changes no byte.
#![allow(unsafe_code)]

use super::memory::PAGE;
use std::mem::MaybeUninit;

/// What is shorter has few faults: two huge pages of x86-64.
const LEAST: usize = 4 << 20;

/// Asks for huge pages where the whole of this memory is about to be written, if it is long. Where there are none, the
/// usual ones come.
pub fn want_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(memory);
    if bytes < LEAST {
        return;
    }
    let begin = memory.as_mut_ptr().cast::<u8>();
    let ahead = begin.align_offset(PAGE);
    let whole = bytes.saturating_sub(ahead) / PAGE * PAGE;
    // SAFETY: whole pages within the slice, of which nothing else knows: the advice leaves their bytes as they are.
    let _ = unsafe { libc::madvise(begin.wrapping_add(ahead).cast(), whole, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_stays_as_it_is_whatever_its_length() {
        for bytes in [0, 1, LEAST - 1, LEAST, LEAST + 12_345] {
            let mut all: Vec<u8> = Vec::with_capacity(bytes + 1);
            all.push(7);
            want_huge_pages(all.spare_capacity_mut());
            all.resize(bytes + 1, 9);
            assert_eq!((all[0], all[bytes]), if bytes == 0 { (7, 7) } else { (7, 9) });
        }
    }
}
