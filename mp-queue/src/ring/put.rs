//! Putting: what the holder of the put lock does.

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
    /// Puts records, in order, while there is room, and publishes them together; gives how many these were, one at
    /// least.
    pub(crate) fn put<'a>(
        &self,
        records: impl IntoIterator<Item = &'a [u8]>,
        until: Option<Deadline>,
    ) -> Result<usize, Refused> {
        let Some(_lock) = self.lock_to_put(until) else { return Err(Refused::Full) };
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
        self.publish(position);
        Ok(count)
    }

    /// Puts one record whose descriptors go in a packet: `send` is called with what is to stand on the packet before
    /// the record is published, and says whether the packet could be sent.
    pub(crate) fn put_with_packet(
        &self,
        bytes: &[u8],
        until: Option<Deadline>,
        send: impl FnOnce(Ticket) -> Packet,
    ) -> Result<(), Refused> {
        let Some(_lock) = self.lock_to_put(until) else { return Err(Refused::Full) };
        let (WritePosition { segment, tail }, units) =
            self.reserve(bytes.len(), true, self.write_position()?)?;
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

    /// The commit of what was written before the position.
    #[inline]
    fn publish(&self, position: WritePosition) {
        // ORDERING: Release, pairs with the Acquire in `front`.
        self.layout().segments[position.segment].tail.store(position.tail.packed(), Ordering::Release);
    }

    /// Finds room for a record of so many bytes; gives the units it takes, too.
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
        // In a segment that is to be left when it is drained, the fresh look is worth its price.
        if position.segment <= M::WARM
            && let Some(seen) = self.layout().write_side.cached.seen(position.segment)
            && self.may_take(position, seen)
            && self.has_room(position, seen, units)
        {
            return Ok((position, units));
        }
        self.reserve_slow(position, units).map(|position| (position, units))
    }

    /// Whether one more item may be in the queue, where the consumers have come so far.
    #[inline]
    fn may_take(&self, position: WritePosition, got: Cursor) -> bool {
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = self.layout().limits.items.load(Ordering::Relaxed);
        most == 0 || position.tail.items.wrapping_sub(got.items) < most
    }

    /// Looks where the consumers are, and makes room if there is none.
    #[cold]
    fn reserve_slow(&self, position: WritePosition, units: u32) -> Result<WritePosition, Refused> {
        let layout = self.layout();
        let (got_at, got) = self.getting()?;
        if !self.may_take(position, got) {
            return Err(Refused::Full);
        }
        let drained = got_at == position.segment && got.position == position.tail.position;
        if position.segment > M::WARM
            && drained
            && units <= self.0.units(M::WARM)
            && let Some(small) = self.hop(position, M::WARM)
        {
            return Ok(small);
        }
        let mut head = self.head_of(position)?;
        if !self.has_room(position, head, units) && !self.is_cramped(position.segment, units) {
            head = self.wait_a_moment(position, units, head)?;
        }
        layout.write_side.cached.note(position.segment, Cursor { items: got.items, position: head.position });
        if self.has_room(position, head, units) { Ok(position) } else { self.grow(position, units, got) }
    }

    /// Lets consumers who are at it make room, a good part of the segment: that memory is in the caches. A consumer takes
    /// a while with a long record; it has as long as new memory for one would take. Nobody sleeps here, and it ends
    /// soon.
    fn wait_a_moment(
        &self,
        position: WritePosition,
        units: u32,
        mut head: Cursor,
    ) -> Result<Cursor, Refused> {
        let enough = units.max(self.0.units(position.segment) / 4);
        let new_memory = PRICE_OF_A_PAGE.saturating_mul(units / UNITS_IN_A_PAGE);
        let budget = <WordOf<M>>::sleep_cost().min(MOMENT).max(new_memory);
        let mut waiting = Waiting::spinning(&self.layout().freed.changes, Pace::Dense, budget);
        for _ in 0..LOOKS {
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

    /// How far the segment that is put into was taken from.
    fn head_of(&self, position: WritePosition) -> Result<Cursor, Refused> {
        // ORDERING: Acquire, pairs with the Release in `take`: the room was read from before it is written to.
        let head = Cursor::of(self.layout().segments[position.segment].head.load(Ordering::Acquire));
        let used = position.tail.position.wrapping_sub(head.position);
        if used > self.0.units(position.segment) { Err(Refused::Corrupt) } else { Ok(head) }
    }

    /// Goes on in a larger segment that is not in use.
    fn grow(&self, position: WritePosition, units: u32, got: Cursor) -> Result<WritePosition, Refused> {
        let in_use = self.chain()?;
        let free = |segment: &usize| !in_use[*segment] && units <= self.0.units(*segment);
        let larger = position.segment + 1..self.0.segments();
        let roomy = |segment: &usize| free(segment) && !self.is_cramped(*segment, units);
        let Some(larger) = larger.clone().find(roomy).or_else(|| larger.clone().find(free)) else {
            return Err(Refused::Full);
        };
        if let Some(position) = self.hop(position, larger) {
            return Ok(position);
        }
        // With something to drain, room will come; with nothing, it will not.
        Err(if position.tail.items == got.items { Refused::NoMemory } else { Refused::Full })
    }

    /// Whether so many units are free where the position is, if the consumers have come so far.
    #[inline]
    fn has_room(&self, position: WritePosition, got: Cursor, units: u32) -> bool {
        let used = position.tail.position.wrapping_sub(got.position);
        let whole = self.0.units(position.segment);
        used <= whole && units <= whole - used
    }

    /// Whether a record of so many units is large for a segment, and there are larger ones that are kept: with room for
    /// one or two, producers and consumers would take turns instead of working at the same time.
    #[inline]
    fn is_cramped(&self, segment: usize, units: u32) -> bool {
        segment < M::WARM && units > self.0.units(segment) / 4
    }

    /// Which segments lie between the consumers and the producers.
    fn chain(&self) -> Result<[bool; SEGMENTS], Refused> {
        let mut in_use = [false; SEGMENTS];
        let (mut at, _) = self.getting()?;
        while !in_use[at] {
            in_use[at] = true;
            match self.follow(at).map_err(|_| Refused::Corrupt)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(in_use)
    }

    /// Makes `to`, which is not in use, the continuation of where the position is; `None`: there is no memory. Each step
    /// can be the last: the link is what counts.
    fn hop(&self, position: WritePosition, to: usize) -> Option<WritePosition> {
        let layout = self.layout();
        if !self.0.reserve(to) {
            return None;
        }
        let tail = Cursor { items: position.tail.items, position: 0 };
        layout.write_side.cached.forget();
        // ORDERING: Relaxed: nobody looks at this segment before the link is there.
        layout.segments[to].head.store(tail.packed(), Ordering::Relaxed);
        layout.segments[to].tail.store(tail.packed(), Ordering::Relaxed);
        layout.segments[to].next.store(0, Ordering::Relaxed);
        // Before the link: who sees that sees the last of what is in front of it.
        self.publish(position);
        // ORDERING: Release, pairs with the Acquire in `follow`.
        layout.segments[position.segment].next.store(to as u32 + 1, Ordering::Release);
        // ORDERING: Release, pairs with the Acquire in `put_segment`: others take it as a hint.
        layout.write_side.segment.store(to as u32, Ordering::Release);
        Some(WritePosition { segment: to, tail })
    }

    /// Under the put lock: a dead putter may have taken memory for a segment, and not have linked that.
    #[cold]
    pub(super) fn give_back_unused(&self) {
        if let Ok(in_use) = self.chain() {
            (M::WARM + 1..self.0.segments()).filter(|at| !in_use[*at]).for_each(|at| self.0.release(at));
        }
    }

    /// Where the next record goes; finishes a hop that a dead putter began.
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
        if let Some(next) = self.follow(at).map_err(|_| Refused::Corrupt)? {
            // ORDERING: as in `hop`.
            layout.write_side.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        self.0.open(at).map_err(Refused::Unmapped)?;
        Ok(WritePosition { segment: at, tail: self.own(&layout.segments[at].tail) })
    }

    /// The segment that is taken from, and its head; a little old perhaps, which looks like more items.
    pub(super) fn getting(&self) -> Result<(usize, Cursor), Refused> {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `front`.
        let at = layout.read_side.segment.load(Ordering::Acquire) as usize;
        if at >= self.0.segments() {
            return Err(Refused::Corrupt);
        }
        // ORDERING: Acquire, pairs with the Release in `take`.
        Ok((at, Cursor::of(layout.segments[at].head.load(Ordering::Acquire))))
    }

    /// Changes with each put: for whoever spins.
    pub(super) fn put_so_far(&self) -> u64 {
        // ORDERING: Relaxed: whoever sees a change looks again, in order.
        self.layout().segments[self.put_segment()].tail.load(Ordering::Relaxed)
    }
}

/// Looks for room before more memory is taken, at most.
const LOOKS: u32 = 1 << 14;
/// How long a consumer may take with a short record, in nanoseconds.
const MOMENT: u32 = 10_000;
/// What a page costs that the system has to find and clear, in nanoseconds.
const PRICE_OF_A_PAGE: u32 = 2_000;
const UNITS_IN_A_PAGE: u32 = (PAGE / UNIT) as u32;
