//! The ring: records in shared memory. One store commits a record.
//!
//! ```text
//!  producers                                                     consumers
//!    │ put lock ─► copy behind tail ─► tail = next (commit)       │ get lock ─► copy from head ─► head = next (commit)
//!    ▼                                                            ▼
//!  segment 0 [ ……… records ……… ] ──next──► segment 4 [ …… ] ──next──► …
//!            head ▲        ▲ tail             larger, linked when 0 was full; left and emptied when drained
//! ```
//!
//! | part                        | file             | its part                                                       |
//! |-----------------------------|------------------|----------------------------------------------------------------|
//! | `Chain`                     | `chain.rs`       | the segments' cursors, of which one store commits, and links   |
//! | `WriteSide`, `Writer`       | `write_side.rs`  | the put lock, and what its holder does: reserve, write, publish |
//! | `ReadSide`, `Reader`        | `read_side.rs`   | the get lock, and what its holder does: find, copy, commit     |
//! | `EventCount`                | `event_count.rs` | how each side, and a joiner, waits and is woken                |
//! | `Leaders`                   | `leaders.rs`     | which of many waiting consumers wake by themselves             |
//! | `Follower`                  | `follower.rs`    | how often one of the others does                               |
//! | `Packets`                   | `packets.rs`     | the descriptors of records, on a socket, and orphans           |
//! | `Sides`                     | `sides.rs`       | both sides: their locks after a death, the count of items      |
//! | `Tasks`, `Ledger`           | `tasks.rs`       | records that were taken and are not done                       |
//! | `Join`                      | `join.rs`        | waits until all of them are done                               |
//! | `Polls`                     | `polls.rs`       | processes that wait for the queue beside other objects         |
//!
//! Each of these has private fields and all steps of its protocol. [`Ring`] has none of them: it holds the order in
//! which a call goes through the parts.
//!
//! A cursor packs a count of items and a position, in units of 8 bytes, into one 64-bit word. So *one* store
//! commits a record and the count of items with it: `qsize`, `empty` and `full` cannot disagree.
//!
//! When a segment is full, a larger one further up in the same memory follows it. A drained large segment is
//! left for a small one, and its pages go back to the system. A record lies in one segment, in two pieces
//! where it wraps.
//!
//! # When a process dies
//! - *While it puts*: before the store of `tail` nothing is in the ring (write_side.rs).
//! - *While it takes*: after the store of `head` the record is lost with the consumer (read_side.rs).
//! - *Between a commit and its wake*: the sleeper wakes by itself within half a second.
//! - *While it sleeps*: it holds no lock. Its flag costs one superfluous wake.
//! - *With descriptors*: see packets.rs.
//!
//! # Tested by
//! ring/model (loom, with deaths), ring/crowd.rs (shuttle, with deaths), ring/tests.rs, tests/queue.rs,
//! tests/corrupt.rs, tests/memory.rs

mod cache_padded;
mod chain;
mod circle;
#[cfg(test)]
mod crowd;
mod cursor;
mod event_count;
mod follower;
mod join;
pub(crate) mod layout;
mod leaders;
mod limits;
#[cfg(test)]
mod model;
mod outcome;
mod packets;
mod polls;
mod read_side;
mod record;
mod segment;
mod sides;
mod storage;
mod tasks;
#[cfg(test)]
mod tests;
mod write_side;

pub(crate) use chain::SEGMENTS;
pub(crate) use circle::Circle;
use cursor::Cursor;
use join::Join;
pub(crate) use join::SHORT;
use layout::{Layout, Memory};
use leaders::Sleeper;
use mp_core::word::Deadline;
use mp_sync::raw::Locked;
pub(crate) use outcome::{NotTaken, Refused};
pub(crate) use packets::{DropOutcome, FirstPacket, Packet, PacketSocket, Ticket};
use polls::Polls;
use read_side::Reader;
pub(crate) use segment::Segments;
use sides::Sides;
pub(crate) use storage::Storage;
use storage::WordOf;
pub(crate) use tasks::{TaskSlot, Worker};
use write_side::Writer;

/// What a take needs besides the ring, under the get lock.
pub(crate) trait TakeContext {
    /// Receives the packet of the record that is about to be taken. `false`: the packet is not in the socket.
    /// On an error it stays there.
    fn receive(&mut self, packet: u64) -> Result<bool, NotTaken>;
    /// The process that takes, if the records count as tasks.
    fn worker(&self) -> Option<&impl Worker>;
}

/// A queue of byte records in shared memory: see the module.
pub(crate) struct Ring<M> {
    memory: M,
}

impl<M: Memory> Ring<M> {
    pub(crate) fn new(memory: M) -> Ring<M> {
        Ring { memory }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    #[inline]
    fn layout(&self) -> &Layout<M::Owned, M::Long> {
        self.memory.layout()
    }

    #[inline]
    fn sides(&self) -> Sides<'_, M> {
        Sides::of(&self.memory)
    }

    /// The tasks: records that were taken and are not done.
    #[inline]
    pub(crate) fn tasks(&self) -> Join<'_, M> {
        Join::of(&self.memory)
    }

    /// The processes that wait for the queue beside other objects.
    #[inline]
    pub(crate) fn polls(&self) -> &Polls<WordOf<M>> {
        &self.layout().polls
    }

    /// Acquires the put lock, if records may be put.
    #[inline]
    fn begin_put(&self, until: Option<Deadline>) -> Result<(Locked<'_, M::Owned>, Writer<'_, M>), Refused> {
        let locked = self.sides().lock_to_put(until).ok_or(Refused::Full)?;
        if self.is_shut() { Err(Refused::Closed) } else { Ok(locked) }
    }

    /// Puts records, in order, while there is room, and publishes them together. Returns their number, at
    /// least one.
    pub(crate) fn put<'a>(
        &self,
        records: impl IntoIterator<Item = &'a [u8]>,
        until: Option<Deadline>,
    ) -> Result<usize, Refused> {
        let (_lock, writer) = self.begin_put(until)?;
        // The lock holder alone moves `tail`, so everything behind it is free to write.
        let mut position = writer.position()?;
        let mut count = 0;
        for bytes in records {
            match writer.reserve(bytes.len(), false, position) {
                Ok(space) => {
                    position = writer.write(space, 0, bytes);
                    count += 1;
                }
                Err(refused) if count == 0 => return Err(refused),
                Err(_) => break,
            }
        }
        // One store: the records appear together. After a death before it none is there, and the next lock holder
        // writes over them.
        writer.publish(position);
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
        let (_lock, writer) = self.begin_put(until)?;
        let space = writer.reserve(bytes.len(), true, writer.position()?)?;
        // The packet goes first: a record that names a packet is published only when the packet is in the
        // socket. After a death in between, the packet is an orphan (packets.rs).
        let ticket = self.layout().packets.next_ticket(space.position.tail.items);
        match send(ticket) {
            Packet::Sent => {}
            Packet::Full => return Err(Refused::Full),
            Packet::Failed => return Err(Refused::Unsent),
        }
        writer.publish(writer.write(space, ticket.number, bytes));
        Ok(())
    }

    /// Acquires the get lock, if there seems to be a record.
    #[inline]
    fn begin_take(&self, until: Option<Deadline>) -> Result<(Locked<'_, M::Owned>, Reader<'_, M>), NotTaken> {
        // Looked at before the lock: consumers that poll an empty queue do not hold up its getter.
        if self.is_empty() {
            // No record names the packets that are still in the socket.
            self.discard_orphans();
            return Err(NotTaken::Empty);
        }
        self.sides().lock_to_get(until).ok_or(NotTaken::Empty)
    }

    /// Takes one record: appends its bytes to `into`.
    #[inline]
    pub(crate) fn take(
        &self,
        into: &mut Vec<u8>,
        beside: &mut impl TakeContext,
        until: Option<Deadline>,
    ) -> Result<(), NotTaken> {
        let (_lock, reader) = self.begin_take(until)?;
        let packets = &self.layout().packets;
        let start = into.len();
        loop {
            let first = reader.position()?;
            let record = reader.record(first)?;
            // Copied out before the commit: after it a producer may write over the bytes.
            let next = reader.copy(record, first, into);
            if record.packet != 0 && !self.receive(record.packet, beside)? {
                // The producer or a consumer died between packet and commit, so the packet is lost. Without
                // this step the record would block the queue for ever.
                into.truncate(start);
                self.skip_lost(first.segment, first.head, next.head, beside);
                continue;
            }
            self.commit(first.segment, first.head, next.head, beside);
            if record.packet != 0 {
                // After the commit: a count that is too low costs a system call, one that is too high would
                // hide an orphan.
                packets.note_gone(record.packet);
            }
            return Ok(());
        }
    }

    /// Takes up to `most` records without packets, all with one commit. Appends their bytes to `into`, and
    /// the end of each to `ends`. Takes none if the first record has a packet; then call
    /// [`take`](Ring::take).
    pub(crate) fn take_many(
        &self,
        most: usize,
        into: &mut Vec<u8>,
        ends: &mut Vec<usize>,
        beside: &impl TakeContext,
        until: Option<Deadline>,
    ) -> Result<(), NotTaken> {
        let (_lock, reader) = self.begin_take(until)?;
        let first = reader.with_more(most, reader.position()?);
        let mut next = first;
        // Copied first, all of them: after the commit producers may write over the bytes.
        while next.has_record() && ends.len() < most {
            let record = reader.record(next)?;
            // Its packet must be received between copy and commit: one at a time.
            if record.packet != 0 {
                break;
            }
            next = reader.copy(record, next, into);
            ends.push(into.len());
        }
        // One commit: a consumer that dies before it has taken nothing.
        if !ends.is_empty() {
            self.commit(first.segment, first.head, next.head, beside);
        }
        Ok(())
    }

    /// Commits a take of the records from `head` to `next`, which the ledger counts if they are tasks.
    #[inline]
    fn commit(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl TakeContext) {
        let commit = || Reader::of(&self.memory).commit(segment, next);
        match beside.worker() {
            Some(worker) => self.tasks().ledger().take(worker, head, next, commit),
            None => commit(),
        }
    }

    /// Skips a record whose packet is lost: see `packets.rs`.
    #[cold]
    fn skip_lost(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl TakeContext) {
        let commit = || Reader::of(&self.memory).commit(segment, next);
        if beside.worker().is_some() {
            self.tasks().ledger().lose(head, next, commit);
            self.tasks().after_done();
        } else {
            commit();
        }
        self.layout().freed.wake_one();
    }

    /// Under the get lock: receives the packet of the first record. `false`: it was received before.
    #[cold]
    fn receive(&self, packet: u64, beside: &mut impl TakeContext) -> Result<bool, NotTaken> {
        self.layout().packets.check(packet)?;
        beside.receive(packet)
    }

    /// Discards packets that a dead producer may have left beside an empty ring.
    #[inline]
    pub(crate) fn discard_orphans(&self) {
        self.sides().discard_orphans();
    }

    /// The number of items that were put and not taken, at some moment during the call.
    pub(crate) fn items(&self) -> usize {
        self.sides().items()
    }

    /// Whether the ring was empty a moment ago.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sides().is_empty()
    }

    /// Whether the queue holds as many items as it may.
    pub(crate) fn is_full(&self) -> bool {
        let most = self.layout().limits.items() as usize;
        most != 0 && self.items() >= most
    }

    /// Shuts the queue down: no more records can be put, and all waiters wake. Waits until the deadline for a
    /// put in progress.
    pub(crate) fn shut(&self, until: Option<Deadline>) {
        let lock = self.sides().lock_to_put(until);
        self.layout().shut.set();
        drop(lock);
        self.wake_all();
    }

    /// Whether the queue was shut down.
    #[inline]
    pub(crate) fn is_shut(&self) -> bool {
        self.layout().shut.is_set()
    }

    /// Repeats `attempt`, a put, until it does not return `Full` or the deadline passes. Then wakes the
    /// waiters concerned.
    #[inline]
    pub(crate) fn until_room<T>(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let attempt = || Some(attempt()).filter(|result| !matches!(result, Err(Refused::Full)));
        let alone = Sleeper::<M::Owned>::alone;
        let (result, slept) =
            self.layout().freed.repeat(until, alone, || self.sides().taken_so_far(), attempt);
        self.after_put(slept, result.unwrap_or(Err(Refused::Full)))
    }

    /// Repeats `attempt`, a take, until it does not return `Empty` or the deadline passes. Then wakes the
    /// waiters concerned.
    #[inline]
    pub(crate) fn until_item<T>(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<T, NotTaken>,
    ) -> Result<T, NotTaken> {
        let attempt = || Some(attempt()).filter(|result| !matches!(result, Err(NotTaken::Empty)));
        let layout = self.layout();
        let led = |changes| Sleeper::led(changes, &layout.leaders, M::FIRST_ALONE);
        let (result, slept) = layout.published.repeat(until, led, || self.sides().put_so_far(), attempt);
        self.after_take(slept, result.unwrap_or(Err(NotTaken::Empty)))
    }

    /// The wakes after a put, also one that did not wait.
    #[inline]
    pub(crate) fn after_put<T>(&self, slept: bool, result: Result<T, Refused>) -> Result<T, Refused> {
        if slept && !self.is_full() {
            // This sleeper's wake may have stood for more room than it used. Without passing it on, another
            // producer would sleep beside free room.
            self.layout().freed.wake_one();
        }
        if result.is_ok() {
            // A put wakes one consumer; the consumer passes the wake on if more records are there.
            self.layout().published.wake_one();
        }
        result
    }

    /// The wakes after a take, also one that did not wait.
    #[inline]
    pub(crate) fn after_take<T>(&self, slept: bool, result: Result<T, NotTaken>) -> Result<T, NotTaken> {
        if slept && !self.is_empty() {
            // This sleeper's wake may have stood for several records: pass it on.
            self.layout().published.wake_one();
        }
        match result {
            Ok(_) => self.layout().freed.wake_one(),
            // Only the few leaders wake by themselves, so the end of the queue is told to all.
            Err(NotTaken::Ended | NotTaken::Corrupt) if slept => self.layout().published.notify(u32::MAX),
            Err(_) => {}
        }
        result
    }

    /// Wakes all waiters of the queue, so that each tries again.
    pub(crate) fn wake_all(&self) {
        let layout = self.layout();
        for event_count in [&*layout.published, &*layout.freed, layout.tasks.joined()] {
            event_count.wake_all();
        }
    }
}
