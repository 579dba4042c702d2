//! AsyncResult and MapResult: what will come of a call.

use crate::error::{MapError, SubmitError, TaskError};
use crate::job::Job;
use crate::order::All;
use crate::supervisor::Shared;
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A job, and the pool that does it.
pub(crate) struct Waited {
    pub(crate) job: Arc<Job>,
    pub(crate) shared: Arc<Shared>,
}

impl Waited {
    fn wait(&self, until: Option<Deadline>) -> bool {
        self.shared.wait_for(&self.job, until)
    }

    fn is_settled(&self) -> bool {
        self.shared.look_for(&self.job)
    }

    fn each<R: DeserializeOwned>(&self) -> Vec<Result<R, TaskError>> {
        self.wait(None);
        let mut each = Vec::new();
        self.job.for_each(|value| each.push(value));
        each
    }

    /// All values, or the first failure.
    fn all<R: DeserializeOwned>(&self) -> Result<Vec<R>, MapError> {
        self.wait(None);
        all_of(&self.job)
    }
}

fn all_of<R: DeserializeOwned>(job: &Job) -> Result<Vec<R>, MapError> {
    let items = job.length();
    let mut all = All::expecting((items, Some(items)));
    job.for_each(|value| all.push(value));
    all.end()
}

/// The value that a task will give. Dropping it lets the task go on, unread.
///
/// Python: `multiprocessing.pool.AsyncResult`.
pub struct AsyncResult<R> {
    waited: Waited,
    value: PhantomData<fn() -> R>,
}

impl<R> AsyncResult<R> {
    pub(crate) fn new(waited: Waited) -> Self {
        AsyncResult { waited, value: PhantomData }
    }

    /// Whether the task has ended, well or not. Python: `AsyncResult.ready`.
    #[doc(alias = "done")]
    pub fn ready(&self) -> bool {
        self.waited.is_settled()
    }

    /// Gives the task up: if it has not begun it never will, and if it has, its worker is killed and replaced. It ends
    /// as [`TaskError::Cancelled`], once its worker is dead, unless it was done just before. One that is done stays
    /// done.
    ///
    /// Python has no such method on `AsyncResult`; compare `concurrent.futures.Future.cancel`, which leaves a running
    /// task alone.
    pub fn cancel(&self) {
        self.waited.shared.cancel(&self.waited.job);
    }

    /// Waits until it has. Python: `AsyncResult.wait()`.
    pub fn wait(&self) {
        self.waited.wait(None);
    }

    /// Whether the task gave a value that arrived here; `None`: it has not ended. An `Err` that its function returned
    /// is a value. Python: `AsyncResult.successful`, which raises `ValueError` then.
    pub fn successful(&self) -> Option<bool> {
        self.ready().then(|| self.waited.job.is_successful())
    }

    /// Waits until it has, at most `timeout`; whether it has. Python: `AsyncResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.waited.wait(Deadline::after(timeout))
    }
}

impl<R: DeserializeOwned> AsyncResult<R> {
    /// Waits for the task's value. Python: `AsyncResult.get`.
    #[doc(alias = "result")]
    #[doc(alias = "exception")]
    pub fn get(&self) -> Result<R, TaskError> {
        self.waited.wait(None);
        self.waited.job.first()
    }

    /// The task's value, without waiting. Python: `AsyncResult.get(0)`.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if the task has not ended.
    pub fn try_get(&self) -> Result<R, TaskError> {
        if self.ready() { self.waited.job.first() } else { Err(TaskError::WouldBlock) }
    }

    /// Waits for the task's value, at most `timeout`. Python: `AsyncResult.get(timeout)`.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if the task has not ended by then. It goes on, and the value can be waited for again.
    pub fn get_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        if self.wait_timeout(timeout) { self.waited.job.first() } else { Err(TaskError::Timeout) }
    }

    /// Has `callback` called with what comes of the task, in a thread of the pool's, once it has ended: at once, if it
    /// has, and in the calling thread if the pool's have ended. Callbacks are called one after the other, so one is to
    /// be quick. One that panics is told by the panic hook, and harms nothing else.
    ///
    /// [`get`](AsyncResult::get) and [`wait`](AsyncResult::wait) may return before the callback has, where Python's
    /// return after it. [`Pool::join`](crate::Pool::join), and the pool's drop, wait for it.
    ///
    /// Python: `apply_async(callback, error_callback)`.
    #[doc(alias = "callback")]
    #[doc(alias = "error_callback")]
    #[doc(alias = "add_done_callback")]
    pub fn call_back(&self, callback: impl FnOnce(Result<R, TaskError>) + Send + 'static) {
        let job = Arc::clone(&self.waited.job);
        self.waited.shared.call_back(&self.waited.job, Box::new(move || callback(job.first())));
    }

    /// As [`get`](AsyncResult::get); gives up soon after `interrupted` has become true:
    /// see [`Pool::map_interruptible`](crate::Pool::map_interruptible).
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; what became of the task, as [`SubmitError::Task`].
    pub fn get_interruptible(&self, interrupted: impl FnMut() -> bool) -> Result<R, SubmitError> {
        self.waited.shared.wait_unless(&self.waited.job, interrupted)?;
        Ok(self.waited.job.first()?)
    }
}

/// The values that the tasks of a `map_async` will give, in the order of the input.
///
/// Python: `multiprocessing.pool.MapResult`.
pub struct MapResult<R> {
    waited: Waited,
    value: PhantomData<fn() -> R>,
}

impl<R> MapResult<R> {
    pub(crate) fn new(waited: Waited) -> Self {
        MapResult { waited, value: PhantomData }
    }

    /// Whether every task has ended. Python: `MapResult.ready`.
    pub fn ready(&self) -> bool {
        self.waited.is_settled()
    }

    /// Waits until every task has ended. Python: `MapResult.wait()`.
    pub fn wait(&self) {
        self.waited.wait(None);
    }

    /// Whether each task gave a value that arrived here; `None`: not all have ended. Python: `MapResult.successful`,
    /// which raises `ValueError` then.
    pub fn successful(&self) -> Option<bool> {
        self.ready().then(|| self.waited.job.is_successful())
    }

    /// Waits until every task has ended, at most `timeout`; whether they have. Python: `MapResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.waited.wait(Deadline::after(timeout))
    }
}

impl<R: DeserializeOwned> MapResult<R> {
    /// Waits for all values. Python: `MapResult.get`.
    ///
    /// # Errors
    /// The first item, in the order of the input, that failed. The others were done all the same.
    pub fn get(&self) -> Result<Vec<R>, MapError> {
        self.waited.all()
    }

    /// All values, without waiting. Python: `MapResult.get(0)`.
    ///
    /// # Errors
    /// [`MapError::WouldBlock`] if not every task has ended; else as [`get`](MapResult::get).
    pub fn try_get(&self) -> Result<Vec<R>, MapError> {
        if self.ready() { all_of(&self.waited.job) } else { Err(MapError::WouldBlock) }
    }

    /// Waits for all values, at most `timeout`. Python: `MapResult.get(timeout)`.
    ///
    /// # Errors
    /// [`MapError::Timeout`] if not every task has ended by then; else as [`get`](MapResult::get). The tasks go on, and
    /// the values can be waited for again.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<R>, MapError> {
        if self.wait_timeout(timeout) { all_of(&self.waited.job) } else { Err(MapError::Timeout) }
    }

    /// As [`get`](MapResult::get); gives up soon after `interrupted` has become true:
    /// see [`Pool::map_interruptible`](crate::Pool::map_interruptible).
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; the first item that failed, as [`SubmitError::Map`].
    pub fn get_interruptible(&self, interrupted: impl FnMut() -> bool) -> Result<Vec<R>, SubmitError> {
        self.waited.shared.wait_unless(&self.waited.job, interrupted)?;
        Ok(self.waited.all()?)
    }

    /// Has `callback` called with all values, or the first failure, in a thread of the pool's, once every task has
    /// ended: see [`AsyncResult::call_back`].
    ///
    /// Python: `map_async(callback, error_callback)`.
    #[doc(alias = "callback")]
    #[doc(alias = "error_callback")]
    pub fn call_back(&self, callback: impl FnOnce(Result<Vec<R>, MapError>) + Send + 'static) {
        let job = Arc::clone(&self.waited.job);
        self.waited.shared.call_back(&self.waited.job, Box::new(move || callback(all_of(&job))));
    }

    /// Waits for all tasks, and gives the value or the error of each, in the order of the input. It does not wait once
    /// [`ready`](MapResult::ready) or [`wait_timeout`](MapResult::wait_timeout) has said that they have ended.
    pub fn get_each(&self) -> Vec<Result<R, TaskError>> {
        self.waited.each()
    }
}

/// What this process knows of the task: nothing is collected, and no lock is taken.
impl<R> fmt::Debug for AsyncResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncResult").field("ready", &self.waited.job.is_settled()).finish()
    }
}

/// What this process knows of the tasks: nothing is collected, and no lock is taken.
impl<R> fmt::Debug for MapResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapResult").field("ready", &self.waited.job.is_settled()).finish()
    }
}
