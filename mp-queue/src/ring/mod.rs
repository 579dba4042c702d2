//! The ring: records in shared memory, published by one store.
//!
//! ```text
//!  putters                                                     getters
//!    │ put lock ─► copy behind tail ─► tail = next (commit)       │ get lock ─► copy from head ─► head = next
//!    ▼                                                            ▼
//!  segment 0 [ ……… records ……… ] ──next──► segment 4 [ …… ] ──next──► …
//!            head ▲        ▲ tail             larger, linked when 0 was full; left and emptied when drained
//! ```
//!
//! | part          | who writes it            | means                                                        |
//! |---------------|--------------------------|--------------------------------------------------------------|
//! | `tail`        | holder of the put lock   | items and bytes published so far in this segment             |
//! | `head`        | holder of the get lock   | items and bytes taken so far                                 |
//! | `next`        | holder of the put lock   | 0, or 1 + the segment that goes on where this one ended      |
//! | `published`   | holder of the put lock   | changes with every publish: getters sleep on it              |
//! | `freed`       | holder of the get lock   | changes with every take: putters sleep on it                 |
//! | `asleep`      | anybody                  | 1: somebody may sleep there; who wakes him sets it to 0      |
//!
//! A cursor packs a count of items and a position, in units of 8 bytes, into one 64-bit word, so that *one* store
//! commits a record and the count of items with it: `qsize`, `empty` and `full` cannot disagree.
//!
//! A full segment is followed by a larger one further up in the same memory; a drained large one is left for a
//! small one, and its pages go back to the system. A record lies in one segment, in two pieces where it wraps.
//!
//! # Orderings
//! The store of `tail` (Release) pairs with its load (Acquire) in `take`: a getter that sees the count sees the
//! bytes. The store of `head` (Release) pairs with its load (Acquire) in `put`: a putter that sees the room may
//! write there. Before each look at an `asleep` flag stands a full fence, and so does one between setting it and
//! the last look before sleeping: either the sleeper sees the change or the changer sees the sleeper.
//! # When a process dies
//! *Putting*: before the store of `tail` there is nothing; the next putter writes over it. A hop that was linked
//! and not finished is finished by the next putter. *Taking*: before the store of `head` the record is still
//! there, after it the record is his, and lost with him. *Between a commit and its wake*: the sleeper looks by
//! itself within half a second. *Asleep*: he held no lock; his flag costs one spare wake.
//! # Tried by
//! tests/queue.rs; the unit tests of this folder

pub(crate) mod cursor;
pub(crate) mod layout;
mod segment;
mod wait;

use cursor::Cursor;
use layout::{Layout, SEGMENTS};
use mp_core::word::{Deadline, Long, Ordering, Owned, Word};
use mp_sync::raw::{Acquired, RawLock};
pub(crate) use segment::{segment_bytes, segment_offset, segments_within};

/// What the ring stands on: its words, its bytes, and the system's part in its memory.
pub(crate) trait Memory {
    type Owned: Owned;
    type Long: Long;
    fn layout(&self) -> &Layout<Self::Owned, Self::Long>;
    /// How many segments there may be.
    fn segments(&self) -> usize;
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]);
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>);
    /// Takes the pages of a segment for good; `false`: there is no memory.
    fn reserve(&self, segment: usize) -> bool;
    /// Gives the pages of a segment back.
    fn release(&self, segment: usize);
}

type WordOf<M> = <<M as Memory>::Owned as Owned>::Word;

/// What is kept in front of a record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) len: u32,
    /// 0, or the number of the packet that carries the record's descriptors.
    pub(crate) ticket: u64,
}

const HEAD_UNITS: u32 = 2;
const UNIT: usize = 8;
/// Segments up to this one are kept when drained: steady traffic stays on warm pages.
pub(crate) const WARM: usize = 3;

/// Why a record was not put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
    TooLarge,
    NoMemory,
    /// The record's packet could not be sent.
    Unsent,
    Corrupt,
}

/// What became of a record's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    Sent,
    /// The socket is full: as if the ring was.
    Full,
    Failed,
}

/// Why none was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Empty,
    /// And nothing will come: it was shut, or the counted producers are gone. Said by the queue, not the ring.
    Ended,
    Corrupt,
}

pub(crate) struct Ring<M>(pub(crate) M);

impl<M: Memory> Ring<M> {
    fn layout(&self) -> &Layout<M::Owned, M::Long> {
        self.0.layout()
    }

    /// Takes a lock whose holder may have died: what he left is repaired by who uses it next.
    fn lock<'a>(lock: &'a RawLock<M::Owned>, until: Option<Deadline>) -> Option<Locked<'a, M::Owned>> {
        let taken = lock.acquire(until)?;
        if taken == Acquired::OwnerDied {
            lock.clear_died();
        }
        Some(Locked(lock))
    }

    /// Puts one record if there is room. `send` is called under the lock, with the number that the record's
    /// packet is to bear, before the record is published; it says whether the packet could be sent.
    pub(crate) fn put(
        &self,
        bytes: &[u8],
        until: Option<Deadline>,
        send: Option<&mut dyn FnMut(u64) -> Packet>,
    ) -> Result<(), Refused> {
        let layout = self.layout();
        let Some(_lock) = Self::lock(&layout.putter.lock, until) else { return Err(Refused::Full) };
        if self.is_shut() {
            return Err(Refused::Closed);
        }
        let units = units(bytes.len()).ok_or(Refused::TooLarge)?;
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
        let tail = self.cursor(&layout.segments[at].tail);
        self.write_record(at, tail.position, Head { len: bytes.len() as u32, ticket }, bytes);
        // ORDERING: Release, pairs with the Acquire in `take`: this is the commit.
        layout.segments[at].tail.store(tail.advanced(units).packed(), Ordering::Release);
        Self::bump(&layout.published.changes);
        Ok(())
    }

    /// A number for a packet, never used before: one that was sent by a putter who died matches no record.
    fn next_ticket(&self) -> u64 {
        let tickets = &self.layout().putter.tickets;
        // ORDERING: Relaxed: under the put lock.
        let ticket = tickets.load(Ordering::Relaxed) + 1;
        tickets.store(ticket, Ordering::Relaxed);
        ticket
    }

    /// Finds a segment with room for `units`, and makes it the one that is put into.
    fn place(&self, units: u32) -> Result<usize, Refused> {
        let layout = self.layout();
        let mut at = self.putting()?;
        let (got_at, got) = self.getting()?;
        let tail = self.cursor(&layout.segments[at].tail);
        let waiting = tail.items.wrapping_sub(got.items);
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = layout.limits.items.load(Ordering::Relaxed);
        if most != 0 && waiting >= most {
            return Err(Refused::Full);
        }
        if at > WARM && got_at == at && got.position == tail.position && units <= segment::units(WARM) {
            self.hop(at, WARM, tail)?;
            at = WARM;
        }
        // ORDERING: Acquire, pairs with the Release in `take`: the room was read from before it is written to.
        let head = Cursor::of(layout.segments[at].head.load(Ordering::Acquire));
        let tail = self.cursor(&layout.segments[at].tail);
        let used = tail.position.wrapping_sub(head.position);
        if used > segment::units(at) {
            return Err(Refused::Corrupt);
        }
        if units <= segment::units(at) - used {
            return Ok(at);
        }
        self.grow(at, tail, units, waiting)
    }

    /// Goes on in a larger segment that is not in use.
    fn grow(&self, at: usize, tail: Cursor, units: u32, waiting: u32) -> Result<usize, Refused> {
        let largest = self.0.segments() - 1;
        if units > segment::units(largest) {
            return Err(Refused::TooLarge);
        }
        let in_use = self.chain()?;
        let free = |segment: &usize| !in_use[*segment] && units <= segment::units(*segment);
        let Some(larger) = (at + 1..=largest).find(free) else { return Err(Refused::Full) };
        if !self.0.reserve(larger) {
            // With something to drain, room will come; with nothing, it will not.
            return Err(if waiting > 0 { Refused::Full } else { Refused::NoMemory });
        }
        self.hop(at, larger, tail)?;
        Ok(larger)
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

    /// Makes `to` the continuation of `from`. Each step can be the last: the link is what counts.
    fn hop(&self, from: usize, to: usize, tail: Cursor) -> Result<(), Refused> {
        let layout = self.layout();
        if to == WARM && !self.0.reserve(to) {
            return Err(Refused::NoMemory);
        }
        let start = Cursor { items: tail.items, position: 0 }.packed();
        // ORDERING: Relaxed: nobody looks at this segment before the link is there.
        layout.segments[to].head.store(start, Ordering::Relaxed);
        layout.segments[to].tail.store(start, Ordering::Relaxed);
        layout.segments[to].next.store(0, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `follow`.
        layout.segments[from].next.store(to as u32 + 1, Ordering::Release);
        // ORDERING: Relaxed: under the put lock; others take it as a hint.
        layout.putter.segment.store(to as u32, Ordering::Relaxed);
        Ok(())
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
                layout.putter.segment.store(next as u32, Ordering::Relaxed);
                Ok(next)
            }
        }
    }

    /// The segment that is taken from, and its head; a little old perhaps, which looks like more items.
    fn getting(&self) -> Result<(usize, Cursor), Refused> {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `leave`.
        let at = layout.getter.segment.load(Ordering::Acquire) as usize;
        if at >= self.0.segments() {
            return Err(Refused::Corrupt);
        }
        // ORDERING: Acquire, pairs with the Release in `take`.
        Ok((at, Cursor::of(layout.segments[at].head.load(Ordering::Acquire))))
    }

    fn follow(&self, at: usize) -> Result<Option<usize>, NotTaken> {
        // ORDERING: Acquire, pairs with the Release in `hop`.
        match self.layout().segments[at].next.load(Ordering::Acquire) as usize {
            0 => Ok(None),
            next if next <= self.0.segments() => Ok(Some(next - 1)),
            _ => Err(NotTaken::Corrupt),
        }
    }

    /// Takes one record: appends its bytes to `into`, and gives what `receive` makes of its packet's number.
    /// `receive` is called before the record is taken, `taken` after.
    pub(crate) fn take<T>(
        &self,
        into: &mut Vec<u8>,
        until: Option<Deadline>,
        receive: impl FnOnce(u64) -> Result<T, NotTaken>,
        taken: impl FnOnce(),
    ) -> Result<Option<T>, NotTaken> {
        if self.looks_empty() {
            return Err(NotTaken::Empty);
        }
        let layout = self.layout();
        let Some(_lock) = Self::lock(&layout.getter.lock, until) else { return Err(NotTaken::Empty) };
        let (at, head) = self.front()?;
        let (record, units) = self.read_record(at, head, into)?;
        let received = if record.ticket == 0 { None } else { Some(receive(record.ticket)?) };
        // ORDERING: Release, pairs with the Acquire in `place`: the room is free. From here on the record is ours.
        layout.segments[at].head.store(head.advanced(units).packed(), Ordering::Release);
        Self::bump(&layout.freed.changes);
        if received.is_some() {
            taken();
        }
        Ok(received)
    }

    /// Whether there was nothing to take a moment ago: spares an idle getter the lock.
    pub(crate) fn looks_empty(&self) -> bool {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `front`.
        let at = (layout.getter.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1);
        let segment = &layout.segments[at];
        // ORDERING: Acquire: the link before the tail, so that what was put before the link was set is seen.
        let ended = segment.next.load(Ordering::Acquire) == 0;
        // ORDERING: Acquire, pairs with the Release in `put`.
        let tail = Cursor::of(segment.tail.load(Ordering::Acquire));
        ended && tail.position == self.cursor(&segment.head).position
    }

    /// The first segment that has a record, and where in it; leaves drained ones behind.
    fn front(&self) -> Result<(usize, Cursor), NotTaken> {
        let layout = self.layout();
        // ORDERING: Relaxed: under the get lock.
        let mut at = layout.getter.segment.load(Ordering::Relaxed) as usize;
        for _ in 0..=SEGMENTS {
            if at >= self.0.segments() {
                return Err(NotTaken::Corrupt);
            }
            // The link before the tail: what was put before the link was set is seen.
            let next = self.follow(at)?;
            let head = self.cursor(&layout.segments[at].head);
            // ORDERING: Acquire, pairs with the Release in `put`.
            let tail = Cursor::of(layout.segments[at].tail.load(Ordering::Acquire));
            if head.position != tail.position {
                return Ok((at, head));
            }
            let Some(next) = next else { return Err(NotTaken::Empty) };
            // ORDERING: Release, pairs with the Acquire in `getting`.
            layout.getter.segment.store(next as u32, Ordering::Release);
            if at > WARM {
                self.0.release(at);
            }
            at = next;
        }
        Err(NotTaken::Corrupt)
    }

    /// Copies the record at `head` out. What is read from shared memory is read once and checked.
    fn read_record(&self, at: usize, head: Cursor, into: &mut Vec<u8>) -> Result<(Head, u32), NotTaken> {
        // ORDERING: Acquire, pairs with the Release in `put`.
        let tail = Cursor::of(self.layout().segments[at].tail.load(Ordering::Acquire));
        let published = tail.position.wrapping_sub(head.position);
        if published > segment::units(at) || published < HEAD_UNITS {
            return Err(NotTaken::Corrupt);
        }
        let before = into.len();
        self.copy_out(at, head.position, HEAD_UNITS as usize * UNIT, into);
        let word = |from: usize| u64::from_le_bytes(into[from..from + 8].try_into().expect("eight bytes"));
        let (len, ticket) = (word(before), word(before + 8));
        into.truncate(before);
        let len = u32::try_from(len).map_err(|_| NotTaken::Corrupt)?;
        match units(len as usize) {
            Some(units) if units <= published => {
                self.copy_out(at, head.position.wrapping_add(HEAD_UNITS), len as usize, into);
                Ok((Head { len, ticket }, units))
            }
            _ => Err(NotTaken::Corrupt),
        }
    }

    fn write_record(&self, at: usize, position: u32, head: Head, bytes: &[u8]) {
        let mut words = [0; HEAD_UNITS as usize * UNIT];
        words[..8].copy_from_slice(&u64::from(head.len).to_le_bytes());
        words[8..].copy_from_slice(&head.ticket.to_le_bytes());
        self.copy_in(at, position, &words);
        self.copy_in(at, position.wrapping_add(HEAD_UNITS), bytes);
    }

    fn copy_in(&self, at: usize, position: u32, bytes: &[u8]) {
        let offset = segment::offset(at, position);
        let (first, rest) = bytes.split_at(bytes.len().min(segment_bytes(at) - offset));
        self.0.write(at, offset, first);
        self.0.write(at, 0, rest);
    }

    fn copy_out(&self, at: usize, position: u32, len: usize, into: &mut Vec<u8>) {
        let offset = segment::offset(at, position);
        let first = len.min(segment_bytes(at) - offset);
        self.0.read(at, offset, first, into);
        self.0.read(at, 0, len - first, into);
    }

    /// Items that were put and not taken.
    pub(crate) fn items(&self) -> usize {
        let layout = self.layout();
        // ORDERING: Relaxed: a hint, old as soon as it is there.
        let put_at = (layout.putter.segment.load(Ordering::Relaxed) as usize).min(SEGMENTS - 1);
        let got_at = (layout.getter.segment.load(Ordering::Relaxed) as usize).min(SEGMENTS - 1);
        let put = self.cursor(&layout.segments[put_at].tail);
        let got = self.cursor(&layout.segments[got_at].head);
        let items = put.items.wrapping_sub(got.items);
        // Read at two moments: a getter may have been faster.
        if items > u32::MAX / 2 { 0 } else { items as usize }
    }

    /// No more may be put; everybody who waits looks again.
    pub(crate) fn shut(&self) {
        // ORDERING: Relaxed: the bumps below are what wakes; who wakes reads it again.
        self.layout().shut.store(1, Ordering::Relaxed);
        self.wake_everybody();
    }

    /// Whether it was shut.
    pub(crate) fn is_shut(&self) -> bool {
        // ORDERING: Relaxed: a flag that only rises.
        self.layout().shut.load(Ordering::Relaxed) != 0
    }

    /// A cursor of one's own side, under its lock, or as a hint.
    fn cursor(&self, long: &M::Long) -> Cursor {
        // ORDERING: Relaxed: own side under its lock, or a hint.
        Cursor::of(long.load(Ordering::Relaxed))
    }

    fn bump(word: &WordOf<M>) {
        // ORDERING: Relaxed: the fence before the look at the sleepers orders it.
        word.fetch_add(1, Ordering::Relaxed);
    }
}

/// Units that a record takes; `None`: more than can be counted.
fn units(len: usize) -> Option<u32> {
    let units = u32::try_from(len).ok()?.div_ceil(UNIT as u32);
    units.checked_add(HEAD_UNITS)
}

/// Gives the lock back when dropped.
struct Locked<'a, O: Owned>(&'a RawLock<O>);

impl<O: Owned> Drop for Locked<'_, O> {
    fn drop(&mut self) {
        self.0.release();
    }
}
