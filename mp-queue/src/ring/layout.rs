//! What lies in front of the segments.
//!
//! # Safety
//! The one invariant: [`Layout`] is made of words and locks alone, side by side.
#![allow(unsafe_code)]

use mp_core::mem::Structure;
use mp_core::sys::robust::RobustWord;
use mp_core::word::Owned;
use mp_sync::raw::RawLock;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;

/// The most segments that a queue can have: 256 KiB, 512 KiB … up to 1 GiB together with segment 11.
pub(crate) const SEGMENTS: usize = 16;

/// On cache lines of its own (two, since lines are fetched in pairs), so that one side's stores do not slow the
/// other's loads.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct Apart<T>(T);

impl<T> Deref for Apart<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// All that both sides share. All zeros is an empty ring.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Layout<O: Owned, L> {
    pub(super) putter: Apart<Putter<O, L>>,
    pub(super) getter: Apart<Getter<O>>,
    pub(super) published: Apart<Bell<O::Word>>,
    pub(super) freed: Apart<Bell<O::Word>>,
    pub(super) shut: Apart<O::Word>,
    pub(crate) limits: Apart<Limits<O::Word>>,
    pub(super) segments: [Segment<O::Word, L>; SEGMENTS],
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Putter<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    pub(super) tickets: L,
    pub(super) segment: O::Word,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Getter<O: Owned> {
    pub(super) lock: RawLock<O>,
    pub(super) segment: O::Word,
}

/// A word that changes with every step of one side, and a flag for those of the other side who sleep on it.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Bell<W> {
    pub(super) changes: W,
    pub(super) asleep: W,
}

/// Written once, before the queue is shared.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Limits<W> {
    /// The most items; 0: no limit.
    pub(crate) items: W,
    /// How many segments there may be.
    pub(crate) segments: W,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Segment<W, L> {
    pub(super) tail: Apart<L>,
    pub(super) head: Apart<L>,
    pub(super) next: Apart<W>,
}

// SAFETY: words, locks of words, and atomic integers; all zeros is an empty ring.
unsafe impl Structure for Layout<RobustWord, AtomicU64> {}
