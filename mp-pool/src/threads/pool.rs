//! ThreadPool: tasks for threads.

use super::builder::ThreadPoolBuilder;
use super::chunk::Chunk;
use super::crew::Crew;
use super::function::{ThreadFunction, ThreadTarget};
use super::imap::ThreadImap;
use super::task::ThreadTask;
use crate::call::default_chunk_size;
use crate::error::{JoinPoolError, MapError, NewPoolError, SubmitError, TaskError};
use crate::future::Future;
use crate::imap::ImapOptions;
use crate::order::All;
use crate::stream::Order;
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
/// A task that panics is a task that failed ([`TaskError::Panicked`], with the message and the thread's name; where it
/// panicked the panic hook says). One that ends the process ends all: threads isolate nothing, and none can be killed.
///
/// Dropped, it is [terminated](ThreadPool::terminate), and the tasks that run are waited for.
///
/// Python: `multiprocessing.pool.ThreadPool`.
pub struct ThreadPool {
    crew: Crew,
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
        ThreadPool { crew }
    }

    /// Calls `function` with each item in the threads, and gives the values in the order of the input. Every item is
    /// tried; then the first failure, if any, is the error.
    ///
    /// Python: `ThreadPool.map`.
    pub fn map<F, T, R>(&self, function: F, items: impl IntoIterator<Item = T>) -> Result<Vec<R>, SubmitError>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        Ok(all_of(self.submit_chunks(function, items)?)?)
    }

    /// Is [`map`](ThreadPool::map) with the value or the error of each item.
    pub fn map_each<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<R, TaskError>>, SubmitError>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let chunks = self.submit_chunks(function, items)?;
        Ok(chunks.into_iter().flat_map(Chunk::wait).collect())
    }

    /// Is [`map`](ThreadPool::map) without waiting: the future's value is what `map` returns.
    ///
    /// Python: `ThreadPool.map_async`.
    pub fn map_async<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Future<Result<Vec<R>, MapError>>, SubmitError>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let chunks = self.submit_chunks(function, items)?;
        let whole = ThreadTask::new(move || all_of(chunks));
        // After its chunks in the queue, so they have begun before it waits for them.
        self.crew.submit(Arc::clone(&whole) as _)?;
        Ok(Future::of(whole))
    }

    fn submit_chunks<F, T, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Chunk<R>>, SubmitError>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        self.crew.check()?;
        let (function, items) = (Arc::new(function), items.into_iter().collect::<Vec<T>>());
        let size = default_chunk_size(items.len(), self.crew.size());
        let (mut items, mut chunks) = (items.into_iter(), Vec::new());
        loop {
            let chunk: Vec<T> = items.by_ref().take(size).collect();
            if chunk.is_empty() {
                return Ok(chunks);
            }
            chunks.push(Chunk::submit(&self.crew, &function, chunk)?);
        }
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
        self.map(move |arguments| function.call(arguments), items)
    }

    /// Is [`starmap`](ThreadPool::starmap) without waiting. Python: `ThreadPool.starmap_async`.
    pub fn starmap_async<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Future<Result<Vec<R>, MapError>>, SubmitError>
    where
        F: ThreadFunction<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.map_async(move |arguments| function.call(arguments), items)
    }

    /// Calls `function` with each item in the threads. The result is an iterator over the values, in the order of the
    /// input, which is read a bounded number of items ahead and may be endless: see [`Pool::imap`](crate::Pool::imap).
    ///
    /// Python: `ThreadPool.imap`.
    ///
    /// # Errors
    /// The pool takes no tasks.
    pub fn imap<F, I, R>(
        &self,
        function: F,
        items: I,
    ) -> Result<ThreadImap<'_, I::IntoIter, F, R>, SubmitError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
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
    ) -> Result<ThreadImap<'_, I::IntoIter, F, R>, SubmitError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        ThreadImap::new(&self.crew, function, items.into_iter(), options, Order::OfInput)
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
    ) -> Result<ThreadImap<'_, I::IntoIter, F, R>, SubmitError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
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
    ) -> Result<ThreadImap<'_, I::IntoIter, F, R>, SubmitError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        ThreadImap::new(&self.crew, function, items.into_iter(), options, Order::OfCompletion)
    }

    /// Calls `function` in a thread and waits for its value. Python: `ThreadPool.apply`.
    pub fn apply<F, A, R>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        Ok(self.apply_async(function, arguments)?.result()?)
    }

    /// Calls `function` in a thread; its value comes later. Python: `ThreadPool.apply_async`, which gives an
    /// `AsyncResult`.
    pub fn apply_async<F, A, R>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        let task = ThreadTask::new(move || function.call_once(arguments));
        self.crew.submit(Arc::clone(&task) as _)?;
        Ok(Future::of(task))
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
    /// Python: `ThreadPool.join`.
    ///
    /// # Errors
    /// [`JoinPoolError::StillRunning`] if neither was called.
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

/// Waits for all chunks, and gives all values, or the first failure.
fn all_of<R: Send + 'static>(chunks: Vec<Chunk<R>>) -> Result<Vec<R>, MapError> {
    let mut all = All::new();
    chunks.into_iter().flat_map(Chunk::wait).for_each(|value| all.push(value));
    all.end()
}
