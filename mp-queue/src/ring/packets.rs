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
use super::outcome::Corrupt;
use mp_core::word::{Long, Ordering};

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

/// The result of sending a record's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    Sent,
    /// The socket is full. The put is refused as if the ring were full.
    Full,
    Failed,
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

/// The receiving end of the packets' socket.
pub(crate) trait PacketSocket {
    /// Reads the first packet of the socket, and leaves it there.
    fn first_packet(&self) -> FirstPacket;
    /// Discards the first packet, with its descriptors.
    fn drop_packet(&self) -> DropOutcome;
}

/// The words beside the socket. Never written in a queue without handles.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Packets<L> {
    sent: L,
    gone: L,
    suspect: L,
}

impl<L: Long> Packets<L> {
    /// Under the put lock: the ticket of the packet of item number `item`.
    pub(super) fn next_ticket(&self, item: u32) -> Ticket {
        // ORDERING: Relaxed: under the put lock.
        let number = self.sent.load(Ordering::Relaxed).wrapping_add(1).max(1);
        // ORDERING: Release: before the packet is sent, also for the next holder after a death. Without this
        // store that holder would not look for the orphan.
        self.sent.store(number, Ordering::Release);
        Ticket { number, item }
    }

    /// Under the put lock, after a producer's death: notes that packets up to `sent` may be orphans. `false`:
    /// there are none.
    #[cold]
    pub(super) fn suspect_orphans(&self) -> bool {
        // ORDERING: Relaxed: under the put lock; an old value of `gone` costs one superfluous look.
        let sent = self.sent.load(Ordering::Relaxed);
        let any = sent != self.gone.load(Ordering::Relaxed);
        if any {
            // ORDERING: Release, pairs with the Acquire in `discard_passed`: these packets were sent, or will
            // never be.
            self.suspect.store(sent, Ordering::Release);
        }
        any
    }

    /// Under the get lock: checks the number of the packet that a record names.
    pub(super) fn check(&self, packet: u64) -> Result<(), Corrupt> {
        // ORDERING: Relaxed: it was written before the record that names it was published.
        if packet > self.sent.load(Ordering::Relaxed) { Err(Corrupt) } else { Ok(()) }
    }

    /// Under the get lock: notes that no packet up to this number is on the socket.
    pub(super) fn note_gone(&self, packet: u64) {
        // ORDERING: Relaxed: under the get lock; to others it is a hint.
        if packet > self.gone.load(Ordering::Relaxed) {
            self.gone.store(packet, Ordering::Relaxed);
        }
    }

    /// Whether packets are in flight, or may be orphans.
    #[inline]
    pub(super) fn may_be_there(&self) -> bool {
        // ORDERING: Relaxed: a hint.
        self.sent.load(Ordering::Relaxed) != self.gone.load(Ordering::Relaxed)
    }

    /// Under both locks, beside an empty ring: discards all packets, since each is an orphan.
    pub(super) fn discard_all(&self, socket: &impl PacketSocket) {
        loop {
            match socket.drop_packet() {
                DropOutcome::Done => {}
                // ORDERING: Relaxed: under the put lock.
                DropOutcome::Nothing => return self.note_gone(self.sent.load(Ordering::Relaxed)),
                DropOutcome::Failed => return,
            }
        }
    }

    /// Under the get lock: discards orphans whose items the consumers at `head` have passed.
    #[inline]
    pub(super) fn discard_passed(&self, socket: &impl PacketSocket, head: Cursor) {
        // ORDERING: Acquire, pairs with the Release in `suspect_orphans`.
        let suspect = self.suspect.load(Ordering::Acquire);
        // ORDERING: Relaxed: under the get lock.
        if suspect > self.gone.load(Ordering::Relaxed) {
            self.discard_passed_up_to(suspect, socket, head);
        }
    }

    #[cold]
    fn discard_passed_up_to(&self, suspect: u64, socket: &impl PacketSocket, head: Cursor) {
        loop {
            match socket.first_packet() {
                FirstPacket::There(Ticket { number, item })
                    if number <= suspect && item.wrapping_sub(head.items).cast_signed() < 0 =>
                {
                    if socket.drop_packet() != DropOutcome::Done {
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
