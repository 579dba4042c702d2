//! Tally: how many tasks there are, and how they have ended so far.

use super::event::What;
use crate::pipeline::Outcome;
use std::fmt;

/// What has become of the tasks so far: of all calls and runs that report to one [`Progress`](super::Progress), or of
/// one run of a pipeline.
///
/// Tasks are the items of a pool's calls, and the steps of a pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// How many tasks there will be; `None` while that is not known, since an input does not say how long it is.
    pub total: Option<u64>,
    /// Tasks that were read of the input.
    pub submitted: u64,
    /// Tasks that have ended with a value, or were skipped by their condition.
    pub finished: u64,
    /// Tasks that have ended otherwise, the cancelled ones among them.
    pub failed: u64,
    /// Those of the failed ones that were cancelled.
    pub cancelled: u64,
    /// How often a task was tried again.
    pub retried: u64,
    /// Workers of pools that died while the tasks were at work: killed, crashed, or exited with an error. A step of a
    /// pipeline has a process of its own, whose death is that step's failure.
    pub deaths: u64,
    /// Workers of pools that were started in the place of others while the tasks were at work: of those that died,
    /// had done what one may do (`max_tasks_per_child`), or had left (`idle_timeout`).
    pub restarts: u64,
}

impl Tally {
    /// Tasks that have ended, well or not.
    pub fn ended(&self) -> u64 {
        self.finished + self.failed
    }

    /// Whether every task has ended with a value, or was skipped.
    pub fn is_finished(&self) -> bool {
        self.total == Some(self.finished)
    }

    /// Counts what has happened to so many tasks.
    pub(crate) fn count(&mut self, what: &What, tasks: u64) {
        match what {
            What::Started => (),
            What::Finished(_) => self.finished += tasks,
            What::Failed(outcome) => {
                self.failed += tasks;
                self.cancelled += if *outcome == Outcome::Cancelled { tasks } else { 0 };
            }
            What::Retried(_) => self.retried += tasks,
            What::Died(_) => self.deaths += 1,
            What::Restarted => self.restarts += 1,
        }
    }

    /// `2/4`, `2/?`: the finished ones, of all.
    pub(super) fn finished_of(&self) -> String {
        of(self.finished, self.total)
    }

    /// `, 1 failed, 2 workers died`: what did not go well.
    pub(super) fn troubles(&self) -> String {
        let workers = |count, what| match count {
            1 => format!(", 1 worker {what}"),
            _ => format!(", {count} workers {what}"),
        };
        let mut troubles = String::new();
        for (count, what) in
            [(self.failed, "failed"), (self.cancelled, "cancelled"), (self.retried, "retried")]
        {
            if count > 0 {
                troubles += &format!(", {count} {what}");
            }
        }
        if self.deaths > 0 {
            troubles += &workers(self.deaths, "died");
        }
        if self.restarts > 0 {
            troubles += &workers(self.restarts, "restarted");
        }
        troubles
    }
}

fn of(count: u64, total: Option<u64>) -> String {
    total.map_or_else(|| format!("{count}/?"), |total| format!("{count}/{total}"))
}

/// `97/100, 2 failed, 1 worker died, 1 worker restarted`: those that have ended, of all.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", of(self.ended(), self.total), self.troubles())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_once() {
        let mut tally = Tally { total: Some(9), submitted: 9, ..Tally::default() };
        tally.count(&What::Started, 9);
        tally.count(&What::Finished(Outcome::Done), 3);
        tally.count(&What::Failed(Outcome::TimedOut), 1);
        tally.count(&What::Failed(Outcome::Cancelled), 2);
        tally.count(&What::Retried(Outcome::Killed(9)), 1);
        tally.count(&What::Died(Outcome::Killed(9)), 1);
        tally.count(&What::Restarted, 1);
        assert_eq!((tally.ended(), tally.is_finished()), (6, false));
        let text = "6/9, 3 failed, 2 cancelled, 1 retried, 1 worker died, 1 worker restarted";
        assert_eq!(tally.to_string(), text);
        let unknown = Tally { total: None, finished: 9, ..Tally::default() };
        assert_eq!((unknown.to_string().as_str(), unknown.is_finished()), ("9/?", false));
    }
}
