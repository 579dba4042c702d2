//! Pool: tasks for worker processes.

use crate::builder::PoolBuilder;
use crate::dispatch::{Dispatch, Phase};
use crate::error::{JoinPoolError, NewPoolError, SubmitError, TaskError};
use crate::options::TaskOptions;
use crate::output::Output;
use crate::result::{AsyncResult, MapResult};
use crate::supervisor::{Shared, WorkerSpec};
use crate::tasks::Tasks;
use crate::thread;
use mp_core::OsError;
use mp_core::popen::CopyTemplate;
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A pool of worker processes.
///
/// ```no_run
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// let pool = mp_pool::Pool::new(4)?;
/// assert_eq!(pool.map(square, 0..5)?, [0, 1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A task that kills its worker is a task that failed ([`TaskError::WorkerDied`]): the others are done, and the worker
/// is replaced. Two threads of this process serve the pool, so [`Fork`](mp_core::StartMethod::Fork) is refused while
/// it lives; its own workers are forked by a template, whatever the start method, or spawned if that is the default.
///
/// Dropped, it is [terminated](Pool::terminate), as by Python's `with`.
///
/// A copy of this process that the program's own `fork` makes has no part in it: there each call is
/// [`SubmitError::Broken`], and each task that had not ended is [`TaskError::Broken`]. A copy of a worker, made in a
/// task, ends when the task's function returns.
///
/// Python: `multiprocessing.Pool`.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// A pool of `processes` workers. Python: `Pool(processes)`.
    pub fn new(processes: usize) -> Result<Pool, NewPoolError> {
        Pool::builder().processes(processes).build()
    }

    /// For settings of one's own.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    pub(crate) fn start(
        spec: WorkerSpec,
        processes: usize,
        copy: Option<CopyTemplate>,
    ) -> Result<Pool, NewPoolError> {
        let (shared, wakes) = Shared::new(spec, processes as u32, copy)?;
        let pool = Pool { shared, threads: Mutex::new(Vec::new()) };
        pool.start_thread("mp-pool-feed", |shared| shared.feed())?;
        pool.start_thread("mp-pool-watch", move |shared| shared.watch(wakes))?;
        if pool.shared.output.is_some() {
            pool.start_thread("mp-pool-output", |shared| shared.read_output())?;
        }
        // On an error the pool is dropped, and so are the workers that were started.
        (0..processes as u32).try_for_each(|slot| pool.shared.start_worker(slot))?;
        Ok(pool)
    }

    fn start_thread(
        &self,
        name: &str,
        life: impl FnOnce(&Shared) + Send + 'static,
    ) -> Result<(), NewPoolError> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::spawn(name, move || life(&shared));
        let thread = thread.map_err(|source| OsError { call: "pthread_create", source })?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Its calls without options.
    pub(crate) fn plain(&self) -> Tasks<'_> {
        self.with(TaskOptions::new())
    }

    /// Calls `function` with each item in the workers, and gives the values in the order of the input. Every item
    /// is tried; then the first failure, if any, is the error.
    ///
    /// Python: `Pool.map`.
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

    /// As [`map`](Pool::map), for a program that handles Ctrl-C: gives up soon (within 50 ms) after `interrupted` has
    /// become true.
    ///
    /// The workers ignore SIGINT, and the pool's own threads hold back all signals, so the program's handler runs in
    /// one of its own threads. It sets a flag, and `interrupted` reads it:
    ///
    /// ```no_run
    /// use mp_pool::{Pool, SubmitError};
    /// use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false); // set by the handler of SIGINT
    ///
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let pool = Pool::new(4)?;
    /// match pool.map_interruptible(square, 0..1_000_000, || STOP.load(Relaxed)) {
    ///     Err(SubmitError::Interrupted) => pool.terminate(),
    ///     squares => println!("{}", squares?.len()),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `KeyboardInterrupt` out of `Pool.map`.
    ///
    /// # Errors
    /// As [`map`](Pool::map); [`SubmitError::Interrupted`], after which the tasks that were submitted go on until the
    /// pool is [terminated](Pool::terminate) or dropped. What was not read yet of the input is not.
    pub fn map_interruptible<F, T, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<Vec<R>, SubmitError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Kind>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().run_all(function, alone(items), Some(&mut interrupted))
    }

    /// As [`map`](Pool::map), with what became of each item.
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
        self.plain().run_each(function, alone(items))
    }

    /// As [`map`](Pool::map), without waiting. Python: `Pool.map_async`.
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
        self.map_in_chunks(function, items, None)
    }

    /// As [`map_async`](Pool::map_async), with `chunk_size` items to a worker at a time, at least 1. Default: so
    /// that each worker gets about four chunks.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if it is 0; else as [`map_async`](Pool::map_async).
    ///
    /// Python: `Pool.map_async(chunksize=...)`.
    #[doc(alias = "chunksize")]
    pub fn map_in_chunks<F, T, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
        chunk_size: Option<usize>,
    ) -> Result<MapResult<R>, SubmitError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Kind>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.starmap_in_chunks(function, alone(items), chunk_size)
    }

    /// As [`map`](Pool::map), for a function of several arguments: each item is a tuple of them.
    ///
    /// Python: `Pool.starmap`.
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
        self.plain().run_all(function, items, None)
    }

    /// As [`starmap`](Pool::starmap), without waiting. Python: `Pool.starmap_async`.
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
        self.starmap_in_chunks(function, items, None)
    }

    /// As [`starmap_async`](Pool::starmap_async), with `chunk_size` items to a worker at a time: see
    /// [`map_in_chunks`](Pool::map_in_chunks).
    ///
    /// Python: `Pool.starmap_async(chunksize=...)`.
    pub fn starmap_in_chunks<F, A, R, Kind>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
        chunk_size: Option<usize>,
    ) -> Result<MapResult<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().submit_all(function, items, chunk_size)
    }

    /// Calls `function` in a worker and waits for its value. Python: `Pool.apply`.
    pub fn apply<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<R, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().apply_one(function, arguments)
    }

    /// Calls `function` in a worker; its value comes later. Python: `Pool.apply_async`.
    #[doc(alias = "submit")]
    pub fn apply_async<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<AsyncResult<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().submit_one(function, arguments)
    }

    /// Whether this process may end the workers.
    pub(crate) fn is_owned(&self) -> bool {
        !self.shared.is_copied()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many workers it has, when all live: see [`resize`](Pool::resize).
    pub fn processes(&self) -> usize {
        self.shared.processes()
    }

    /// The process ids of its workers at this moment. One that has just started may be missing, and one that has just
    /// ended may be there.
    pub fn worker_pids(&self) -> Vec<u32> {
        if self.shared.is_copied() {
            return Vec::new();
        }
        self.shared.dispatch().workers.iter().flatten().filter_map(|worker| worker.child.pid()).collect()
    }

    /// Takes no more tasks; those that were taken are done. Python: `Pool.close`.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Kills the workers; tasks that are not done end as [`TaskError::Terminated`]. A worker that this process may not
    /// signal (it gave up its rights after it had made the pool, say) ends after the task that it has begun, and is not
    /// waited for.
    ///
    /// Python: `Pool.terminate`.
    pub fn terminate(&self) {
        if self.is_owned() {
            self.shared.end_now(Phase::Terminated, &TaskError::Terminated);
        }
    }

    /// Waits until the workers have ended, after [`close`](Pool::close) or [`terminate`](Pool::terminate).
    ///
    /// Python: `Pool.join`.
    ///
    /// # Errors
    /// [`JoinPoolError::StillRunning`] if neither was called. [`JoinPoolError::Untaken`] if for half a second all tasks
    /// that are left have waited for the calling thread to take what they yield ([`generate`](Pool::generate)). The
    /// pool is as it was: take the values, or drop the iterator, and join again. If another thread took values last, it
    /// waits for it. [`JoinPoolError::InOutput`] in the callback of [`on_output`](PoolBuilder::on_output), after a
    /// [`close`](Pool::close) alone.
    pub fn join(&self) -> Result<(), JoinPoolError> {
        self.join_until(None, JoinPoolError::Timeout)
    }

    /// As [`join`](Pool::join), without waiting.
    ///
    /// # Errors
    /// [`JoinPoolError::WouldBlock`] if some workers have not ended; else as [`join`](Pool::join).
    pub fn try_join(&self) -> Result<(), JoinPoolError> {
        self.join_until(Deadline::after(Duration::ZERO), JoinPoolError::WouldBlock)
    }

    /// As [`join`](Pool::join), and waits at most `timeout`.
    ///
    /// # Errors
    /// [`JoinPoolError::Timeout`] if some workers have not ended by then; else as [`join`](Pool::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinPoolError> {
        self.join_until(Deadline::after(timeout), JoinPoolError::Timeout)
    }

    fn join_until(&self, until: Option<Deadline>, late: JoinPoolError) -> Result<(), JoinPoolError> {
        if self.shared.is_copied() || self.shared.dispatch().phase == Phase::Running {
            return Err(JoinPoolError::StillRunning);
        }
        let have_ended = |dispatch: &Dispatch| dispatch.are_workers_gone() && dispatch.is_idle();
        if until.is_none() && self.shared.output.as_ref().is_some_and(Output::is_here) {
            let dispatch = self.shared.dispatch();
            // Workers that are killed wait for nothing.
            if dispatch.phase == Phase::Closed && !have_ended(&dispatch) {
                return Err(JoinPoolError::InOutput);
            }
        }
        wait_for_end(
            until,
            late,
            |until| self.shared.wait_until(None, until, have_ended).is_some(),
            || self.shared.dispatch().is_held_up_here(),
        )?;
        self.shared.shut_down_threads();
        join_threads(&self.threads);
        self.shared.release_copy();
        self.shared.close_trace();
        Ok(())
    }
}

/// Waits for a pool's end, or until the calling thread holds it up. `has_ended` waits until the pool has ended, or that
/// time.
pub(crate) fn wait_for_end(
    until: Option<Deadline>,
    late: JoinPoolError,
    has_ended: impl Fn(Option<Deadline>) -> bool,
    is_held_up: impl Fn() -> bool,
) -> Result<(), JoinPoolError> {
    /// Between two looks whether it is held up.
    const LOOK: Duration = Duration::from_millis(500);
    let mut was_held_up = false;
    loop {
        let left = until.map_or(LOOK, |until| until.remaining().min(LOOK));
        if has_ended(Deadline::after(left)) {
            return Ok(());
        }
        if until.is_some_and(Deadline::passed) {
            return Err(late);
        }
        // Twice: the iterator may be on its way to the thread that takes.
        let is_held_up = is_held_up();
        if is_held_up && was_held_up {
            return Err(JoinPoolError::Untaken);
        }
        was_held_up = is_held_up;
    }
}

/// Waits for the end of threads of a pool: not of the calling one, where a task or a callback drops the pool.
pub(crate) fn join_threads(threads: &Mutex<Vec<JoinHandle<()>>>) {
    let threads = std::mem::take(&mut *threads.lock().unwrap_or_else(PoisonError::into_inner));
    let here = std::thread::current().id();
    for thread in threads.into_iter().filter(|thread| thread.thread().id() != here) {
        let _ = thread.join();
    }
}

/// Its settings: nothing is collected, and no lock is taken.
impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("processes", &self.processes()).finish_non_exhaustive()
    }
}

/// Each item as the only argument of a call.
pub(crate) fn alone<T>(items: impl IntoIterator<Item = T>) -> impl Iterator<Item = (T,)> {
    items.into_iter().map(|item| (item,))
}

/// Terminates the pool and waits for its workers' end, which SIGKILL makes short.
impl Drop for Pool {
    fn drop(&mut self) {
        if self.is_owned() {
            self.terminate();
            let _ = self.join();
        }
    }
}
