//! When a worker's successor is started, and when the pool gives up.
//!
//! ```text
//!   a worker ends after it began a task,        failures in a row = 0,   next one at once
//!   or is killed while it is idle
//!   a worker ends before it began a task,       failures in a row + 1,   next one after 10, 20, 40 … ms
//!   or cannot be started                        … 8 in a row: the pool is broken (32 if the last one was killed)
//! ```
//!
//! Only start-up failures in a row count, for each worker index by itself. A task that kills its worker is that task's
//! error, and a worker that is killed from outside while it is idle says nothing about the next one: however many there
//! are, neither breaks the pool. An initializer that ends its process, and a system that starts no process for more
//! than a second, do. A SIGKILL before the first task may come from outside, or from the kernel, for memory that the
//! initializer takes. Where workers are killed all the time and start slowly, several in a row are killed as they
//! start, so more of these are needed to break the pool.

use crate::dispatch::{Dispatch, Phase};
use crate::error::{How, NewPoolError, TaskError};
use crate::supervisor::Shared;
use mp_core::StartError;
use mp_core::sys::process::Ended;
use mp_core::sys::signal::SIGKILL;
use std::time::{Duration, Instant};

/// Start-up failures of one index in a row that break the pool.
const MOST_FAILURES: u32 = 8;
/// So many where the last one was killed by SIGKILL.
const MOST_KILLS: u32 = 32;
/// The wait after the first failure; it doubles with each further one, up to 0.64 s.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const MOST_DOUBLINGS: u32 = 6;

/// The indexes whose workers have ended, each with when its next worker is due, and the failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// By index.
    failures: Vec<u32>,
    due: Vec<(Instant, u32)>,
}

impl Restarts {
    /// A worker ended in order, or was killed from outside: the next one is due at once.
    pub(crate) fn ended(&mut self, index: u32, now: Instant) {
        *self.failures_of(index) = 0;
        self.due.push((now, index));
    }

    /// A worker failed to start: the next one is due after a wait. `false`: there is none, since so many have failed in
    /// a row.
    pub(crate) fn failed(&mut self, index: u32, most: u32, now: Instant) -> bool {
        let failures = self.failures_of(index);
        *failures += 1;
        let (enough, wait) = (*failures >= most, FIRST_WAIT * 2_u32.pow((*failures - 1).min(MOST_DOUBLINGS)));
        if !enough {
            self.due.push((now + wait, index));
        }
        !enough
    }

    /// When the next worker is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.iter().map(|(at, _)| *at).min()
    }

    /// The indexes whose workers are due by now. They are no longer on record.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<u32> {
        let (due, later) = self.due.iter().partition(|(at, _)| *at <= now);
        self.due = later;
        let mut due: Vec<(Instant, u32)> = due;
        due.sort_unstable();
        due.into_iter().map(|(_, index)| index).collect()
    }

    fn failures_of(&mut self, index: u32) -> &mut u32 {
        let index = index as usize;
        if self.failures.len() <= index {
            self.failures.resize(index + 1, 0);
        }
        &mut self.failures[index]
    }
}

/// The watcher's part.
impl Shared {
    /// Ends the pool: it can do no more tasks.
    pub(crate) fn break_pool(&self, reason: String) {
        self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
    }

    /// Settles what a worker had that has ended, and enters when its successor is due.
    pub(crate) fn worker_ended(&self, index: u32, restarts: &mut Restarts) {
        let mut dispatch = self.dispatch();
        let Some(gone) = dispatch.ended(index) else { return };
        // What it had may have been all that was left.
        self.tell(&mut dispatch);
        let replace = self.wants_worker(&dispatch, index);
        let failed = gone.failed_to_start && !dispatch.dismissed[index as usize];
        if replace && gone.left {
            dispatch.has_left(index);
        }
        self.changed.notify_all();
        drop(dispatch);
        self.board.wake_caller();
        if replace && failed {
            let is_killed = gone.how == Some(Ended::Signaled(SIGKILL));
            let most = if is_killed { MOST_KILLS } else { MOST_FAILURES };
            let how = format!("{} {} before its first task", gone.name, How(gone.how));
            self.failed(index, most, &how, restarts);
        } else if replace && !gone.left {
            restarts.ended(index, Instant::now());
        }
    }

    /// Whether the worker of this index that has ended is to have a successor.
    fn wants_worker(&self, dispatch: &Dispatch, index: u32) -> bool {
        self.spec.alone.is_none() && dispatch.wants_workers() && (index as usize) < self.processes()
    }

    /// Starts the worker that is due.
    pub(crate) fn restart(&self, index: u32, restarts: &mut Restarts) {
        if self.wants_worker(&self.dispatch(), index)
            && let Err(error) = self.start_worker(index)
        {
            use StartError::{CopyEnded, CopyOutOfDate, Ending};
            // None will start any more.
            if let NewPoolError::Start(CopyEnded | CopyOutOfDate | Ending) = error {
                return self.break_pool(error.to_string());
            }
            self.failed(index, MOST_FAILURES, &format!("a worker could not be started: {error}"), restarts);
        }
    }

    /// A worker of this index could not start.
    fn failed(&self, index: u32, most: u32, how: &str, restarts: &mut Restarts) {
        if !restarts.failed(index, most, Instant::now()) {
            self.break_pool(format!(
                "its workers cannot start, {most} times in a row: {how}; look at the initializer and at the \
                 limits of processes, memory and open files"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_wait_longer_each_time_and_are_bounded() {
        let (mut restarts, mut now) = (Restarts::default(), Instant::now());
        let mut waits = Vec::new();
        while restarts.failed(3, MOST_FAILURES, now) {
            let next = restarts.next().unwrap();
            assert_eq!(restarts.take_due(now), []);
            waits.push((next - now).as_millis());
            now = next;
            assert_eq!(restarts.take_due(now), [3]);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640]);
        assert_eq!(restarts.next(), None);
    }

    #[test]
    fn one_success_and_other_indexes_begin_anew() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        for _ in 1..MOST_FAILURES {
            assert!(restarts.failed(0, MOST_FAILURES, now));
            assert!(restarts.failed(1, MOST_FAILURES, now));
        }
        restarts.ended(0, now);
        for _ in 1..MOST_FAILURES {
            assert!(restarts.failed(0, MOST_FAILURES, now));
        }
        assert!(!restarts.failed(1, MOST_FAILURES, now));
    }

    #[test]
    fn more_kills_of_those_that_start_are_borne_than_other_failures() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        for _ in 1..MOST_KILLS {
            assert!(restarts.failed(0, MOST_KILLS, now));
            let [(due, 0)] = restarts.due[..] else { panic!("{restarts:?}") };
            assert!(due - now <= Duration::from_millis(640));
            restarts.due.clear();
        }
        assert!(!restarts.failed(0, MOST_KILLS, now));
    }

    #[test]
    fn ends_without_failure_are_never_too_many() {
        let (mut restarts, now) = (Restarts::default(), Instant::now());
        for _ in 0..1000 {
            restarts.ended(7, now);
            assert_eq!(restarts.take_due(now), [7]);
        }
    }
}
