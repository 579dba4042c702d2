//! The write side: the steps of the holder of the put lock.
//!
//! ```text
//!  lock ─► position ────► reserve ─────────► write ─► publish ─► unlock ─► wake a consumer (event_count.rs)
//!          (completes a       │ no room         │         tail = next: the commit
//!           dead producer's   ▼                 │
//!           switch)        reserve_slow ─► spin, grow: switch_segment
//! ```
//!
//! | part      | meaning                                                                                    |
//! |-----------|--------------------------------------------------------------------------------------------|
//! | `lock`    | the put lock: its holder is the only writer                                                |
//! | `cached`  | the consumers' cursor as last read: the items taken, and where in this segment the room ends |
//! | `segment` | the segment that is written to; to others a hint                                           |
//!
//! # Orderings
//! `segment` is stored with Release after a switch, and pairs with the Acquire of processes that read it
//! without the lock: they see that segment's cursors. Those of the cursors: chain.rs.
//!
//! # When a process dies
//! - *Before its commit*: nothing is in the ring; the next producer writes over it.
//! - *While it switches segments*: the next producer completes a switch that was linked, and releases memory
//!   that was reserved and not linked.
//!
//! # Tested by
//! ring/model (records.rs, batches.rs, growth.rs), ring/crowd.rs, ring/tests.rs, tests/memory.rs

use super::cache_padded::CachePadded;
use super::chain::{Chain, SEGMENTS};
use super::circle::UNIT;
use super::cursor::{CachedCursor, Cursor};
use super::event_count::EventCount;
use super::outcome::{Corrupt, Refused};
use super::read_side::ReadSide;
use super::record::{self, units};
use super::storage::{Storage, WordOf};
use mp_core::sys::memory::PAGE;
use mp_core::word::{Deadline, Long, Machine, Ordering, Owned, Word};
use mp_sync::raw::{Acquired, Locked, RawLock};

/// See the module.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct WriteSide<O: Owned, L> {
    lock: RawLock<O>,
    cached: CachedCursor<O::Word, L>,
    /// Apart from the lock: consumers that spin read it all the time.
    segment: CachePadded<O::Word>,
}

impl<O: Owned, L: Long> WriteSide<O, L> {
    /// Acquires the put lock. After [`OwnerDied`](Acquired::OwnerDied) the caller repairs what the holder left,
    /// and calls [`clear_died`](Locked::clear_died).
    #[inline]
    pub(super) fn acquire(&self, until: Option<Deadline>) -> Option<(Locked<'_, O>, Acquired)> {
        self.lock.acquire(until).map(|acquired| (Locked::new(&self.lock), acquired))
    }

    pub(super) fn try_acquire(&self) -> Option<(Locked<'_, O>, Acquired)> {
        self.lock.try_acquire().map(|acquired| (Locked::new(&self.lock), acquired))
    }

    /// The segment that is written to, possibly a little old.
    #[inline]
    pub(super) fn segment(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `switch_segment`: the segment's cursors are seen.
        (self.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1)
    }

    /// The producers' cursor, possibly a little old.
    pub(super) fn published(&self, chain: Chain<'_, O::Word, L>) -> Cursor {
        // The load with Acquire: what the caller reads next is no older.
        chain.tail(self.segment())
    }

    /// A value that changes with each put, for waiters that spin.
    #[inline]
    pub(super) fn progress(&self, chain: Chain<'_, O::Word, L>) -> u64 {
        chain.progress(self.segment())
    }
}

/// Whether the queue was shut down. Set under the put lock.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Shut<W>(W);

impl<W: Word> Shut<W> {
    pub(super) fn set(&self) {
        // ORDERING: Release, pairs with the Acquire in `is_set`: a process that sees the flag sees all records
        // that were ever put.
        self.0.store(1, Ordering::Release);
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `set`.
        self.0.load(Ordering::Acquire) != 0
    }
}

/// Where the next record goes. Records before it may be written and not published yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct WritePosition {
    segment: usize,
    pub(super) tail: Cursor,
}

/// Space for one record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserved {
    pub(super) position: WritePosition,
    units: u32,
}

/// What a writer works on.
pub(super) trait WriteParts: Storage {
    fn write_side(&self) -> &WriteSide<Self::Owned, Self::Long>;
    /// The other side, which says where the consumers are.
    fn consumers(&self) -> &ReadSide<Self::Owned, Self::Long>;
    fn chain(&self) -> Chain<'_, WordOf<Self>, Self::Long>;
    /// What consumers change when they have freed room.
    fn freed(&self) -> &EventCount<WordOf<Self>>;
    /// The most items; 0: no limit.
    fn most_items(&self) -> u32;
}

/// The write side in the hands of the holder of the put lock.
pub(super) struct Writer<'a, P> {
    parts: &'a P,
}

// One pointer: passed by value, so that it stays in a register.
impl<P> Clone for Writer<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Writer<'_, P> {}

impl<'a, P: WriteParts> Writer<'a, P> {
    /// For the holder of the side's lock.
    #[inline]
    pub(super) fn of(parts: &'a P) -> Self {
        Writer { parts }
    }

    /// Where the next record goes. Completes a segment switch that a dead producer began.
    #[inline]
    pub(super) fn position(self) -> Result<WritePosition, Refused> {
        let (side, chain, segments) = (self.parts.write_side(), self.parts.chain(), self.parts.segments());
        // ORDERING: Relaxed: under the put lock.
        let mut at = side.segment.load(Ordering::Relaxed) as usize;
        if at >= segments {
            return Err(Refused::Corrupt);
        }
        if let Some(next) = chain.next(at, segments)? {
            // The link is set, and its producer died before this store. ORDERING: as in `switch_segment`.
            side.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        self.parts.open(at).map_err(Refused::Unmapped)?;
        Ok(WritePosition { segment: at, tail: chain.own_tail(at) })
    }

    /// Reserves space for a record of `len` bytes, with a packet or without. The space belongs to no other
    /// process before the lock is released.
    // Always inlined, as `write` is: a call would pass the positions through memory, in halves that are read as one.
    #[inline(always)]
    pub(super) fn reserve(
        self,
        len: usize,
        packet: bool,
        position: WritePosition,
    ) -> Result<Reserved, Refused> {
        let largest = self.parts.segments() - 1;
        let units = units(len, packet).filter(|units| *units <= self.parts.circle(largest).units());
        let units = units.ok_or(Refused::TooLarge)?;
        // A large segment is left when it is drained, so here the consumers' cursor is read each time.
        if position.segment <= P::WARM
            && let Some(seen) = self.parts.write_side().cached.seen(position.segment)
            && self.below_item_limit(position, seen)
            && self.has_room(position, seen, units)
        {
            return Ok(Reserved { position, units });
        }
        self.reserve_slow(position, units).map(|position| Reserved { position, units })
    }

    /// Writes a record into the space reserved for it. Returns the position behind it. `packet`: 0, or the
    /// number of its packet.
    #[inline(always)]
    pub(super) fn write(self, space: Reserved, packet: u64, bytes: &[u8]) -> WritePosition {
        let Reserved { position: WritePosition { segment, tail }, units } = space;
        record::write(self.parts, segment, tail.position, packet, bytes);
        WritePosition { segment, tail: tail.advanced(self.parts.circle(segment), units) }
    }

    /// The commit: makes all records before the position visible. A death before it leaves none of them, a
    /// death after it all.
    #[inline]
    pub(super) fn publish(self, position: WritePosition) {
        self.parts.chain().publish(position.segment, position.tail);
    }

    /// Whether the limit of items allows one more, by the consumers' cursor `got`.
    #[inline]
    fn below_item_limit(self, position: WritePosition, got: Cursor) -> bool {
        let most = self.parts.most_items();
        most == 0 || position.tail.items.wrapping_sub(got.items) < most
    }

    /// Reads the consumers' cursor, and makes room if there is none.
    #[cold]
    fn reserve_slow(self, position: WritePosition, units: u32) -> Result<WritePosition, Refused> {
        let (got_at, got) = self.parts.consumers().cursor(self.parts.chain(), self.parts.segments())?;
        if !self.below_item_limit(position, got) {
            return Err(Refused::Full);
        }
        // A drained large segment is left for a small one, whose pages are in the caches. Its own pages go
        // back when the consumers leave it.
        let drained = got_at == position.segment && got.position == position.tail.position;
        if position.segment > P::WARM
            && drained
            && units <= self.parts.circle(P::WARM).units()
            && let Some(small) = self.switch_segment(position, P::WARM)
        {
            return Ok(small);
        }
        // Room that consumers are about to free is cheaper than new pages, so spin for it first.
        let mut head = self.head_of(position)?;
        if !self.has_room(position, head, units) && !self.is_cramped(position.segment, units) {
            head = self.spin_for_room(position, units, head)?;
        }
        let seen = Cursor { items: got.items, position: head.position };
        self.parts.write_side().cached.set(position.segment, seen);
        if self.has_room(position, head, units) {
            Ok(position)
        } else {
            self.grow(position, units, got, drained)
        }
    }

    /// Spins until consumers that are at work have freed a good part of the segment, whose memory is in the
    /// caches. A consumer takes longer with a long record: the budget is what new memory for one would cost.
    /// Nothing sleeps here, and the spin is bounded.
    fn spin_for_room(self, position: WritePosition, units: u32, mut head: Cursor) -> Result<Cursor, Corrupt> {
        let enough = units.max(self.parts.circle(position.segment).units() / 4);
        let new_memory = PRICE_OF_A_PAGE.saturating_mul(units / UNITS_IN_A_PAGE);
        let budget = <WordOf<P>>::sleep_cost().min(MOMENT).max(new_memory);
        let mut waiting = self.parts.freed().spinning(budget);
        for _ in 0..ATTEMPTS {
            if self.has_room(position, head, enough) || !waiting.pause() {
                break;
            }
            let now = self.head_of(position)?;
            if now != head {
                head = now;
                waiting.again();
            }
        }
        Ok(head)
    }

    /// The consumers' position in the segment that is written to.
    fn head_of(self, position: WritePosition) -> Result<Cursor, Corrupt> {
        let head = self.parts.chain().head(position.segment);
        let circle = self.parts.circle(position.segment);
        let used = circle.between(head.position, position.tail.position);
        if used > circle.units() { Err(Corrupt) } else { Ok(head) }
    }

    /// Continues in a larger segment that is not in use. The whole segment is as large as the ceiling, so all others
    /// must be drained before it is used.
    fn grow(
        self,
        position: WritePosition,
        units: u32,
        got: Cursor,
        drained: bool,
    ) -> Result<WritePosition, Refused> {
        let in_use = self.segments_in_use()?;
        let storage = self.parts;
        let free = |segment: &usize| {
            !in_use[*segment]
                && units <= storage.circle(*segment).units()
                && (drained || !storage.is_whole(*segment))
        };
        let larger = position.segment + 1..storage.segments();
        let roomy = |segment: &usize| free(segment) && !self.is_cramped(*segment, units);
        let Some(larger) = larger.clone().find(roomy).or_else(|| larger.clone().find(free)) else {
            return Err(Refused::Full);
        };
        if let Some(position) = self.switch_segment(position, larger) {
            return Ok(position);
        }
        // A queue that is not empty gets room when it is drained. An empty one does not: it is out of memory.
        Err(if position.tail.items == got.items { Refused::NoMemory } else { Refused::Full })
    }

    /// Whether `units` are free behind the position, by the consumers' cursor `got`.
    #[inline]
    fn has_room(self, position: WritePosition, got: Cursor, units: u32) -> bool {
        let circle = self.parts.circle(position.segment);
        let used = circle.between(got.position, position.tail.position);
        let whole = circle.units();
        used <= whole && units <= whole - used
    }

    /// Whether a record of `units` is large for a segment, and a larger one is kept. With room for one or two
    /// records, producers and consumers would take turns instead of working at the same time.
    #[inline]
    fn is_cramped(self, segment: usize, units: u32) -> bool {
        segment < P::WARM && units > self.parts.circle(segment).units() / 4
    }

    /// Which segments lie between the consumers and the producers.
    fn segments_in_use(self) -> Result<[bool; SEGMENTS], Corrupt> {
        let within = self.parts.segments();
        let (first, _) = self.parts.consumers().cursor(self.parts.chain(), within)?;
        self.parts.chain().in_use(first, within)
    }

    /// Makes segment `to`, which is not in use, the successor of the position's segment. `None`: there is no
    /// memory. A death is safe at every step: only the store of the link counts.
    fn switch_segment(self, position: WritePosition, to: usize) -> Option<WritePosition> {
        // Pages first: after the link a consumer may read the segment. A death here leaves pages that no
        // segment uses; the next holder releases them (`release_unused`).
        if !self.parts.reserve(to) {
            return None;
        }
        let tail = Cursor { items: position.tail.items, position: 0 };
        // The cached cursor is about this segment's former use, and would promise room that is not free.
        self.parts.write_side().cached.clear();
        self.parts.chain().begin(to, tail);
        // Before the link: a consumer that sees the link must see the last record in front of it, or it would
        // skip records.
        self.publish(position);
        // This store makes the switch: a death before it leaves the queue as it was, and a death after it is
        // completed by the next `position`.
        self.parts.chain().link(position.segment, to);
        // ORDERING: Release, pairs with the Acquire in `segment`: to others it is a hint.
        self.parts.write_side().segment.store(to as u32, Ordering::Release);
        Some(WritePosition { segment: to, tail })
    }

    /// After the death of a producer: releases segments that it reserved and did not link.
    #[cold]
    pub(super) fn release_unused(self) {
        if let Ok(in_use) = self.segments_in_use() {
            (P::WARM + 1..self.parts.segments())
                .filter(|at| !in_use[*at])
                .for_each(|at| self.parts.release(at));
        }
    }
}

/// The most attempts to find room before more memory is taken.
const ATTEMPTS: u32 = 1 << 14;
/// The longest time that a consumer takes with a short record, in nanoseconds.
const MOMENT: u32 = 10_000;
/// The cost of a new page of a record, in nanoseconds: the system finds and clears it, both sides fault it in, and with
/// it comes a whole segment. A consumer whose own memory is new takes nearly as long with its first records.
const PRICE_OF_A_PAGE: u32 = 8_000;
const UNITS_IN_A_PAGE: u32 = (PAGE / UNIT) as u32;
