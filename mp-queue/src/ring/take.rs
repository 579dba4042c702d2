//! Taking: what the holder of the get lock does.

use super::cursor::Cursor;
use super::layout::SEGMENTS;
use super::{Beside, Memory, NotTaken, Ring};
use mp_core::word::{Deadline, Long, Ordering, Word};

/// The first record that was not taken.
pub(super) struct ReadPosition {
    segment: usize,
    head: Cursor,
    /// Where the published ones end, as far as they were looked at.
    tail: Cursor,
}

impl<M: Memory> Ring<M> {
    /// Takes one record: appends its bytes to `into`.
    #[inline]
    pub(crate) fn take(
        &self,
        into: &mut Vec<u8>,
        beside: &mut impl Beside,
        until: Option<Deadline>,
    ) -> Result<(), NotTaken> {
        if self.looks_empty() {
            self.discard_orphans();
            return Err(NotTaken::Empty);
        }
        let Some(_lock) = self.lock_to_get(until) else { return Err(NotTaken::Empty) };
        let start = into.len();
        loop {
            let ReadPosition { segment, head, tail } = self.read_position()?;
            let record = self.read_head(segment, head, tail)?;
            self.read_bytes(segment, head.position, record, into);
            let next = head.advanced(record.units);
            if record.packet != 0 && !self.receive(record.packet, beside)? {
                into.truncate(start);
                self.pass_over(segment, head, next, beside);
                continue;
            }
            self.leave(segment, head, next, beside);
            if record.packet != 0 {
                self.note_gone(record.packet);
            }
            return Ok(());
        }
    }

    /// Takes up to `most` records that have no packet, all together: appends their bytes to `into`, and where each
    /// ends there to `ends`. If the first one has a packet it takes none: [`take`](Ring::take) does.
    pub(crate) fn take_many(
        &self,
        most: usize,
        into: &mut Vec<u8>,
        ends: &mut Vec<usize>,
        beside: &impl Beside,
        until: Option<Deadline>,
    ) -> Result<(), NotTaken> {
        if self.looks_empty() {
            self.discard_orphans();
            return Err(NotTaken::Empty);
        }
        let layout = self.layout();
        let Some(_lock) = self.lock_to_get(until) else { return Err(NotTaken::Empty) };
        let ReadPosition { segment, head: first, mut tail } = self.read_position()?;
        if (tail.items.wrapping_sub(first.items) as usize) < most {
            // ORDERING: Acquire, pairs with the Release in `publish`.
            tail = Cursor::of(layout.segments[segment].tail.load(Ordering::Acquire));
            layout.read_side.cached.note(segment, tail);
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
            self.leave(segment, first, head, beside);
        }
        Ok(())
    }

    /// The commit: what lies between `head` and `next` is the caller's, and its room is free.
    #[inline]
    fn leave(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl Beside) {
        let worker = beside.worker();
        if let Some(worker) = worker {
            self.settle(head);
            self.claim(worker, next, next.items.wrapping_sub(head.items));
        }
        // ORDERING: Release, pairs with the Acquire in `head_of`.
        self.layout().segments[segment].head.store(next.packed(), Ordering::Release);
        if worker.is_some() {
            self.claimed();
        }
    }

    /// Whether there was nothing to take a moment ago: spares an idle getter the lock.
    #[inline]
    pub(crate) fn looks_empty(&self) -> bool {
        let layout = self.layout();
        // ORDERING: Acquire, pairs with the Release in `front`.
        let at = layout.read_side.segment.load(Ordering::Acquire) as usize;
        if at >= self.0.segments() {
            // Whoever takes is told that it is corrupt; he must not sleep on it.
            return false;
        }
        let segment = &layout.segments[at];
        // ORDERING: Acquire, pairs with the Release in `take`: the tail below is no older than what that getter saw.
        // A consumer that is about to sleep must not miss a record because another took the one before it.
        let head = Cursor::of(segment.head.load(Ordering::Acquire));
        if layout.read_side.cached.seen(at).is_some_and(|tail| tail.position != head.position) {
            return false;
        }
        // ORDERING: Acquire: the link before the tail, so that what was put before the link was set is seen.
        let ended = segment.next.load(Ordering::Acquire) == 0;
        let tail = Cursor::of(segment.tail.load(Ordering::Acquire));
        ended && tail.position == head.position
    }

    /// A record without its packet is nobody's: see `packets.rs`.
    #[cold]
    fn pass_over(&self, segment: usize, head: Cursor, next: Cursor, beside: &impl Beside) {
        let is_task = beside.worker().is_some();
        if is_task {
            self.settle(head);
            self.claim_lost(next);
        }
        // ORDERING: as in `leave`.
        self.layout().segments[segment].head.store(next.packed(), Ordering::Release);
        if is_task {
            self.claimed();
            self.after_done();
        }
        Self::wake_one(&self.layout().freed);
    }

    /// The first segment that has a record, and where in it; leaves drained ones behind.
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
            self.drop_passed(head);
            // The link before the tail: what was put before the link was set is seen.
            let next = self.follow(at)?;
            // ORDERING: Acquire, pairs with the Release in `publish`.
            let tail = Cursor::of(segment.tail.load(Ordering::Acquire));
            if head.position != tail.position {
                getter.cached.note(at, tail);
                return self.opened(ReadPosition { segment: at, head, tail });
            }
            let Some(next) = next else { return Err(NotTaken::Empty) };
            getter.cached.forget();
            // Before it is left: once it is, a producer may use it again.
            if at > M::WARM {
                self.0.release(at);
            }
            // ORDERING: Release, pairs with the Acquire in `getting`.
            getter.segment.store(next as u32, Ordering::Release);
            at = next;
        }
        Err(NotTaken::Corrupt)
    }

    #[inline]
    fn opened(&self, front: ReadPosition) -> Result<ReadPosition, NotTaken> {
        self.0.open(front.segment).map_err(NotTaken::Unmapped)?;
        Ok(front)
    }

    /// Changes with each take: for whoever spins.
    pub(super) fn taken_so_far(&self) -> u64 {
        self.got().packed()
    }
}
