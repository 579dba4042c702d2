//! Report: what became of each task of a run.

use super::context::Context;
use super::outcome::{Mode, Outcome};
use crate::progress::Tally;
use std::fmt;
use std::time::Duration;

/// What became of each task of a run, and the context that it left.
///
/// Every task is in it, with exactly one [`Outcome`], whatever happened later.
#[derive(Debug)]
#[must_use = "a report says which tasks were done"]
pub struct Report {
    pub(super) pipeline: String,
    pub(super) tasks: Vec<TaskReport>,
    pub(super) context: Context,
    pub(super) elapsed: Duration,
}

/// What became of a task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskReport {
    /// The name of its step.
    pub name: String,
    /// Where it ran, or was to run.
    pub mode: Mode,
    /// How it ended: its last attempt, if there was one.
    pub outcome: Outcome,
    /// Each attempt that started.
    pub attempts: Vec<Attempt>,
    /// The bytes that its packed arguments took, if it was to run in a process.
    pub bytes_in: Option<usize>,
    /// The bytes that its packed value took, if a process returned it.
    pub bytes_out: Option<usize>,
}

/// One attempt at a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// The process in which it ran: this one, unless the mode is [`Mode::Processes`].
    pub pid: u32,
    /// How long it took, with the start of its process.
    pub elapsed: Duration,
}

impl Report {
    /// The name of the pipeline.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Each task, in the order in which the steps were declared.
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }

    /// The task of this step.
    pub fn task(&self, name: &str) -> Option<&TaskReport> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// How many tasks the pipeline has.
    pub fn submitted(&self) -> usize {
        self.tasks.len()
    }

    /// How many of them started: at least one attempt.
    pub fn started(&self) -> usize {
        self.tasks.iter().filter(|task| !task.attempts.is_empty()).count()
    }

    /// How many of them are [`Outcome::Done`].
    pub fn done(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Done)
    }

    /// How many of them were [`Outcome::Skipped`].
    pub fn skipped(&self) -> usize {
        self.count(|outcome| *outcome == Outcome::Skipped)
    }

    /// Those that are neither, with their errors.
    pub fn failures(&self) -> impl Iterator<Item = &TaskReport> {
        self.tasks.iter().filter(|task| task.outcome.is_failure())
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.tasks.iter().filter(|task| is(&task.outcome)).count()
    }

    /// The context as the run left it: what it was given, and the values of the tasks that are done.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The same, without the rest.
    pub fn into_context(self) -> Context {
        self.context
    }

    /// How long the run took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Whether the report says of each task what the run has counted as it happened.
    pub(super) fn agrees_with(&self, tally: &Tally, started: usize) -> bool {
        let each_is_whole = self.tasks.iter().all(|task| match (&task.outcome, task.attempts.last()) {
            (Outcome::Done | Outcome::Cancelled, None) => false,
            (Outcome::Skipped | Outcome::NotStarted(_), Some(_)) => false,
            (outcome, Some(last)) => *outcome == last.outcome,
            (_, None) => true,
        });
        let counted = (self.submitted(), self.done() + self.skipped(), self.failures().count());
        let told = (tally.submitted as usize, tally.finished as usize, tally.failed as usize);
        each_is_whole && counted == told && self.started() == started && tally.ended() == tally.submitted
    }
}

/// `eco: 3 of 4 tasks are done, 4 started; rear was killed by signal 9`: the first failures.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 5;
        let (done, of, started) = (self.done(), self.submitted(), self.started());
        write!(f, "{}: {done} of {of} tasks are done, {started} started", self.pipeline)?;
        self.failures().take(MOST).try_for_each(|task| write!(f, "; {} {}", task.name, task.outcome))?;
        match self.failures().count().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// The error of a run: not every task is done. It has the report.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// At least one task failed, or was not started.
    #[error("{0}")]
    Tasks(Box<Report>),
    /// The values that several tasks of a block wrote under one key could not be reduced to one.
    #[error("{report}; the values of {key:?} could not be merged: {reason}")]
    Merge {
        /// The key.
        key: String,
        /// Why not: a type, or what the program's function panicked with.
        reason: String,
        /// What became of the tasks.
        report: Box<Report>,
    },
    /// The report is not what the run has counted: a defect of this library. What is in the report may be wrong.
    #[error("{0}; a task is not accounted for, which is a defect of mp-pool: report it")]
    Unaccounted(Box<Report>),
}

impl PipelineError {
    /// What became of each task.
    pub fn report(&self) -> &Report {
        match self {
            PipelineError::Tasks(report)
            | PipelineError::Merge { report, .. }
            | PipelineError::Unaccounted(report) => report,
        }
    }
}

/// As it is printed: a report is long.
impl fmt::Debug for PipelineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PipelineError({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(outcome: Outcome, attempts: &[Outcome]) -> TaskReport {
        let attempt =
            |outcome: &Outcome| Attempt { outcome: outcome.clone(), pid: 1, elapsed: Duration::ZERO };
        TaskReport {
            name: "t".to_owned(),
            mode: Mode::Here,
            outcome,
            attempts: attempts.iter().map(attempt).collect(),
            bytes_in: None,
            bytes_out: None,
        }
    }

    /// Whether a report agrees with what was counted: tasks, those that started, finished and failed.
    fn agrees(tasks: Vec<TaskReport>, counted: [u64; 4]) -> bool {
        let (pipeline, context) = ("p".to_owned(), Context::new());
        let [submitted, started, finished, failed] = counted;
        let tally = Tally { total: Some(submitted), submitted, finished, failed, ..Tally::default() };
        Report { pipeline, tasks, context, elapsed: Duration::ZERO }.agrees_with(&tally, started as usize)
    }

    #[test]
    fn a_report_that_says_more_than_was_done_is_noticed() {
        let done = || task(Outcome::Done, &[Outcome::Done]);
        let not_started = || task(Outcome::NotStarted(String::new()), &[]);
        assert!(agrees(vec![done(), not_started()], [2, 1, 1, 1]));
        assert!(!agrees(vec![done(), done()], [2, 1, 1, 1]));
        assert!(!agrees(vec![done()], [2, 1, 1, 0]));
        // Done, and never started: the teaching document's failure.
        assert!(!agrees(vec![task(Outcome::Done, &[])], [1, 0, 1, 0]));
        let killed = vec![task(Outcome::Done, &[Outcome::Killed(9)])];
        assert!(!agrees(killed, [1, 1, 1, 0]));
    }
}
