//! Putting: the steps of the holder of the put lock.
//!
//! ```text
//!  lock ─► write_position ─► reserve ─────────► write_record ─► publish ─► unlock ─► wake a consumer (wait.rs)
//!          (completes a       │ no room            │              tail = next: the commit
//!           dead producer's   ▼                    │
//!           switch)        reserve_slow ─► spin, grow: switch_segment
//! ```

use super::cursor::Cursor;
use super::layout::SEGMENTS;
use super::record::units;
use super::{Memory, Packet, Refused, Ring, Ticket, UNIT, WordOf};
use mp_core::sys::memory::PAGE;
use mp_core::word::{Deadline, Long, Machine, Ordering, Pace, Waiting, Word};

/// Where the next record goes. Records before it may be written and not published yet.
#[derive(Debug, Clone, Copy)]
struct WritePosition {
    segment: usize,
    tail: Cursor,
}

impl<M: Memory> Ring<M> {
    /// Puts records, in order, while there is room, and publishes them together. Returns their number, at
    /// least one.
    pub(crate) fn put<'a>(
        &self,
        records: impl IntoIterator<Item = &'a [u8]>,
        until: Option<Deadline>,
    ) -> Result<usize, Refused> {
        let Some(_lock) = self.lock_to_put(until) else { return Err(Refused::Full) };
        // The lock holder alone moves `tail`, so everything behind it is free to write.
        let mut position = self.write_position()?;
        let mut count = 0;
        for bytes in records {
            match self.reserve(bytes.len(), false, position) {
                Ok((placed, units)) => {
                    self.write_record(placed.segment, placed.tail.position, 0, bytes);
                    position = WritePosition { tail: placed.tail.advanced(units), ..placed };
                    count += 1;
                }
                Err(refused) if count == 0 => return Err(refused),
                Err(_) => break,
            }
        }
        // One store for all records: a death before it leaves none of them, a death after it all.
        self.publish(position);
        Ok(count)
    }

    /// Puts one record whose descriptors travel in a packet. `send` is called with the packet's ticket before
    /// the record is published, and returns whether it sent the packet.
    pub(crate) fn put_with_packet(
        &self,
        bytes: &[u8],
        until: Option<Deadline>,
        send: impl FnOnce(Ticket) -> Packet,
    ) -> Result<(), Refused> {
        let Some(_lock) = self.lock_to_put(until) else { return Err(Refused::Full) };
        let (WritePosition { segment, tail }, units) =
            self.reserve(bytes.len(), true, self.write_position()?)?;
        // The packet goes first: a record that names a packet is published only when the packet is in the
        // socket. After a death in between, the packet is an orphan (packets.rs).
        let ticket = self.next_ticket(tail);
        match send(ticket) {
            Packet::Sent => {}
            Packet::Full => return Err(Refused::Full),
            Packet::Failed => return Err(Refused::Unsent),
        }
        self.write_record(segment, tail.position, ticket.number, bytes);
        self.publish(WritePosition { segment, tail: tail.advanced(units) });
        Ok(())
    }

    /// The commit: makes all records before the position visible.
    #[inline]
    fn publish(&self, position: WritePosition) {
        // ORDERING: Release, pairs with the Acquire in `read_position`: a consumer that sees the tail sees
        // the bytes.
        self.layout().segments[position.segment].tail.store(position.tail.packed(), Ordering::Release);
    }

    /// Reserves space for a record of `len` bytes. Returns its position and its length in units.
    #[inline]
    fn reserve(
        &self,
        len: usize,
        packet: bool,
        position: WritePosition,
    ) -> Result<(WritePosition, u32), Refused> {
        let largest = self.0.segments() - 1;
        let units = units(len, packet).filter(|units| *units <= self.0.units(largest));
        let units = units.ok_or(Refused::TooLarge)?;
        // A large segment is left when it is drained, so here the consumers' cursor is read each time.
        if position.segment <= M::WARM
            && let Some(seen) = self.layout().write_side.cached.seen(position.segment)
            && self.below_item_limit(position, seen)
            && self.has_room(position, seen, units)
        {
            return Ok((position, units));
        }
        self.reserve_slow(position, units).map(|position| (position, units))
    }

    /// Whether the limit of items allows one more, by the consumers' cursor `got`.
    #[inline]
    fn below_item_limit(&self, position: WritePosition, got: Cursor) -> bool {
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = self.layout().limits.items.load(Ordering::Relaxed);
        most == 0 || position.tail.items.wrapping_sub(got.items) < most
    }

    /// Reads the consumers' cursor, and makes room if there is none.
    #[cold]
    fn reserve_slow(&self, position: WritePosition, units: u32) -> Result<WritePosition, Refused> {
        let layout = self.layout();
        let (got_at, got) = self.read_cursor()?;
        if !self.below_item_limit(position, got) {
            return Err(Refused::Full);
        }
        // A drained large segment is left for a small one, whose pages are in the caches. Its own pages go
        // back when the consumers leave it.
        let drained = got_at == position.segment && got.position == position.tail.position;
        if position.segment > M::WARM
            && drained
            && units <= self.0.units(M::WARM)
            && let Some(small) = self.switch_segment(position, M::WARM)
        {
            return Ok(small);
        }
        // Room that consumers are about to free is cheaper than new pages, so spin for it first.
        let mut head = self.head_of(position)?;
        if !self.has_room(position, head, units) && !self.is_cramped(position.segment, units) {
            head = self.spin_for_room(position, units, head)?;
        }
        layout.write_side.cached.set(position.segment, Cursor { items: got.items, position: head.position });
        if self.has_room(position, head, units) {
            Ok(position)
        } else {
            self.grow(position, units, got, drained)
        }
    }

    /// Spins until consumers that are at work have freed a good part of the segment, whose memory is in the
    /// caches. A consumer takes longer with a long record: the budget is what new memory for one would cost.
    /// Nothing sleeps here, and the spin is bounded.
    fn spin_for_room(
        &self,
        position: WritePosition,
        units: u32,
        mut head: Cursor,
    ) -> Result<Cursor, Refused> {
        let enough = units.max(self.0.units(position.segment) / 4);
        let new_memory = PRICE_OF_A_PAGE.saturating_mul(units / UNITS_IN_A_PAGE);
        let budget = <WordOf<M>>::sleep_cost().min(MOMENT).max(new_memory);
        let mut waiting = Waiting::spinning(&self.layout().freed.changes, Pace::Dense, budget);
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
    fn head_of(&self, position: WritePosition) -> Result<Cursor, Refused> {
        // ORDERING: Acquire, pairs with the Release in `take`: the room was read from before it is written
        // to.
        let head = Cursor::of(self.layout().segments[position.segment].head.load(Ordering::Acquire));
        let used = position.tail.position.wrapping_sub(head.position);
        if used > self.0.units(position.segment) { Err(Refused::Corrupt) } else { Ok(head) }
    }

    /// Continues in a larger segment that is not in use. The whole segment is as large as all others together, so they
    /// must be drained before it is used.
    fn grow(
        &self,
        position: WritePosition,
        units: u32,
        got: Cursor,
        drained: bool,
    ) -> Result<WritePosition, Refused> {
        let in_use = self.segments_in_use()?;
        let free = |segment: &usize| {
            !in_use[*segment] && units <= self.0.units(*segment) && (drained || !self.0.is_whole(*segment))
        };
        let larger = position.segment + 1..self.0.segments();
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
    fn has_room(&self, position: WritePosition, got: Cursor, units: u32) -> bool {
        let used = position.tail.position.wrapping_sub(got.position);
        let whole = self.0.units(position.segment);
        used <= whole && units <= whole - used
    }

    /// Whether a record of `units` is large for a segment, and a larger one is kept. With room for one or two
    /// records, producers and consumers would take turns instead of working at the same time.
    #[inline]
    fn is_cramped(&self, segment: usize, units: u32) -> bool {
        segment < M::WARM && units > self.0.units(segment) / 4
    }

    /// Which segments lie between the consumers and the producers.
    fn segments_in_use(&self) -> Result<[bool; SEGMENTS], Refused> {
        let mut in_use = [false; SEGMENTS];
        let (mut at, _) = self.read_cursor()?;
        while !in_use[at] {
            in_use[at] = true;
            match self.next_segment(at).map_err(|_| Refused::Corrupt)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(in_use)
    }

    /// Makes segment `to`, which is not in use, the successor of the position's segment. `None`: there is no
    /// memory. A death is safe at every step: only the store of the link counts.
    fn switch_segment(&self, position: WritePosition, to: usize) -> Option<WritePosition> {
        let layout = self.layout();
        // Pages first: after the link a consumer may read the segment. A death here leaves pages that no
        // segment uses; the next holder releases them (`release_unused`).
        if !self.0.reserve(to) {
            return None;
        }
        let tail = Cursor { items: position.tail.items, position: 0 };
        // The cached cursor is about this segment's former use, and would promise room that is not free.
        layout.write_side.cached.clear();
        // ORDERING: Relaxed: no process reads this segment before the link is set.
        layout.segments[to].head.store(tail.packed(), Ordering::Relaxed);
        layout.segments[to].tail.store(tail.packed(), Ordering::Relaxed);
        layout.segments[to].next.store(0, Ordering::Relaxed);
        // Before the link: a consumer that sees the link must see the last record in front of it, or it would
        // skip records.
        self.publish(position);
        // ORDERING: Release, pairs with the Acquire in `next_segment`. This store makes the switch: a death
        // before it leaves the queue as it was, and a death after it is completed by the next
        // `write_position`.
        layout.segments[position.segment].next.store(to as u32 + 1, Ordering::Release);
        // ORDERING: Release, pairs with the Acquire in `put_segment`: to others it is a hint.
        layout.write_side.segment.store(to as u32, Ordering::Release);
        Some(WritePosition { segment: to, tail })
    }

    /// Under the put lock, after the death of a producer: releases segments that it reserved and did not
    /// link.
    #[cold]
    pub(super) fn release_unused(&self) {
        if let Ok(in_use) = self.segments_in_use() {
            (M::WARM + 1..self.0.segments()).filter(|at| !in_use[*at]).for_each(|at| self.0.release(at));
        }
    }

    /// Where the next record goes. Completes a segment switch that a dead producer began.
    #[inline]
    fn write_position(&self) -> Result<WritePosition, Refused> {
        if self.is_shut() {
            return Err(Refused::Closed);
        }
        let layout = self.layout();
        // ORDERING: Relaxed: under the put lock.
        let mut at = layout.write_side.segment.load(Ordering::Relaxed) as usize;
        if at >= self.0.segments() {
            return Err(Refused::Corrupt);
        }
        if let Some(next) = self.next_segment(at).map_err(|_| Refused::Corrupt)? {
            // The link is set, and its producer died before this store. ORDERING: as in `switch_segment`.
            layout.write_side.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        self.0.open(at).map_err(Refused::Unmapped)?;
        Ok(WritePosition { segment: at, tail: self.own(&layout.segments[at].tail) })
    }

    /// The segment that consumers read, and its head. It may be a little old, which looks like more items.
    pub(super) fn read_cursor(&self) -> Result<(usize, Cursor), Refused> {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `read_position`.
        let at = layout.read_side.segment.load(Ordering::Acquire) as usize;
        if at >= self.0.segments() {
            return Err(Refused::Corrupt);
        }
        // ORDERING: Acquire, pairs with the Release in `take`.
        Ok((at, Cursor::of(layout.segments[at].head.load(Ordering::Acquire))))
    }

    /// A value that changes with each put, for waiters that spin.
    pub(super) fn put_so_far(&self) -> u64 {
        // ORDERING: Relaxed: a waiter that sees a change tries again, with ordered loads.
        self.layout().segments[self.put_segment()].tail.load(Ordering::Relaxed)
    }
}

/// The most attempts to find room before more memory is taken.
const ATTEMPTS: u32 = 1 << 14;
/// The longest time that a consumer takes with a short record, in nanoseconds.
const MOMENT: u32 = 10_000;
/// The cost of a page that the system has to find and clear, in nanoseconds.
const PRICE_OF_A_PAGE: u32 = 2_000;
const UNITS_IN_A_PAGE: u32 = (PAGE / UNIT) as u32;
