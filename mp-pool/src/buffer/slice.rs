//! Span: elements in shared memory that this process reads, or fills, where they lie.
//!
//! # Safety
//! The one invariant: while a [`Span`] exists, its bytes stay mapped, and no process writes to them but through
//! [`as_mut_slice`](Span::as_mut_slice) of this very span. `home.rs` makes spans, of three kinds of memory, which keep
//! it:
//!
//! | memory                    | what may write                 | until                                  |
//! |---------------------------|--------------------------------|----------------------------------------|
//! | a block of the arena      | the buffer that was made there | it is frozen, or dropped               |
//! | the room of a task's slot | the task that took the part    | it is frozen; the caller reads it then |
//! | memory of its own         | the buffer that was made there | it is frozen: for good                 |
//!
//! A block is not used again before the caller's last buffer of it is dropped, every slot that had it as an argument is
//! settled, and the worker that had the slot keeps nothing of it ([`keeps`](crate::board::Board::keeps)), or is dead. A
//! fork, which would copy a span without all that, is refused while there is one of the first two kinds, or one that
//! may be written to (`MovingLoan`).
#![allow(unsafe_code)]

use mp_core::MemError;
use mp_core::mem::{Mapping, Shareable, SharedSlice};
use std::marker::PhantomData;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

/// So many elements of one type.
pub(super) struct Span<T> {
    memory: SharedSlice<AtomicU8>,
    len: usize,
    of: PhantomData<T>,
}

impl<T: Shareable> Span<T> {
    /// The elements that lie in so many bytes at `offset` of a mapping's payload.
    ///
    /// # Errors
    /// The payload ends before, no element begins there, or the bytes are no whole number of elements.
    pub(super) fn at(mapping: &Arc<Mapping>, offset: usize, bytes: usize) -> Result<Span<T>, MemError> {
        const { assert!(align_of::<T>() <= Mapping::ALIGNMENT, "aligned to more than shared memory is") }
        let memory = SharedSlice::<AtomicU8>::at(Arc::clone(mapping), offset, bytes)?;
        if !memory.as_ptr().cast::<T>().is_aligned() {
            return Err(MemError::NotOurs("a part of it is not aligned"));
        }
        match bytes.checked_div(size_of::<T>()) {
            Some(len) if len * size_of::<T>() == bytes => Ok(Span { memory, len, of: PhantomData }),
            _ => Err(MemError::NotOurs("its length is of no whole number of elements")),
        }
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: as many elements, mapped and aligned (checked in `at`); every bit pattern is a value; none of them
        // changes while this is borrowed (the invariant).
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.len) }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: as above; no other process, and no other span, reads or writes them (the invariant). The bytes are
        // atomic ones: they may be written through a pointer of a shared reference to them.
        unsafe { slice::from_raw_parts_mut(self.memory.as_ptr().cast_mut().cast(), self.len) }
    }
}
