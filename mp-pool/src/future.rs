//! Future: the value that a submitted task will give.

use crate::error::TaskError;
use crate::hook::{Callback, Hook};
use crate::result::Waited;
use crate::supervisor::Shared;
use crate::watch::Watch;
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A task, as its future sees it.
pub(crate) trait Submitted<R>: Send + Sync {
    /// Whether it has ended, as far as is known without asking others.
    fn is_known_done(&self) -> bool;
    fn is_done(&self) -> bool;
    fn is_running(&self) -> bool;
    fn wait(&self, until: Option<Deadline>) -> bool;
    /// What has become of it, once it is done.
    fn take(&self) -> Result<R, TaskError>;
    /// Its failure, once it is done.
    fn error(&self) -> Option<TaskError>;
    fn is_cancelled(&self) -> bool;
    /// Cancels it unless it has begun.
    fn cancel(&self);
    /// Cancels it, and kills the process that does it.
    fn kill(&self);
    fn call_back(&self, callback: Callback);
    fn watch(&self, watch: &Arc<Watch>, number: usize);
    /// The pool of processes that it is of.
    fn pool(&self) -> Option<&Arc<Shared>>;
}

/// The value that a task will give, from [`ProcessPoolExecutor::submit`](crate::ProcessPoolExecutor::submit) or
/// a thread pool.
///
/// ```no_run
/// use mp_pool::ProcessPoolExecutor;
///
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// let executor = ProcessPoolExecutor::new(4)?;
/// let future = executor.submit(square, (7,))?;
/// assert_eq!(future.result()?, 49);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is a `std::future::Future` too, for any async runtime: `future.await` gives what [`result`](Future::result)
/// gives.
///
/// A clone is another handle of the same task. The value is given once, to the first that asks; an error is given to
/// each. Dropped, the task goes on.
///
/// Futures are equal if they are of the same task, so one can be the key of a map that says what its task was for:
///
/// ```no_run
/// use mp_pool::ProcessPoolExecutor;
/// use mp_pool::futures::as_completed;
/// use std::collections::HashMap;
///
/// fn length(path: String) -> Option<u64> {
///     Some(std::fs::metadata(path).ok()?.len())
/// }
///
/// let executor = ProcessPoolExecutor::new(4)?;
/// let mut paths = HashMap::new();
/// for path in std::env::args() {
///     paths.insert(executor.submit(length, (path.clone(),))?, path);
/// }
/// for future in as_completed(paths.keys().cloned()) {
///     println!("{}: {:?}", paths[&future], future.result()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A function that returns `Err` has not failed: its future has a value, which is that `Err`. What Python raises in a
/// task, and [`exception`](Future::exception) is to tell, is a panic here.
///
/// A worker that dies costs the task that it had begun, as [`TaskError::WorkerDied`]. Other tasks, and the executor, go
/// on.
///
/// Python: `concurrent.futures.Future`.
pub struct Future<R> {
    task: Arc<dyn Submitted<R>>,
    /// Sets what the task of an async runtime is woken by, once this future was polled.
    set_waker: Option<Box<dyn Fn(Waker) + Send + Sync>>,
}

impl<R> Future<R> {
    pub(crate) fn of(task: Arc<dyn Submitted<R>>) -> Future<R> {
        Future { task, set_waker: None }
    }

    pub(crate) fn task(&self) -> &Arc<dyn Submitted<R>> {
        &self.task
    }

    /// What all handles of one task have in common, and no other has.
    fn identity(&self) -> *const () {
        Arc::as_ptr(&self.task).cast()
    }

    /// Cancels the task unless it has begun; whether it is cancelled. Python: `Future.cancel`.
    pub fn cancel(&self) -> bool {
        self.task.cancel();
        self.cancelled()
    }

    /// Cancels the task. If it has begun, its worker process is killed and replaced, unless the task is done first: no
    /// other task is lost. It ends as [`TaskError::Cancelled`] once the worker is dead: wait for it to know.
    ///
    /// A thread cannot be killed: a task of a thread pool that has begun goes on, as with [`cancel`](Future::cancel).
    ///
    /// Python has no such method.
    pub fn kill(&self) {
        self.task.kill();
    }

    /// Whether the task has been cancelled. Python: `Future.cancelled`.
    pub fn cancelled(&self) -> bool {
        self.task.is_done() && self.task.is_cancelled()
    }

    /// Whether a worker has the task at this moment. Python: `Future.running`.
    pub fn running(&self) -> bool {
        !self.task.is_done() && self.task.is_running()
    }

    /// Whether the task has ended: with a value, with an error, or cancelled. Python: `Future.done`.
    pub fn done(&self) -> bool {
        self.task.is_done()
    }

    /// Waits until the task has ended.
    pub fn wait(&self) {
        self.task.wait(None);
    }

    /// Waits until the task has ended, at most `timeout`; whether it has.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.task.wait(Deadline::after(timeout))
    }

    /// Waits for the value, and takes it. Python: `Future.result`.
    ///
    /// # Errors
    /// What became of the task; [`TaskError::Cancelled`] where Python raises `CancelledError`; [`TaskError::Taken`] if
    /// the value was given before.
    pub fn result(&self) -> Result<R, TaskError> {
        self.task.wait(None);
        self.task.take()
    }

    /// Takes the value, without waiting for it. Python: `Future.result(0)`.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if the task has not ended; else as [`result`](Future::result).
    pub fn try_result(&self) -> Result<R, TaskError> {
        if self.task.is_done() { self.task.take() } else { Err(TaskError::WouldBlock) }
    }

    /// Waits for the value, at most `timeout`, and takes it. Python: `Future.result(timeout)`.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if the task has not ended by then: it goes on; else as [`result`](Future::result).
    pub fn result_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        if self.wait_timeout(timeout) { self.task.take() } else { Err(TaskError::Timeout) }
    }

    /// Waits until the task has ended; its error, or `None` if it gave a value, which stays. Python:
    /// `Future.exception`, which raises for a cancelled task; here that is [`TaskError::Cancelled`] as any other.
    pub fn exception(&self) -> Option<TaskError> {
        self.task.wait(None);
        self.task.error()
    }

    /// Has `callback` called with this future once the task has ended: at once, if it has. It is called by a thread of
    /// the executor's, or by the calling one if those have ended, one after the other, so one is to be quick. One that
    /// panics is told by the panic hook, and harms nothing else.
    ///
    /// Python: `Future.add_done_callback`.
    pub fn add_done_callback(&self, callback: impl FnOnce(Future<R>) + Send + 'static)
    where
        R: 'static,
    {
        let this = self.clone();
        self.task.call_back(Box::new(move || callback(this)));
    }
}

/// Whether both are of the same task.
impl<R> PartialEq for Future<R> {
    fn eq(&self, other: &Future<R>) -> bool {
        self.identity() == other.identity()
    }
}

impl<R> Eq for Future<R> {}

impl<R> Hash for Future<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl<R> Clone for Future<R> {
    fn clone(&self) -> Future<R> {
        Future::of(Arc::clone(&self.task))
    }
}

/// What this process knows of the task: nothing is collected, and no lock is taken.
impl<R> fmt::Debug for Future<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Future").field("done", &self.task.is_known_done()).finish_non_exhaustive()
    }
}

/// Needs no runtime of its own: a thread of the pool's wakes the task that awaits it. As any future, it is not to be
/// polled again after it was ready; then it says [`TaskError::Taken`].
impl<R> std::future::Future for Future<R> {
    type Output = Result<R, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.task.is_done() {
            return Poll::Ready(self.task.take());
        }
        let waker = context.waker().clone();
        match &self.set_waker {
            Some(set) => set(waker),
            None => {
                let slot = Arc::new(Mutex::new(Some(waker)));
                let set = Arc::clone(&slot);
                self.set_waker = Some(Box::new(move |waker| *locked(&set) = Some(waker)));
                self.task.call_back(Box::new(move || {
                    // Not under its lock: it runs the runtime's code.
                    let waker = locked(&slot).take();
                    waker.into_iter().for_each(Waker::wake);
                }));
            }
        }
        // It may have ended before this waker was there.
        if self.task.is_done() { Poll::Ready(self.task.take()) } else { Poll::Pending }
    }
}

fn locked(slot: &Mutex<Option<Waker>>) -> MutexGuard<'_, Option<Waker>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A task of a pool of processes.
pub(crate) struct ProcessTask<R> {
    waited: Waited,
    taken: AtomicBool,
    value: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned + 'static> ProcessTask<R> {
    pub(crate) fn future(waited: Waited) -> Future<R> {
        Future::of(Arc::new(ProcessTask { waited, taken: AtomicBool::new(false), value: PhantomData }))
    }
}

impl<R: DeserializeOwned> Submitted<R> for ProcessTask<R> {
    fn is_known_done(&self) -> bool {
        self.waited.job.is_settled()
    }

    fn is_done(&self) -> bool {
        self.waited.shared.look_for(&self.waited.job)
    }

    fn is_running(&self) -> bool {
        let shared = &self.waited.shared;
        !shared.is_copied() && shared.dispatch().is_running(&self.waited.job)
    }

    fn wait(&self, until: Option<Deadline>) -> bool {
        self.waited.shared.wait_for(&self.waited.job, until)
    }

    fn take(&self) -> Result<R, TaskError> {
        let value = self.waited.job.first()?;
        // ORDERING: Relaxed: whose value it is is all that is decided.
        if self.taken.swap(true, Ordering::Relaxed) { Err(TaskError::Taken) } else { Ok(value) }
    }

    fn error(&self) -> Option<TaskError> {
        self.waited.job.first::<R>().err()
    }

    fn is_cancelled(&self) -> bool {
        self.waited.job.is_cancelled()
    }

    fn cancel(&self) {
        self.waited.shared.withdraw(&self.waited.job);
    }

    fn kill(&self) {
        self.waited.shared.cancel(&self.waited.job);
    }

    fn call_back(&self, callback: Callback) {
        self.waited.shared.call_back(&self.waited.job, callback);
    }

    fn watch(&self, watch: &Arc<Watch>, number: usize) {
        self.waited.shared.when_settled(&self.waited.job, Hook::Watch(Arc::downgrade(watch), number));
    }

    fn pool(&self) -> Option<&Arc<Shared>> {
        Some(&self.waited.shared)
    }
}
