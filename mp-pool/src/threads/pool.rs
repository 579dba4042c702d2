//! ThreadPool: tasks for threads.

use super::builder::ThreadPoolBuilder;
use super::crew::Crew;
use super::function::{ThreadFunction, ThreadTarget};
use super::imap::ThreadImap;
use super::result::{ThreadMapResult, ThreadResult};
use super::tasks::ThreadTasks;
use crate::error::{JoinPoolError, NewPoolError, SubmitError, TaskError};
use crate::imap::ImapOptions;
use crate::pool::alone;
use crate::resize::ResizeError;
use crate::statistics::Statistics;
use mp_core::word::Deadline;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pool of threads, with the calls of a [`Pool`](crate::Pool). Functions may be closures that capture, and values
/// need not be serialisable.
///
/// ```
/// let pool = mp_pool::ThreadPool::new(4)?;
/// let words = std::sync::Arc::new(vec!["one", "two", "three"]);
/// let lengths = pool.map(move |at: usize| words[at].len(), 0..3)?;
/// assert_eq!(lengths, [3, 3, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A task that panics is a task that failed ([`TaskError::Panicked`], with the message, the place and the thread's
/// name). To know the place, the first pool of threads puts a panic hook in front of the program's, which runs as
/// before; a hook that the program sets later, and that does not call the one before it, leaves the place empty. A task
/// that ends the process ends all: threads isolate nothing, and none can be killed.
///
/// There is no trace of its tasks, as [`PoolBuilder::trace`](crate::PoolBuilder::trace) writes: profilers see all
/// threads of a process.
///
/// Dropped, it is [terminated](ThreadPool::terminate), and the tasks that run are waited for.
///
/// Python: `multiprocessing.pool.ThreadPool`.
pub struct ThreadPool {
    crew: Arc<Crew>,
}

impl ThreadPool {
    /// A pool of `threads` threads. Python: `ThreadPool(processes)`.
    pub fn new(threads: usize) -> Result<ThreadPool, NewPoolError> {
        ThreadPool::builder().threads(threads).build()
    }

    /// For settings of one's own.
    pub fn builder() -> ThreadPoolBuilder {
        ThreadPoolBuilder::new()
    }

    pub(super) fn of(crew: Crew) -> ThreadPool {
        ThreadPool { crew: Arc::new(crew) }
    }

    /// Its calls without options.
    pub(super) fn plain(&self) -> ThreadTasks<'_> {
        ThreadTasks::new(&self.crew)
    }

    /// Calls `function` with each item in the threads, and gives the values in the order of the input. Every item is
    /// tried; then the first failure, if any, is the error.
    ///
    /// Python: `ThreadPool.map`.
    pub fn map<F, T, R>(&self, function: F, items: impl IntoIterator<Item = T>) -> Result<Vec<R>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.plain().map(function, items)
    }

    /// Is [`map`](ThreadPool::map) with the value or the error of each item.
    pub fn map_each<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<R, TaskError>>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.plain().map_each(function, items)
    }

    /// Is [`map`](ThreadPool::map), for a program that handles Ctrl-C: gives up within 50 ms after `interrupted` has
    /// become true. The program's handler may run in any thread; it sets a flag, and `interrupted` reads it.
    ///
    /// # Errors
    /// As [`map`](ThreadPool::map); [`SubmitError::Interrupted`], after which the tasks that were submitted go on until
    /// the pool is [terminated](ThreadPool::terminate) or dropped.
    pub fn map_interruptible<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
        interrupted: impl FnMut() -> bool,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.map_async(function, items)?.get_interruptible(interrupted)
    }

    /// Is [`map`](ThreadPool::map) without waiting.
    ///
    /// Python: `ThreadPool.map_async`.
    pub fn map_async<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<ThreadMapResult<R>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.plain().map_async(function, items)
    }

    /// Is [`map_async`](ThreadPool::map_async), with `chunk_size` items to a thread at a time, at least 1. Default: so
    /// that each thread gets about four chunks.
    ///
    /// Python: `ThreadPool.map_async(chunksize=...)`.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if that is 0.
    #[doc(alias = "chunksize")]
    pub fn map_in_chunks<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
        chunk_size: Option<usize>,
    ) -> Result<ThreadMapResult<R>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.starmap_in_chunks(function, alone(items), chunk_size)
    }

    /// Is [`map`](ThreadPool::map) for a function of several arguments: each item is a tuple of them.
    ///
    /// Python: `ThreadPool.starmap`.
    pub fn starmap<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: ThreadFunction<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().starmap(function, items)
    }

    /// Is [`starmap`](ThreadPool::starmap) without waiting. Python: `ThreadPool.starmap_async`.
    pub fn starmap_async<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<ThreadMapResult<R>, SubmitError>
    where
        F: ThreadFunction<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().starmap_async(function, items)
    }

    /// Is [`starmap_async`](ThreadPool::starmap_async), with `chunk_size` items to a thread at a time: see
    /// [`map_in_chunks`](ThreadPool::map_in_chunks).
    ///
    /// Python: `ThreadPool.starmap_async(chunksize=...)`.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if that is 0.
    pub fn starmap_in_chunks<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunk_size: Option<usize>,
    ) -> Result<ThreadMapResult<R>, SubmitError>
    where
        F: ThreadFunction<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().submit_all(function, items, chunk_size)
    }

    /// Calls `function` with each item in the threads. The result is an iterator over the values, in the order of the
    /// input, which is read a bounded number of items ahead and may be endless: see [`Pool::imap`](crate::Pool::imap).
    ///
    /// Python: `ThreadPool.imap`.
    ///
    /// # Errors
    /// The pool takes no tasks.
    pub fn imap<F, I, R>(&self, function: F, items: I) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        self.imap_with(function, items, ImapOptions::new())
    }

    /// Is [`imap`](ThreadPool::imap) with a chunk size and a look-ahead of one's own.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`imap`](ThreadPool::imap).
    pub fn imap_with<F, I, R>(
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

    /// Calls `function` with each item in the threads. The result is an iterator over the values, each as soon as it is
    /// there.
    ///
    /// Python: `ThreadPool.imap_unordered`.
    ///
    /// # Errors
    /// As [`imap`](ThreadPool::imap).
    pub fn imap_unordered<F, I, R>(
        &self,
        function: F,
        items: I,
    ) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        self.imap_unordered_with(function, items, ImapOptions::new())
    }

    /// Is [`imap_unordered`](ThreadPool::imap_unordered) with a chunk size and a look-ahead of one's own.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`imap`](ThreadPool::imap).
    pub fn imap_unordered_with<F, I, R>(
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
        self.plain().imap_unordered(function, items, options)
    }

    /// Calls `function` in a thread and waits for its value. Python: `ThreadPool.apply`.
    pub fn apply<F, A, R>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().apply(function, arguments)
    }

    /// Calls `function` in a thread; its value comes later. Python: `ThreadPool.apply_async`.
    #[doc(alias = "submit")]
    pub fn apply_async<F, A, R>(&self, function: F, arguments: A) -> Result<ThreadResult<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.plain().apply_async(function, arguments)
    }

    /// Has the pool grow or shrink to so many threads, 1 to 1,024. New ones are started, and begin with what waits. Of
    /// those that are too many each ends after the task (the chunk) that it has begun, idle ones at once: no task is
    /// lost, and this call does not wait for them.
    ///
    /// # Errors
    /// [`ResizeError`].
    ///
    /// Python has no counterpart.
    #[doc(alias = "grow")]
    #[doc(alias = "shrink")]
    pub fn resize(&self, threads: usize) -> Result<(), ResizeError> {
        self.crew.resize(threads)
    }

    /// What each thread has done so far. A thread has the process id of this process, and no bytes are counted, since
    /// none are copied.
    ///
    /// Python has no counterpart; mpire: `get_insights`.
    #[doc(alias = "get_insights")]
    pub fn statistics(&self) -> Statistics {
        self.crew.statistics()
    }

    /// Is [`threads`](ThreadPool::threads), by the name that a [`Pool`](crate::Pool) has.
    pub fn processes(&self) -> usize {
        self.threads()
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        self.crew.size()
    }

    /// Takes no more tasks; those that were taken are done. Python: `ThreadPool.close`.
    pub fn close(&self) {
        self.crew.close();
    }

    /// Takes no more tasks; those that have not begun end as [`TaskError::Terminated`]. Those that have are done: a
    /// thread cannot be killed.
    ///
    /// Python: `ThreadPool.terminate`.
    pub fn terminate(&self) {
        self.crew.terminate();
    }

    /// Waits until the threads have ended, after [`close`](ThreadPool::close) or [`terminate`](ThreadPool::terminate).
    ///
    /// In a task or a callback of the pool it waits for no thread that waits so too, itself included: those end after
    /// what they are at.
    ///
    /// Python: `ThreadPool.join`.
    ///
    /// # Errors
    /// [`JoinPoolError::StillRunning`] if neither was called; [`JoinPoolError::Untaken`] if for half a second all tasks
    /// that are left have waited for the calling thread to take what they yield.
    pub fn join(&self) -> Result<(), JoinPoolError> {
        self.crew.join(None, JoinPoolError::Timeout)
    }

    /// Is [`join`](ThreadPool::join) without waiting.
    ///
    /// # Errors
    /// [`JoinPoolError::WouldBlock`] if some threads have not ended; else as [`join`](ThreadPool::join).
    pub fn try_join(&self) -> Result<(), JoinPoolError> {
        self.crew.join(Deadline::after(Duration::ZERO), JoinPoolError::WouldBlock)
    }

    /// Is [`join`](ThreadPool::join) for at most `timeout`.
    ///
    /// # Errors
    /// [`JoinPoolError::Timeout`] if some threads have not ended by then; else as [`join`](ThreadPool::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinPoolError> {
        self.crew.join(Deadline::after(timeout), JoinPoolError::Timeout)
    }
}

/// Terminates the pool and waits for the tasks that run.
impl Drop for ThreadPool {
    fn drop(&mut self) {
        if self.crew.is_owned() {
            self.terminate();
            let _ = self.join();
        }
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}
