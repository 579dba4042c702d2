//! ThreadPoolBuilder: a pool of threads with settings of one's own.

use super::crew::{Crew, Initializer};
use super::{ThreadPool, ThreadPoolExecutor};
use crate::builder::worker_count;
use crate::error::NewPoolError;
use std::fmt;
use std::sync::Arc;

/// How a pool of threads is made. Made by [`ThreadPool::builder`] and [`ThreadPoolExecutor::builder`].
///
/// Python: the arguments of `multiprocessing.pool.ThreadPool` and `concurrent.futures.ThreadPoolExecutor`.
#[must_use = "a pool is made by build"]
pub struct ThreadPoolBuilder {
    threads: Option<usize>,
    name: String,
    initializer: Option<Initializer>,
}

impl ThreadPoolBuilder {
    pub(super) fn new() -> ThreadPoolBuilder {
        ThreadPoolBuilder { threads: None, name: "ThreadPoolWorker".to_owned(), initializer: None }
    }

    /// How many threads, 1 to 1,024. Default: the CPUs that this process may use. Python: `ThreadPool(processes)`.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// What the threads are called, before `-1`, `-2` … Default: `ThreadPoolWorker`. Python: `thread_name_prefix`.
    #[doc(alias = "thread_name_prefix")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A function that each thread calls before its first task. If it panics the pool is broken, and says why.
    ///
    /// Python: `initializer`, `initargs`: a closure captures what it needs.
    pub fn initializer(mut self, function: impl Fn() + Send + Sync + 'static) -> Self {
        self.initializer = Some(Arc::new(function));
        self
    }

    /// Starts the threads of a pool.
    ///
    /// # Errors
    /// [`NewPoolError::Workers`] for a count that is not allowed; [`NewPoolError::Os`] if the system starts no thread.
    /// None is left then.
    pub fn build(self) -> Result<ThreadPool, NewPoolError> {
        Ok(ThreadPool::of(self.crew()?))
    }

    /// Starts the threads of an executor.
    ///
    /// # Errors
    /// As [`build`](ThreadPoolBuilder::build).
    pub fn build_executor(self) -> Result<ThreadPoolExecutor, NewPoolError> {
        Ok(ThreadPoolExecutor::of(self.crew()?))
    }

    fn crew(self) -> Result<Crew, NewPoolError> {
        Crew::start(worker_count(self.threads)?, &self.name, self.initializer)
    }
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("threads", &self.threads)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
