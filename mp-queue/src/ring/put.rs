//! Putting: what the holder of the put lock does.

use super::cursor::Cursor;
use super::layout::SEGMENTS;
use super::record::{Head, units};
use super::{Memory, Packet, Refused, Ring, WARM, segment};
use mp_core::word::{Deadline, Long, Ordering, Word};

impl<M: Memory> Ring<M> {
    /// Puts one record if there is room. `send` is called under the lock, with the number that the record's
    /// packet is to bear, before the record is published; it says whether the packet could be sent.
    pub(crate) fn put(
        &self,
        bytes: &[u8],
        until: Option<Deadline>,
        send: Option<&mut dyn FnMut(u64) -> Packet>,
    ) -> Result<(), Refused> {
        let largest = self.0.segments() - 1;
        let units = units(bytes.len()).filter(|units| *units <= segment::units(largest));
        let units = units.ok_or(Refused::TooLarge)?;
        let layout = self.layout();
        let Some(_lock) = Self::lock(&layout.putter.lock, until) else { return Err(Refused::Full) };
        if self.is_shut() {
            return Err(Refused::Closed);
        }
        let at = self.place(units)?;
        let ticket = match send {
            None => 0,
            Some(send) => {
                let ticket = self.next_ticket();
                match send(ticket) {
                    Packet::Sent => ticket,
                    Packet::Full => return Err(Refused::Full),
                    Packet::Failed => return Err(Refused::Unsent),
                }
            }
        };
        let tail = self.own(&layout.segments[at].tail);
        self.write_record(at, tail.position, Head { len: bytes.len() as u32, ticket }, bytes);
        // ORDERING: Release, pairs with the Acquire in `front`: this is the commit.
        layout.segments[at].tail.store(tail.advanced(units).packed(), Ordering::Release);
        Ok(())
    }

    /// A number for a packet, never used before: one that was sent by a putter who died matches no record.
    fn next_ticket(&self) -> u64 {
        let tickets = &self.layout().putter.tickets;
        // ORDERING: Relaxed: under the put lock.
        let ticket = tickets.load(Ordering::Relaxed).wrapping_add(1).max(1);
        // ORDERING: as above.
        tickets.store(ticket, Ordering::Relaxed);
        ticket
    }

    /// Finds a segment with room for `units`, and makes it the one that is put into.
    fn place(&self, units: u32) -> Result<usize, Refused> {
        let layout = self.layout();
        let at = self.putting()?;
        let tail = self.own(&layout.segments[at].tail);
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = layout.limits.items.load(Ordering::Relaxed);
        let has_room = |at: usize, tail: Cursor, seen: Cursor| {
            let used = tail.position.wrapping_sub(seen.position);
            used <= segment::units(at) && units <= segment::units(at) - used
        };
        let may_take = |seen: Cursor| most == 0 || tail.items.wrapping_sub(seen.items) < most;
        // In a segment that is to be left when it is drained, the fresh look is worth its price.
        if at <= WARM
            && let Some(seen) = layout.putter.glance.seen(at)
            && may_take(seen)
            && has_room(at, tail, seen)
        {
            return Ok(at);
        }
        let (got_at, got) = self.getting()?;
        if !may_take(got) {
            return Err(Refused::Full);
        }
        let drained = got_at == at && got.position == tail.position;
        if at > WARM && drained && units <= segment::units(WARM) && self.hop(at, WARM, tail) {
            return Ok(WARM);
        }
        // ORDERING: Acquire, pairs with the Release in `take`: the room was read from before it is written to.
        let head = Cursor::of(layout.segments[at].head.load(Ordering::Acquire));
        if tail.position.wrapping_sub(head.position) > segment::units(at) {
            return Err(Refused::Corrupt);
        }
        layout.putter.glance.note(at, Cursor { items: got.items, position: head.position });
        if has_room(at, tail, head) { Ok(at) } else { self.grow(at, tail, units, got) }
    }

    /// Goes on in a larger segment that is not in use.
    fn grow(&self, at: usize, tail: Cursor, units: u32, got: Cursor) -> Result<usize, Refused> {
        let in_use = self.chain()?;
        let free = |segment: &usize| !in_use[*segment] && units <= segment::units(*segment);
        match (at + 1..self.0.segments()).find(free) {
            None => Err(Refused::Full),
            Some(larger) if self.hop(at, larger, tail) => Ok(larger),
            // With something to drain, room will come; with nothing, it will not.
            Some(_) if tail.items != got.items => Err(Refused::Full),
            Some(_) => Err(Refused::NoMemory),
        }
    }

    /// Which segments lie between the getters and the putters.
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

    /// Makes `to`, which is not in use, the continuation of `from`; `false`: there is no memory. Each step can be
    /// the last: the link is what counts.
    fn hop(&self, from: usize, to: usize, tail: Cursor) -> bool {
        let layout = self.layout();
        if !self.0.reserve(to) {
            return false;
        }
        let start = Cursor { items: tail.items, position: 0 }.packed();
        layout.putter.glance.forget();
        // ORDERING: Relaxed: nobody looks at this segment before the link is there.
        layout.segments[to].head.store(start, Ordering::Relaxed);
        layout.segments[to].tail.store(start, Ordering::Relaxed);
        layout.segments[to].next.store(0, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `follow`.
        layout.segments[from].next.store(to as u32 + 1, Ordering::Release);
        // ORDERING: Release, pairs with the Acquire in `put_segment`: others take it as a hint.
        layout.putter.segment.store(to as u32, Ordering::Release);
        true
    }

    /// The segment that is put into; finishes a hop that a dead putter began.
    fn putting(&self) -> Result<usize, Refused> {
        let layout = self.layout();
        // ORDERING: Relaxed: under the put lock.
        let at = layout.putter.segment.load(Ordering::Relaxed) as usize;
        if at >= self.0.segments() {
            return Err(Refused::Corrupt);
        }
        match self.follow(at).map_err(|_| Refused::Corrupt)? {
            None => Ok(at),
            Some(next) => {
                // ORDERING: as in `hop`.
                layout.putter.segment.store(next as u32, Ordering::Release);
                Ok(next)
            }
        }
    }

    /// The segment that is taken from, and its head; a little old perhaps, which looks like more items.
    fn getting(&self) -> Result<(usize, Cursor), Refused> {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `front`.
        let at = layout.getter.segment.load(Ordering::Acquire) as usize;
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
