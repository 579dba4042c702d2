//! Progress: what happens in a run, one event after the other, for a consumer that the caller owns.

use super::outcome::Outcome;
use std::fmt;

/// One event of a run: see [`Pipeline::run_with_progress`](super::Pipeline::run_with_progress).
///
/// Each task has its own events. [`finished`](Progress::finished) is equal to [`of`](Progress::of) in the last event if
/// and only if every task is done or was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// The name of the task's step.
    pub task: &'a str,
    /// What has happened to the task.
    pub what: What<'a>,
    /// How many tasks are done or were skipped, this one included.
    pub finished: usize,
    /// How many tasks the pipeline has.
    pub of: usize,
}

/// What has happened to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What<'a> {
    /// An attempt has started: in a thread, or in a process, which exists.
    Started,
    /// An attempt ended so, and another one follows.
    Retried(&'a Outcome),
    /// The task is done, or was skipped.
    Finished(&'a Outcome),
    /// The task has ended so, and was neither.
    Failed(&'a Outcome),
}

/// A plain line: `1/4 front is done`, `failed at 2/4: rear was killed by signal 9`.
impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { task, finished, of, .. } = self;
        match &self.what {
            What::Started => write!(f, "{finished}/{of} {task} started"),
            What::Retried(outcome) => write!(f, "{finished}/{of} {task} {outcome}, and is tried again"),
            What::Finished(outcome) => write!(f, "{finished}/{of} {task} {outcome}"),
            What::Failed(outcome) => write!(f, "failed at {finished}/{of}: {task} {outcome}"),
        }
    }
}
