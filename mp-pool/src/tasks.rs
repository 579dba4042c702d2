//! Tasks: a pool with options for the tasks that are submitted to it.

use crate::call::Call;
use crate::error::{SubmitError, TaskError};
use crate::executor::ProcessPoolExecutor;
use crate::future::Future;
use crate::imap::{Imap, ImapOptions};
use crate::job::Job;
use crate::lead::Interrupted;
use crate::options::TaskOptions;
use crate::order::All;
use crate::pool::{Pool, alone};
use crate::progress::{Progress, Work};
use crate::result::{AsyncResult, MapResult};
use crate::stream::{Order, Stream};
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

impl Pool {
    /// The calls of this pool, with options for each task: a deadline, for example.
    ///
    /// ```no_run
    /// use mp_pool::{Pool, TaskOptions};
    /// use std::time::Duration;
    ///
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let pool = Pool::new(4)?;
    /// let bounded = pool.with(TaskOptions::new().deadline(Duration::from_secs(1)));
    /// assert_eq!(bounded.apply(square, (7,))?, 49);
    /// assert_eq!(bounded.map(square, 0..3)?, [0, 1, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Not in Python's `multiprocessing`. Celery: `task.s().set(...)`.
    pub fn with(&self, options: TaskOptions) -> Tasks<'_> {
        Tasks { pool: self, options, progress: None }
    }
}

impl Pool {
    /// The calls of this pool, whose tasks report to `progress` what becomes of them: [`Progress`] says how it is
    /// looked at.
    ///
    /// ```no_run
    /// use mp_pool::progress::{Bar, Progress};
    ///
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let pool = mp_pool::Pool::new(4)?;
    /// let progress = Progress::new();
    /// let bar = Bar::new(&progress)?;
    /// assert_eq!(pool.report_to(&progress).map(square, 0..3)?, [0, 1, 4]);
    /// drop(bar);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Its `imap` and `imap_unordered` take [`ImapOptions`], too:
    ///
    /// ```no_run
    /// # fn square(x: u64) -> u64 { x * x }
    /// # let pool = mp_pool::Pool::new(4)?;
    /// # let progress = mp_pool::progress::Progress::new();
    /// use mp_pool::ImapOptions;
    ///
    /// for square in pool.report_to(&progress).imap_unordered(square, 0..100, ImapOptions::new())? {
    ///     println!("{}", square?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A call that does not report costs nothing for those that do. One that reports sends fewer items to a worker
    /// together, unless it names the number, and its results are collected whether a thread waits for them or not.
    ///
    /// Python has no counterpart; compare `tqdm`.
    #[doc(alias = "tqdm")]
    pub fn report_to<'a>(&'a self, progress: &'a Progress) -> Tasks<'a> {
        self.plain().report_to(progress)
    }
}

impl ProcessPoolExecutor {
    /// The calls of this executor, whose tasks report to `progress`: see [`Pool::report_to`].
    pub fn report_to<'a>(&'a self, progress: &'a Progress) -> Tasks<'a> {
        self.pool().report_to(progress)
    }

    /// The calls of this executor, with options for each task: see [`Pool::with`].
    pub fn with(&self, options: TaskOptions) -> Tasks<'_> {
        self.pool().with(options)
    }
}

/// The calls of a [`Pool`] or [`ProcessPoolExecutor`], with [`TaskOptions`] for each task, from [`Pool::with`]. A
/// handle: it is copied freely.
///
/// The calls are those of the pool, with the same results and errors.
#[derive(Debug, Clone, Copy)]
#[must_use = "it submits nothing by itself"]
pub struct Tasks<'pool> {
    pool: &'pool Pool,
    options: TaskOptions,
    progress: Option<&'pool Progress>,
}

impl<'pool> Tasks<'pool> {
    /// The calls of a pool, of this one with these options, that report to `progress`: see [`Pool::report_to`].
    pub fn report_to(self, progress: &'pool Progress) -> Tasks<'pool> {
        Tasks { progress: Some(progress), ..self }
    }
}

impl Tasks<'_> {
    /// Is [`Pool::apply`] with the options.
    pub fn apply<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.apply_one(function, arguments)
    }

    /// Is [`Pool::apply_async`] with the options.
    pub fn apply_async<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<AsyncResult<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit_one(function, arguments)
    }

    /// Is [`Pool::map`] with the options, for each item.
    pub fn map<F, T, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Kind>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.starmap(function, alone(items))
    }

    /// Is [`Pool::map_each`] with the options, for each item.
    pub fn map_each<F, T, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<Result<R, TaskError>>, SubmitError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Kind>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.run_each(function, alone(items))
    }

    /// Is [`Pool::map_async`] with the options, for each item.
    pub fn map_async<F, T, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<MapResult<R>, SubmitError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Kind>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.starmap_async(function, alone(items))
    }

    /// Is [`Pool::starmap`] with the options, for each item.
    pub fn starmap<F, A, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.run_all(function, items, None)
    }

    /// Is [`Pool::starmap_async`] with the options, for each item.
    pub fn starmap_async<F, A, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<MapResult<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit_all(function, items, None)
    }

    /// Is [`Pool::imap_with`] with the options, for each item. [`ImapOptions::new`] gives what [`Pool::imap`] has.
    pub fn imap<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
        reading: ImapOptions,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.stream(function, items, reading, Order::OfInput)
    }

    /// Is [`Pool::imap_unordered_with`] with the options, for each item.
    pub fn imap_unordered<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
        reading: ImapOptions,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.stream(function, items, reading, Order::OfCompletion)
    }

    /// Is [`ProcessPoolExecutor::submit`] with the options.
    pub fn submit<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.submit_until(function, arguments, None, SubmitError::Timeout)
    }

    /// Is [`ProcessPoolExecutor::try_submit`] with the options.
    pub fn try_submit<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.submit_until(function, arguments, Deadline::after(Duration::ZERO), SubmitError::WouldBlock)
    }

    /// Is [`ProcessPoolExecutor::submit_timeout`] with the options.
    pub fn submit_timeout<F, A, R, Kind>(
        &self,
        function: F,
        arguments: A,
        timeout: Duration,
    ) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.submit_until(function, arguments, Deadline::after(timeout), SubmitError::Timeout)
    }
}

/// What the calls of a pool do, with options and without.
impl Tasks<'_> {
    pub(crate) fn pool(&self) -> &Pool {
        self.pool
    }

    pub(crate) fn options(&self) -> TaskOptions {
        self.options
    }

    /// Whether what becomes of its tasks is reported.
    pub(crate) fn reports(&self) -> bool {
        self.progress.is_some()
    }

    pub(crate) fn begin<F, A>(&self, function: &F) -> Result<Call, SubmitError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        Call::begin::<F, A>(self.pool.shared(), function, |code| self.job(code, false, 0))
    }

    /// The job of a call. `stream` and `ahead` as for [`Job::reporting`].
    pub(crate) fn job(&self, code: Arc<[u8]>, stream: bool, ahead: u32) -> Arc<Job> {
        Job::reporting(code, self.options, stream, ahead, self.progress.map(Work::begin))
    }

    pub(crate) fn submit_all<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunk_size: Option<usize>,
    ) -> Result<MapResult<R>, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let mut call = self.begin::<F, A>(&function)?;
        call.submit(items.into_iter(), chunk_size, self.pool.processes())?;
        Ok(MapResult::new(call.waited()))
    }

    /// Does all items, reads the input as there is room for it, and gives all values, or the first failure.
    pub(crate) fn run_all<F, A, R>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        interrupted: Option<Interrupted<'_>>,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (items, call) = (items.into_iter(), self.begin::<F, A>(&function)?);
        let mut all = All::expecting(items.size_hint());
        call.run(items, self.pool.processes(), interrupted, |value| all.push(value))?;
        Ok(all.end()?)
    }

    /// As [`run_all`](Tasks::run_all), with what became of each item.
    pub(crate) fn run_each<F, A, R>(
        &self,
        function: F,
        items: impl Iterator<Item = A>,
    ) -> Result<Vec<Result<R, TaskError>>, SubmitError>
    where
        F: Target<A, Output = R>,
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (mut each, call) = (Vec::new(), self.begin::<F, A>(&function)?);
        call.run(items, self.pool.processes(), None, |value| each.push(value))?;
        Ok(each)
    }

    pub(crate) fn stream<F, I, R>(
        &self,
        function: F,
        items: I,
        reading: ImapOptions,
        order: Order,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Serialize + DeserializeOwned,
    {
        let workers = self.pool.processes();
        let sizes = reading.window(workers)?;
        let begin = |code| self.job(code, true, 0);
        let call = Call::begin::<F, (I::Item,)>(self.pool.shared(), &function, begin)?;
        Ok(Imap::of(Stream::new(call, items.into_iter(), order, sizes, workers)))
    }
}
