//! A watch: one thread waits for the first of several tasks, of one pool or of several.
//!
//! Each task has a hook that says its number here when it is done. The thread that watches collects results itself
//! where all tasks are of one pool of processes, so it needs no other thread.

use mp_core::word::Deadline;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a thread that watches several pools looks at each: in a callback it is the one that would be told.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Watch {
    done: Mutex<VecDeque<usize>>,
    changed: Condvar,
}

impl Watch {
    fn done(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task with this number is done.
    pub(crate) fn add(&self, number: usize) {
        self.done().push_back(number);
        self.changed.notify_one();
    }

    /// The number of a task that is done, if one is.
    pub(crate) fn try_next(&self) -> Option<usize> {
        self.done().pop_front()
    }

    /// Whether a task is done.
    pub(crate) fn has_next(&self) -> bool {
        !self.done().is_empty()
    }

    /// Waits for the number of a task that is done; `None` at the deadline. `look` looks at each pool.
    pub(crate) fn next(&self, until: Option<Deadline>, look: impl Fn()) -> Option<usize> {
        loop {
            look();
            let mut done = self.done();
            if done.is_empty() {
                let left = until.map_or(LOOK, |until| until.remaining().min(LOOK));
                done = self.changed.wait_timeout(done, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            let next = done.pop_front();
            if next.is_some() || until.is_some_and(Deadline::passed) {
                return next;
            }
        }
    }
}
