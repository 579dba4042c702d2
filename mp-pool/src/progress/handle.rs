//! Progress: what the program holds, and what all that report to it and look at it share.

use super::event::{ProgressEvent, Task, What};
use super::events::Events;
use super::tally::Tally;
use crate::thread;
use mp_core::word::Deadline;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The progress of some work: of one call of a pool or of several, of a stream, of futures, of runs of a pipeline.
///
/// Calls report to it when they are made by [`Pool::report_to`](crate::Pool::report_to), and pipelines by
/// [`Pipeline::run_reporting`](crate::pipeline::Pipeline::run_reporting). It adds up what they report. A clone is the
/// same one.
///
/// ```no_run
/// use mp_pool::Pool;
/// use mp_pool::progress::{Bar, Progress};
///
/// fn hash(path: String) -> u64 {
///     path.len() as u64 // a long computation
/// }
///
/// let pool = Pool::new(4)?;
/// let progress = Progress::new();
/// let bar = Bar::new(&progress)?; // a bar on a terminal, else plain lines
/// let hashes = pool.report_to(&progress).map(hash, std::env::args())?;
/// drop(bar);
/// assert_eq!(progress.tally().finished, hashes.len() as u64);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A pool counts what has come back from its workers, about a millisecond after a task has ended, whether a thread
/// waits for the results or not. Tasks that go to a worker together come back together: the calls that choose how many
/// these are choose fewer, so that one step is at most a hundredth of a worker's part.
///
/// Python has no counterpart; compare `tqdm`.
#[doc(alias = "tqdm")]
pub struct Progress {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) began: Instant,
    state: Mutex<State>,
    /// A consumer is to look.
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// Without the total.
    tally: Tally,
    /// The total that the program has named.
    named: Option<u64>,
    /// The tasks of the works whose number is known: each work may promise as many as there are numbers.
    known: u128,
    /// Works of which it is not.
    unknown: usize,
    /// What the program holds.
    handles: usize,
    /// Works that have not ended.
    open: usize,
    consumers: Vec<Consumer>,
    next_consumer: u64,
    /// A consumer sleeps until so many tasks have ended.
    wake_at: Option<u64>,
}

/// The events that one consumer has not taken.
pub(super) struct Consumer {
    number: u64,
    events: VecDeque<ProgressEvent>,
}

/// More events than this wait for no consumer: the oldest are dropped. Each has the whole tally.
const MOST_EVENTS: usize = 4096;

impl Progress {
    /// The progress of work without a name.
    pub fn new() -> Progress {
        Progress::named("")
    }

    /// The progress of work of this name, which events have, and lines begin with.
    pub fn named(name: impl Into<Arc<str>>) -> Progress {
        let state = State { handles: 1, ..State::default() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Progress { shared: Arc::new(Shared { name: name.into(), began: Instant::now(), state, changed }) }
    }

    /// There will be so many tasks. For what the calls do not know: tasks that are submitted one by one, an input that
    /// does not say how long it is.
    pub fn set_total(&self, tasks: u64) {
        let mut state = self.shared.state();
        state.named = Some(tasks);
        self.shared.wake(&mut state, true);
    }

    /// What has become of the tasks so far. It does not wait.
    pub fn tally(&self) -> Tally {
        self.shared.state().tally()
    }

    /// What happens from now on, one event after the other. The iterator waits for the next one; it ends when all work
    /// that reports has ended, and all handles of this progress are dropped. So a thread that is to see the end of it
    /// holds no handle itself.
    ///
    /// ```no_run
    /// # fn square(x: u64) -> u64 {
    /// #     x * x
    /// # }
    /// let pool = mp_pool::Pool::new(4)?;
    /// let progress = mp_pool::progress::Progress::new();
    /// let events = progress.events();
    /// let printer = std::thread::spawn(|| events.for_each(|event| println!("{event}")));
    /// pool.report_to(&progress).map(square, 0..1000)?;
    /// drop(progress);
    /// printer.join().expect("it does not panic");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Events that are not taken wait, the last 4,096 of them; before these some are missing then. The tally in each
    /// counts all.
    pub fn events(&self) -> Events {
        let mut state = self.shared.state();
        let number = state.next_consumer;
        state.next_consumer += 1;
        state.consumers.push(Consumer { number, events: VecDeque::new() });
        Events::new(Arc::clone(&self.shared), number)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Default for Progress {
    fn default() -> Self {
        Progress::new()
    }
}

impl Clone for Progress {
    fn clone(&self) -> Progress {
        self.shared.state().handles += 1;
        Progress { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.handles -= 1;
        self.shared.wake(&mut state, false);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the consumers that wait for what there is now. `news`: whatever they wait for.
    pub(super) fn wake(&self, state: &mut State, news: bool) {
        if state.wake_at.is_some_and(|ended| news || state.tally.ended() >= ended || state.is_over()) {
            state.wake_at = None;
            self.changed.notify_all();
        }
    }

    /// Something has happened.
    pub(super) fn tell(&self, task: impl FnOnce() -> Task, what: What, tasks: u64) {
        let mut state = self.state();
        state.tally.count(&what, tasks);
        let is_rare = matches!(what, What::Died(_) | What::Restarted | What::Retried(_));
        if !state.consumers.is_empty() {
            let (name, tally) = (Arc::clone(&self.name), state.tally());
            let event = ProgressEvent { name, task: task(), what, tally };
            for consumer in &mut state.consumers {
                if consumer.events.len() == MOST_EVENTS {
                    consumer.events.pop_front();
                }
                consumer.events.push_back(event.clone());
            }
        }
        self.wake(&mut state, is_rare);
    }

    /// Sleeps until so many tasks have ended, or something rare has happened, or `until`.
    pub(super) fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        ended: u64,
        until: Option<Deadline>,
    ) -> MutexGuard<'a, State> {
        state.wake_at = Some(state.wake_at.map_or(ended, |other| other.min(ended)));
        thread::sleep(&self.changed, state, until)
    }
}

impl State {
    pub(super) fn tally(&self) -> Tally {
        let known = u64::try_from(self.known).unwrap_or(u64::MAX);
        let total = self.named.or_else(|| (self.unknown == 0).then_some(known));
        Tally { total, ..self.tally }
    }

    /// Whether no work reports any more, nor ever will.
    pub(super) fn is_over(&self) -> bool {
        self.handles == 0 && self.open == 0
    }

    /// A work begins, of which it is not known how many tasks it has.
    pub(super) fn begin(&mut self) {
        self.open += 1;
        self.unknown += 1;
    }

    pub(super) fn end(&mut self) {
        self.open -= 1;
    }

    /// How many tasks a work has: so many, where it was thought that it has `before`.
    pub(super) fn know(&mut self, before: Option<u64>, tasks: u64) {
        self.known = (self.known + u128::from(tasks)).saturating_sub(before.unwrap_or(0).into());
        self.unknown -= usize::from(before.is_none());
    }

    pub(super) fn submitted(&mut self, tasks: u64) {
        self.tally.submitted += tasks;
    }

    fn consumer(&mut self, number: u64) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|consumer| consumer.number == number)
    }

    pub(super) fn next_event(&mut self, number: u64) -> Option<ProgressEvent> {
        self.consumer(number)?.events.pop_front()
    }

    pub(super) fn leave(&mut self, number: u64) {
        self.consumers.retain(|consumer| consumer.number != number);
    }
}
