//! Account: what happens in a run is counted and told, in one place, as it happens.

use super::context::Context;
use super::outcome::Outcome;
use super::plan::{OnFailure, Plan};
use super::progress::{Progress, What};
use super::report::{Attempt, Tally, TaskReport};
use std::time::Instant;

/// What has happened in a run so far, for whichever block is at work.
pub(super) struct Account<'p> {
    plan: &'p Plan,
    consume: &'p mut dyn FnMut(&Progress<'_>),
    pub(super) tally: Tally,
    pub(super) context: Context,
    /// The first failure, if it stops the rest.
    pub(super) stopped_by: Option<String>,
}

impl<'p> Account<'p> {
    pub(super) fn new(
        plan: &'p Plan,
        context: Context,
        consume: &'p mut dyn FnMut(&Progress<'_>),
    ) -> Account<'p> {
        let tally = Tally { submitted: plan.task_count(), ..Tally::default() };
        Account { plan, consume, tally, context, stopped_by: None }
    }

    /// The values of a key could not be merged.
    pub(super) fn not_merged(&mut self, key: &str) {
        if self.plan.on_failure == OnFailure::StopOnFirst {
            self.stopped_by.get_or_insert_with(|| format!("the merge of {key:?}"));
        }
    }

    fn tell(&mut self, task: &str, what: What<'_>) {
        let (pipeline, finished, of) = (&self.plan.name, self.tally.finished, self.tally.submitted);
        (self.consume)(&Progress { pipeline, task, what, finished, of });
    }

    /// An attempt at this task exists.
    pub(super) fn started(&mut self, task: &TaskReport) {
        self.tally.started += usize::from(task.attempts.is_empty());
        self.tell(&task.name, What::Started);
    }

    pub(super) fn retried(&mut self, task: &TaskReport, outcome: &Outcome) {
        self.tell(&task.name, What::Retried(outcome));
    }

    /// The task has ended.
    pub(super) fn settled(&mut self, task: &TaskReport) {
        if task.outcome.is_failure() {
            self.tally.failed += 1;
            if self.plan.on_failure == OnFailure::StopOnFirst {
                self.stopped_by.get_or_insert_with(|| task.name.clone());
            }
            self.tell(&task.name, What::Failed(&task.outcome));
        } else {
            self.tally.finished += 1;
            self.tell(&task.name, What::Finished(&task.outcome));
        }
    }
}

impl TaskReport {
    /// Writes an attempt down.
    pub(super) fn attempted(&mut self, outcome: &Outcome, pid: u32, began: Instant) {
        let (outcome, elapsed) = (outcome.clone(), began.elapsed());
        self.attempts.push(Attempt { outcome, pid, elapsed });
    }
}
