//! Tasks: records that were taken and are not done, and the processes that took them.
//!
//! ```text
//!   put ──► in the ring ── take: got + 1, head = next ──► taken by a process ── task_done: done + 1 ──► done
//!                                                              └── it dies ── reap ──► lost
//!   unfinished = records in the ring + records that living processes took and did not finish
//! ```
//!
//! | part             | written by             | meaning                                               |
//! |------------------|------------------------|-------------------------------------------------------|
//! | `process`        | holder of the get lock | the process that has the slot; 0: the slot is free    |
//! | `got`            | holder of the get lock | records that the process has taken                    |
//! | `done`           | any process            | of these, the number that is done; never more than `got` |
//! | `lost`           | holder of the get lock | records that were lost with dead processes            |
//! | `claim`,`expect` | holder of the get lock | journal of a take: 1 + slot and its `got` before; the item count after the commit. The slot after the last stands for `lost`, when a record is skipped |
//! | `reaping`        | holder of the get lock | journal of a reaping: 1 + slot and `lost` before      |
//! | `joined`         | a task_done that wakes | event count on which joiners sleep, see event_count.rs       |
//!
//! The first slot is shared by all processes that found no free slot. Its tasks are counted and never found
//! lost.
//!
//! # Orderings
//! `got` rises before the head (Release) that takes the record out of the ring. So a process that no longer
//! sees the record in the ring (Acquire) sees it here. `done` rises with Release and is read with Acquire: a
//! joiner sees what was done. A task that puts further tasks is done after that, so a count of all tasks is
//! valid only if nothing was put meanwhile.
//!
//! # When a process dies
//! - *With tasks*: a joiner finds the process dead, and counts its tasks as lost (join.rs).
//! - *Between its claim and its commit*: the next consumer rolls the claim back.
//! - *While it reaps*: the next process reaps again from the start.
//!
//! # Tested by
//! ring/model/tasks.rs, tests/joinable.rs

use super::cursor::Cursor;
use super::event_count::EventCount;
use mp_core::word::{Long, Ordering, Word};

/// The process that takes tasks, and what it knows of others.
pub(crate) trait Worker {
    /// The number of this process, never 0.
    fn me(&self) -> u64;
    /// The slot that this process had last, or any number.
    fn hint(&self) -> usize;
    /// Remembers the slot.
    fn keep(&self, slot: usize);
    /// Whether that process is certainly dead.
    fn is_dead(&self, process: u64) -> bool;
    /// Without a slot: whether to search for dead processes now, which takes long.
    fn may_scan(&self) -> bool;
}

/// The state of the tasks that all processes share.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Tasks<W, L> {
    joined: EventCount<W>,
    lost: W,
    expect: W,
    claim: L,
    reaping: L,
}

/// The tasks of one process.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct TaskSlot<W, L> {
    process: L,
    got: W,
    done: W,
}

impl<W: Word, L: Long> Tasks<W, L> {
    /// The tasks, with the slots of the processes.
    #[inline]
    pub(super) fn ledger<'a>(&'a self, slots: &'a [TaskSlot<W, L>]) -> Ledger<'a, W, L> {
        Ledger { tasks: self, slots }
    }

    /// The event count on which joiners sleep.
    pub(super) fn joined(&self) -> &EventCount<W> {
        &self.joined
    }

    /// The number of tasks that were lost with their processes so far.
    pub(super) fn lost(&self) -> u32 {
        // ORDERING: Relaxed: only a count.
        self.lost.load(Ordering::Relaxed)
    }
}

/// The tasks of a queue: the journals, and the count of each process.
#[derive(Debug)]
pub(super) struct Ledger<'a, W, L> {
    tasks: &'a Tasks<W, L>,
    /// The first slot is the shared one.
    slots: &'a [TaskSlot<W, L>],
}

impl<W: Word, L: Long> Ledger<'_, W, L> {
    /// Under the get lock: counts the records from `head` to `next` as taken by the worker, around the `commit`
    /// that takes them.
    pub(super) fn take(&self, worker: &impl Worker, head: Cursor, next: Cursor, commit: impl FnOnce()) {
        // A dead consumer may have claimed records that it did not take. They are in the ring, and would
        // count twice.
        self.roll_back_claim(head);
        self.claim(worker, next, next.items.wrapping_sub(head.items));
        commit();
        self.clear_claim();
    }

    /// Under the get lock: counts the record between `head` and `next` as lost, around the `commit` that skips
    /// it.
    pub(super) fn lose(&self, head: Cursor, next: Cursor, commit: impl FnOnce()) {
        self.roll_back_claim(head);
        self.claim_as_lost(next);
        commit();
        self.clear_claim();
    }

    /// Journals that the worker is about to take `count` records up to `head`, and counts them.
    pub(super) fn claim(&self, worker: &impl Worker, head: Cursor, count: u32) {
        let at = self.register(worker);
        let Ledger { tasks, slots } = *self;
        // ORDERING: Relaxed: under the get lock.
        let got = slots[at].got.load(Ordering::Relaxed);
        tasks.expect.store(head.items, Ordering::Relaxed);
        // ORDERING: Release: after `expect`, also for the next holder after a death. Without the journal a
        // death between `got` and the head would count records twice, and a join would never return.
        tasks.claim.store(journal_entry(at, got), Ordering::Release);
        // ORDERING: Release: after the claim. Processes that count see it through the head.
        slots[at].got.store(got.wrapping_add(count), Ordering::Release);
    }

    /// After the commit: ends the journal entry.
    fn clear_claim(&self) {
        // ORDERING: Release: after the head.
        self.tasks.claim.store(0, Ordering::Release);
    }

    /// Rolls back the claim of a dead consumer that did not take the records.
    fn roll_back_claim(&self, head: Cursor) {
        let Ledger { tasks, slots } = *self;
        // ORDERING: Relaxed, here and below: under the get lock.
        let claim = tasks.claim.load(Ordering::Relaxed);
        if claim == 0 {
            return;
        }
        // A claim without a slot was not written by this code: ignore it.
        let count = journal_slot(claim).and_then(|at| match slots.get(at) {
            None if at == slots.len() => Some(&tasks.lost),
            slot => slot.map(|slot| &slot.got),
        });
        if let Some(count) = count.filter(|_| tasks.expect.load(Ordering::Relaxed) != head.items) {
            count.store(claim as u32, Ordering::Relaxed);
        }
        self.clear_claim();
    }

    /// Journals that the record in front of `head` is about to be skipped, and counts it as lost.
    fn claim_as_lost(&self, head: Cursor) {
        self.roll_back_reaping();
        let Ledger { tasks, slots } = *self;
        // ORDERING: as in `claim`.
        let lost = tasks.lost.load(Ordering::Relaxed);
        tasks.expect.store(head.items, Ordering::Relaxed);
        tasks.claim.store(journal_entry(slots.len(), lost), Ordering::Release);
        tasks.lost.store(lost.wrapping_add(1), Ordering::Release);
    }

    /// The worker's slot, registered if it has none.
    fn register(&self, worker: &impl Worker) -> usize {
        let slots = self.slots;
        // ORDERING: Relaxed: under the get lock.
        let has = |at: usize, process: u64| slots[at].process.load(Ordering::Relaxed) == process;
        let me = worker.me();
        let hint = worker.hint();
        if hint < slots.len() && has(hint, me) {
            return hint;
        }
        let find = |process: u64| (1..slots.len()).find(|&at| has(at, process));
        let found = find(me).or_else(|| find(0)).or_else(|| {
            if worker.may_scan() {
                self.reap_dead(worker);
            }
            find(0)
        });
        let at = found.unwrap_or(SHARED);
        if at != SHARED {
            slots[at].process.store(me, Ordering::Relaxed);
        }
        worker.keep(at);
        at
    }

    /// Under the get lock, with the consumers at `head`: counts the tasks of dead processes as lost.
    pub(super) fn reap(&self, worker: &impl Worker, head: Cursor) {
        self.roll_back_claim(head);
        self.reap_dead(worker);
    }

    /// Counts the tasks of dead processes as lost, and frees their slots.
    fn reap_dead(&self, worker: &impl Worker) {
        let Ledger { tasks, slots } = *self;
        self.roll_back_reaping();
        for (at, slot) in slots.iter().enumerate().skip(1) {
            // ORDERING: Relaxed, here and below: under the get lock.
            let process = slot.process.load(Ordering::Relaxed);
            if process == 0 || !worker.is_dead(process) {
                continue;
            }
            let lost = tasks.lost.load(Ordering::Relaxed);
            // ORDERING: Release, here and below: each after the one before, also for the next holder after a
            // death. The journal entry comes first: without it a death here would count the tasks twice, or
            // not at all.
            tasks.reaping.store(journal_entry(at, lost), Ordering::Release);
            slot.finish_all(|unfinished| tasks.lost.store(lost.wrapping_add(unfinished), Ordering::Release));
            tasks.reaping.store(0, Ordering::Release);
            // ORDERING: Release: a free slot has no unfinished tasks, and no journal entry names it.
            slot.process.store(0, Ordering::Release);
        }
    }

    /// Rolls back a reaping that a dead process did not complete.
    fn roll_back_reaping(&self) {
        let Ledger { tasks, slots } = *self;
        // ORDERING: Relaxed, here and below: under the get lock.
        let reaping = tasks.reaping.load(Ordering::Relaxed);
        if reaping == 0 {
            return;
        }
        // An entry without a slot was not written by this code: ignore it.
        let slot = journal_slot(reaping).and_then(|at| slots.get(at));
        if slot.is_some_and(|slot| slot.unfinished() > 0) {
            tasks.lost.store(reaping as u32, Ordering::Relaxed);
        }
        // ORDERING: Release: after the count.
        tasks.reaping.store(0, Ordering::Release);
    }

    /// Reports one task as done: one of the worker's own, or one of another process if it has none. `false`:
    /// there is none.
    pub(super) fn finish(&self, worker: &impl Worker) -> bool {
        let slots = self.slots;
        let hint = worker.hint().min(slots.len() - 1);
        // ORDERING: Relaxed: a slot that is ours stays ours.
        let own = slots[hint].process.load(Ordering::Relaxed) == worker.me() && self.finish_one(hint);
        own || (0..slots.len()).any(|at| self.finish_one(at))
    }

    /// Reports one task of a slot as done. `false`: the slot has none.
    fn finish_one(&self, at: usize) -> bool {
        let slot = &self.slots[at];
        // ORDERING: Acquire, pairs with the Release below: what was done is seen.
        let mut done = slot.done.load(Ordering::Acquire);
        while self.taken_by(at).wrapping_sub(done).cast_signed() > 0 {
            // ORDERING: Release: pairs with the Acquire in `unfinished`.
            match slot.done.compare_exchange(done, done.wrapping_add(1), Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => done = now,
            }
        }
        false
    }

    /// The slot's `got`, without records that are claimed and not taken yet: no process can have done those.
    fn taken_by(&self, at: usize) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `claim`: the claim below is no older.
        let got = self.slots[at].got.load(Ordering::Acquire);
        // ORDERING: Relaxed: see above. A later claim of the slot implies that the earlier ones were taken.
        let claim = self.tasks.claim.load(Ordering::Relaxed);
        if journal_slot(claim) == Some(at) { claim as u32 } else { got }
    }

    /// Whether every task that was taken is done.
    pub(super) fn all_finished(&self) -> bool {
        self.slots.iter().all(|slot| slot.unfinished() == 0)
    }

    /// Whether a dead process has tasks.
    pub(super) fn has_dead(&self, worker: &impl Worker) -> bool {
        self.slots[1..].iter().any(|slot| {
            // ORDERING: Acquire, pairs with the Release in `reap_dead` and `claim`.
            let process = slot.process.load(Ordering::Acquire);
            slot.unfinished() > 0 && process != 0 && worker.is_dead(process)
        })
    }
}

/// A journal entry: a slot, and in the lower half a count before the change. 0: none.
fn journal_entry(at: usize, count: u32) -> u64 {
    (at as u64 + 1) << 32 | u64::from(count)
}

/// The slot of a journal entry.
fn journal_slot(entry: u64) -> Option<usize> {
    ((entry >> 32) as usize).checked_sub(1)
}

/// The slot that all processes share that found no free one.
const SHARED: usize = 0;

impl<W: Word, L> TaskSlot<W, L> {
    pub(super) fn unfinished(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `finish_one`: what was done is seen. `done` first: it
        // is never ahead of `got`.
        let done = self.done.load(Ordering::Acquire);
        // ORDERING: Acquire, pairs with the Release in `claim`.
        self.got.load(Ordering::Acquire).wrapping_sub(done)
    }

    /// Sets `done` to `got`; before that calls `say` with the number of unfinished tasks.
    fn finish_all(&self, say: impl Fn(u32)) {
        // ORDERING: Acquire, as above.
        let mut done = self.done.load(Ordering::Acquire);
        loop {
            let got = self.got.load(Ordering::Acquire);
            say(got.wrapping_sub(done));
            // ORDERING: Release: after what was said.
            match self.done.compare_exchange(done, got, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => done = now,
            }
        }
    }
}
