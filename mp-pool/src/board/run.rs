//! A run: a slot of several items that workers take one by one. For tasks that go to the workers one at a time, what a
//! slot costs is then paid once for all of them.
//!
//! ```text
//!                     begin(w)               done
//!   0 ── READY ─────────────────► TAKEN(w) ─────────► DONE(w), SENT(w)         a word for each item
//!          │                         └── condemn ───► CONDEMNED(w)
//!          └── cancel ──► 0
//! ```
//!
//! The words are those of a slot (`slot.rs`), one for each item. To take an item is to begin it: whatever happens to
//! the worker from there on is attributed to it. SENT: its result comes by a message, whose number lies where the
//! result would. The slot's own word is FREE meanwhile, so no worker takes the slot as a whole.
//!
//! The worker that begins the first item goes on from there. Another one takes the items from the last one on, and only
//! where it finds no run that no worker has begun (`lane.rs`). The hint stays in its lane until a worker finds it at
//! the head, and no item to begin.
//!
//! # Orderings
//! Release on each change that hands over, Acquire on each that takes over. READY names no task, as for a slot: a
//! worker that comes late, or goes on in a slot that is used again meanwhile, begins an item that is there now, and
//! reads after that where it is.
//! # When a process dies
//! Each word names its worker. The caller looks at all of them after its death.
//! # Tested by
//! model/runs.rs

use super::slot::{ITEMS, LENGTH, PHASE, PLACE, PROGRESS, Phase, ROOM, STARTED, WRITTEN, word};
use super::{Board, Taken};
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

/// Where the items of a run lie. Places and lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    pub(crate) items: u32,
    /// Where the code begins; the arguments of the items follow it, and then, at a multiple of 16, their results.
    pub(crate) place: u32,
    pub(crate) code: u32,
    /// From one item's arguments to the next one's.
    pub(crate) stride: u32,
    /// The room for a result.
    pub(crate) room: u32,
    /// The number of its job, which no other job of the pool has: a worker that knows it need not read the code.
    pub(crate) job: u64,
}

/// What has become of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// No worker has begun it, or one is still at it.
    Open,
    Done {
        worker: u32,
        /// Its result comes by a message.
        sent: bool,
    },
    /// Its worker has died. The caller had given it up.
    Lost { condemned: bool },
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    #[inline]
    fn of_item(&self, slot: u32, item: u32) -> &W {
        self.word(self.places.item(slot, item))
    }

    /// Caller: describes a run in a free slot, and lets its items be taken.
    pub(crate) fn post_run(&self, slot: u32, run: Run) {
        let words = [
            (ITEMS, run.items),
            (PLACE, run.place),
            (LENGTH, run.code),
            (PROGRESS, run.stride),
            (ROOM, run.room),
            (WRITTEN, run.job as u32),
            (STARTED, (run.job >> 32) as u32),
        ];
        for (what, value) in words {
            // ORDERING: Relaxed, all: the store of each item's word publishes them.
            self.of_slot(slot, what).store(value, Ordering::Relaxed);
        }
        for item in 0..run.items {
            // ORDERING: Release, pairs with the Acquire in `begin`: the run is there.
            self.of_item(slot, item).store(Phase::Ready as u32, Ordering::Release);
        }
    }

    /// Worker: what it has taken an item of.
    #[inline]
    pub(crate) fn run(&self, slot: u32) -> Run {
        // ORDERING: Relaxed, all: after the exchange that took the item.
        let word = |what| self.of_slot(slot, what).load(Ordering::Relaxed);
        let (items, place, code) = (word(ITEMS), word(PLACE), word(LENGTH));
        let job = u64::from(word(WRITTEN)) | u64::from(word(STARTED)) << 32;
        Run { items, place, code, stride: word(PROGRESS), room: word(ROOM), job }
    }

    /// Worker: begins an item, if it is ready.
    #[inline]
    fn begin(&self, slot: u32, item: u32, me: u32) -> bool {
        let (ready, taken) = (Phase::Ready as u32, word(Phase::Taken, me));
        let state = self.of_item(slot, item);
        // ORDERING: Relaxed: a look. Acquire, pairs with the Release in `post_run`.
        state.load(Ordering::Relaxed) == ready
            && state.compare_exchange(ready, taken, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Worker: begins the first item, if no worker has.
    #[inline]
    pub(super) fn begin_first(&self, slot: u32, me: u32) -> Option<Taken> {
        self.begin(slot, 0, me).then_some(Taken { slot, item: Some(0) })
    }

    /// Worker: begins the last item that is ready.
    pub(super) fn begin_last(&self, slot: u32, me: u32) -> Option<Taken> {
        let item = (0..self.places.shape.run).rev().find(|item| self.begin(slot, *item, me))?;
        Some(Taken { slot, item: Some(item) })
    }

    /// Worker: begins an item after one that it has done: the next one, or the one before, where it came from the end.
    #[inline]
    pub(crate) fn begin_next(&self, slot: u32, item: u32, me: u32) -> Option<u32> {
        let (next, most) = (item + 1, self.places.shape.run);
        if next < most && self.begin(slot, next, me) {
            return Some(next);
        }
        let find = |item: &u32| self.begin(slot, *item, me);
        (next + 1..most).find(find).or_else(|| (0..item).rev().find(find))
    }

    /// Whether there is an item to begin.
    #[inline]
    pub(super) fn has_ready(&self, slot: u32) -> bool {
        // From the end: those that are begun are at the front most often.
        // ORDERING: Relaxed: after the hint to it.
        let word = |item| self.of_item(slot, item).load(Ordering::Relaxed);
        (0..self.places.shape.run).rev().any(|item| word(item) == Phase::Ready as u32)
    }

    /// Worker: an item is done. `false`: the caller has given it up, and is about to kill this process.
    #[inline]
    pub(crate) fn done_item(&self, slot: u32, item: u32, me: u32, sent: bool) -> bool {
        let done = word(if sent { Phase::Sent } else { Phase::Done }, me);
        let state = self.of_item(slot, item);
        // ORDERING: Release, pairs with the Acquire in `item`: the result is there.
        state.compare_exchange(word(Phase::Taken, me), done, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Caller: what has become of an item, where `of_dead` is a worker that is dead.
    #[inline]
    pub(crate) fn item(&self, slot: u32, item: u32, of_dead: Option<u32>) -> Item {
        // ORDERING: Acquire, pairs with the Release in `done_item`.
        let state = self.of_item(slot, item).load(Ordering::Acquire);
        let Some(worker) = (state >> 3).checked_sub(1) else { return Item::Open };
        let phase = state & PHASE;
        if phase == Phase::Done as u32 || phase == Phase::Sent as u32 {
            return Item::Done { worker, sent: phase == Phase::Sent as u32 };
        }
        if of_dead != Some(worker) {
            return Item::Open;
        }
        Item::Lost { condemned: phase == Phase::Condemned as u32 }
    }

    /// Caller: whether a worker is at an item.
    pub(crate) fn is_item_taken(&self, slot: u32, item: u32) -> bool {
        // ORDERING: Relaxed: it may change at once.
        let phase = self.of_item(slot, item).load(Ordering::Relaxed) & PHASE;
        phase == Phase::Taken as u32 || phase == Phase::Condemned as u32
    }

    /// Caller: whether this worker is at an item that was not given up.
    pub(crate) fn is_item_taken_by(&self, slot: u32, item: u32, worker: u32) -> bool {
        // ORDERING: Relaxed: the exchange of `condemn_item` decides whether it still is.
        self.of_item(slot, item).load(Ordering::Relaxed) == word(Phase::Taken, worker)
    }

    /// Caller: whether this worker is at an item that was given up.
    pub(crate) fn is_item_condemned(&self, slot: u32, item: u32, worker: u32) -> bool {
        // ORDERING: Relaxed: the caller itself has given it up.
        self.of_item(slot, item).load(Ordering::Relaxed) == word(Phase::Condemned, worker)
    }

    /// Caller: takes an item back that no worker has begun. `false`: one has.
    pub(crate) fn cancel_item(&self, slot: u32, item: u32) -> bool {
        let ready = Phase::Ready as u32;
        // ORDERING: Relaxed: no worker has written anything.
        self.of_item(slot, item).compare_exchange(ready, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Caller: gives up an item that a worker is at, and gives that worker, which is to be killed then. `None`: it was
    /// too late, or no worker is at it.
    pub(crate) fn condemn_item(&self, slot: u32, item: u32) -> Option<u32> {
        Self::condemn_by(self.of_item(slot, item))
    }

    /// Caller: no worker is at any item of the slot any more.
    pub(crate) fn free_run(&self, slot: u32) {
        for item in 0..self.places.shape.run {
            // ORDERING: Relaxed: the next `begin` depends on what `post_run` stores.
            self.of_item(slot, item).store(0, Ordering::Relaxed);
        }
    }
}
