//! What can become of a task, and of a pool.

use mp_core::process::At;
use mp_core::sys::process::Ended;
use mp_core::transfer::CodeError;
use mp_core::{CodecError, MemError, OsError, StartError};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a task gave no value. It concerns that task alone, but for the last two.
///
/// Python: the exception that `AsyncResult.get` raises; for a killed worker Python waits for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked. Its worker goes on.
    #[error("the task panicked in {worker}{}: {message}", At(location))]
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`.
        location: String,
        /// The worker's name.
        worker: String,
    },
    /// Its worker was killed, or exited, while it ran. The worker was replaced.
    #[error("worker {worker} (pid {pid}) {} during the task", How(*how))]
    WorkerDied {
        /// The worker's name.
        worker: String,
        /// The worker's process id.
        pid: u32,
        /// How it ended; `None` if that could not be learnt.
        how: Option<Ended>,
    },
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

/// A task of a `map` failed; the others were done all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("item {index}: {error}")]
pub struct MapError {
    /// Which item of the input, counted from 0: the first that failed.
    pub index: usize,
    /// What became of it.
    #[source]
    pub error: TaskError,
}

/// Why a task was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The pool takes no more tasks. Python: `ValueError: Pool not running`.
    #[error("the pool is closed")]
    Closed,
    /// The pool is broken: its workers cannot live.
    #[error("the pool is broken: {0}")]
    Broken(String),
    /// The arguments cannot be serialised.
    #[error("arguments: {0}")]
    Arguments(#[from] CodecError),
    /// The function cannot be called in another process.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// What the call waited for failed.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// An item of the call's input failed.
    #[error(transparent)]
    Item(#[from] MapError),
    /// The program's handler of a signal ran while the call waited. The tasks go on, until the pool is terminated or
    /// dropped. Python: `KeyboardInterrupt`.
    #[error("interrupted while waiting for the tasks, which go on until the pool is terminated or dropped")]
    Interrupted,
}

/// Why a pool was not made. No worker was left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewPoolError {
    /// Python: `ValueError: Number of processes must be at least 1`.
    #[error("a pool needs at least one worker, and takes at most {most}", most = crate::dispatch::MOST_WORKERS)]
    Workers,
    /// Python: `ValueError: maxtasksperchild must be a positive int or None`.
    #[error("a worker must be allowed at least one task")]
    NoTasks,
    /// The initializer cannot cross.
    #[error("initializer: {0}")]
    Initializer(#[from] CodeError),
    /// The initializer's arguments cannot be serialised.
    #[error("initializer: {0}")]
    Arguments(#[from] CodecError),
    /// A worker could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The pool was not closed, so its workers would be waited for for ever.
///
/// Python: `ValueError: Pool is still running`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool is still running: close or terminate it first")]
pub struct StillRunning;

/// What a worker says of a task that gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Panicked { message: String, location: String },
    Failed(String),
}

impl Failure {
    /// As the caller is told.
    pub(crate) fn in_worker(self, worker: &str) -> TaskError {
        match self {
            Failure::Panicked { message, location } => {
                TaskError::Panicked { message, location, worker: worker.to_owned() }
            }
            Failure::Failed(reason) => TaskError::Failed(reason),
        }
    }
}
