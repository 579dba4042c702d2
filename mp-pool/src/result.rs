//! AsyncResult and MapResult: what will come of a call.

use crate::error::{MapError, SubmitError, TaskError};
use mp_core::transfer::{Message, unpack};
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One call: a slot for each item.
#[derive(Debug)]
pub(crate) struct Job {
    state: Mutex<Slots>,
    settled: Condvar,
}

#[derive(Debug)]
struct Slots {
    outcomes: Vec<Option<Result<Message, TaskError>>>,
    missing: usize,
}

impl Job {
    pub(crate) fn new(items: usize) -> Arc<Job> {
        let outcomes = (0..items).map(|_| None).collect();
        Arc::new(Job { state: Mutex::new(Slots { outcomes, missing: items }), settled: Condvar::new() })
    }

    /// Settles an item, once: later outcomes are not believed.
    pub(crate) fn settle(&self, index: u32, outcome: Result<Message, TaskError>) {
        let mut slots = self.lock();
        if let Some(slot @ None) = slots.outcomes.get_mut(index as usize) {
            *slot = Some(outcome);
            slots.missing -= 1;
            if slots.missing == 0 {
                self.settled.notify_all();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_settled(&self) -> bool {
        self.lock().missing == 0
    }

    /// Waits until every item is settled; `None` at the deadline.
    fn wait(&self, until: Option<Deadline>) -> Option<MutexGuard<'_, Slots>> {
        let mut slots = self.lock();
        while slots.missing > 0 {
            slots = match until.map(Deadline::remaining) {
                None => self.settled.wait(slots).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return None,
                Some(left) => {
                    self.settled.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Some(slots)
    }
}

/// How often an interruptible wait asks whether it is interrupted: soon for whoever pressed Ctrl-C, and a cost that
/// cannot be measured.
const ASK: Duration = Duration::from_millis(50);

impl Job {
    /// Waits until every item is settled, or `interrupted` says so.
    ///
    /// Asked again and again: the signal may be handled by another thread, before the wait begins, or with
    /// `SA_RESTART`, and then no sleep ends by itself.
    fn wait_unless(
        &self,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<MutexGuard<'_, Slots>, SubmitError> {
        loop {
            if let Some(slots) = self.wait(Deadline::after(ASK)) {
                return Ok(slots);
            }
            if interrupted() {
                return Err(SubmitError::Interrupted);
            }
        }
    }
}

fn value<R: DeserializeOwned>(outcome: &Option<Result<Message, TaskError>>) -> Result<R, TaskError> {
    match outcome {
        Some(Ok(message)) => unpack(&message.bytes, message.handles.clone())
            .map_err(|error| TaskError::Value(error.to_string())),
        Some(Err(error)) => Err(error.clone()),
        None => unreachable!("asked only when every item is settled"),
    }
}

/// The value that a task will give. Dropping it lets the task go on, unread.
///
/// Python: `multiprocessing.pool.AsyncResult`.
pub struct AsyncResult<R> {
    job: Arc<Job>,
    value: PhantomData<fn() -> R>,
}

impl<R> AsyncResult<R> {
    pub(crate) fn new(job: Arc<Job>) -> Self {
        AsyncResult { job, value: PhantomData }
    }

    /// Whether the task has ended, well or not. Python: `AsyncResult.ready`.
    pub fn ready(&self) -> bool {
        self.job.is_settled()
    }

    /// Waits until it has, at most `timeout`; whether it has. Python: `AsyncResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.job.wait(Deadline::after(timeout)).is_some()
    }
}

impl<R: DeserializeOwned> AsyncResult<R> {
    /// Waits for the task's value. Python: `AsyncResult.get`.
    pub fn get(&self) -> Result<R, TaskError> {
        self.job.wait(None).map_or(Err(TaskError::Terminated), |slots| value(&slots.outcomes[0]))
    }

    /// As [`get`](AsyncResult::get); `None` after `timeout`. Python: `AsyncResult.get(timeout)`.
    pub fn get_timeout(&self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.job.wait(Deadline::after(timeout)).map(|slots| value(&slots.outcomes[0]))
    }

    /// As [`get`](AsyncResult::get); gives up soon after `interrupted` has become true:
    /// see [`Pool::map_interruptible`](crate::Pool::map_interruptible).
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; what became of the task, as [`SubmitError::Task`].
    pub fn get_interruptible(&self, interrupted: impl FnMut() -> bool) -> Result<R, SubmitError> {
        Ok(value(&self.job.wait_unless(interrupted)?.outcomes[0])?)
    }
}

/// The values that the tasks of a `map_async` will give, in the order of the input.
///
/// Python: `multiprocessing.pool.MapResult`.
pub struct MapResult<R> {
    job: Arc<Job>,
    value: PhantomData<fn() -> R>,
}

impl<R> MapResult<R> {
    pub(crate) fn new(job: Arc<Job>) -> Self {
        MapResult { job, value: PhantomData }
    }

    /// Whether every task has ended. Python: `MapResult.ready`.
    pub fn ready(&self) -> bool {
        self.job.is_settled()
    }

    /// Waits until every task has ended, at most `timeout`; whether they have. Python: `MapResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.job.wait(Deadline::after(timeout)).is_some()
    }
}

impl<R: DeserializeOwned> MapResult<R> {
    /// Waits for all values. Python: `MapResult.get`.
    ///
    /// # Errors
    /// The first item, in the order of the input, that failed. The others were done all the same.
    pub fn get(&self) -> Result<Vec<R>, MapError> {
        all(self.get_each())
    }

    /// As [`get`](MapResult::get); gives up soon after `interrupted` has become true:
    /// see [`Pool::map_interruptible`](crate::Pool::map_interruptible).
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; the first item that failed, as [`SubmitError::Item`].
    pub fn get_interruptible(&self, interrupted: impl FnMut() -> bool) -> Result<Vec<R>, SubmitError> {
        let slots = self.job.wait_unless(interrupted)?;
        Ok(all(slots.outcomes.iter().map(value))?)
    }

    /// Waits for all tasks, and gives what became of each.
    pub fn get_each(&self) -> Vec<Result<R, TaskError>> {
        self.job.wait(None).map(|slots| slots.outcomes.iter().map(value).collect()).unwrap_or_default()
    }
}

/// All values, or the first failure.
fn all<R>(each: impl IntoIterator<Item = Result<R, TaskError>>) -> Result<Vec<R>, MapError> {
    let each = each.into_iter().enumerate();
    each.map(|(index, value)| value.map_err(|error| MapError { index, error })).collect()
}

impl<R> fmt::Debug for AsyncResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult").field("ready", &self.ready()).finish()
    }
}

impl<R> fmt::Debug for MapResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapResult").field("ready", &self.ready()).finish()
    }
}
