//! Packets: the descriptors of records, in a socket beside the ring; and those packets that belong to no record.
//!
//! ```text
//!  write_side:  sent = n ─ send [n, item] ─────────────── write ─ tail (commit)
//!                                       ╳ an orphan: a packet of no record
//!  read_side:  copy the packet's descriptors ─ take it away ─ head (commit) ─ gone = n
//!                                                       ╳ a record without its packet: the next consumer's to pass over
//! ```
//!
//! | part      | who writes it                  | means                                                             |
//! |-----------|--------------------------------|-------------------------------------------------------------------|
//! | `sent`    | holder of the put lock         | number of the last packet, or of one that was about to be sent    |
//! | `gone`    | holder of the get lock         | no packet up to this number is in the socket any more             |
//! | `suspect` | holder of the put lock         | up to this number there may be strays: a producer has died          |
//!
//! A packet says its number, which the record says too, and which of all items its record is. So one whose item the
//! consumers have passed is an orphan, whatever else is in the ring; and while nobody puts, so is every packet beside an
//! empty ring. Packets lie in the order of their numbers, and can be dropped only when they have come to the front.
//!
//! `sent` and `gone` differ while packets are on their way, and after a death, or a packet that could not be sent.
//! Then whoever finds the ring empty tries to have both locks, and drops what is there: in a queue without handles they
//! never differ, and cost two loads. Beside a ring that is not empty nobody looks, but for a producer's death (`suspect`);
//! then each consumer who looks for new records does.
//!
//! # Orderings
//! The socket is the kernel's, which orders its calls. The words only say whether it is worth a look; what is dropped
//! is decided under the locks, by what stands on the packet.
//! # When a process dies
//! *Between its packet and its commit*: the packet is an orphan, and its descriptors stay open until somebody comes by.
//! That is: a put, which is told of the death by its lock; a get, `qsize`, `empty` or `wait` that finds the queue
//! empty, by one who waits in it too, who looks by himself within half a second. Where other items are in front of it,
//! it goes when these have been got and one more; at the latest with the next get then that looks for new records, or
//! finds none. *Between a packet and the commit of its record*: its descriptors are closed with him. The record is his,
//! and lost with him; it counts as an item until the next consumer comes to it, who passes it over (a join is told that
//! it is lost). *Dropping strays*: the next one goes on with it.
//! # Tested by
//! ring/crowd.rs, tests/handles.rs, mp-sweep's `queue.handles`

use super::cursor::Cursor;
use super::{Beside, Locked, Memory, NotTaken, Ring};
use mp_core::word::{Deadline, Long, Ordering};
use mp_sync::raw::Acquired;

/// What stands on a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Never used before.
    pub(crate) number: u64,
    /// Which of all items its record is.
    pub(crate) item: u32,
}

impl Ticket {
    pub(crate) const BYTES: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Ticket::BYTES] {
        let mut bytes = [0; Ticket::BYTES];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.item.to_le_bytes());
        bytes
    }

    /// `None`: this is no ticket of ours.
    pub(crate) fn read(bytes: &[u8]) -> Option<Ticket> {
        let (number, item) = bytes.split_first_chunk()?;
        let item = u32::from_le_bytes(item.try_into().ok()?);
        Some(Ticket { number: u64::from_le_bytes(*number), item })
    }
}

/// The first packet beside the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    There(Ticket),
    /// There is no packet.
    Nothing,
    /// It could not be looked at, or is none of ours.
    Unknown,
}

/// What became of the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    Done,
    /// There was none.
    Nothing,
    Failed,
}

impl<M: Memory> Ring<M> {
    /// The put lock; whoever had it and died may have left an orphan, and memory.
    #[inline]
    pub(super) fn lock_to_put(&self, until: Option<Deadline>) -> Option<Locked<'_, M::Owned>> {
        let taken = self.layout().write_side.lock.acquire(until)?;
        Some(self.locked_to_put(taken))
    }

    #[inline]
    fn locked_to_put(&self, taken: Acquired) -> Locked<'_, M::Owned> {
        let lock = &self.layout().write_side.lock;
        let locked = Locked(lock);
        if taken == Acquired::OwnerDied {
            self.suspect_strays();
            self.give_back_unused();
            // Last: whoever dies before it is followed by one who is told.
            lock.clear_died();
        }
        locked
    }

    /// Under the put lock.
    #[cold]
    fn suspect_strays(&self) {
        let packets = &self.layout().packets;
        // ORDERING: Relaxed: under the put lock; and for `gone` an old value has us look once too often.
        let sent = packets.sent.load(Ordering::Relaxed);
        if sent != packets.gone.load(Ordering::Relaxed) {
            // ORDERING: Release, pairs with the Acquire in `drop_passed`: these packets were sent, or never will be.
            packets.suspect.store(sent, Ordering::Release);
            if let Some(_getting) = self.try_lock_to_get() {
                self.drop_beside_nothing();
            }
        }
    }

    /// Under the put lock: what is to stand on the packet of the record there.
    pub(super) fn next_ticket(&self, tail: Cursor) -> Ticket {
        let sent = &self.layout().packets.sent;
        // ORDERING: Relaxed: under the put lock.
        let number = sent.load(Ordering::Relaxed).wrapping_add(1).max(1);
        // ORDERING: Release: before the packet is sent, also for who takes the lock from a dead holder.
        sent.store(number, Ordering::Release);
        Ticket { number, item: tail.items }
    }

    /// Under the get lock: takes the packet of the first record; `false`: it was taken before.
    #[cold]
    pub(super) fn receive(&self, packet: u64, beside: &mut impl Beside) -> Result<bool, NotTaken> {
        // ORDERING: Relaxed: it was written before the record that names it was published.
        if packet > self.layout().packets.sent.load(Ordering::Relaxed) {
            return Err(NotTaken::Corrupt);
        }
        beside.receive(packet)
    }

    /// Under the get lock: no packet up to this number is there any more.
    pub(super) fn note_gone(&self, packet: u64) {
        let gone = &self.layout().packets.gone;
        // ORDERING: Relaxed: under the get lock; to others it is a hint.
        if packet > gone.load(Ordering::Relaxed) {
            gone.store(packet, Ordering::Relaxed);
        }
    }

    /// Drops what a dead putter may have left, if nothing else is there. For whoever comes by an empty queue.
    #[inline]
    pub(crate) fn discard_orphans(&self) {
        let packets = &self.layout().packets;
        // ORDERING: Relaxed: a hint.
        if packets.sent.load(Ordering::Relaxed) != packets.gone.load(Ordering::Relaxed) {
            self.drop_strays();
        }
    }

    #[cold]
    fn drop_strays(&self) {
        if !self.looks_empty() {
            return;
        }
        // Whoever has one of these locks comes by himself, or lives and is at it: nobody is waited for.
        let Some(_getting) = self.try_lock_to_get() else { return };
        let Some(taken) = self.layout().write_side.lock.try_acquire() else { return };
        let _putting = self.locked_to_put(taken);
        self.drop_beside_nothing();
    }

    /// Under both locks: beside an empty ring, each packet is an orphan.
    fn drop_beside_nothing(&self) {
        if !matches!(self.read_position(), Err(NotTaken::Empty)) {
            return;
        }
        loop {
            match self.0.drop_packet() {
                Dropped::Done => {}
                // ORDERING: Relaxed: under the put lock.
                Dropped::Nothing => {
                    return self.note_gone(self.layout().packets.sent.load(Ordering::Relaxed));
                }
                Dropped::Failed => return,
            }
        }
    }

    /// Under the get lock: drops strays whose items the consumers have passed.
    #[inline]
    pub(super) fn drop_passed(&self, head: Cursor) {
        let packets = &self.layout().packets;
        // ORDERING: Acquire, pairs with the Release in `suspect_strays`.
        let suspect = packets.suspect.load(Ordering::Acquire);
        // ORDERING: Relaxed: under the get lock.
        if suspect > packets.gone.load(Ordering::Relaxed) {
            self.drop_passed_up_to(suspect, head);
        }
    }

    #[cold]
    fn drop_passed_up_to(&self, suspect: u64, head: Cursor) {
        loop {
            match self.0.first_packet() {
                First::There(Ticket { number, item })
                    if number <= suspect && item.wrapping_sub(head.items).cast_signed() < 0 =>
                {
                    if self.0.drop_packet() != Dropped::Done {
                        return;
                    }
                    self.note_gone(number);
                }
                First::There(Ticket { number, .. }) => {
                    return self.note_gone(suspect.min(number.saturating_sub(1)));
                }
                First::Nothing => return self.note_gone(suspect),
                First::Unknown => return,
            }
        }
    }
}
