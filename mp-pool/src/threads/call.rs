//! A call of a pool of threads: its function, and the chunks that its items go in.

use super::crew::Crew;
use super::report::Report;
use super::task::{ThreadTask, caught};
use super::tasks::ThreadTasks;
use crate::error::{MapError, SubmitError, TaskError};
use crate::future::Future;
use crate::order::All;
use crate::progress::Work;
use mp_core::transfer::StateType;
use mp_core::word::Deadline;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A call that has begun. Dropped, its work has no more items than were submitted.
pub(super) struct Call<F> {
    crew: Arc<Crew>,
    function: Arc<F>,
    priority: i32,
    work: Option<Arc<Work>>,
    /// Items; the position of the next one.
    pub(super) submitted: u64,
    /// An item has failed.
    failed: Arc<AtomicBool>,
}

impl<F> Call<F> {
    /// Whether its threads are in this process, and not in one that this is a copy of.
    pub(super) fn is_owned(&self) -> bool {
        self.crew.is_owned()
    }
}

impl<F: Send + Sync + 'static> Call<F> {
    /// Begins a call of a function that works on such a state.
    ///
    /// # Errors
    /// The pool takes no tasks, has no such state, or cannot do what the options say.
    pub(super) fn begin(
        tasks: ThreadTasks<'_>,
        function: F,
        state: Option<StateType>,
    ) -> Result<Call<F>, SubmitError> {
        let (crew, priority) = (Arc::clone(tasks.crew()), tasks.priority()?);
        crew.check(state)?;
        let work = tasks.progress().map(|progress| Arc::new(Work::begin(progress)));
        let (function, failed) = (Arc::new(function), Arc::default());
        Ok(Call { crew, function, priority, work, submitted: 0, failed })
    }

    /// It is to have as many items as an input says that it has, if that is exact.
    pub(super) fn know_length(&self, of_input: (usize, Option<usize>)) {
        if let Some(work) = &self.work {
            work.know_length(of_input);
        }
    }

    /// It has no more items.
    pub(super) fn end_input(&self) {
        if let Some(work) = &self.work {
            work.end_input();
        }
    }

    /// The report of so many items that are submitted next.
    fn report(&self, items: u64) -> Option<Report> {
        self.work.as_ref().map(|work| Report::new(work, self.submitted, items))
    }

    /// Submits items that one thread does, one after the other.
    pub(super) fn submit<T, R>(
        &mut self,
        items: Vec<T>,
        each: impl Fn(&F, T) -> R + Send + 'static,
    ) -> Result<Chunk<R>, SubmitError>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let (function, count) = (Arc::clone(&self.function), items.len());
        let failed = Arc::clone(&self.failed);
        let run = move |report: &mut Option<Report>| {
            let thread = std::thread::current();
            let worker = thread.name().unwrap_or_default();
            let one = |item| {
                let outcome = caught(worker, || each(&function, item));
                if outcome.is_err() {
                    // ORDERING: Relaxed: the lock of the task publishes it.
                    failed.store(true, Ordering::Relaxed);
                }
                if let Some(report) = report.as_mut() {
                    report.ended(outcome.as_ref().err());
                }
                outcome
            };
            items.into_iter().map(one).collect()
        };
        let task = ThreadTask::new(count as u64, self.report(count as u64), run);
        self.crew.submit(self.priority, Arc::clone(&task) as _)?;
        self.submitted += count as u64;
        Ok(Chunk { items: count, results: Future::of(task), failed: Arc::clone(&self.failed) })
    }

    /// Submits one item, whose function may be called once only, when there is room; `late` at the deadline.
    pub(super) fn submit_one<R: Send + 'static>(
        &mut self,
        room: Room,
        run: impl FnOnce(Arc<F>) -> R + Send + 'static,
    ) -> Result<Future<R>, SubmitError> {
        let function = Arc::clone(&self.function);
        let task = ThreadTask::new(1, self.report(1), move |_: &mut Option<Report>| run(function));
        match room {
            Room::Any => self.crew.submit(self.priority, Arc::clone(&task) as _)?,
            Room::Until(until, late) => {
                self.crew.submit_until(self.priority, Arc::clone(&task) as _, until, late)?;
            }
        }
        self.submitted += 1;
        Ok(Future::of(task))
    }
}

/// Whether a task waits for room.
pub(super) enum Room {
    /// It does not, and is taken all the same.
    Any,
    /// It does, until then; and the error of one that is late.
    Until(Option<Deadline>, SubmitError),
}

/// Items that one thread does, one after the other.
pub(super) struct Chunk<R> {
    pub(super) items: usize,
    pub(super) results: Future<Vec<Result<R, TaskError>>>,
    /// An item of the call has failed.
    failed: Arc<AtomicBool>,
}

impl<R: Send + 'static> Chunk<R> {
    /// Waits for the results, one for each item whatever comes, and takes them.
    pub(super) fn take(&self) -> Vec<Result<R, TaskError>> {
        self.results.result().unwrap_or_else(|error| (0..self.items).map(|_| Err(error.clone())).collect())
    }

    /// Whether it was begun, and no item of its call has failed. It has ended.
    pub(super) fn is_successful(&self) -> bool {
        // ORDERING: Relaxed: the lock of the task, which has ended, publishes it.
        self.results.exception().is_none() && !self.failed.load(Ordering::Relaxed)
    }
}

/// Waits for all chunks, and takes all values, or the first failure.
pub(super) fn all_of<R: Send + 'static>(chunks: &[Chunk<R>]) -> Result<Vec<R>, MapError> {
    let mut all = All::new();
    chunks.iter().flat_map(Chunk::take).for_each(|value| all.push(value));
    all.end()
}
