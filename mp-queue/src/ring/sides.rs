//! Sides: the write side and the read side together: their locks, what the two say of the queue, and what
//! needs both locks.
//!
//! # When a process dies
//! - *With the put lock*: the next holder removes the orphan and the memory that it may have left, before
//!   anything else.
//! - *With the get lock*: the next take repairs what it left.
//!
//! # Tested by
//! ring/model, ring/crowd.rs (orphans), ring/tests.rs

use super::chain::Chain;
use super::cursor::Cursor;
use super::event_count::EventCount;
use super::layout::{Layout, Memory};
use super::outcome::{Corrupt, NotTaken};
use super::packets::Packets;
use super::read_side::{ReadParts, ReadSide, Reader};
use super::storage::WordOf;
use super::write_side::{WriteParts, WriteSide, Writer};
use mp_core::word::Deadline;
use mp_sync::raw::{Acquired, Locked};

/// See the module.
pub(super) struct Sides<'a, M> {
    memory: &'a M,
}

impl<'a, M: Memory> Sides<'a, M> {
    #[inline]
    pub(super) fn of(memory: &'a M) -> Self {
        Sides { memory }
    }

    #[inline]
    fn layout(&self) -> &'a Layout<M::Owned, M::Long> {
        self.memory.layout()
    }

    /// Acquires the get lock; `None`: the deadline passed first.
    #[inline]
    pub(super) fn lock_to_get(
        &self,
        until: Option<Deadline>,
    ) -> Option<(Locked<'a, M::Owned>, Reader<'a, M>)> {
        let lock = self.layout().read_side.acquire(until)?;
        Some((lock, Reader::of(self.memory)))
    }

    /// Acquires the put lock, and repairs what a dead holder left; `None`: the deadline passed first.
    #[inline]
    pub(super) fn lock_to_put(
        &self,
        until: Option<Deadline>,
    ) -> Option<(Locked<'a, M::Owned>, Writer<'a, M>)> {
        let (lock, acquired) = self.layout().write_side.acquire(until)?;
        if acquired == Acquired::OwnerDied {
            self.repair(&lock);
        }
        Some((lock, Writer::of(self.memory)))
    }

    /// Under the put lock, after the death of its holder.
    #[cold]
    fn repair(&self, lock: &Locked<'_, M::Owned>) {
        let layout = self.layout();
        if layout.packets.suspect_orphans()
            && let Some(_getting) = layout.read_side.try_acquire()
        {
            self.discard_all_packets();
        }
        Writer::of(self.memory).release_unused();
        // Last: after a death before this step the next holder is told of it, and repairs again.
        lock.clear_died();
    }

    /// Discards packets that a dead producer may have left beside an empty ring.
    #[inline]
    pub(super) fn discard_orphans(&self) {
        if self.layout().packets.may_be_there() {
            self.discard_orphans_of_empty();
        }
    }

    #[cold]
    fn discard_orphans_of_empty(&self) {
        if !self.is_empty() {
            return;
        }
        let layout = self.layout();
        // Only tried: a holder of one of these locks discards orphans itself when it looks for records, or is
        // at work.
        let Some(_getting) = layout.read_side.try_acquire() else { return };
        let Some((putting, acquired)) = layout.write_side.try_acquire() else { return };
        if acquired == Acquired::OwnerDied {
            self.repair(&putting);
        }
        self.discard_all_packets();
    }

    /// Under both locks: discards all packets, if the ring is empty.
    fn discard_all_packets(&self) {
        if matches!(Reader::of(self.memory).position(), Err(NotTaken::Empty)) {
            self.layout().packets.discard_all(self.memory);
        }
    }

    /// The number of items that were put and not taken, at some moment during the call.
    pub(super) fn items(&self) -> usize {
        let layout = self.layout();
        let mut before = self.taken();
        let mut items = 0;
        for _ in 0..TRIES {
            let put = layout.write_side.published(layout.chain());
            let after = self.taken();
            items = put.items.wrapping_sub(after.items);
            if before.items == after.items {
                break;
            }
            before = after;
        }
        // The consumers were faster than every attempt: the queue was nearly empty.
        if items > u32::MAX / 2 { 0 } else { items as usize }
    }

    /// Whether the ring was empty a moment ago.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let layout = self.layout();
        layout.read_side.is_empty(layout.chain(), self.memory.segments())
    }

    /// A value that changes with each put, for waiters that spin.
    pub(super) fn put_so_far(&self) -> u64 {
        let layout = self.layout();
        layout.write_side.progress(layout.chain())
    }

    /// A value that changes with each take, for waiters that spin.
    pub(super) fn taken_so_far(&self) -> u64 {
        self.taken().packed()
    }

    fn taken(&self) -> Cursor {
        let layout = self.layout();
        layout.read_side.taken(layout.chain())
    }

    /// The first record that was not taken, for the holder of the get lock.
    pub(super) fn read_cursor(&self) -> Result<Cursor, Corrupt> {
        let layout = self.layout();
        layout.read_side.cursor(layout.chain(), self.memory.segments()).map(|(_, cursor)| cursor)
    }
}

impl<M: Memory> ReadParts for M {
    #[inline]
    fn read_side(&self) -> &ReadSide<M::Owned, M::Long> {
        &self.layout().read_side
    }
    #[inline]
    fn chain(&self) -> Chain<'_, WordOf<M>, M::Long> {
        self.layout().chain()
    }
    #[inline]
    fn packets(&self) -> &Packets<M::Long> {
        &self.layout().packets
    }
}

impl<M: Memory> WriteParts for M {
    #[inline]
    fn write_side(&self) -> &WriteSide<M::Owned, M::Long> {
        &self.layout().write_side
    }
    #[inline]
    fn consumers(&self) -> &ReadSide<M::Owned, M::Long> {
        &self.layout().read_side
    }
    #[inline]
    fn chain(&self) -> Chain<'_, WordOf<M>, M::Long> {
        self.layout().chain()
    }
    #[inline]
    fn freed(&self) -> &EventCount<WordOf<M>> {
        &self.layout().freed
    }
    #[inline]
    fn most_items(&self) -> u32 {
        self.layout().limits.items()
    }
}

/// Attempts to count the items of a queue in motion.
pub(super) const TRIES: u32 = 100;
