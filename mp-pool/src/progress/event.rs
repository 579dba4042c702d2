//! ProgressEvent: what has happened, to which task.

use super::tally::Tally;
use crate::pipeline::Outcome;
use std::fmt;
use std::sync::Arc;

/// Something that has happened in the work of a pool or a pipeline: from [`Progress::events`](super::Progress::events),
/// or of [`Pipeline::run_with_progress`](crate::pipeline::Pipeline::run_with_progress).
///
/// Each task has its own events. The tally of the last one [is finished](Tally::is_finished) if and only if every task
/// is done, or was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgressEvent {
    /// The name of the pipeline, or of the [`Progress`](super::Progress).
    pub name: Arc<str>,
    /// What it has happened to.
    pub task: Task,
    /// What has happened.
    pub what: What,
    /// The counts, this event included.
    pub tally: Tally,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Task {
    /// A step of a pipeline, by its name.
    Step(Arc<str>),
    /// Items of a call, side by side, which came back together.
    Items {
        /// The position of the first one in the input of its call, modulo 2^31.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A worker of a pool, by its name.
    Worker(Arc<str>),
}

impl Task {
    /// How many tasks it is.
    pub(super) fn count(&self) -> u64 {
        match self {
            Task::Step(_) => 1,
            Task::Items { count, .. } => *count,
            Task::Worker(_) => 0,
        }
    }
}

/// `front`, `item 7`, `items 7 to 9`, `PoolWorker-2`.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Task::Step(name) | Task::Worker(name) => f.write_str(name),
            Task::Items { first, count: 1 } => write!(f, "item {first}"),
            Task::Items { first, count } => write!(f, "items {first} to {}", first + count.saturating_sub(1)),
        }
    }
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// An attempt has started: in a thread, or in a process, which exists. A pool does not tell this: its workers take
    /// tasks by themselves.
    Started,
    /// An attempt ended so, and another one follows.
    Retried(Outcome),
    /// The task is done, or was skipped.
    Finished(Outcome),
    /// The task has ended so, and was neither.
    Failed(Outcome),
    /// The worker ended so, while the tasks were at work.
    Died(Outcome),
    /// The worker was started in the place of another one.
    Restarted,
}

/// A plain line: `1/4 front is done`, `failed at 2/4: rear was killed by signal 9`.
impl fmt::Display for ProgressEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (task, at) = (&self.task, self.tally.finished_of());
        match &self.what {
            What::Started => write!(f, "{at} {task} started"),
            What::Retried(outcome) => write!(f, "{at} {task} {outcome}, and is tried again"),
            What::Finished(Outcome::Done) if task.count() > 1 => write!(f, "{at} {task} are done"),
            What::Finished(outcome) | What::Died(outcome) => write!(f, "{at} {task} {outcome}"),
            What::Failed(outcome) => write!(f, "failed at {at}: {task} {outcome}"),
            What::Restarted => write!(f, "{at} {task} was started in the place of another worker"),
        }
    }
}
