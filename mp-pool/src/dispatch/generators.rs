//! Tasks that yield many results: which task a value is of, and how the worker learns that it was taken.
//!
//! ```text
//!   worker ── the slot's ring (generate/ring.rs) ──► collect ─┐
//!          ── Yielded { slot } + value ──► watcher: yielded ──┴─► a piece of no item, in the job ──► the thread that
//!          ◄───────────── grant, stop (board/turns.rs) ───────────────────────────────────────────── takes it
//! ```
//!
//! A task of which a value went over the line has its end come over the line too, behind it. So such a value belongs to
//! the task whose end is the worker's next message: that of a slot which was collected already, or of the slot that it
//! names. What is in the ring of a slot that is collected, and comes behind a value that the line still has, is
//! copied, and waits for that.
//!
//! A task whose ring is found damaged ends as a value that cannot be received does: with an error, behind the values in
//! front of it. Its worker goes on.
//!
//! # When a process dies
//! A worker: what it had sent is received before its end is seen, and what it had written to the ring stands. So each
//! value is there, once, and the task's end behind it.

use super::{Awaited, Dispatch, MessageId, Open};
use crate::board::Turn;
use crate::error::TaskError;
use crate::generate::{Reader, Several};
use crate::job::{Job, Piece, Settled};
use mp_core::transfer::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// What a task has yielded.
#[derive(Debug)]
pub(crate) struct Yielded {
    pub(crate) by: TurnOf,
    pub(crate) values: Values,
}

#[derive(Debug)]
pub(crate) enum Values {
    /// One, which came over the line, or why it could not be received.
    One(Result<Message, TaskError>),
    Several(Several),
}

/// A turn of a worker that has a successor later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnOf {
    pub(super) turn: Turn,
    /// The worker's number.
    number: u32,
}

impl TurnOf {
    /// Not known: what is told to it reaches no worker.
    const NONE: TurnOf = TurnOf { turn: Turn { worker: u32::MAX, number: 0 }, number: 0 };
}

/// A task that has yielded.
#[derive(Debug)]
struct Yielding {
    by: TurnOf,
    /// Which task of its slot it is.
    post: u64,
    values: Reader,
    /// How many values it has yielded. Known when it has ended.
    in_all: u32,
    /// That its ring is damaged was told.
    told: bool,
}

impl Yielding {
    /// Whether its ring is damaged, and that was not told.
    fn is_to_be_told(&mut self) -> bool {
        self.values.is_damaged() && !std::mem::replace(&mut self.told, true)
    }
}

/// The tasks that have yielded.
#[derive(Debug, Default)]
pub(super) struct Generators {
    /// By slot.
    at_work: HashMap<u32, Yielding>,
    /// Tasks whose slots were collected, and not all of whose values have come: by the message that is their end.
    ending: HashMap<MessageId, Yielding>,
}

impl Generators {
    /// Everything was failed.
    pub(super) fn clear(&mut self) {
        *self = Generators::default();
    }

    /// No message comes any more from the worker with this number.
    pub(super) fn no_more_messages(&mut self, number: u32) {
        self.ending.retain(|(of, _), _| *of != number);
    }
}

/// Where the ring of a task is that yields; `None`: it has none.
fn ring_of(open: &Open) -> Option<usize> {
    open.block.map(|_| open.results)
}

impl Dispatch {
    /// The next message of a worker is a value that the task in this slot has yielded, in this turn.
    pub(crate) fn yields(&mut self, index: u32, slot: u32, turn: u32) {
        if let Some(Some(worker)) = self.workers.get_mut(index as usize) {
            worker.yields = Some((slot, turn));
        }
    }

    /// A worker's task has yielded a value, or one was lost. `next`: the number of the worker's next message.
    pub(super) fn yielded(&mut self, index: u32, (slot, turn): (u32, u32), next: u32, outcome: Settled) {
        let value = match outcome {
            Settled::Value(message) => Ok(message),
            Settled::Failed(error) => Err(error),
            _ => return,
        };
        let number = self.latest[index as usize].0;
        let by = TurnOf { turn: Turn { worker: index, number: turn }, number };
        if let Some(Awaited { job, item, .. }) = self.awaited.get(&(number, next)) {
            let (job, item) = (Arc::clone(job), *item);
            self.give_values(&job, item, by, Values::One(value));
            if let Some(yielding) = self.generators.ending.get_mut(&(number, next)) {
                yielding.values.came();
                let several = yielding.values.take();
                let is_damaged = yielding.is_to_be_told();
                self.give_several(&job, item, by, several);
                if is_damaged {
                    self.give_damage(&job, item, by);
                }
            }
            return;
        }
        // What it has written before that.
        self.take_yielded(slot);
        let task = self.open.get(slot as usize).and_then(Option::as_ref).filter(|open| open.job.ahead() > 0);
        // Everything was failed, and the worker is about to be killed.
        let Some(open) = task else { return };
        let (job, item) = (Arc::clone(&open.job), open.first);
        Self::yielding(&mut self.generators.at_work, slot, open, || by).values.came();
        self.give_values(&job, item, by, Values::One(value));
        self.take_yielded(slot);
    }

    /// What is known of the task in a slot.
    fn yielding<'a>(
        at_work: &'a mut HashMap<u32, Yielding>,
        slot: u32,
        open: &Open,
        by: impl Fn() -> TurnOf,
    ) -> &'a mut Yielding {
        let new = || Yielding {
            by: by(),
            post: open.turn,
            values: Reader::new(ring_of(open), open.job.ahead()),
            in_all: 0,
            told: false,
        };
        let yielding = at_work.entry(slot).or_insert_with(new);
        if yielding.post != open.turn {
            *yielding = new();
        }
        yielding
    }

    /// Takes what the task in a slot has written to its ring, if it is one that yields.
    pub(crate) fn take_yielded(&mut self, slot: u32) {
        let Some(open) = self.open.get(slot as usize).and_then(Option::as_ref) else { return };
        let Some(at) = ring_of(open).filter(|_| open.job.ahead() > 0) else { return };
        let end = self.memory.board.yielded(slot);
        if end == 0 && !self.generators.at_work.contains_key(&slot) {
            return;
        }
        let by = self.turn_of_ring(at);
        let yielding =
            Self::yielding(&mut self.generators.at_work, slot, open, || by.unwrap_or(TurnOf::NONE));
        if yielding.by == TurnOf::NONE {
            yielding.values.damage();
        }
        yielding.values.copy(&self.memory.bytes, end);
        let (by, several, is_damaged) = (yielding.by, yielding.values.take(), yielding.is_to_be_told());
        let (job, item) = (Arc::clone(&open.job), open.first);
        self.give_several(&job, item, by, several);
        if is_damaged {
            self.give_damage(&job, item, by);
            // Its turn may not be known, and it may wait already.
            self.memory.board.stop_slot(slot);
            self.memory.board.wake_every_worker();
        }
    }

    /// Whose turn a ring is of. `None`: a wild write may have made it any worker's.
    fn turn_of_ring(&self, at: usize) -> Option<TurnOf> {
        let (worker, turn) = Reader::turn(&self.memory.bytes, at)?;
        let (number, _) = self.latest.get(worker as usize)?;
        Some(TurnOf { turn: Turn { worker, number: turn }, number: *number })
    }

    /// The slot of a task that yields is collected, and all of its ring was copied. `message`: the one that is its end,
    /// if it comes by one.
    pub(super) fn ends(&mut self, slot: u32, open: &Open, message: Option<MessageId>) {
        if open.job.ahead() == 0 {
            return;
        }
        // Nothing of it may have come yet.
        let by = || TurnOf::NONE;
        Self::yielding(&mut self.generators.at_work, slot, open, by);
        let Some(mut yielding) = self.generators.at_work.remove(&slot) else { return };
        yielding.in_all = yielding.values.yielded_in_all(&self.memory.bytes);
        if let Some(message) = message {
            self.generators.ending.insert(message, yielding);
        } else {
            self.check_end(&open.job, open.first, yielding);
        }
    }

    /// The message has come that is the end of this task, if it yields: all its values came before.
    pub(super) fn ended_by_message(&mut self, message: MessageId, job: &Arc<Job>, item: u32) {
        if let Some(yielding) = self.generators.ending.remove(&message) {
            self.check_end(job, item, yielding);
        }
    }

    /// A task has ended that yields. If a value of it is missing, that is told in front of its end.
    fn check_end(&mut self, job: &Arc<Job>, item: u32, yielding: Yielding) {
        if !yielding.told && !yielding.values.has_taken(yielding.in_all) {
            self.give_damage(job, item, yielding.by);
        }
    }

    /// The worker of a task that yields is dead: the task ends with an error.
    pub(super) fn ends_by_death(&mut self, slot: u32) {
        self.generators.at_work.remove(&slot);
    }

    fn give_damage(&mut self, job: &Arc<Job>, item: u32, by: TurnOf) {
        let error = TaskError::Value("what its worker wrote is damaged".to_owned());
        self.give_values(job, item, by, Values::One(Err(error)));
    }

    fn give_several(&mut self, job: &Arc<Job>, item: u32, by: TurnOf, several: Option<Several>) {
        if let Some(several) = several {
            self.give_values(job, item, by, Values::Several(several));
        }
    }

    fn give_values(&mut self, job: &Arc<Job>, item: u32, by: TurnOf, values: Values) {
        if job.is_given_up() {
            return self.stop(by);
        }
        let outcome = Settled::Yielded(Box::new(Yielded { by, values }));
        self.settle(job, Piece { first: item, items: 0, outcome });
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
            self.memory.board.stop_slot(slot);
            // It is given up, so its turn is stopped if it has yielded.
            self.take_yielded(slot);
            if let Some(by) = self.generators.at_work.get(&slot).map(|yielding| yielding.by) {
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
        let waits = |by: TurnOf| self.is_of_latest(by) && self.memory.board.waits(by.turn);
        let held = self.generators.at_work.iter().filter(|(_, yielding)| waits(yielding.by));
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
