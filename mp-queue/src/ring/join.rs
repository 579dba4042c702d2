//! Join: waits until every task is done or lost.
//!
//! ```text
//!  joiner:     all done? ── no ─► a dead process has tasks? ─► get lock ─► counts them as lost ─► all done? ── no ─► sleeps
//!  task_done:  done + 1 ─ fence ─ a joiner asleep, and all done? ─► wakes all joiners
//! ```
//!
//! # When a process dies
//! - *With tasks*: a joiner wakes by itself, finds the process dead, and counts its tasks as lost.
//! - *Between `done` and its wake*: joiners wake by themselves.
//!
//! # Tested by
//! ring/model/tasks.rs, tests/joinable.rs

use super::layout::{Layout, Memory};
use super::leaders::Sleeper;
use super::sides::{Sides, TRIES};
use super::storage::WordOf;
use super::tasks::{Ledger, Worker};
use mp_core::word::{Deadline, Word};
use std::time::Duration;

/// The longest wait for a lock that is held for one copy, unless its holder was stopped.
pub(crate) const SHORT: Duration = Duration::from_millis(50);

/// See the module.
pub(crate) struct Join<'a, M> {
    memory: &'a M,
}

impl<'a, M: Memory> Join<'a, M> {
    #[inline]
    pub(super) fn of(memory: &'a M) -> Self {
        Join { memory }
    }

    #[inline]
    fn layout(&self) -> &'a Layout<M::Owned, M::Long> {
        self.memory.layout()
    }

    #[inline]
    pub(super) fn ledger(&self) -> Ledger<'a, WordOf<M>, M::Long> {
        self.layout().tasks.ledger(self.memory.slots())
    }

    /// Reports one task as done: one of the worker's own, or one of another process if it has none. `false`:
    /// there is none.
    pub(crate) fn task_done(&self, worker: &impl Worker) -> bool {
        let done = self.ledger().finish(worker);
        if done {
            self.after_done();
        }
        done
    }

    /// Wakes the joiners if all is done.
    pub(super) fn after_done(&self) {
        self.layout().tasks.joined().wake_all_if(|| self.all_done());
    }

    /// Waits until every task is done or lost. `false`: the deadline passed first.
    pub(crate) fn join(&self, worker: &impl Worker, until: Option<Deadline>) -> bool {
        let attempt = || {
            if !self.all_done() {
                self.reap(worker);
            }
            self.all_done().then_some(())
        };
        let alone = Sleeper::<M::Owned>::alone;
        self.layout().tasks.joined().repeat(until, alone, || 0, attempt).0.is_some()
    }

    /// The number of tasks that were lost with their processes so far.
    pub(crate) fn lost(&self) -> u32 {
        self.layout().tasks.lost()
    }

    /// Searches for dead processes with tasks, and counts these tasks as lost.
    fn reap(&self, worker: &impl Worker) {
        if !self.ledger().has_dead(worker) {
            return;
        }
        let sides = Sides::of(self.memory);
        let Some(_lock) = sides.lock_to_get(Deadline::after(SHORT)) else { return };
        if let Ok(head) = sides.read_cursor() {
            self.ledger().reap(worker, head);
        }
    }

    /// Whether at some moment during the call every task, in the ring or taken, was done.
    fn all_done(&self) -> bool {
        let sides = Sides::of(self.memory);
        for _ in 0..TRIES {
            let before = sides.put_so_far();
            let done = sides.items() == 0 && self.ledger().all_finished();
            <WordOf<M>>::fence();
            if !done || sides.put_so_far() == before {
                return done;
            }
        }
        false
    }
}
