//! The fixed part of the ring's memory, in front of the segments.
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

/// A value on cache lines of its own (two, since lines are fetched in pairs), so that stores of one side do
/// not slow down loads of the other.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct CachePadded<T>(T);

impl<T> Deref for CachePadded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// The state that both sides share. All zeros is an empty ring.
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
    /// The consumers' cursor as last read: the items taken so far, and where in this segment the room ends.
    pub(super) cached: CachedCursor<O::Word, L>,
    /// Apart from the lock: consumers that spin read it all the time.
    pub(super) segment: CachePadded<O::Word>,
}

#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct ReadSide<O: Owned, L> {
    pub(super) lock: RawLock<O>,
    /// The producers' cursor as last read.
    pub(super) cached: CachedCursor<O::Word, L>,
    /// Apart from the lock: producers that spin read it all the time.
    pub(super) segment: CachePadded<O::Word>,
}

/// The other side's cursor as last read. It spares most calls the other side's cache lines. Written under the
/// lock of one's own side. It is never ahead of the real cursor, so it is wrong on the safe side only.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct CachedCursor<W, L> {
    /// 1 + the segment of `cursor`; 0: no segment.
    about: W,
    cursor: L,
}

impl<W: Word, L: Long> CachedCursor<W, L> {
    /// The cached cursor, if it is about this segment.
    #[inline]
    pub(super) fn seen(&self, segment: usize) -> Option<Cursor> {
        // ORDERING: Relaxed, here and below: the lock orders it; others take it as a hint.
        let about = self.about.load(Ordering::Relaxed);
        (about == segment as u32 + 1).then(|| Cursor::of(self.cursor.load(Ordering::Relaxed)))
    }

    /// Caches a cursor. A death between the two stores leaves no cached cursor, or an older one of the same
    /// segment.
    pub(super) fn set(&self, segment: usize, cursor: Cursor) {
        // ORDERING: as above.
        self.cursor.store(cursor.packed(), Ordering::Relaxed);
        // ORDERING: Release: after the cursor, also for the next holder after a death.
        self.about.store(segment as u32 + 1, Ordering::Release);
    }

    /// Forgets the cached cursor before the segment is left: the segment may be used again from its
    /// beginning.
    pub(super) fn clear(&self) {
        // ORDERING: as above.
        self.about.store(0, Ordering::Relaxed);
    }
}

/// An event count: a word to sleep on, and a flag that says that a process may sleep.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct EventCount<W> {
    pub(super) changes: W,
    pub(super) asleep: W,
}

/// State of the processes that wait for this queue together with other objects: see `polls.rs`.
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
    pub(super) reaping: L,
}

/// Packets beside the ring: see `packets.rs`. Never written in a queue without handles.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Packets<L> {
    pub(super) sent: L,
    pub(super) gone: L,
    pub(super) suspect: L,
}

/// The leases of the consumers that wake by themselves for all: see `leaders.rs`.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Leaders<O: Owned> {
    pub(super) leases: [RawLock<O>; 2],
    pub(super) followers: O::Word,
}

/// The tasks of one process.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct TaskSlot<W, L> {
    pub(super) process: L,
    pub(super) got: W,
    pub(super) done: W,
}

/// Limits of the queue. Written once, before the queue is shared.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Limits<W> {
    /// The most items; 0: no limit.
    pub(crate) items: W,
    /// The number of segments that the queue may have.
    pub(crate) segments: W,
    /// 1: the last of them is the whole one.
    pub(crate) whole: W,
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
// SAFETY: words and an atomic integer; all zeros is a free slot.
unsafe impl Structure for TaskSlot<FutexWord, AtomicU64> {}
