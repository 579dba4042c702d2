//! Tasks that are tried again: they wait here, and are posted when they are due.
//!
//! ```text
//!   begun ─┬─ its worker died ───────────────┐
//!          ├─ it panicked, if that is asked  ├─ tried less than `times` times: wait, pending again
//!          └─ it was late, if that is asked ─┘ else: its error
//! ```
//!
//! The watcher posts what is due. A job with retries has one item in a slot, so a slot's failure is one task's.
//!
//! # When a process dies
//! A worker: what it had begun waits here, if it is to be tried again. What waits is of the caller's memory alone.
//! # Tested by
//! `mp-pool/tests/retries.rs`

use super::{Batch, Dispatch, Open, Phase};
use crate::board::Found;
use crate::error::{Failure, TaskError};
use crate::job::{Job, Settled};
use crate::record::{Outcome, take_outcome};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What has become of an item so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct History {
    /// Workers in a row that died with it taken, and not begun.
    pub(super) losses: u32,
    /// Workers that died with it begun.
    pub(super) deaths: u32,
    /// How often it failed, and was tried again.
    retries: u32,
}

/// Batches of one item that wait to be tried again.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    batches: Vec<(Instant, Batch)>,
    /// One is due sooner than the watcher knows.
    is_sooner: bool,
}

impl Delayed {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes out what is so.
    pub(super) fn take_where(&mut self, is_taken: impl Fn(&Arc<Job>) -> bool) -> Vec<Batch> {
        let taken = self.batches.extract_if(.., |(_, batch)| is_taken(&batch.job));
        taken.map(|(_, batch)| batch).collect()
    }

    /// The jobs of what waits.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.batches.iter().map(|(_, batch)| &batch.job)
    }

    pub(super) fn take_sooner(&mut self) -> bool {
        std::mem::take(&mut self.is_sooner)
    }
}

/// A task whose result comes by a message, in case that is a failure.
#[derive(Debug)]
pub(super) struct Again {
    batch: Batch,
    /// The index of the worker that was at it.
    worker: u32,
}

impl Dispatch {
    /// Whether a task that ends so is tried again.
    fn is_retried(&self, job: &Job, history: History, error: &TaskError) -> bool {
        let Some(retry) = job.options.retry else { return false };
        let goes_on = matches!(self.phase, Phase::Running | Phase::Closed) && !self.abandoned;
        goes_on && !job.is_given_up() && history.retries < retry.times && retry.is_for(error)
    }

    /// Has the one item of a slot tried again, if its worker's end is no end of it. Else the slot comes back.
    pub(super) fn retry_slot(&mut self, slot: u32, open: Open, error: &TaskError) -> Option<Open> {
        if !self.is_retried(&open.job, open.history, error) {
            return Some(open);
        }
        let batch = self.take_back(slot, open, 0);
        self.delay(batch, error);
        None
    }

    /// The same, for a try that has ended with a panic in the worker of this index, and was counted as a task.
    pub(super) fn retry_panicked(
        &mut self,
        slot: u32,
        open: Open,
        worker: u32,
        error: &TaskError,
    ) -> Option<Open> {
        let last = self.retry_slot(slot, open, error);
        if last.is_none() {
            self.count_retry(worker);
        }
        last
    }

    /// The same, for a result that may be a failure.
    pub(super) fn retry_result(&mut self, slot: u32, open: Open, found: &Found) -> Option<Open> {
        if found.done == 0
            || found.message != 0
            || found.condemned
            || !open.job.options.retry.is_some_and(|retry| retry.on_panic)
        {
            return Some(open);
        }
        let mut record = Vec::new();
        let most = self.memory.bytes.len() - open.results;
        self.memory.bytes.read_onto(open.results, most.min(found.written as usize), &mut record);
        match take_outcome(&mut record.as_slice()) {
            Some(Outcome::Failure(failure @ Failure::Panicked { .. })) => {
                self.retry_panicked(slot, open, found.worker, &failure.in_worker(""))
            }
            _ => Some(open),
        }
    }

    /// What is posted again if the result that comes by a message is a failure; `None`: nothing.
    pub(super) fn again(&self, open: &Open, worker: u32) -> Option<Box<Again>> {
        let is_asked = open.job.options.retry.is_some_and(|retry| retry.on_panic);
        is_asked.then(|| Box::new(Again { batch: self.batch_of(open, 0), worker }))
    }

    /// A try has ended in the worker of this index, and is counted as a task, which has not ended.
    fn count_retry(&mut self, index: u32) {
        if let Some(counts) = self.counts.get_mut(index as usize) {
            counts.retried();
        }
    }

    /// Has an item tried again whose failure has come by a message; else the outcome comes back.
    pub(super) fn retry_message(&mut self, again: Option<Box<Again>>, outcome: Settled) -> Option<Settled> {
        if let (Some(again), Settled::Failed(error)) = (again, &outcome)
            && self.is_retried(&again.batch.job, again.batch.history, error)
        {
            self.count_retry(again.worker);
            self.delay(again.batch, error);
            return None;
        }
        Some(outcome)
    }

    fn delay(&mut self, mut batch: Batch, error: &TaskError) {
        if let Some(work) = batch.job.work() {
            work.retried(batch.first, error);
        }
        if let Some(trace) = &mut self.trace {
            trace.retried(&batch.job, batch.first, error);
        }
        let wait = batch.job.options.retry.map_or(Duration::ZERO, |retry| retry.wait(batch.history.retries));
        batch.history.retries += 1;
        batch.history.losses = 0;
        // A wait is an hour at most.
        let due = Instant::now() + wait;
        self.delayed.is_sooner |= self.delayed.batches.iter().all(|(other, _)| due < *other);
        self.delayed.batches.push((due, batch));
    }

    /// Posts what is due to be tried again. Gives when the next one is; `None`: none waits.
    pub(crate) fn post_delayed(&mut self) -> Option<Duration> {
        if self.delayed.is_empty() {
            return None;
        }
        let now = Instant::now();
        let due: Vec<Batch> =
            self.delayed.batches.extract_if(.., |(due, _)| *due <= now).map(|(_, batch)| batch).collect();
        if !due.is_empty() {
            due.into_iter().rev().for_each(|batch| self.requeue(batch));
            self.post();
        }
        self.delayed.is_sooner = false;
        let next = self.delayed.batches.iter().map(|(due, _)| *due).min()?;
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Retry, TaskOptions};

    /// Its failure was on its way when it was given up.
    #[test]
    fn what_was_given_up_is_not_tried_again() {
        let mut dispatch = Dispatch::new(1, 1).unwrap();
        let job = Job::new(Vec::new(), TaskOptions::new().retry(Retry::new(1).on_panic()));
        let panicked = Failure::Panicked { message: String::new(), location: String::new() }.in_worker("");
        assert!(dispatch.is_retried(&job, History::default(), &panicked));
        dispatch.condemn(&job);
        assert!(!dispatch.is_retried(&job, History::default(), &panicked));
    }
}
