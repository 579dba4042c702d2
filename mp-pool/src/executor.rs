//! ProcessPoolExecutor: a pool of processes with futures.

use crate::builder::PoolBuilder;
#[cfg(doc)]
use crate::error::TaskError;
use crate::error::{JoinPoolError, NewPoolError, SubmitError};
use crate::future::Future;
use crate::imap::{Imap, ImapOptions};
use crate::pool::Pool;
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// What becomes of the tasks that have not begun when an executor is shut down.
///
/// Python: the argument `cancel_futures` of `Executor.shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "cancel_futures")]
pub enum Pending {
    /// They are done.
    Finish,
    /// They end as [`TaskError::Cancelled`]. Those that have begun are done.
    Cancel,
}

/// A pool of worker processes that gives a [`Future`] for each task.
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
/// let squares = executor.map(square, 0..5)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A task that kills its worker is a task that failed ([`TaskError::WorkerDied`]): the others are done, the worker is
/// replaced, and the executor takes tasks as before. In Python all of them fail (`BrokenProcessPool`).
///
/// Dropped, it is [shut down](ProcessPoolExecutor::shutdown) when its tasks are done, as at the end of Python's `with`.
/// Where the thread panics, its workers are killed.
///
/// Python: `concurrent.futures.ProcessPoolExecutor`.
pub struct ProcessPoolExecutor {
    pool: Pool,
}

impl PoolBuilder {
    /// Starts the workers of an executor.
    ///
    /// # Errors
    /// [`NewPoolError`]; no worker is left then.
    pub fn build_executor(self) -> Result<ProcessPoolExecutor, NewPoolError> {
        Ok(ProcessPoolExecutor { pool: self.build()? })
    }
}

impl ProcessPoolExecutor {
    /// An executor with `max_workers` workers. Python: `ProcessPoolExecutor(max_workers)`.
    #[doc(alias = "max_workers")]
    pub fn new(max_workers: usize) -> Result<ProcessPoolExecutor, NewPoolError> {
        ProcessPoolExecutor::builder().processes(max_workers).build_executor()
    }

    /// For settings of one's own: end with [`build_executor`](PoolBuilder::build_executor). Python: `initializer`,
    /// `initargs`, `max_tasks_per_child`, `mp_context`.
    pub fn builder() -> PoolBuilder {
        Pool::builder()
    }

    /// Has `function` called in a worker. Where the executor has as many tasks as its shared memory holds (1,024, or
    /// fewer long ones), waits until there is room.
    ///
    /// Python: `Executor.submit`, which takes any number.
    ///
    /// # Errors
    /// The executor was shut down or is broken; the function or its arguments cannot cross.
    pub fn submit<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.pool.plain().submit_until(function, arguments, None, SubmitError::Timeout)
    }

    /// Is [`submit`](ProcessPoolExecutor::submit) without waiting.
    ///
    /// # Errors
    /// [`SubmitError::WouldBlock`] if there is no room; else as [`submit`](ProcessPoolExecutor::submit).
    pub fn try_submit<F, A, R, Kind>(&self, function: F, arguments: A) -> Result<Future<R>, SubmitError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
        R: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.pool.plain().submit_until(
            function,
            arguments,
            Deadline::after(Duration::ZERO),
            SubmitError::WouldBlock,
        )
    }

    /// Is [`submit`](ProcessPoolExecutor::submit) that waits for room at most `timeout`.
    ///
    /// # Errors
    /// [`SubmitError::Timeout`] if there was none; else as [`submit`](ProcessPoolExecutor::submit).
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
        self.pool.plain().submit_until(function, arguments, Deadline::after(timeout), SubmitError::Timeout)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Calls `function` with each item in the workers. The result is an iterator over the values, in the order of the
    /// input, which is read a bounded number of items ahead: see [`Pool::imap`].
    ///
    /// Python: `Executor.map`. Its `timeout` is [`Imap::next_timeout`] here.
    ///
    /// # Errors
    /// The executor was shut down or is broken; the function cannot be called in another process.
    pub fn map<F, I, R, Kind>(&self, function: F, items: I) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        self.pool.imap(function, items)
    }

    /// Is [`map`](ProcessPoolExecutor::map) with a chunk size and a look-ahead of one's own.
    ///
    /// Python: `Executor.map(chunksize, buffersize)`.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`map`](ProcessPoolExecutor::map).
    pub fn map_with<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
        options: ImapOptions,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        self.pool.imap_with(function, items, options)
    }

    /// How many workers it has, when all live.
    pub fn max_workers(&self) -> usize {
        self.pool.processes()
    }

    /// The process ids of its workers at this moment.
    pub fn worker_pids(&self) -> Vec<u32> {
        self.pool.worker_pids()
    }

    /// Takes no more tasks, and waits until the workers have ended. Every future is done then, and its callbacks were
    /// called. Tasks that wait for the calling thread to take what they yield are told that it is not wanted: see
    /// [`JoinPoolError::Untaken`]. In the callback of [`on_output`](PoolBuilder::on_output) it does not wait: see
    /// [`JoinPoolError::InOutput`].
    ///
    /// Python: `Executor.shutdown(cancel_futures)`.
    pub fn shutdown(&self, pending: Pending) {
        self.begin_shutdown(pending);
        // It is closed, and is waited for without a limit.
        while self.pool.join() == Err(JoinPoolError::Untaken) {
            self.pool.shared().dispatch().stop_held_here();
        }
    }

    /// Takes no more tasks, and does not wait. Python: `Executor.shutdown(wait=False)`.
    #[doc(alias = "wait=False")]
    pub fn begin_shutdown(&self, pending: Pending) {
        self.pool.close();
        if pending == Pending::Cancel {
            self.pool.shared().withdraw_all();
        }
    }

    /// Takes no more tasks, and waits until the workers have ended, at most `timeout`.
    ///
    /// # Errors
    /// [`JoinPoolError::Timeout`] if they have not. The tasks go on: wait again, or end the workers.
    pub fn shutdown_timeout(&self, pending: Pending, timeout: Duration) -> Result<(), JoinPoolError> {
        self.begin_shutdown(pending);
        self.pool.join_timeout(timeout)
    }

    /// Takes no more tasks, cancels those that have not begun, and sends each worker SIGTERM. A task that had begun
    /// ends as [`TaskError::WorkerDied`], unless the program handles SIGTERM in it. Does not wait: call
    /// [`shutdown`](ProcessPoolExecutor::shutdown) for that.
    ///
    /// Python: `ProcessPoolExecutor.terminate_workers`.
    pub fn terminate_workers(&self) {
        if !self.pool.is_owned() {
            return;
        }
        // First: what a dying worker gives back is cancelled, too.
        self.pool.shared().dispatch().abandoned = true;
        self.begin_shutdown(Pending::Cancel);
        let dispatch = self.pool.shared().dispatch();
        for worker in dispatch.workers.iter().flatten() {
            // One that this process may not signal ends after its task.
            let _ = worker.child.terminate();
        }
    }

    /// Takes no more tasks, cancels those that have not begun, and kills the workers. A task that had begun ends as
    /// [`TaskError::Terminated`] at once.
    ///
    /// Python: `ProcessPoolExecutor.kill_workers`.
    pub fn kill_workers(&self) {
        self.begin_shutdown(Pending::Cancel);
        self.pool.terminate();
    }
}

/// Shuts down when all tasks are done.
impl Drop for ProcessPoolExecutor {
    fn drop(&mut self) {
        // A forked copy owns no workers. A panic waits for no tasks: the pool ends them.
        if self.pool.is_owned() && !std::thread::panicking() {
            self.shutdown(Pending::Finish);
        }
    }
}

/// Its settings: nothing is collected, and no lock is taken.
impl fmt::Debug for ProcessPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolExecutor")
            .field("max_workers", &self.max_workers())
            .finish_non_exhaustive()
    }
}
