//! Account: what happens in a run is counted and told, in one place, as it happens.

use super::context::Context;
use super::outcome::Outcome;
use super::plan::{OnFailure, Plan};
use super::report::{Attempt, TaskReport};
use crate::progress::{ProgressEvent, Tally, Task, What, Work};
use std::sync::Arc;
use std::time::Instant;

/// What has happened in a run so far, for whichever block is at work.
pub(super) struct Account<'p> {
    plan: &'p Plan,
    name: Arc<str>,
    consume: &'p mut dyn FnMut(&ProgressEvent),
    work: Option<&'p Work>,
    /// Of this run alone.
    pub(super) tally: Tally,
    /// Tasks that have started: at least one attempt.
    pub(super) started: usize,
    pub(super) context: Context,
    /// The first failure, if it stops the rest.
    pub(super) stopped_by: Option<String>,
}

impl<'p> Account<'p> {
    pub(super) fn new(
        plan: &'p Plan,
        context: Context,
        consume: &'p mut dyn FnMut(&ProgressEvent),
        work: Option<&'p Work>,
    ) -> Account<'p> {
        let tasks = plan.task_count() as u64;
        if let Some(work) = work {
            work.know(tasks);
            work.submitted(tasks);
        }
        let tally = Tally { total: Some(tasks), submitted: tasks, ..Tally::default() };
        let name = plan.name.as_str().into();
        Account { plan, name, consume, work, tally, started: 0, context, stopped_by: None }
    }

    /// The values of a key could not be merged.
    pub(super) fn not_merged(&mut self, key: &str) {
        if self.plan.on_failure == OnFailure::StopOnFirst {
            self.stopped_by.get_or_insert_with(|| format!("the merge of {key:?}"));
        }
    }

    fn tell(&mut self, task: &str, what: What) {
        self.tally.count(&what, 1);
        if let Some(work) = self.work {
            work.step(task, what.clone());
        }
        let (name, task) = (Arc::clone(&self.name), Task::Step(task.into()));
        (self.consume)(&ProgressEvent { name, task, what, tally: self.tally });
    }

    /// An attempt at this task exists.
    pub(super) fn started(&mut self, task: &TaskReport) {
        self.started += usize::from(task.attempts.is_empty());
        self.tell(&task.name, What::Started);
    }

    pub(super) fn retried(&mut self, task: &TaskReport, outcome: &Outcome) {
        self.tell(&task.name, What::Retried(outcome.clone()));
    }

    /// The task has ended.
    pub(super) fn settled(&mut self, task: &TaskReport) {
        if task.outcome.is_failure() {
            if self.plan.on_failure == OnFailure::StopOnFirst {
                self.stopped_by.get_or_insert_with(|| task.name.clone());
            }
            self.tell(&task.name, What::Failed(task.outcome.clone()));
        } else {
            self.tell(&task.name, What::Finished(task.outcome.clone()));
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
