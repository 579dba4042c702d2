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
pub(crate) struct CachePadded<T>(T);

impl<T> Deref for CachePadded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// All that both sides share. All zeros is an empty ring.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Layout<O: Owned, L> {
    pub(super) write_side: CachePadded<WriteSide<O, L>>,
    pub(super) read_side: CachePadded<ReadSide<O, L>>,
    pub(super) published: CachePadded<EventCount<O::Word>>,
    pub(super) freed: CachePadded<EventCount<O::Word>>,
    pub(super) shut: CachePadded<O::Word>,
    pub(crate) limits: CachePadded<Limits<O::Word>>,
    pub(super) polls: CachePadded<Polls<O::Word>>,
    pub(super) tasks: CachePadded<Tasks<O::Word, L>>,
    pub(super) packets: CachePadded<Packets<L>>,
    pub(super) leaders: CachePadded<Leaders<O>>,
    pub(super) segments: [Segment<O::Word, L>; SEGMENTS],
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct WriteSide<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    /// The consumers' cursor, as it was: the items taken at all, and where in this segment the room ends.
    pub(super) cached: CachedCursor<O::Word, L>,
    /// CachePadded from the lock: consumers that wait look at it all the time.
    pub(super) segment: CachePadded<O::Word>,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct ReadSide<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    /// The producers' cursor, as it was.
    pub(super) cached: CachedCursor<O::Word, L>,
    /// As the producers'.
    pub(super) segment: CachePadded<O::Word>,
}

/// The other side's cursor as it was when one's own side last looked: spares most calls a look at the other side's
/// cache lines. Written under one's own side's lock. It is never ahead of the truth, so it errs on the safe side.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct CachedCursor<W, L> {
    /// 1 + the segment that `cursor` is about; 0: about none.
    about: W,
    cursor: L,
}

impl<W: Word, L: Long> CachedCursor<W, L> {
    /// What was seen, if it was in this segment.
    #[inline]
    pub(super) fn seen(&self, segment: usize) -> Option<Cursor> {
        // ORDERING: Relaxed, here and below: the lock orders it; others take it as a hint.
        let about = self.about.load(Ordering::Relaxed);
        (about == segment as u32 + 1).then(|| Cursor::of(self.cursor.load(Ordering::Relaxed)))
    }

    /// Whoever dies between the two stores leaves a cached about nothing, or an older one of the same segment.
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
pub(super) struct EventCount<W> {
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
    pub(super) joined: EventCount<W>,
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

/// Those who look for all who sleep at a event_count: see `leaders.rs`.
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
    pub(super) tail: CachePadded<L>,
    pub(super) head: CachePadded<L>,
    pub(super) next: CachePadded<W>,
}

// SAFETY: words, locks of words, and atomic integers; all zeros is an empty ring.
unsafe impl Structure for Layout<RobustWord, AtomicU64> {}
// SAFETY: words and an atomic integer; all zeros is a slot that nobody has.
unsafe impl Structure for Slot<FutexWord, AtomicU64> {}
