//! Taking: the steps of the holder of the get lock.
//!
//! ```text
//!  is_empty? ─► lock ─► read_position ───────► read_head ─► read_bytes ─► (packet) ─► commit ─► unlock ─► wake a producer
//!               (leaves drained segments)      checked      copied out                head = next
//! ```

use super::cursor::Cursor;
use super::layout::SEGMENTS;
use super::{Memory, NotTaken, Ring, TakeContext};
use mp_core::word::{Deadline, Long, Ordering, Word};

/// The position of the first record that was not taken.
pub(super) struct ReadPosition {
    segment: usize,
    head: Cursor,
    /// The end of the published records, as far as it was read.
    tail: Cursor,
}

impl<M: Memory> Ring<M> {
    /// Takes one record: appends its bytes to `into`.
    #[inline]
    pub(crate) fn take(
        &self,
        into: &mut Vec<u8>,
        beside: &mut impl TakeContext,
        until: Option<Deadline>,
    ) -> Result<(), NotTaken> {
        if self.is_empty() {
            self.discard_orphans();
            return Err(NotTaken::Empty);
        }
        let Some(_lock) = self.lock_to_get(until) else { return Err(NotTaken::Empty) };
        let start = into.len();
        loop {
            let ReadPosition { segment, head, tail } = self.read_position()?;
            // Copied out before the commit: after it a producer may write over the bytes.
            let record = self.read_head(segment, head, tail)?;
            self.read_bytes(segment, head.position, record, into);
            let next = head.advanced(record.units);
            if record.packet != 0 && !self.receive(record.packet, beside)? {
                // The producer or a consumer died between packet and commit, so the packet is lost. Without
                // this step the record would block the queue for ever.
                into.truncate(start);
                self.skip_lost(segment, head, next, beside);
                continue;
            }
            self.commit(segment, head, next, beside);
            if record.packet != 0 {
                // After the commit: a count that is too low costs a system call, one that is too high would
                // hide an orphan.
                self.note_gone(record.packet);
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
        if self.is_empty() {
            self.discard_orphans();
            return Err(NotTaken::Empty);
        }
        let layout = self.layout();
        let Some(_lock) = self.lock_to_get(until) else { return Err(NotTaken::Empty) };
        let ReadPosition { segment, head: first, mut tail } = self.read_position()?;
        if (tail.items.wrapping_sub(first.items) as usize) < most {
            // ORDERING: Acquire, pairs with the Release in `publish`.
            tail = Cursor::of(layout.segments[segment].tail.load(Ordering::Acquire));
            layout.read_side.cached.set(segment, tail);
        }
        let mut head = first;
        while head.position != tail.position && ends.len() < most {
            let record = self.read_head(segment, head, tail)?;
            if record.packet != 0 {
                break;
            }
            self.read_bytes(segment, head.position, record, into);
            ends.push(into.len());
            head = head.advanced(record.units);
        }
        if !ends.is_empty() {
            self.commit(segment, first, head, beside);
        }
        Ok(())
    }

    /// The commit: the records between `head` and `next` belong to the caller, and their room is free.
    #[inline]
    fn commit(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl TakeContext) {
        let worker = beside.worker();
        if let Some(worker) = worker {
            // A dead consumer may have claimed records that it did not take. They are in the ring, and would
            // count twice.
            self.roll_back_claim(head);
            self.claim(worker, next, next.items.wrapping_sub(head.items));
        }
        // This store takes the records: a death before it leaves them in the ring, a death after it loses
        // them.
        // ORDERING: Release, pairs with the Acquire in `head_of`.
        self.layout().segments[segment].head.store(next.packed(), Ordering::Release);
        if worker.is_some() {
            self.clear_claim();
        }
    }

    /// Whether the ring was empty a moment ago. Spares a consumer of an empty queue the lock.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `read_position`.
        let at = layout.read_side.segment.load(Ordering::Acquire) as usize;
        if at >= self.0.segments() {
            // `take` returns `Corrupt`. A consumer must not sleep instead.
            return false;
        }
        let segment = &layout.segments[at];
        // ORDERING: Acquire, pairs with the Release in `commit`: the tail below is no older than the one that
        // consumer saw. A consumer that is about to sleep must not miss a record because another consumer
        // took the one before it.
        let head = Cursor::of(segment.head.load(Ordering::Acquire));
        if layout.read_side.cached.seen(at).is_some_and(|tail| tail.position != head.position) {
            return false;
        }
        // ORDERING: Acquire: the link before the tail, so that what was put before the link was set is seen.
        let ended = segment.next.load(Ordering::Acquire) == 0;
        let tail = Cursor::of(segment.tail.load(Ordering::Acquire));
        ended && tail.position == head.position
    }

    /// Skips a record whose packet is lost: see `packets.rs`.
    #[cold]
    fn skip_lost(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl TakeContext) {
        let is_task = beside.worker().is_some();
        if is_task {
            self.roll_back_claim(head);
            self.claim_as_lost(next);
        }
        // ORDERING: as in `commit`.
        self.layout().segments[segment].head.store(next.packed(), Ordering::Release);
        if is_task {
            self.clear_claim();
            self.after_done();
        }
        Self::wake_one(&self.layout().freed);
    }

    /// The first segment that has a record, and the record's position. Leaves drained segments.
    pub(super) fn read_position(&self) -> Result<ReadPosition, NotTaken> {
        let getter = &self.layout().read_side;
        // ORDERING: Relaxed: under the get lock.
        let mut at = getter.segment.load(Ordering::Relaxed) as usize;
        for _ in 0..=SEGMENTS {
            if at >= self.0.segments() {
                return Err(NotTaken::Corrupt);
            }
            let segment = &self.layout().segments[at];
            let head = self.own(&segment.head);
            if let Some(tail) = getter.cached.seen(at).filter(|tail| tail.position != head.position) {
                return self.opened(ReadPosition { segment: at, head, tail });
            }
            self.discard_passed(head);
            // The link is read before the tail, so all records that were put before the link was set are
            // seen.
            let next = self.next_segment(at)?;
            // ORDERING: Acquire, pairs with the Release in `publish`.
            let tail = Cursor::of(segment.tail.load(Ordering::Acquire));
            if head.position != tail.position {
                getter.cached.set(at, tail);
                return self.opened(ReadPosition { segment: at, head, tail });
            }
            let Some(next) = next else { return Err(NotTaken::Empty) };
            getter.cached.clear();
            // Before the segment is left: after that a producer may use it, and this would erase its records.
            if at > M::WARM {
                self.0.release(at);
            }
            // ORDERING: Release, pairs with the Acquire in `read_cursor`.
            getter.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        Err(NotTaken::Corrupt)
    }

    #[inline]
    fn opened(&self, position: ReadPosition) -> Result<ReadPosition, NotTaken> {
        self.0.open(position.segment).map_err(NotTaken::Unmapped)?;
        Ok(position)
    }

    /// A value that changes with each take, for waiters that spin.
    pub(super) fn taken_so_far(&self) -> u64 {
        self.got().packed()
    }
}
