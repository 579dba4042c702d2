//! The read side: the steps of the holder of the get lock.
//!
//! ```text
//!  is_empty? ─► lock ─► position ────────► record ─► copy ─► (packet) ─► commit ─► unlock ─► wake a producer
//!               (leaves drained segments)  checked                       head = next
//! ```
//!
//! | part      | meaning                                                                |
//! |-----------|------------------------------------------------------------------------|
//! | `lock`    | the get lock: its holder is the only reader                            |
//! | `cached`  | the producers' cursor as last read: most calls read no further         |
//! | `segment` | the segment that consumers read                                        |
//!
//! # Orderings
//! `segment` is stored with Release when a drained segment is left, and pairs with the Acquire of processes
//! that read it without the lock: they see that segment's cursors. Those of the cursors: chain.rs.
//!
//! # When a process dies
//! - *While it takes*: before the commit the record is still in the ring. After it the record belongs to the
//!   consumer, and is lost with it.
//! - *While it leaves a drained segment*: the pages are released before the segment is left, so no producer can
//!   use it yet. The next consumer leaves it again.
//!
//! # Tested by
//! ring/model (records.rs, batches.rs, growth.rs), ring/crowd.rs, ring/tests.rs, tests/corrupt.rs

use super::cache_padded::CachePadded;
use super::chain::{Chain, SEGMENTS};
use super::cursor::{CachedCursor, Cursor};
use super::outcome::{Corrupt, NotTaken};
use super::packets::{PacketSocket, Packets};
use super::record::Head;
use super::storage::{Storage, WordOf};
use mp_core::word::{Deadline, Long, Ordering, Owned, Word};
use mp_sync::raw::{Acquired, Locked, RawLock};

/// See the module.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct ReadSide<O: Owned, L> {
    lock: RawLock<O>,
    cached: CachedCursor<O::Word, L>,
    /// Apart from the lock: producers that spin read it all the time.
    segment: CachePadded<O::Word>,
}

impl<O: Owned, L: Long> ReadSide<O, L> {
    /// Acquires the get lock. The next take repairs what a dead holder left.
    #[inline]
    pub(super) fn acquire(&self, until: Option<Deadline>) -> Option<Locked<'_, O>> {
        self.lock.acquire(until).map(|acquired| self.locked(acquired))
    }

    pub(super) fn try_acquire(&self) -> Option<Locked<'_, O>> {
        self.lock.try_acquire().map(|acquired| self.locked(acquired))
    }

    #[inline]
    fn locked(&self, acquired: Acquired) -> Locked<'_, O> {
        let locked = Locked::new(&self.lock);
        if acquired == Acquired::OwnerDied {
            locked.clear_died();
        }
        locked
    }

    /// The segment that consumers read; unchecked.
    #[inline]
    pub(super) fn segment(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `position`: the segment's cursors are seen.
        self.segment.load(Ordering::Acquire) as usize
    }

    /// The consumers' cursor, possibly a little old.
    pub(super) fn taken(&self, chain: Chain<'_, O::Word, L>) -> Cursor {
        chain.head(self.segment().min(SEGMENTS - 1))
    }

    /// The segment that consumers read, of `within`, and its head. It may be a little old, which looks like
    /// more items.
    pub(super) fn cursor(
        &self,
        chain: Chain<'_, O::Word, L>,
        within: usize,
    ) -> Result<(usize, Cursor), Corrupt> {
        let at = self.segment();
        if at < within { Ok((at, chain.head(at))) } else { Err(Corrupt) }
    }

    /// Whether the ring was empty a moment ago. Spares a consumer of an empty queue the lock.
    #[inline]
    pub(super) fn is_empty(&self, chain: Chain<'_, O::Word, L>, within: usize) -> bool {
        let at = self.segment();
        if at >= within {
            // A take returns `Corrupt`. A consumer must not sleep instead.
            return false;
        }
        // With Acquire: the tail below is no older than the one that the consumer of the record before saw. A
        // consumer that is about to sleep must not miss a record because another consumer took the one before
        // it.
        let head = chain.head(at);
        if self.cached.seen(at).is_some_and(|tail| tail.position != head.position) {
            return false;
        }
        chain.ends_at(at, head)
    }
}

/// The position of the first record that was not taken.
#[derive(Clone, Copy)]
pub(super) struct ReadPosition {
    pub(super) segment: usize,
    pub(super) head: Cursor,
    /// The end of the published records, as far as it was read.
    tail: Cursor,
}

impl ReadPosition {
    /// Whether the segment has a record there, as far as its end was read.
    pub(super) fn has_record(&self) -> bool {
        self.head.position != self.tail.position
    }
}

/// What a reader works on.
pub(super) trait ReadParts: Storage + PacketSocket {
    fn read_side(&self) -> &ReadSide<Self::Owned, Self::Long>;
    fn chain(&self) -> Chain<'_, WordOf<Self>, Self::Long>;
    fn packets(&self) -> &Packets<Self::Long>;
}

/// The read side in the hands of the holder of the get lock.
pub(super) struct Reader<'a, P> {
    parts: &'a P,
}

// One pointer: passed by value, so that it stays in a register.
impl<P> Clone for Reader<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Reader<'_, P> {}

impl<'a, P: ReadParts> Reader<'a, P> {
    /// For the holder of the side's lock.
    #[inline]
    pub(super) fn of(parts: &'a P) -> Self {
        Reader { parts }
    }

    /// The position of the first record that was not taken. Leaves drained segments.
    #[inline]
    pub(super) fn position(self) -> Result<ReadPosition, NotTaken> {
        let position = match self.known() {
            Some(position) => position,
            None => self.search()?,
        };
        self.parts.open(position.segment).map_err(NotTaken::Unmapped)?;
        Ok(position)
    }

    /// The position of the first record, if the cached cursor says that there is one.
    #[inline]
    fn known(self) -> Option<ReadPosition> {
        let side = self.parts.read_side();
        // ORDERING: Relaxed: under the get lock.
        let segment = side.segment.load(Ordering::Relaxed) as usize;
        if segment >= self.parts.segments() {
            return None;
        }
        let head = self.parts.chain().own_head(segment);
        let tail = side.cached.seen(segment)?;
        (tail.position != head.position).then_some(ReadPosition { segment, head, tail })
    }

    /// Reads the producers' cursor: finds the first segment that has a record. Leaves drained segments.
    // Always inlined: a consumer that keeps up with its producer searches at each take, and a call would pass the
    // position through memory.
    #[inline(always)]
    fn search(self) -> Result<ReadPosition, NotTaken> {
        let (side, chain, segments) = (self.parts.read_side(), self.parts.chain(), self.parts.segments());
        // ORDERING: Relaxed: under the get lock.
        let mut at = side.segment.load(Ordering::Relaxed) as usize;
        for _ in 0..=SEGMENTS {
            if at >= segments {
                return Err(NotTaken::Corrupt);
            }
            let head = chain.own_head(at);
            self.parts.packets().discard_passed(self.parts, head);
            // The link is read before the tail, so all records that were put before the link was set are
            // seen.
            let next = chain.next(at, segments)?;
            let tail = chain.tail(at);
            if head.position != tail.position {
                side.cached.set(at, tail);
                return Ok(ReadPosition { segment: at, head, tail });
            }
            let Some(next) = next else { return Err(NotTaken::Empty) };
            // The segment may be used again from its beginning, and the cached cursor would promise records.
            side.cached.clear();
            // Before the segment is left: after that a producer may use it, and this would erase its records.
            if at > P::WARM {
                self.parts.release(at);
            }
            // ORDERING: Release, pairs with the Acquire in `segment`.
            side.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        Err(NotTaken::Corrupt)
    }

    /// The position with all records of its segment that are published now, if it has fewer than `most`.
    pub(super) fn with_more(self, most: usize, mut position: ReadPosition) -> ReadPosition {
        let ReadPosition { segment, head, tail } = position;
        if (tail.items.wrapping_sub(head.items) as usize) < most {
            position.tail = self.parts.chain().tail(segment);
            self.parts.read_side().cached.set(segment, position.tail);
        }
        position
    }

    /// The checked head of the record at a position.
    #[inline]
    pub(super) fn record(self, position: ReadPosition) -> Result<Head, Corrupt> {
        Head::read(self.parts, position.segment, position.head, position.tail)
    }

    /// Copies a record out, to the end of `into`. Returns the position behind it.
    #[inline]
    pub(super) fn copy(self, record: Head, position: ReadPosition, into: &mut Vec<u8>) -> ReadPosition {
        record.read_bytes(self.parts, position.segment, position.head.position, into);
        let circle = self.parts.circle(position.segment);
        ReadPosition { head: position.head.advanced(circle, record.units), ..position }
    }

    /// The commit: takes the records of a segment up to `next`. A death before it leaves them in the ring, a
    /// death after it loses them.
    #[inline]
    pub(super) fn commit(self, segment: usize, next: Cursor) {
        self.parts.chain().commit(segment, next);
    }
}
