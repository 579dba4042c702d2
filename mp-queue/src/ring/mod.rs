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
//! | part        | written by             | meaning                                                          |
//! |-------------|------------------------|------------------------------------------------------------------|
//! | `tail`      | holder of the put lock | items and bytes published so far in this segment                 |
//! | `head`      | holder of the get lock | items and bytes taken so far                                     |
//! | `next`      | holder of the put lock | 0, or 1 + the segment that follows this one                      |
//! | `cached`    | each side, under its lock | the other side's cursor as last read: most calls read no further |
//! | `published` | a producer that wakes  | event count on which consumers sleep (wait.rs, leaders.rs)       |
//! | `freed`     | a consumer that wakes  | event count on which producers sleep                             |
//!
//! A cursor packs a count of items and a position, in units of 8 bytes, into one 64-bit word. So *one* store
//! commits a record and the count of items with it: `qsize`, `empty` and `full` cannot disagree.
//!
//! When a segment is full, a larger one further up in the same memory follows it. A drained large segment is
//! left for a small one, and its pages go back to the system. A record lies in one segment, in two pieces
//! where it wraps.
//!
//! # Orderings
//! The store of `tail` (Release) pairs with its load (Acquire) in `take`: a consumer that sees the count sees
//! the bytes. The store of `head` (Release) pairs with its load (Acquire) in `head_of`: a producer that sees
//! the room may write there. A cached cursor was loaded in the same way by a holder of the same lock. `shut`
//! is set under the put lock (Release, pairs with the Acquire in `is_shut`): a process that sees it sees
//! every record that was ever put.
//!
//! # When a process dies
//! - *While it puts*: before the store of `tail` nothing is in the ring; the next producer writes over it. The
//!   next producer also completes a segment switch that was linked and not completed, and releases memory that
//!   was reserved and not linked.
//! - *While it takes*: before the store of `head` the record is still in the ring. After the store it belongs
//!   to the consumer, and is lost with it.
//! - *While it leaves a drained segment*: the pages are released before the segment is left, so no producer can
//!   use it yet. The next consumer leaves it again.
//! - *Between a commit and its wake*: the sleeper wakes by itself within half a second.
//! - *While it sleeps*: it holds no lock. Its flag costs one superfluous wake.
//! - *With descriptors*: see packets.rs.
//!
//! # Tested by
//! ring/model (loom, with deaths), ring/crowd.rs (shuttle, with deaths), ring/tests.rs, tests/queue.rs,
//! tests/corrupt.rs, tests/memory.rs

#[cfg(test)]
mod crowd;
pub(crate) mod cursor;
pub(crate) mod layout;
mod leaders;
#[cfg(test)]
mod model;
mod packets;
mod polls;
mod put;
mod record;
mod segment;
mod take;
mod tasks;
#[cfg(test)]
mod tests;
mod wait;

use cursor::Cursor;
use layout::{Layout, SEGMENTS, TaskSlot};
use mp_core::word::{Deadline, Long, Ordering, Owned, Word};
use mp_sync::raw::{Acquired, RawLock};
pub(crate) use packets::{DropOutcome, FirstPacket, Ticket};
pub(crate) use segment::{has_whole, segment_bytes, segment_offset, segment_units, segments_within};
use std::time::Duration;
pub(crate) use tasks::Worker;

/// What the ring is generic over: its words, its bytes, and the system's part in its memory.
pub(crate) trait Memory {
    type Owned: Owned;
    type Long: Long;
    /// Segments up to this one keep their pages when drained: steady traffic stays on pages that are in the
    /// caches.
    const WARM: usize;
    /// Whether the first sleep of a call does without a leader.
    const FIRST_ALONE: bool = true;
    fn layout(&self) -> &Layout<Self::Owned, Self::Long>;
    /// The task slots: one for each process that takes tasks, and one shared by all others.
    fn slots(&self) -> &[TaskSlot<WordOf<Self>, Self::Long>];
    /// The number of segments that the queue may have.
    fn segments(&self) -> usize;
    /// Whether it is the whole segment: for a record that fits nowhere else, when the queue is empty.
    fn is_whole(&self, _segment: usize) -> bool {
        false
    }
    /// The length of a segment in units of 8 bytes: a power of two.
    fn units(&self, segment: usize) -> u32;
    /// Maps the bytes of a segment into this process, before their first use. `Err`: the error number of the
    /// system.
    fn open(&self, _segment: usize) -> Result<(), i32> {
        Ok(())
    }
    /// Reads one unit, at an offset that is a multiple of 8.
    fn load(&self, segment: usize, offset: usize) -> u64;
    /// Writes one unit, at an offset that is a multiple of 8.
    fn store(&self, segment: usize, offset: usize, unit: u64);
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]);
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>);
    /// Reserves the pages of a segment, and maps it. `false`: there is no memory.
    fn reserve(&self, segment: usize) -> bool;
    /// Returns the pages of a segment to the system.
    fn release(&self, segment: usize);
    /// Reads the first packet of the socket, and leaves it there.
    fn first_packet(&self) -> FirstPacket;
    /// Discards the first packet, with its descriptors.
    fn drop_packet(&self) -> DropOutcome;
}

type WordOf<M> = <<M as Memory>::Owned as Owned>::Word;

const UNIT: usize = 8;

/// Why a record was not put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
    TooLarge,
    NoMemory,
    /// The record's packet could not be sent.
    Unsent,
    /// This process cannot map the segment: the number of the system's error.
    Unmapped(i32),
    Corrupt,
}

/// The result of sending a record's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packet {
    Sent,
    /// The socket is full. The put is refused as if the ring were full.
    Full,
    Failed,
}

/// Why no record was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    Empty,
    /// The queue is empty and stays so: it was shut down, or its counted producers have ended. Returned by
    /// the channel, never by the ring.
    Ended,
    /// The record's packet could not be received. The record stays in the ring.
    Unreceived,
    /// This process cannot map the segment; its records stay. The error number of the system.
    Unmapped(i32),
    Corrupt,
}

/// A queue of byte records in shared memory: see the module.
pub(crate) struct Ring<M>(pub(crate) M);

impl<M: Memory> Ring<M> {
    fn layout(&self) -> &Layout<M::Owned, M::Long> {
        self.0.layout()
    }

    /// Acquires the get lock. The next `take` repairs what a dead holder left.
    #[inline]
    fn lock_to_get(&self, until: Option<Deadline>) -> Option<Locked<'_, M::Owned>> {
        let taken = self.layout().read_side.lock.acquire(until)?;
        Some(self.locked_to_get(taken))
    }

    fn try_lock_to_get(&self) -> Option<Locked<'_, M::Owned>> {
        let taken = self.layout().read_side.lock.try_acquire()?;
        Some(self.locked_to_get(taken))
    }

    #[inline]
    fn locked_to_get(&self, taken: Acquired) -> Locked<'_, M::Owned> {
        let lock = &self.layout().read_side.lock;
        if taken == Acquired::OwnerDied {
            lock.clear_died();
        }
        Locked(lock)
    }

    /// The number of items that were put and not taken, at some moment during the call.
    pub(crate) fn items(&self) -> usize {
        let mut before = self.got();
        let mut items = 0;
        for _ in 0..TRIES {
            let put_at = self.put_segment();
            // ORDERING: Acquire: the second load of the head is not earlier.
            let put = Cursor::of(self.layout().segments[put_at].tail.load(Ordering::Acquire));
            let after = self.got();
            items = put.items.wrapping_sub(after.items);
            if before.items == after.items {
                break;
            }
            before = after;
        }
        // The consumers were faster than every attempt: the queue was nearly empty.
        if items > u32::MAX / 2 { 0 } else { items as usize }
    }

    /// The consumers' cursor, possibly a little old.
    fn got(&self) -> Cursor {
        // ORDERING: Acquire, pairs with the Release in `read_position`; and below with that in `commit`.
        let at = (self.layout().read_side.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1);
        Cursor::of(self.layout().segments[at].head.load(Ordering::Acquire))
    }

    fn put_segment(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `switch_segment`.
        (self.layout().write_side.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1)
    }

    /// Whether the queue holds as many items as it may.
    pub(crate) fn is_full(&self) -> bool {
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = self.layout().limits.items.load(Ordering::Relaxed) as usize;
        most != 0 && self.items() >= most
    }

    /// Shuts the queue down: no more records can be put, and all waiters wake. Waits until the deadline for a
    /// put in progress.
    pub(crate) fn shut(&self, until: Option<Deadline>) {
        let lock = self.lock_to_put(until);
        // ORDERING: Release, pairs with the Acquire in `is_shut`: a process that sees the flag sees all
        // records.
        self.layout().shut.store(1, Ordering::Release);
        drop(lock);
        self.wake_all();
    }

    /// Whether the queue was shut down.
    pub(crate) fn is_shut(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `shut`.
        self.layout().shut.load(Ordering::Acquire) != 0
    }

    /// The byte offset of a position within its segment.
    #[inline]
    fn offset(&self, segment: usize, position: u32) -> usize {
        (position & (self.0.units(segment) - 1)) as usize * UNIT
    }

    /// The segment that follows `at`, if there is one.
    fn next_segment(&self, at: usize) -> Result<Option<usize>, NotTaken> {
        // ORDERING: Acquire, pairs with the Release in `switch_segment`.
        match self.layout().segments[at].next.load(Ordering::Acquire) as usize {
            0 => Ok(None),
            next if next <= self.0.segments() => Ok(Some(next - 1)),
            _ => Err(NotTaken::Corrupt),
        }
    }

    /// A cursor of the caller's own side, under its lock.
    fn own(&self, cursor: &M::Long) -> Cursor {
        // ORDERING: Relaxed: the lock orders it.
        Cursor::of(cursor.load(Ordering::Relaxed))
    }
}

/// What a take needs besides the ring, under the get lock.
pub(crate) trait TakeContext {
    /// Receives the packet of the record that is about to be taken. `false`: the packet is not in the socket.
    /// On an error it stays there.
    fn receive(&mut self, packet: u64) -> Result<bool, NotTaken>;
    /// The process that takes, if the records count as tasks.
    fn worker(&self) -> Option<&impl Worker>;
}

#[cfg(test)]
pub(crate) struct NoContext;

/// Records without packets that are no tasks.
#[cfg(test)]
impl TakeContext for NoContext {
    fn receive(&mut self, _: u64) -> Result<bool, NotTaken> {
        unreachable!("no packets here")
    }
    fn worker(&self) -> Option<&impl Worker> {
        None::<&crate::worker::ThisProcess>
    }
}

/// Attempts to count the items of a queue in motion.
const TRIES: u32 = 100;
/// The longest wait for a lock that is held for one copy, unless its holder was stopped.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// Releases the lock when dropped. A thread that unwinds keeps it: the kernel frees it when the thread ends.
/// (So the model makes a thread die.)
struct Locked<'a, O: Owned>(&'a RawLock<O>);

impl<O: Owned> Drop for Locked<'_, O> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.release();
        }
    }
}
