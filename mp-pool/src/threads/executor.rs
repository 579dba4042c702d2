//! ThreadPoolExecutor: a pool of threads with futures.

use super::builder::ThreadPoolBuilder;
use super::crew::Crew;
use super::function::{ThreadFunction, ThreadTarget};
use super::imap::ThreadImap;
use super::tasks::ThreadTasks;
#[cfg(doc)]
use crate::error::TaskError;
use crate::error::{JoinPoolError, NewPoolError, SubmitError};
use crate::executor::Pending;
use crate::future::Future;
use crate::imap::ImapOptions;
use crate::resize::ResizeError;
use crate::statistics::Statistics;
use mp_core::word::Deadline;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pool of threads that gives a [`Future`] for each task, with the calls of a
/// [`ProcessPoolExecutor`](crate::ProcessPoolExecutor). Functions may be closures that capture, and values need not be
/// serialisable.
///
/// ```
/// let executor = mp_pool::ThreadPoolExecutor::new(4)?;
/// let name = "four".to_owned();
/// let future = executor.submit(move || name.len(), ())?;
/// assert_eq!(future.result()?, 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A task that panics is a task that failed ([`TaskError::Panicked`]). A thread cannot be killed: there is no
/// `kill_workers`. Nor is there a trace: see [`ThreadPool`](crate::ThreadPool).
///
/// Dropped, it is [shut down](ThreadPoolExecutor::shutdown) when its tasks are done, as at the end of Python's `with`.
/// Where the thread panics, those that have not begun are cancelled.
///
/// Python: `concurrent.futures.ThreadPoolExecutor`.
pub struct ThreadPoolExecutor {
    crew: Arc<Crew>,
}

impl ThreadPoolExecutor {
    /// An executor with `max_workers` threads. Python: `ThreadPoolExecutor(max_workers)`.
    pub fn new(max_workers: usize) -> Result<ThreadPoolExecutor, NewPoolError> {
        ThreadPoolExecutor::builder().threads(max_workers).build_executor()
    }

    /// For settings of one's own: end with [`build_executor`](ThreadPoolBuilder::build_executor).
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::new()
    }

    pub(super) fn of(crew: Crew) -> ThreadPoolExecutor {
        ThreadPoolExecutor { crew: Arc::new(crew) }
    }

    /// Its calls without options.
    pub(super) fn plain(&self) -> ThreadTasks<'_> {
        ThreadTasks::new(&self.crew)
    }

    /// Has `function` called in a thread. Where 1,024 tasks wait, waits until there is room, unless it is called by a
    /// task or a callback in one of these threads, which may be the one that makes room.
    ///
    /// Python: `Executor.submit`, which takes any number.
    ///
    /// # Errors
    /// The executor was shut down or is broken.
    pub fn submit<F, A, R>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().submit(function, arguments)
    }

    /// Is [`submit`](ThreadPoolExecutor::submit) without waiting.
    ///
    /// # Errors
    /// [`SubmitError::WouldBlock`] if there is no room; else as [`submit`](ThreadPoolExecutor::submit).
    pub fn try_submit<F, A, R>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().try_submit(function, arguments)
    }

    /// Is [`submit`](ThreadPoolExecutor::submit) that waits for room at most `timeout`.
    ///
    /// # Errors
    /// [`SubmitError::Timeout`] if there was none; else as [`submit`](ThreadPoolExecutor::submit).
    pub fn submit_timeout<F, A, R>(
        &self,
        function: F,
        arguments: A,
        timeout: Duration,
    ) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().submit_timeout(function, arguments, timeout)
    }

    /// Calls `function` with each item in the threads. The result is an iterator over the values, in the order of the
    /// input, which is read a bounded number of items ahead.
    ///
    /// Python: `Executor.map`.
    ///
    /// # Errors
    /// The executor was shut down or is broken.
    pub fn map<F, I, R>(&self, function: F, items: I) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        self.map_with(function, items, ImapOptions::new())
    }

    /// Is [`map`](ThreadPoolExecutor::map) with a chunk size and a look-ahead of one's own.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`map`](ThreadPoolExecutor::map).
    pub fn map_with<F, I, R>(
        &self,
        function: F,
        items: I,
        options: ImapOptions,
    ) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        self.plain().imap(function, items, options)
    }

    /// Has the executor grow or shrink to so many threads: see [`ThreadPool::resize`](crate::ThreadPool::resize).
    ///
    /// # Errors
    /// [`ResizeError`].
    pub fn resize(&self, max_workers: usize) -> Result<(), ResizeError> {
        self.crew.resize(max_workers)
    }

    /// What each thread has done so far: see [`ThreadPool::statistics`](crate::ThreadPool::statistics).
    pub fn statistics(&self) -> Statistics {
        self.crew.statistics()
    }

    /// How many threads it has.
    pub fn max_workers(&self) -> usize {
        self.crew.size()
    }

    /// Takes no more tasks, and waits until the threads have ended. Every future is done then, and its callbacks were
    /// called. Tasks that wait for the calling thread to take what they yield are told that it is not wanted: see
    /// [`JoinPoolError::Untaken`].
    ///
    /// Python: `Executor.shutdown(cancel_futures)`.
    pub fn shutdown(&self, pending: Pending) {
        self.begin_shutdown(pending);
        // It is closed, and is waited for without a limit.
        while self.crew.join(None, JoinPoolError::Timeout) == Err(JoinPoolError::Untaken) {
            self.crew.stop_held_here();
        }
    }

    /// Takes no more tasks, and does not wait. Python: `Executor.shutdown(wait=False)`.
    pub fn begin_shutdown(&self, pending: Pending) {
        self.crew.close();
        if pending == Pending::Cancel {
            self.crew.cancel_all();
        }
    }

    /// Takes no more tasks, and waits until the threads have ended, at most `timeout`.
    ///
    /// # Errors
    /// [`JoinPoolError::Timeout`] if they have not. The tasks go on: wait again.
    pub fn shutdown_timeout(&self, pending: Pending, timeout: Duration) -> Result<(), JoinPoolError> {
        self.begin_shutdown(pending);
        self.crew.join(Deadline::after(timeout), JoinPoolError::Timeout)
    }
}

/// Shuts down when all tasks are done.
impl Drop for ThreadPoolExecutor {
    fn drop(&mut self) {
        if self.crew.is_owned() {
            self.shutdown(if std::thread::panicking() { Pending::Cancel } else { Pending::Finish });
        }
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor").field("max_workers", &self.max_workers()).finish_non_exhaustive()
    }
}
