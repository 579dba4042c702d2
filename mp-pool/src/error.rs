//! The errors of tasks and of pools.

use crate::record::{Outcome, take_outcome};
use mp_core::process::{At, CaughtError};
use mp_core::sys::process::Ended;
use mp_core::{CodecError, MemError, OsError, StartError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The error of a task that gave no value. It concerns that task alone, apart from
/// [`Terminated`](TaskError::Terminated) and [`Broken`](TaskError::Broken).
///
/// Python: the exception that `AsyncResult.get` raises. For a killed worker Python waits for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked. Its worker goes on.
    #[error("the task panicked in {worker}{}: {message}", At(location))]
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`. Empty if it is not known: the payload was made by `resume_unwind`, or a panic hook of
        /// the program's alone was told of it.
        location: String,
        /// The worker's name.
        worker: String,
    },
    /// Its worker was killed, or exited, while it ran. The worker was replaced. The task is not tried again, or not any
    /// more: see [`Retry`](crate::Retry).
    #[error("worker {worker} (pid {pid}) {} during the task{}", How(*how), Cost(*deaths))]
    WorkerDied {
        /// The worker's name.
        worker: String,
        /// The worker's process id.
        pid: u32,
        /// How it ended; `None` if that could not be learnt.
        how: Option<Ended>,
        /// How many workers died with the task, this one included.
        deaths: u32,
    },
    /// It ran longer than its [deadline](crate::TaskOptions::deadline). Its worker was killed and replaced. That a call
    /// waited too long is [`Timeout`](TaskError::Timeout) instead, and the task goes on. Celery: `TimeLimitExceeded`.
    #[doc(alias = "TimeLimitExceeded")]
    #[error(
        "the task ran longer than its deadline of {deadline:?}, so worker {worker} (pid {pid}) was killed: allow more time, or \
         split the task"
    )]
    DeadlineExceeded {
        /// How long it was allowed to run.
        deadline: Duration,
        /// The worker's name.
        worker: String,
        /// The worker's process id.
        pid: u32,
    },
    /// In its course the worker had more memory than [`PoolBuilder::memory_limit`](crate::PoolBuilder::memory_limit)
    /// allows, so it was killed and replaced. Dask: `KilledWorker`.
    #[error(
        "the task needed more memory than its worker may have, {used} of {limit} bytes, so worker {worker} (pid {pid}) was \
         killed: raise the limit, or split the task"
    )]
    OutOfMemory {
        /// What the worker may have, in bytes.
        limit: u64,
        /// What it was seen to have, in bytes.
        used: u64,
        /// The worker's name.
        worker: String,
        /// The worker's process id.
        pid: u32,
    },
    #[doc(alias = "MaybeEncodingError")]
    /// The arguments could not be decoded there, or the value could not be encoded.
    #[error("the task could not be done: {0}")]
    Failed(String),
    /// The value arrived and cannot be decoded here.
    #[error("the task's value: {0}")]
    Value(String),
    /// It was cancelled: see [`AsyncResult::cancel`](crate::AsyncResult::cancel).
    #[error("the task was cancelled")]
    Cancelled,
    /// The pool was terminated first.
    #[error("the pool was terminated before the task was done")]
    Terminated,
    /// The pool broke first: its workers cannot live.
    #[error("the pool is broken: {0}")]
    Broken(String),
    /// The pool was closed before the item was read: the last result of an [`imap`](crate::Pool::imap) whose input had
    /// not ended.
    #[error("the pool was closed before the rest of the input was read: take all results first")]
    Closed,
    /// The value was given before: the first [`result`](crate::futures::Future::result) of a future takes it.
    #[error("the value of the task was taken before: keep it")]
    Taken,
    /// The task had not ended: the error of [`try_get`](crate::AsyncResult::try_get).
    #[error("the task has not ended yet: ask again, or wait")]
    WouldBlock,
    /// The task had not ended when the time was over. It goes on. Python: `multiprocessing.TimeoutError`.
    #[error("the task did not end in time: ask again, or cancel it")]
    Timeout,
}

/// How a worker ended, in words.
pub(crate) struct How(pub(crate) Option<Ended>);

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Ended::Exited(code)) => write!(f, "exited with code {code}"),
            Some(Ended::Signaled(signal)) => write!(f, "was killed by signal {signal}"),
            None => f.write_str("ended"),
        }
    }
}

/// How many workers a task has cost, in words.
struct Cost(u32);

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            deaths => write!(f, ", which has cost {deaths} workers and is not tried again"),
        }
    }
}

/// The error of the result of a `map`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A task failed. The others were done all the same.
    #[error("item {index}: {error}")]
    Item {
        /// The position in the input, counted from 0, of the first item that failed.
        index: usize,
        /// The error of its task.
        #[source]
        error: TaskError,
    },
    /// Not every task had ended: the error of [`try_get`](crate::MapResult::try_get).
    #[error("not every task has ended yet: ask again, or wait")]
    WouldBlock,
    /// Not every task had ended when the time was over. They go on. Python: `multiprocessing.TimeoutError`.
    #[error("not every task ended in time: ask again, or terminate the pool")]
    Timeout,
}

/// The error of a call that submits tasks, and of one that also waits for them.
#[doc(alias = "BrokenProcessPool")]
#[doc(alias = "BrokenExecutor")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The pool takes no more tasks. Python: `ValueError: Pool not running`.
    #[error("the pool is closed: submit to another one")]
    Closed,
    /// The pool is broken: its workers cannot live.
    #[error("the pool is broken: {0}")]
    Broken(String),
    /// The function cannot be called in another process, or its arguments cannot be serialised.
    #[error("the function or the arguments of the task: {0}")]
    Arguments(#[from] CodecError),
    /// An argument is a lock, a queue, shared memory or another handle, and the pool's workers are on other hosts.
    #[error(
        "an argument of the task is a handle, which cannot leave this host: send values, or use a pool of this host"
    )]
    Handles,
    /// There is no room for the task: the error of [`try_submit`](crate::ProcessPoolExecutor::try_submit).
    #[error("the executor has no room for the task now: submit again, or wait")]
    WouldBlock,
    /// There was no room for the task when the time was over.
    #[error("the executor had no room for the task in time: submit again")]
    Timeout,
    /// A chunk size or a look-ahead of 0. Python: `ValueError: Chunksize must be 1+`.
    #[error("the chunk size and the look-ahead of a call must be at least 1")]
    ChunkSize,
    /// A task that yields cannot be submitted so: it was to be tried again, though its results would come twice, or the
    /// workers of the pool are on other hosts.
    #[error("a task that yields its results {0}")]
    Generator(&'static str),
    /// The [options](crate::TaskOptions) of a task of a pool of threads have something that only a process can: a
    /// deadline, or a retry.
    #[error("{0} needs a worker that can be killed, and a thread cannot be: use a pool of processes")]
    NeedsProcesses(&'static str),
    /// The task of the call failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A task of the call failed.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The program's handler of a signal ran while the call waited. The tasks go on, until the pool is terminated or
    /// dropped. Python: `KeyboardInterrupt`.
    #[error("interrupted while waiting for the tasks, which go on until the pool is terminated or dropped")]
    Interrupted,
}

/// The error of making a pool. No worker is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewPoolError {
    /// Python: `ValueError: Number of processes must be at least 1`.
    #[error("a pool needs at least one worker, and takes at most {most}", most = crate::board::MOST_WORKERS)]
    Workers,
    /// More workers than there may be later: see [`PoolBuilder::most_processes`](crate::PoolBuilder::most_processes).
    #[error(
        "a pool of {processes} workers cannot be one of at most {most}: ask for more by most_processes, or for fewer by \
         processes"
    )]
    MostProcesses {
        /// How many there may be.
        most: usize,
        /// How many there are to be at first.
        processes: usize,
    },
    /// More workers are to stay than there are: see
    /// [`PoolBuilder::least_processes`](crate::PoolBuilder::least_processes).
    #[error(
        "of {processes} workers {least} cannot stay: ask for fewer by least_processes, or for more by processes"
    )]
    LeastProcesses {
        /// How many are to stay.
        least: usize,
        /// How many there are.
        processes: usize,
    },
    /// Python: `ValueError: maxtasksperchild must be a positive int or None`.
    #[error("a worker must be allowed at least one task")]
    NoTasks,
    /// Workers have one state: what they are forked from, or the value of an initializer.
    #[error(
        "workers that are forked from a value have no other state: make the pool without initializer_value"
    )]
    TwoStates,
    /// No CPU to bind the workers to.
    #[error(
        "the list of CPUs for the workers is empty: name at least one, or none of them by leaving the list out"
    )]
    NoCpus,
    /// A CPU that this process may not use, or that is not there.
    #[error("this process may not run on CPU {0}: name CPUs that its affinity allows")]
    Cpu(usize),
    /// A memory of 0 bytes.
    #[error("a worker must be allowed some memory: a few MiB at least")]
    NoMemory,
    /// What needs workers on this host, in a pool with a [backend](crate::PoolBuilder::backend).
    #[error("{0} needs workers on this host: leave it out, or make the pool without a backend")]
    NeedsThisHost(&'static str),
    /// How many workers a pool with a [backend](crate::PoolBuilder::backend) has was not said, and the CPUs of this
    /// host do not say it.
    #[error("a pool with a backend has no default number of workers: name it by processes")]
    BackendWorkers,
    /// The [backend](crate::PoolBuilder::backend) has no host for a worker.
    #[error("no link to a host for a worker: {0}")]
    Link(#[source] std::io::Error),
    /// The initializer cannot be called in another process, or its arguments cannot be serialised.
    #[error("the initializer or its arguments: {0}")]
    Initializer(#[from] CodecError),
    /// A worker could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// The file of the [trace](crate::PoolBuilder::trace) cannot be made.
    #[error("the trace cannot be written to {}: {source}", path.display())]
    Trace {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The error of waiting for the end of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinPoolError {
    /// The pool takes tasks, so its workers do not end. Python: `ValueError: Pool is still running`.
    #[error("the pool is still running: close or terminate it first")]
    StillRunning,
    /// Some workers had not ended: the error of [`try_join`](crate::Pool::try_join).
    #[error("the pool's workers have not all ended yet: ask again, or wait")]
    WouldBlock,
    /// Some workers had not ended when the time was over.
    #[error("the pool's workers did not all end in time: wait again, or terminate the pool")]
    Timeout,
    /// The calling thread holds the iterator of a [`generate`](crate::Pool::generate), and all that is left are tasks
    /// that wait for it to take their values: they would never end.
    #[error(
        "the pool's tasks wait for values that this thread is to take: take what generate gives to its end, or drop \
         it, and join then"
    )]
    Untaken,
    /// The calling thread is in the callback of [`on_output`](crate::PoolBuilder::on_output) of a pool that is closed:
    /// a worker that writes more than its pipe holds would wait for the callback, and the callback for the worker.
    #[error(
        "the callback of on_output cannot wait for workers, which may wait for it: join in another thread, or \
         terminate the pool first"
    )]
    InOutput,
}

/// What a worker says of a task that gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Panicked {
        message: String,
        location: String,
    },
    Failed(String),
    /// The link to its worker, on another host, was lost after the task was submitted: it may have been begun.
    Lost {
        pid: u32,
    },
}

impl From<CaughtError> for Failure {
    fn from(error: CaughtError) -> Failure {
        match error {
            CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
            CaughtError::Call(error) => Failure::Failed(error.to_string()),
        }
    }
}

impl Failure {
    /// What the first of these records says, if it is a failure.
    pub(crate) fn of_first(mut records: &[u8]) -> Option<Failure> {
        match take_outcome(&mut records) {
            Some(Outcome::Failure(failure)) => Some(failure),
            _ => None,
        }
    }

    /// As the caller is told.
    pub(crate) fn in_worker(self, worker: &str) -> TaskError {
        match self {
            Failure::Panicked { message, location } => {
                TaskError::Panicked { message, location, worker: worker.to_owned() }
            }
            Failure::Failed(reason) => TaskError::Failed(reason),
            Failure::Lost { pid } => {
                TaskError::WorkerDied { worker: worker.to_owned(), pid, how: None, deaths: 1 }
            }
        }
    }
}
