//! Packets: the descriptors of records, on a socket beside the ring, and orphans: packets without a record.
//!
//! ```text
//!  producer:  sent = n ─ send [n, item] ─────────────── write ─ tail (commit)
//!                                       ╳ died: an orphan, a packet without a record
//!  consumer:  copy the packet's descriptors ─ remove the packet ─ head (commit) ─ gone = n
//!                                                       ╳ died: a record without its packet: skipped later
//! ```
//!
//! | part      | written by             | meaning                                                        |
//! |-----------|------------------------|----------------------------------------------------------------|
//! | `sent`    | holder of the put lock | number of the last packet, sent or about to be sent            |
//! | `gone`    | holder of the get lock | no packet up to this number is on the socket any more          |
//! | `suspect` | holder of the put lock | up to this number there may be orphans: a producer has died    |
//!
//! A packet carries its number, which the record carries too, and the index of its item. So a packet whose
//! item the consumers have passed is an orphan. While no producer holds the put lock, every packet beside an
//! empty ring is an orphan. Packets arrive in the order of their numbers, and only the first one can be
//! discarded.
//!
//! `sent` and `gone` differ while packets are in flight, and after a death or a failed send. In a queue
//! without handles they never differ, and cost two loads. Beside a ring that is not empty, consumers look for
//! orphans only after a producer's death (`suspect`), when they look for new records.
//!
//! # Orderings
//! The socket is the kernel's, which orders its calls. The words only say whether a look at the socket is
//! worth it. What is discarded is decided under the locks, by the packet's ticket.
//!
//! # When a process dies
//! - *Between its packet and its commit*: the packet is an orphan, and its descriptors stay open until it is
//!   discarded. A put discards it (its lock reports the death), and so does a get, `qsize`, `empty` or `wait`
//!   that finds the queue empty, also one that waits and wakes by itself. With other items in front of it, it
//!   goes when these and one more have been got; at the latest with the next get that looks for new records.
//! - *Between receiving a packet and the commit of its record*: the descriptors close with the process, and the
//!   record is lost with it. It counts as an item until the next consumer skips it. A join reports it as lost.
//! - *While it discards orphans*: the next process continues.
//!
//! # Tested by
//! ring/crowd.rs, tests/handles.rs, mp-sweep's `queue.handles`

use super::cursor::Cursor;
use super::{Locked, Memory, NotTaken, Ring, TakeContext};
use mp_core::word::{Deadline, Long, Ordering};
use mp_sync::raw::Acquired;

/// The text of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The packet's number; each is used once.
    pub(crate) number: u64,
    /// The index of its record among all items.
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

    /// `None`: the bytes are not a ticket.
    pub(crate) fn read(bytes: &[u8]) -> Option<Ticket> {
        let (number, item) = bytes.split_first_chunk()?;
        let item = u32::from_le_bytes(item.try_into().ok()?);
        Some(Ticket { number: u64::from_le_bytes(*number), item })
    }
}

/// The first packet on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstPacket {
    There(Ticket),
    /// There is no packet.
    Nothing,
    /// It could not be read, or is not a packet of this library.
    Unknown,
}

/// The result of discarding the first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropOutcome {
    Done,
    /// There was none.
    Nothing,
    Failed,
}

impl<M: Memory> Ring<M> {
    /// Acquires the put lock. After the death of its holder, first removes the orphan and the memory that the
    /// holder may have left.
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
            self.suspect_orphans();
            self.release_unused();
            // Last: after a death before this step the next holder is told of it, and repairs again.
            lock.clear_died();
        }
        locked
    }

    /// Under the put lock: notes that packets up to `sent` may be orphans.
    #[cold]
    fn suspect_orphans(&self) {
        let packets = &self.layout().packets;
        // ORDERING: Relaxed: under the put lock; an old value of `gone` costs one superfluous look.
        let sent = packets.sent.load(Ordering::Relaxed);
        if sent != packets.gone.load(Ordering::Relaxed) {
            // ORDERING: Release, pairs with the Acquire in `discard_passed`: these packets were sent, or will
            // never be.
            packets.suspect.store(sent, Ordering::Release);
            if let Some(_getting) = self.try_lock_to_get() {
                self.discard_all_packets();
            }
        }
    }

    /// Under the put lock: the ticket of the packet of the record at `tail`.
    pub(super) fn next_ticket(&self, tail: Cursor) -> Ticket {
        let sent = &self.layout().packets.sent;
        // ORDERING: Relaxed: under the put lock.
        let number = sent.load(Ordering::Relaxed).wrapping_add(1).max(1);
        // ORDERING: Release: before the packet is sent, also for the next holder after a death. Without this
        // store that holder would not look for the orphan.
        sent.store(number, Ordering::Release);
        Ticket { number, item: tail.items }
    }

    /// Under the get lock: receives the packet of the first record. `false`: it was received before.
    #[cold]
    pub(super) fn receive(&self, packet: u64, beside: &mut impl TakeContext) -> Result<bool, NotTaken> {
        // ORDERING: Relaxed: it was written before the record that names it was published.
        if packet > self.layout().packets.sent.load(Ordering::Relaxed) {
            return Err(NotTaken::Corrupt);
        }
        beside.receive(packet)
    }

    /// Under the get lock: notes that no packet up to this number is on the socket.
    pub(super) fn note_gone(&self, packet: u64) {
        let gone = &self.layout().packets.gone;
        // ORDERING: Relaxed: under the get lock; to others it is a hint.
        if packet > gone.load(Ordering::Relaxed) {
            gone.store(packet, Ordering::Relaxed);
        }
    }

    /// Discards packets that a dead producer may have left beside an empty ring.
    #[inline]
    pub(crate) fn discard_orphans(&self) {
        let packets = &self.layout().packets;
        // ORDERING: Relaxed: a hint.
        if packets.sent.load(Ordering::Relaxed) != packets.gone.load(Ordering::Relaxed) {
            self.discard_orphans_of_empty();
        }
    }

    #[cold]
    fn discard_orphans_of_empty(&self) {
        if !self.is_empty() {
            return;
        }
        // Only tried: a holder of one of these locks discards orphans itself when it looks for records, or is
        // at work.
        let Some(_getting) = self.try_lock_to_get() else { return };
        let Some(taken) = self.layout().write_side.lock.try_acquire() else { return };
        let _putting = self.locked_to_put(taken);
        self.discard_all_packets();
    }

    /// Under both locks: discards all packets, if the ring is empty, since each is an orphan then.
    fn discard_all_packets(&self) {
        if !matches!(self.read_position(), Err(NotTaken::Empty)) {
            return;
        }
        loop {
            match self.0.drop_packet() {
                DropOutcome::Done => {}
                // ORDERING: Relaxed: under the put lock.
                DropOutcome::Nothing => {
                    return self.note_gone(self.layout().packets.sent.load(Ordering::Relaxed));
                }
                DropOutcome::Failed => return,
            }
        }
    }

    /// Under the get lock: discards orphans whose items the consumers have passed.
    #[inline]
    pub(super) fn discard_passed(&self, head: Cursor) {
        let packets = &self.layout().packets;
        // ORDERING: Acquire, pairs with the Release in `suspect_orphans`.
        let suspect = packets.suspect.load(Ordering::Acquire);
        // ORDERING: Relaxed: under the get lock.
        if suspect > packets.gone.load(Ordering::Relaxed) {
            self.discard_passed_up_to(suspect, head);
        }
    }

    #[cold]
    fn discard_passed_up_to(&self, suspect: u64, head: Cursor) {
        loop {
            match self.0.first_packet() {
                FirstPacket::There(Ticket { number, item })
                    if number <= suspect && item.wrapping_sub(head.items).cast_signed() < 0 =>
                {
                    if self.0.drop_packet() != DropOutcome::Done {
                        return;
                    }
                    self.note_gone(number);
                }
                FirstPacket::There(Ticket { number, .. }) => {
                    return self.note_gone(suspect.min(number.saturating_sub(1)));
                }
                FirstPacket::Nothing => return self.note_gone(suspect),
                FirstPacket::Unknown => return,
            }
        }
    }
}
