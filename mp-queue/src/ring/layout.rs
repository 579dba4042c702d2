//! What lies in front of the segments.
//!
//! # Safety
//! The one invariant: [`Layout`] is made of words and locks alone, side by side.
#![allow(unsafe_code)]

use super::cursor::Cursor;
use mp_core::mem::Structure;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::robust::RobustWord;
use mp_core::word::{Long, Ordering, Owned, Word};
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
    pub(super) getter: Apart<Getter<O, L>>,
    pub(super) published: Apart<Bell<O::Word>>,
    pub(super) freed: Apart<Bell<O::Word>>,
    pub(super) shut: Apart<O::Word>,
    pub(crate) limits: Apart<Limits<O::Word>>,
    pub(super) polls: Apart<Polls<O::Word>>,
    pub(super) tasks: Apart<Tasks<O::Word, L>>,
    pub(super) packets: Apart<Packets<L>>,
    pub(super) leaders: Apart<Leaders<O>>,
    pub(super) segments: [Segment<O::Word, L>; SEGMENTS],
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Putter<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    /// The getters' cursor, as it was: the items taken at all, and where in this segment the room ends.
    pub(super) glance: Glance<O::Word, L>,
    /// Apart from the lock: getters that wait look at it all the time.
    pub(super) segment: Apart<O::Word>,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Getter<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    /// The putters' cursor, as it was.
    pub(super) glance: Glance<O::Word, L>,
    /// As the putters'.
    pub(super) segment: Apart<O::Word>,
}

/// The other side's cursor as it was when one's own side last looked: spares most calls a look at the other side's
/// cache lines. Written under one's own side's lock. It is never ahead of the truth, so it errs on the safe side.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Glance<W, L> {
    /// 1 + the segment that `cursor` is about; 0: about none.
    about: W,
    cursor: L,
}

impl<W: Word, L: Long> Glance<W, L> {
    /// What was seen, if it was in this segment.
    #[inline]
    pub(super) fn seen(&self, segment: usize) -> Option<Cursor> {
        // ORDERING: Relaxed, here and below: the lock orders it; others take it as a hint.
        let about = self.about.load(Ordering::Relaxed);
        (about == segment as u32 + 1).then(|| Cursor::of(self.cursor.load(Ordering::Relaxed)))
    }

    /// Whoever dies between the two stores leaves a glance about nothing, or an older one of the same segment.
    pub(super) fn note(&self, segment: usize, cursor: Cursor) {
        // ORDERING: as above.
        self.cursor.store(cursor.packed(), Ordering::Relaxed);
        // ORDERING: Release: after the cursor, also for whoever takes the lock from a dead holder.
        self.about.store(segment as u32 + 1, Ordering::Release);
    }

    /// Before the segment is left: it may be used again later, from its beginning.
    pub(super) fn forget(&self) {
        // ORDERING: as above.
        self.about.store(0, Ordering::Relaxed);
    }
}

/// A word to sleep on, and a flag for that somebody may.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Bell<W> {
    pub(super) changes: W,
    pub(super) asleep: W,
}

/// For those who wait for this queue and other things together: see `polls.rs`.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Polls<W> {
    pub(super) polled: W,
    pub(super) signalled: W,
}

/// Records that were taken and are not done: see `tasks.rs`.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Tasks<W, L> {
    pub(super) joined: Bell<W>,
    pub(super) lost: W,
    pub(super) expect: W,
    pub(super) claim: L,
    pub(super) burial: L,
}

/// Packets beside the ring: see `packets.rs`. Nobody writes here in a queue without handles.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Packets<L> {
    pub(super) sent: L,
    pub(super) gone: L,
    pub(super) suspect: L,
}

/// Those who look for all who sleep at a bell: see `leaders.rs`.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Leaders<O: Owned> {
    pub(super) places: [RawLock<O>; 2],
    pub(super) followers: O::Word,
}

/// What one process has taken.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Slot<W, L> {
    pub(super) who: L,
    pub(super) got: W,
    pub(super) done: W,
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
// SAFETY: words and an atomic integer; all zeros is a slot that nobody has.
unsafe impl Structure for Slot<FutexWord, AtomicU64> {}
