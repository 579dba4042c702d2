//! Tasks that yield many results: which task a value is of, and how the worker learns that it was taken.
//!
//! ```text
//!   worker ── Yielded { slot } + value ──► watcher: yielded ─► a piece of no item, in the job ──► the thread that takes it
//!          ◄───────────── grant, stop (board/turns.rs) ───────────────────────────────────────────┘
//! ```
//!
//! The value that ends such a task comes over the line too, behind those that it has yielded. So a value belongs to the
//! task whose end is the worker's next message: that of a slot which was collected already, or of the slot that it
//! names.
//!
//! # When a process dies
//! A worker: what it had sent is received before its end is seen, so it is there, once, and the task's end behind it.

use super::{Awaited, Dispatch, Open};
use crate::board::Turn;
use crate::error::TaskError;
use crate::job::{Job, Piece, Settled};
use mp_core::transfer::Message;
use std::sync::Arc;

/// A value that a task has yielded.
#[derive(Debug)]
pub(crate) struct Yielded {
    pub(crate) by: TurnOf,
    /// Why it could not be received, else.
    pub(crate) value: Result<Message, TaskError>,
}

/// A turn of a worker that has a successor later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnOf {
    pub(super) turn: Turn,
    /// The worker's number.
    number: u32,
}

impl Dispatch {
    /// The next message of a worker is a value that the task in this slot has yielded.
    pub(crate) fn yields(&mut self, index: u32, slot: u32) {
        if let Some(Some(worker)) = self.workers.get_mut(index as usize) {
            worker.yields = Some(slot);
        }
    }

    /// A worker's task has yielded a value, or one was lost. `next`: the number of the worker's next message.
    pub(super) fn yielded(&mut self, index: u32, slot: u32, next: u32, outcome: Settled) {
        let number = self.latest[index as usize].0;
        let of_open = |open: &Open| (Arc::clone(&open.job), open.first);
        let task = match self.awaited.get(&(number, next)) {
            Some(Awaited { job, item, .. }) => Some((Arc::clone(job), *item)),
            None => self.open.get(slot as usize).and_then(Option::as_ref).map(of_open),
        };
        let value = match outcome {
            Settled::Value(message) => Ok(message),
            Settled::Failed(error) => Err(error),
            _ => return,
        };
        // Everything was failed, and the worker is about to be killed.
        let Some((job, item)) = task.filter(|(job, _)| job.ahead() > 0) else { return };
        let by = TurnOf { turn: Turn { worker: index, number: next }, number };
        if job.is_given_up() {
            self.stop(by);
            return;
        }
        self.generating.insert(slot, by);
        let outcome = Settled::Yielded(Box::new(Yielded { by, value }));
        self.settle(&job, Piece { first: item, items: 0, outcome });
    }

    /// So many values of a task were taken.
    pub(crate) fn grant(&mut self, by: TurnOf, taken: u32) {
        if self.is_of_latest(by) {
            self.memory.board.grant(by.turn, taken);
        }
    }

    /// No more values of a task are wanted.
    pub(crate) fn stop(&mut self, by: TurnOf) {
        if self.is_of_latest(by) {
            self.memory.board.stop(by.turn);
        }
    }

    /// No more values of a job are wanted: tasks that yield are told so, the others when they do.
    pub(crate) fn stop_all(&mut self, job: &Arc<Job>) {
        job.give_up();
        for slot in self.slots_of(job) {
            if let Some(by) = self.generating.get(&slot).copied() {
                self.stop(by);
            }
        }
    }

    /// Whether the pool goes on only if the calling thread takes values: each worker that has a task, or each one,
    /// waits for that, and this thread was the last to take of each.
    pub(crate) fn is_held_up_here(&self) -> bool {
        let held = self.held_here();
        let (tasks, is_due) = (self.in_flight + self.pending.len(), self.delayed.is_empty());
        let workers = self.workers.iter().flatten().count();
        let none_is_left = is_due && held.len() == tasks || held.len() == workers && self.is_whole();
        none_is_left && !held.is_empty() && self.awaited.is_empty()
    }

    /// No more values are wanted of the jobs that wait for the calling thread to take some.
    pub(crate) fn stop_held_here(&mut self) {
        for job in self.held_here() {
            self.stop_all(&job);
        }
    }

    /// The job of each task that waits for the calling thread to take values.
    fn held_here(&self) -> Vec<Arc<Job>> {
        let waits = |by: &TurnOf| self.is_of_latest(*by) && self.memory.board.waits(by.turn);
        let held = self.generating.iter().filter(|(_, by)| waits(by));
        let jobs = held.filter_map(|(slot, _)| self.open.get(*slot as usize)?.as_ref().map(|open| &open.job));
        jobs.filter(|job| job.was_taken_here()).map(Arc::clone).collect()
    }

    /// Whether no worker is being started.
    fn is_whole(&self) -> bool {
        !self.starting.contains(&true)
    }

    /// Whether the worker has no successor.
    fn is_of_latest(&self, by: TurnOf) -> bool {
        self.latest.get(by.turn.worker as usize).is_some_and(|(number, _)| *number == by.number)
    }
}
