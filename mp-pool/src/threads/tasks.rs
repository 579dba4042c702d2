//! ThreadTasks: a pool of threads with options for the tasks that are submitted to it.

use super::call::{Call, Room};
use super::crew::Crew;
use super::executor::ThreadPoolExecutor;
use super::function::{ThreadFunction, ThreadTarget};
use super::imap::ThreadImap;
use super::pool::ThreadPool;
use super::result::{ThreadMapResult, ThreadResult};
use crate::call::default_chunk_size;
use crate::error::{SubmitError, TaskError};
use crate::future::Future;
use crate::imap::ImapOptions;
use crate::options::TaskOptions;
use crate::pool::alone;
use crate::progress::Progress;
use crate::stream::Order;
use mp_core::word::Deadline;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

impl ThreadPool {
    /// The calls of this pool, with options for each task: a [priority](TaskOptions::priority).
    ///
    /// A deadline and retries need workers that can be killed: calls with them are [`SubmitError::NeedsProcesses`].
    pub fn with(&self, options: TaskOptions) -> ThreadTasks<'_> {
        ThreadTasks { options, ..self.plain() }
    }

    /// The calls of this pool, whose tasks report to `progress` what becomes of them: each item when it has ended.
    /// [`Progress`] says how it is looked at.
    ///
    /// ```
    /// use mp_pool::progress::Progress;
    ///
    /// let (pool, progress) = (mp_pool::ThreadPool::new(4)?, Progress::new());
    /// assert_eq!(pool.report_to(&progress).map(|x: u64| x * x, 0..3)?, [0, 1, 4]);
    /// assert_eq!(progress.tally().to_string(), "3/3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python has no counterpart; compare `tqdm`.
    #[doc(alias = "tqdm")]
    pub fn report_to<'a>(&'a self, progress: &'a Progress) -> ThreadTasks<'a> {
        self.plain().report_to(progress)
    }
}

impl ThreadPoolExecutor {
    /// The calls of this executor, with options for each task: see [`ThreadPool::with`].
    pub fn with(&self, options: TaskOptions) -> ThreadTasks<'_> {
        ThreadTasks { options, ..self.plain() }
    }

    /// The calls of this executor, whose tasks report to `progress`: see [`ThreadPool::report_to`].
    pub fn report_to<'a>(&'a self, progress: &'a Progress) -> ThreadTasks<'a> {
        self.plain().report_to(progress)
    }
}

/// The calls of a [`ThreadPool`] or [`ThreadPoolExecutor`], with [`TaskOptions`] for each task, from
/// [`ThreadPool::with`] or [`ThreadPool::report_to`]. A handle: it is copied freely.
///
/// The calls are those of the pool, with the same results and errors. With a deadline or retries among the options each
/// is [`SubmitError::NeedsProcesses`].
#[derive(Clone, Copy)]
#[must_use = "it submits nothing by itself"]
pub struct ThreadTasks<'pool> {
    crew: &'pool Arc<Crew>,
    options: TaskOptions,
    progress: Option<&'pool Progress>,
}

impl<'pool> ThreadTasks<'pool> {
    pub(super) fn new(crew: &'pool Arc<Crew>) -> ThreadTasks<'pool> {
        ThreadTasks { crew, options: TaskOptions::new(), progress: None }
    }

    /// The calls of a pool, of this one with these options, that report to `progress`: see [`ThreadPool::report_to`].
    pub fn report_to(self, progress: &'pool Progress) -> ThreadTasks<'pool> {
        ThreadTasks { progress: Some(progress), ..self }
    }

    pub(super) fn crew(&self) -> &'pool Arc<Crew> {
        self.crew
    }

    pub(super) fn progress(&self) -> Option<&'pool Progress> {
        self.progress
    }

    /// The priority of its tasks.
    ///
    /// # Errors
    /// [`SubmitError::NeedsProcesses`] if there are other options.
    pub(super) fn priority(&self) -> Result<i32, SubmitError> {
        match self.options {
            TaskOptions { deadline: Some(_), .. } => Err(SubmitError::NeedsProcesses("a deadline")),
            TaskOptions { retry: Some(_), .. } => Err(SubmitError::NeedsProcesses("a retry")),
            TaskOptions { priority, .. } => Ok(priority),
        }
    }
}

impl ThreadTasks<'_> {
    /// Is [`ThreadPool::apply`] with the options.
    pub fn apply<F, A, R>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        Ok(self.apply_async(function, arguments)?.get()?)
    }

    /// Is [`ThreadPool::apply_async`] with the options.
    pub fn apply_async<F, A, R>(&self, function: F, arguments: A) -> Result<ThreadResult<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        Ok(ThreadResult::of(self.submit_one(function, arguments, Room::Any)?))
    }

    /// Is [`ThreadPool::map`] with the options, for each item.
    pub fn map<F, T, R>(&self, function: F, items: impl IntoIterator<Item = T>) -> Result<Vec<R>, SubmitError>
    where
        F: ThreadFunction<(T,), Output = R>,
        T: Send + 'static,
        R: Send + 'static,
    {
        Ok(self.map_async(function, items)?.get()?)
    }

    /// Is [`ThreadPool::map_each`] with the options, for each item.
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
        Ok(self.map_async(function, items)?.get_each())
    }

    /// Is [`ThreadPool::map_async`] with the options, for each item.
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
        self.starmap_async(function, alone(items))
    }

    /// Is [`ThreadPool::starmap`] with the options, for each item.
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
        Ok(self.starmap_async(function, items)?.get()?)
    }

    /// Is [`ThreadPool::starmap_async`] with the options, for each item.
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
        self.submit_all(function, items, None)
    }

    /// Is [`ThreadPool::imap_with`] with the options, for each item. [`ImapOptions::new`] gives what
    /// [`ThreadPool::imap`] has.
    pub fn imap<F, I, R>(
        &self,
        function: F,
        items: I,
        reading: ImapOptions,
    ) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        ThreadImap::new(*self, function, items.into_iter(), reading, Order::OfInput)
    }

    /// Is [`ThreadPool::imap_unordered_with`] with the options, for each item.
    pub fn imap_unordered<F, I, R>(
        &self,
        function: F,
        items: I,
        reading: ImapOptions,
    ) -> Result<ThreadImap<I::IntoIter, F, R>, SubmitError>
    where
        F: ThreadFunction<(I::Item,), Output = R>,
        I: IntoIterator<Item: Send + 'static>,
        R: Send + 'static,
    {
        ThreadImap::new(*self, function, items.into_iter(), reading, Order::OfCompletion)
    }

    /// Is [`ThreadPoolExecutor::submit`] with the options.
    pub fn submit<F, A, R>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        self.submit_one(function, arguments, Room::Until(None, SubmitError::Timeout))
    }

    /// Is [`ThreadPoolExecutor::try_submit`] with the options.
    pub fn try_submit<F, A, R>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        let now = Deadline::after(Duration::ZERO);
        self.submit_one(function, arguments, Room::Until(now, SubmitError::WouldBlock))
    }

    /// Is [`ThreadPoolExecutor::submit_timeout`] with the options.
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
        let until = Deadline::after(timeout);
        self.submit_one(function, arguments, Room::Until(until, SubmitError::Timeout))
    }

    fn submit_one<F, A, R>(&self, function: F, arguments: A, room: Room) -> Result<Future<R>, SubmitError>
    where
        F: ThreadTarget<A, Output = R>,
        A: Send + 'static,
        R: Send + 'static,
    {
        let mut call = Call::begin(*self, (), F::state())?;
        call.know_length((1, Some(1)));
        call.submit_one(room, move |_| function.call_once(arguments))
    }

    /// Submits all items, `chunk_size` to a thread at a time; without it, so that each gets about four chunks.
    pub(super) fn submit_all<F, A, R>(
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
        if chunk_size == Some(0) {
            return Err(SubmitError::ChunkSize);
        }
        let mut call = Call::begin(*self, function, F::state())?;
        let items: Vec<A> = items.into_iter().collect();
        call.know_length((items.len(), Some(items.len())));
        let size = chunk_size.unwrap_or_else(|| default_chunk_size(items.len(), self.crew.size()));
        let (mut items, mut chunks) = (items.into_iter(), Vec::new());
        loop {
            let chunk: Vec<A> = items.by_ref().take(size).collect();
            if chunk.is_empty() {
                return Ok(ThreadMapResult::of(chunks));
            }
            chunks.push(call.submit(chunk, F::call)?);
        }
    }
}

impl fmt::Debug for ThreadTasks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadTasks").field("options", &self.options).finish_non_exhaustive()
    }
}
