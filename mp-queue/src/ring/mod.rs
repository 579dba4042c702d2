//! The ring: records in shared memory, published by one store.
//!
//! ```text
//!  producers                                                     consumers
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
//! | `cached`      | each side, under its lock| the other side's cursor as last seen: most calls look no further |
//! | `published`   | a producer who wakes       | consumers sleep on it, see wait.rs and leaders.rs              |
//! | `freed`       | a consumer who wakes       | producers sleep on it                                          |
//!
//! A cursor packs a count of items and a position, in units of 8 bytes, into one 64-bit word, so that *one* store
//! commits a record and the count of items with it: `qsize`, `empty` and `full` cannot disagree.
//!
//! A full segment is followed by a larger one further up in the same memory; a drained large one is left for a
//! small one, and its pages go back to the system. A record lies in one segment, in two pieces where it wraps.
//!
//! # Orderings
//! The store of `tail` (Release) pairs with its load (Acquire) in `take`: a consumer that sees the count sees the
//! bytes. The store of `head` (Release) pairs with its load (Acquire) in `head_of`: a producer that sees the room may
//! write there. What stands in a cached was loaded so by a holder of the same lock. `shut` rises under the put lock
//! (Release, pairs with the Acquire in `is_shut`): whoever sees it sees every record that was ever put.
//! # When a process dies
//! *Putting*: before the store of `tail` there is nothing; the next producer writes over it. A hop that was linked
//! and not finished is finished by the next producer, and memory that was taken for one and not linked is given back by
//! him. *Taking*: before the store of `head` the record is still there, after it the record is his, and lost with him.
//! *Leaving a drained segment*: its pages are given back before it is left, so that no producer can be using it again;
//! the next consumer leaves it once more. *Between a commit and its wake*: the sleeper looks by itself within half a
//! second. *Asleep*: he held no lock; his flag costs one pre-forked child wake. *With descriptors*: packets.rs.
//! # Tested by
//! ring/model (loom, with deaths), ring/crowd.rs (shuttle, with deaths), ring/tests.rs, tests/queue.rs, tests/corrupt.rs,
//! tests/memory.rs

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
use layout::{Layout, SEGMENTS, Slot};
use mp_core::word::{Deadline, Long, Ordering, Owned, Word};
use mp_sync::raw::{Acquired, RawLock};
pub(crate) use packets::{Dropped, First, Ticket};
pub(crate) use segment::{segment_bytes, segment_offset, segment_units, segments_within};
use std::time::Duration;
pub(crate) use tasks::Worker;

/// What the ring stands on: its words, its bytes, and the system's part in its memory.
pub(crate) trait Memory {
    type Owned: Owned;
    type Long: Long;
    /// Segments up to this one are kept when drained: steady traffic stays on warm pages.
    const WARM: usize;
    /// The first sleep of a call is no matter of the leaders'.
    const FIRST_ALONE: bool = true;
    fn layout(&self) -> &Layout<Self::Owned, Self::Long>;
    /// For processes that take tasks, and one for all others.
    fn slots(&self) -> &[Slot<WordOf<Self>, Self::Long>];
    /// How many segments there may be.
    fn segments(&self) -> usize;
    /// Units of 8 bytes in a segment: a power of two.
    fn units(&self, segment: usize) -> u32;
    /// Has this process reach the bytes of a segment, before it first uses them; `Err`: the number of the system's
    /// error.
    fn open(&self, _segment: usize) -> Result<(), i32> {
        Ok(())
    }
    /// One unit, at an offset that is a multiple of it.
    fn load(&self, segment: usize, offset: usize) -> u64;
    /// As above.
    fn store(&self, segment: usize, offset: usize, unit: u64);
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]);
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>);
    /// Takes the pages of a segment for good, and opens it; `false`: there is no memory.
    fn reserve(&self, segment: usize) -> bool;
    /// Gives the pages of a segment back.
    fn release(&self, segment: usize);
    /// The first packet beside the ring.
    fn first_packet(&self) -> First;
    /// Drops the first packet, with its descriptors.
    fn drop_packet(&self) -> Dropped;
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
    /// The record's packet could not be received; the record stays.
    Unreceived,
    /// This process cannot map the segment, whose records stay: the number of the system's error.
    Unmapped(i32),
    Corrupt,
}

pub(crate) struct Ring<M>(pub(crate) M);

impl<M: Memory> Ring<M> {
    fn layout(&self) -> &Layout<M::Owned, M::Long> {
        self.0.layout()
    }

    /// The get lock. What a dead holder left is repaired by who takes next.
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

    /// Items that were put and not taken, at some moment during the call.
    pub(crate) fn items(&self) -> usize {
        let mut before = self.got();
        let mut items = 0;
        for _ in 0..TRIES {
            let put_at = self.put_segment();
            // ORDERING: Acquire: the second look at the head is not earlier.
            let put = Cursor::of(self.layout().segments[put_at].tail.load(Ordering::Acquire));
            let after = self.got();
            items = put.items.wrapping_sub(after.items);
            if before.items == after.items {
                break;
            }
            before = after;
        }
        // Consumers outran every look: there was next to nothing.
        if items > u32::MAX / 2 { 0 } else { items as usize }
    }

    /// Where the consumers are, a little old perhaps.
    fn got(&self) -> Cursor {
        // ORDERING: Acquire, pairs with the Release in `front`; and below with that in `take`.
        let at = (self.layout().read_side.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1);
        Cursor::of(self.layout().segments[at].head.load(Ordering::Acquire))
    }

    fn put_segment(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `hop`.
        (self.layout().write_side.segment.load(Ordering::Acquire) as usize).min(SEGMENTS - 1)
    }

    /// Whether it holds as many items as it may.
    pub(crate) fn looks_full(&self) -> bool {
        // ORDERING: Relaxed: written once, before the queue was shared.
        let most = self.layout().limits.items.load(Ordering::Relaxed) as usize;
        most != 0 && self.items() >= most
    }

    /// No more may be put; everybody who waits looks again. Waits for a put in progress, but not for a stopped
    /// write_side: only until the deadline.
    pub(crate) fn shut(&self, until: Option<Deadline>) {
        let lock = self.lock_to_put(until);
        // ORDERING: Release, pairs with the Acquire in `is_shut`: records that were put are seen.
        self.layout().shut.store(1, Ordering::Release);
        drop(lock);
        self.wake_everybody();
    }

    /// Whether it was shut.
    pub(crate) fn is_shut(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `shut`.
        self.layout().shut.load(Ordering::Acquire) != 0
    }

    /// The byte in its segment that a position stands for.
    #[inline]
    fn offset(&self, segment: usize, position: u32) -> usize {
        (position & (self.0.units(segment) - 1)) as usize * UNIT
    }

    /// The segment after `at`, if there is one.
    fn follow(&self, at: usize) -> Result<Option<usize>, NotTaken> {
        // ORDERING: Acquire, pairs with the Release in `hop`.
        match self.layout().segments[at].next.load(Ordering::Acquire) as usize {
            0 => Ok(None),
            next if next <= self.0.segments() => Ok(Some(next - 1)),
            _ => Err(NotTaken::Corrupt),
        }
    }

    /// A cursor of one's own side, under its lock.
    fn own(&self, cursor: &M::Long) -> Cursor {
        // ORDERING: Relaxed: the lock orders it.
        Cursor::of(cursor.load(Ordering::Relaxed))
    }
}

/// What goes on beside the ring while records are taken, under the get lock.
pub(crate) trait Beside {
    /// Takes the packet of the record that is about to be taken; `false`: it is not there. On an error it stays.
    fn receive(&mut self, packet: u64) -> Result<bool, NotTaken>;
    /// Who takes, if what is taken is to be reported done.
    fn worker(&self) -> Option<&impl Worker>;
}

#[cfg(test)]
pub(crate) struct Alone;

/// Records without packets, whose end nobody waits for.
#[cfg(test)]
impl Beside for Alone {
    fn receive(&mut self, _: u64) -> Result<bool, NotTaken> {
        unreachable!("no packets here")
    }
    fn worker(&self) -> Option<&impl Worker> {
        None::<&crate::worker::ThisProcess>
    }
}

/// Looks at a moving queue before its size is guessed.
const TRIES: u32 = 100;
/// For a lock that is held for one copy, unless its holder was stopped.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// Gives the lock back when dropped; not by a thread that unwinds, for which the kernel does it when the thread ends
/// (and so dies a thread in the model).
struct Locked<'a, O: Owned>(&'a RawLock<O>);

impl<O: Owned> Drop for Locked<'_, O> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.release();
        }
    }
}
