//! Priorities: a worker that becomes free gets one of the highest that waits.
//!
//! ```text
//!   pending, the highest first ──► one lane, in this order, a few tasks for each worker ──► workers
//!        ▲                            │
//!        └──── what no worker has taken, when a higher one comes ◄──┘
//! ```
//!
//! | priorities        | what is posted                                                          |
//! |-------------------|-------------------------------------------------------------------------|
//! | never used        | as much as the board holds, to all lanes: nothing here is done          |
//! | used              | a few tasks for each worker, to one lane, so that few are taken back    |
//! | until all is done | as before                                                               |
//!
//! A slot that is taken back leaves its hint in the lane. It stays out of use until all workers that look are past that
//! hint: a task that was put there would be taken at the place of the old one. The board has spare slots for this. They
//! suffice for several changes of priority between two takes; if there are more, a few tasks may be taken in another
//! order.
//!
//! # When a process dies
//! What it had taken is put back in front of its equals.
//! # Tested by
//! `mp-pool/tests/priorities.rs`

use super::{Batch, Dispatch};
use crate::job::Job;
use std::collections::VecDeque;

/// The lane of all tasks, while priorities are used.
const LANE: u32 = 0;
/// Tasks for each worker that no worker has taken, and how many there are at least.
const FOR_EACH: usize = 2;
const LEAST: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Ranks {
    used: bool,
    /// Slots that no worker was seen to have taken, in the order of the lane.
    waiting: VecDeque<u32>,
    stale: VecDeque<Stale>,
}

/// Slots whose hints are in the lanes, and stand for nothing.
#[derive(Debug)]
struct Stale {
    slots: Vec<u32>,
    /// Where the lanes ended.
    tails: Vec<u32>,
}

impl Batch {
    pub(super) fn priority(&self) -> i32 {
        self.job.options.priority
    }
}

impl Dispatch {
    /// Whether what is submitted for a job has to wait in this process.
    pub(crate) fn is_full_for(&self, job: &Job) -> bool {
        self.pending.front().is_some_and(|first| first.priority() >= job.options.priority)
    }

    pub(super) fn is_ranked(&self) -> bool {
        self.ranks.used
    }

    /// A slot for what is to be posted. The spare ones are for tasks with priorities.
    pub(super) fn free_slot(&self) -> Option<u32> {
        let spare = if self.ranks.used { 0 } else { self.spare };
        self.free.last().copied().filter(|_| self.free.len() > spare)
    }

    /// A batch waits, behind its equals.
    pub(super) fn enqueue(&mut self, batch: Batch) {
        if !self.ranks.used && batch.priority() != 0 {
            self.begin_ranks();
        }
        if self.pending.back().is_none_or(|last| last.priority() >= batch.priority()) {
            return self.pending.push_back(batch);
        }
        let place = self.pending.partition_point(|other| other.priority() >= batch.priority());
        self.pending.insert(place, batch);
    }

    /// A batch waits again, in front of its equals.
    pub(super) fn requeue(&mut self, batch: Batch) {
        if self.pending.front().is_none_or(|first| first.priority() <= batch.priority()) {
            return self.pending.push_front(batch);
        }
        let place = self.pending.partition_point(|other| other.priority() > batch.priority());
        self.pending.insert(place, batch);
    }

    /// From now on the board is filled in the order of priorities. What no worker has taken is taken back.
    fn begin_ranks(&mut self) {
        self.ranks.used = true;
        let mut posted: Vec<(u64, u32)> =
            (0..).zip(&self.open).filter_map(|(slot, open)| Some((open.as_ref()?.turn, slot))).collect();
        posted.sort_unstable();
        let mut slots: Vec<u32> = Vec::new();
        for (_, slot) in posted.into_iter().rev() {
            slots.extend(self.retract(slot));
        }
        // Hints of slots that were taken back before.
        let hinted = self.memory.board.hinted();
        slots.extend(self.free.extract_if(.., |slot| hinted.contains(slot)));
        self.set_aside(slots);
    }

    /// Takes a slot back that no worker has taken; gives it if it could.
    fn retract(&mut self, slot: u32) -> Option<u32> {
        if self.is_run(slot) {
            return self.retract_run(slot);
        }
        if !self.memory.board.cancel(slot) {
            return None;
        }
        let open = self.close(slot)?;
        let batch = self.batch_of(&open, 0);
        self.give_back_block(&open);
        self.requeue(batch);
        Some(slot)
    }

    /// A slot that no worker has taken is of no use any more.
    pub(super) fn give_back_unread(&mut self, slot: u32, open: &super::Open) {
        if self.ranks.used {
            self.give_back_block(open);
            self.set_aside(vec![slot]);
        } else {
            self.give_back(slot, open);
        }
    }

    fn set_aside(&mut self, slots: Vec<u32>) {
        if !slots.is_empty() {
            self.ranks.stale.push_back(Stale { slots, tails: self.memory.board.tails() });
        }
    }

    /// Slots whose hints the workers have passed may be used again.
    fn use_again(&mut self) {
        while let Some(stale) = self.ranks.stale.front()
            // An old hint does less harm than a task that has no slot.
            && (self.free.is_empty() || self.memory.board.has_passed(&stale.tails))
        {
            self.free.extend(self.ranks.stale.pop_front().into_iter().flat_map(|stale| stale.slots));
        }
    }

    /// Puts on the board what comes next. Whether that was anything.
    pub(super) fn post_ranked(&mut self) -> bool {
        let (most, mut posted) = ((FOR_EACH * self.workers.len()).max(LEAST), false);
        let board = self.memory.board.clone();
        self.ranks.waiting.retain(|slot| board.is_ready(*slot));
        while let Some(first) = self.pending.front() {
            let priority = first.priority();
            self.make_way(priority);
            self.use_again();
            if self.ranks.waiting.len() >= most {
                break;
            }
            let Some(mut batch) = self.pending.pop_front() else { break };
            let slot = self.place(&mut batch);
            if batch.items > 0 {
                self.requeue(batch);
            }
            let Some(slot) = slot else { break };
            if board.deal(LANE, &[slot]) == 0 {
                let retracted = self.retract(slot);
                self.set_aside(retracted.into_iter().collect());
                if board.pass_old() {
                    continue;
                }
                // The first hint is to a task: the worker that takes it has the caller deal again when it is done.
                break;
            }
            self.ranks.waiting.push_back(slot);
            posted = true;
        }
        if self.pending.is_empty() && self.in_flight == 0 {
            self.end_ranks();
        }
        posted
    }

    /// Takes back what would be taken before a task of this priority.
    fn make_way(&mut self, priority: i32) {
        let mut slots = Vec::new();
        while let Some(&last) = self.ranks.waiting.back() {
            let open = self.open.get(last as usize).and_then(Option::as_ref);
            if open.is_some_and(|open| open.job.options.priority >= priority) {
                break;
            }
            self.ranks.waiting.pop_back();
            slots.extend(self.retract(last));
        }
        self.set_aside(slots);
    }

    fn end_ranks(&mut self) {
        let Ranks { stale, .. } = std::mem::take(&mut self.ranks);
        self.free.extend(stale.into_iter().flat_map(|stale| stale.slots));
    }
}
