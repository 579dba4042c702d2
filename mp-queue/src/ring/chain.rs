//! Chain: the cursors of the segments, and the links from each to the next.
//!
//! ```text
//!  segment 0 [ ……… records ……… ] ──next──► segment 4 [ …… ] ──next──► …
//!            head ▲        ▲ tail             larger, linked when 0 was full
//! ```
//!
//! | part   | written by             | meaning                                              |
//! |--------|------------------------|------------------------------------------------------|
//! | `tail` | holder of the put lock | items and bytes published so far in this segment     |
//! | `head` | holder of the get lock | items and bytes taken so far                         |
//! | `next` | holder of the put lock | 0, or 1 + the segment that follows this one          |
//!
//! # Orderings
//! The store of `tail` (Release) pairs with its load (Acquire) in `tail`: a consumer that sees the count sees
//! the bytes. The store of `head` (Release) pairs with its load (Acquire) in `head`: a producer that sees the
//! room may write there. The store of `next` (Release) pairs with its load (Acquire) in `next`: a consumer
//! that sees the link sees the last record in front of it.
//!
//! # When a process dies
//! Each change is one store. A segment that was begun and not linked is not in use.
//!
//! # Tested by
//! ring/model/records.rs, ring/model/growth.rs

use super::cache_padded::CachePadded;
use super::cursor::Cursor;
use super::outcome::Corrupt;
use mp_core::word::{Long, Ordering, Word};

/// The most segments that a queue can have: 256 KiB, 512 KiB … up to 1 GiB together with segment 11.
pub(crate) const SEGMENTS: usize = 16;

/// The cursors and the link of one segment.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Segment<W, L> {
    tail: CachePadded<L>,
    head: CachePadded<L>,
    next: CachePadded<W>,
}

/// See the module. The number of a segment is below [`SEGMENTS`], or a method panics.
#[derive(Debug)]
pub(super) struct Chain<'a, W, L> {
    segments: &'a [Segment<W, L>; SEGMENTS],
}

impl<W, L> Clone for Chain<'_, W, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W, L> Copy for Chain<'_, W, L> {}

impl<'a, W: Word, L: Long> Chain<'a, W, L> {
    #[inline]
    pub(super) fn of(segments: &'a [Segment<W, L>; SEGMENTS]) -> Self {
        Chain { segments }
    }

    /// The end of the published records.
    #[inline]
    pub(super) fn tail(self, at: usize) -> Cursor {
        // ORDERING: Acquire, pairs with the Release in `publish`: the bytes of these records are seen.
        Cursor::of(self.segments[at].tail.load(Ordering::Acquire))
    }

    /// The first record that was not taken.
    #[inline]
    pub(super) fn head(self, at: usize) -> Cursor {
        // ORDERING: Acquire, pairs with the Release in `commit`: the room was read from before it is written
        // to.
        Cursor::of(self.segments[at].head.load(Ordering::Acquire))
    }

    /// As [`tail`](Chain::tail), for the holder of the put lock.
    #[inline]
    pub(super) fn own_tail(self, at: usize) -> Cursor {
        // ORDERING: Relaxed: the lock orders it.
        Cursor::of(self.segments[at].tail.load(Ordering::Relaxed))
    }

    /// As [`head`](Chain::head), for the holder of the get lock.
    #[inline]
    pub(super) fn own_head(self, at: usize) -> Cursor {
        // ORDERING: Relaxed: the lock orders it.
        Cursor::of(self.segments[at].head.load(Ordering::Relaxed))
    }

    /// A value that changes with each put into this segment, for waiters that spin.
    #[inline]
    pub(super) fn progress(self, at: usize) -> u64 {
        // ORDERING: Relaxed: a waiter that sees a change tries again, with ordered loads.
        self.segments[at].tail.load(Ordering::Relaxed)
    }

    /// Under the put lock, the commit of a put: makes all records before the cursor visible.
    #[inline]
    pub(super) fn publish(self, at: usize, tail: Cursor) {
        // ORDERING: Release, pairs with the Acquire in `tail`: a consumer that sees the tail sees the bytes.
        self.segments[at].tail.store(tail.packed(), Ordering::Release);
    }

    /// Under the get lock, the commit of a take: the records before the cursor belong to the caller, and their
    /// room is free.
    #[inline]
    pub(super) fn commit(self, at: usize, head: Cursor) {
        // ORDERING: Release, pairs with the Acquire in `head`.
        self.segments[at].head.store(head.packed(), Ordering::Release);
    }

    /// Under the put lock: makes a segment that is not in use empty, as of this cursor, and the last one.
    pub(super) fn begin(self, at: usize, cursor: Cursor) {
        let segment = &self.segments[at];
        // ORDERING: Relaxed, all three: no process reads this segment before the link to it is set.
        segment.head.store(cursor.packed(), Ordering::Relaxed);
        segment.tail.store(cursor.packed(), Ordering::Relaxed);
        segment.next.store(0, Ordering::Relaxed);
    }

    /// Under the put lock: makes segment `to` the successor of `at`.
    pub(super) fn link(self, at: usize, to: usize) {
        // ORDERING: Release, pairs with the Acquire in `next`.
        self.segments[at].next.store(to as u32 + 1, Ordering::Release);
    }

    /// The segment that follows `at`, if there is one, of a queue that has `within` segments.
    #[inline]
    pub(super) fn next(self, at: usize, within: usize) -> Result<Option<usize>, Corrupt> {
        // ORDERING: Acquire, pairs with the Release in `link`.
        match self.segments[at].next.load(Ordering::Acquire) as usize {
            0 => Ok(None),
            next if next <= within => Ok(Some(next - 1)),
            _ => Err(Corrupt),
        }
    }

    /// Whether a segment has no successor and no records behind `head`.
    #[inline]
    pub(super) fn ends_at(self, at: usize, head: Cursor) -> bool {
        // ORDERING: Acquire: the link before the tail, so that what was put before the link was set is seen.
        let is_last = self.segments[at].next.load(Ordering::Acquire) == 0;
        let tail = self.tail(at);
        is_last && tail.position == head.position
    }

    /// Under the put lock: the segments from `first` to the last one.
    pub(super) fn in_use(self, first: usize, within: usize) -> Result<[bool; SEGMENTS], Corrupt> {
        let mut in_use = [false; SEGMENTS];
        let mut at = first;
        // A circle of links ends as well.
        while !in_use[at] {
            in_use[at] = true;
            match self.next(at, within)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(in_use)
    }
}
