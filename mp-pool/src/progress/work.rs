//! Work: one call of a pool, or one run of a pipeline, that reports to a [`Progress`].
//!
//! ```text
//!   begin: open ── know: so many tasks ── submitted, what happened … ── end of the input: as many as submitted ── end
//! ```
//!
//! Dropped, it has ended.

use super::event::{Task, What};
use super::handle::{Progress, Shared};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) struct Work {
    shared: Arc<Shared>,
    /// Taken after the progress's own lock.
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    submitted: u64,
    /// How many tasks it is thought to have.
    total: Option<u64>,
    ended: bool,
}

impl Work {
    pub(crate) fn begin(progress: &Progress) -> Work {
        let shared = Arc::clone(progress.shared());
        shared.state().begin();
        Work { shared, so_far: Mutex::default() }
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is to have as many tasks as an input says that it has, if that is exact.
    pub(crate) fn know_length(&self, of_input: (usize, Option<usize>)) {
        if let (least, Some(most)) = of_input
            && least == most
        {
            self.know(least as u64);
        }
    }

    pub(crate) fn know(&self, tasks: u64) {
        let mut state = self.shared.state();
        let before = self.so_far().total.replace(tasks);
        state.know(before, tasks);
    }

    pub(crate) fn submitted(&self, tasks: u64) {
        let mut state = self.shared.state();
        self.so_far().submitted += tasks;
        state.submitted(tasks);
        self.shared.wake(&mut state, false);
    }

    /// It will have no more tasks than it has now.
    pub(crate) fn end_input(&self) {
        let submitted = self.so_far().submitted;
        self.know(submitted);
    }

    /// Something has happened to so many items, from this one on.
    pub(crate) fn items(&self, first: u64, count: u64, what: What) {
        if count > 0 {
            self.shared.tell(|| Task::Items { first, count }, what, count);
        }
    }

    pub(crate) fn step(&self, name: &str, what: What) {
        self.shared.tell(|| Task::Step(name.into()), what, 1);
    }

    pub(crate) fn worker(&self, name: &Arc<str>, what: What) {
        self.shared.tell(|| Task::Worker(Arc::clone(name)), what, 0);
    }

    /// Whether both report to the same progress.
    pub(crate) fn reports_with(&self, other: &Work) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// It reports no more; `false`: it has ended before.
    pub(crate) fn end(&self) -> bool {
        self.end_input();
        let mut state = self.shared.state();
        if std::mem::replace(&mut self.so_far().ended, true) {
            return false;
        }
        state.end();
        self.shared.wake(&mut state, true);
        true
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Outcome;

    fn total(progress: &Progress) -> Option<u64> {
        progress.tally().total
    }

    #[test]
    fn the_total_is_known_when_that_of_each_work_is() {
        let progress = Progress::new();
        assert_eq!(total(&progress), Some(0));
        let (one, two) = (Work::begin(&progress), Work::begin(&progress));
        one.know_length((5, Some(5)));
        two.know_length((0, None));
        assert_eq!(total(&progress), None);
        two.submitted(3);
        two.end_input();
        assert_eq!(total(&progress), Some(8));
        // It ends before it has read what was promised.
        one.submitted(1);
        assert!(one.end() && !one.end());
        drop(one);
        assert_eq!((total(&progress), progress.tally().submitted), (Some(4), 4));
        progress.set_total(100);
        assert_eq!(total(&progress), Some(100));
    }

    #[test]
    fn works_that_promise_more_than_can_be_counted_are_counted_when_they_have_ended() {
        let progress = Progress::new();
        let works = [Work::begin(&progress), Work::begin(&progress)];
        works.iter().for_each(|work| work.know_length((usize::MAX, Some(usize::MAX))));
        assert_eq!(total(&progress), Some(u64::MAX));
        works.iter().for_each(|work| work.submitted(3));
        assert!(works.iter().all(Work::end));
        assert_eq!(total(&progress), Some(6));
    }

    #[test]
    fn events_end_with_the_last_work_and_handle() {
        let progress = Progress::named("p");
        let (mut events, work) = (progress.events(), Work::begin(&progress.clone()));
        work.know(2);
        work.items(0, 2, What::Finished(Outcome::Done));
        assert_eq!(
            events.next().map(|event| event.to_string()).as_deref(),
            Some("2/2 items 0 to 1 are done")
        );
        assert!(events.try_next().is_some_and(|event| event.is_err()));
        drop(progress);
        assert!(events.try_next().is_some_and(|event| event.is_err()));
        work.end();
        assert!(events.next().is_none());
    }

    #[test]
    fn a_consumer_that_takes_nothing_costs_bounded_memory_and_loses_no_count() {
        let progress = Progress::new();
        let (events, work) = (progress.events(), Work::begin(&progress));
        (0..10_000).for_each(|at| work.items(at, 1, What::Finished(Outcome::Done)));
        drop((progress, work));
        let (count, last) = events.fold((0, 0), |(count, _), event| (count + 1, event.tally.finished));
        assert_eq!((count, last), (4096, 10_000));
    }
}
