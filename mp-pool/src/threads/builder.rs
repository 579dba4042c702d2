//! ThreadPoolBuilder: a pool of threads with settings of one's own.

use super::crew::{Crew, Spec};
use super::function::ThreadFunction;
use super::{ThreadPool, ThreadPoolExecutor};
use crate::builder::worker_count;
use crate::error::NewPoolError;
use mp_core::transfer::{StateType, set_state};
use std::fmt;
use std::sync::Arc;

/// How a pool of threads is made. Made by [`ThreadPool::builder`] and [`ThreadPoolExecutor::builder`].
///
/// Python: the arguments of `multiprocessing.pool.ThreadPool` and `concurrent.futures.ThreadPoolExecutor`.
#[must_use = "a pool is made by build"]
pub struct ThreadPoolBuilder {
    threads: Option<usize>,
    spec: Spec,
}

impl ThreadPoolBuilder {
    pub(super) fn new() -> ThreadPoolBuilder {
        let spec = Spec { name: "ThreadPoolWorker".to_owned(), initializer: None, state: None };
        ThreadPoolBuilder { threads: None, spec }
    }

    /// How many threads, 1 to 1,024. Default: the CPUs that this process may use. Python: `ThreadPool(processes)`.
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = Some(count);
        self
    }

    /// Is [`threads`](ThreadPoolBuilder::threads), by the name that Python has, and
    /// [`PoolBuilder`](crate::PoolBuilder).
    #[doc(alias = "max_workers")]
    pub fn processes(self, count: usize) -> Self {
        self.threads(count)
    }

    /// What the threads are called, before `-1`, `-2` … Default: `ThreadPoolWorker`. Python: `thread_name_prefix`.
    #[doc(alias = "thread_name_prefix")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.spec.name = name.into();
        self
    }

    /// A function that each thread calls before its first task. If it panics the pool is broken, and says why.
    ///
    /// Python: `initializer`, `initargs`.
    #[doc(alias = "initargs")]
    pub fn initializer<F, A>(mut self, function: F, arguments: A) -> Self
    where
        F: ThreadFunction<A>,
        A: Clone + Send + Sync + 'static,
    {
        self.spec.initializer = Some(Arc::new(move || drop(function.call(arguments.clone()))));
        self.spec.state = None;
        self
    }

    /// An initializer whose value each thread keeps, and gives to its tasks: functions whose first argument is a `&mut`
    /// to it, made tasks by [`with_state`](crate::with_state). The value never leaves its thread, so it may be
    /// anything. It takes the place of an [`initializer`](ThreadPoolBuilder::initializer).
    ///
    /// ```
    /// use mp_pool::{ThreadPool, with_state};
    ///
    /// fn count(calls: &mut u64, x: u64) -> u64 {
    ///     *calls += 1;
    ///     x + *calls
    /// }
    ///
    /// let pool = ThreadPool::builder().threads(1).initializer_value(|from: u64| from, (10,)).build()?;
    /// assert_eq!(pool.map(with_state(count), [0, 0, 0])?, [11, 12, 13]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A task that panics leaves the value as it is at that moment. A task for a state of another type is refused when
    /// it is submitted ([`CodecError::WantsState`](mp_core::CodecError::WantsState)).
    ///
    /// Python: an initializer that sets a `threading.local`; mpire: `worker_init` with `use_worker_state`.
    #[doc(alias = "use_worker_state")]
    pub fn initializer_value<F, A>(mut self, function: F, arguments: A) -> Self
    where
        F: ThreadFunction<A, Output: 'static>,
        A: Clone + Send + Sync + 'static,
    {
        self.spec.initializer = Some(Arc::new(move || set_state(function.call(arguments.clone()))));
        self.spec.state = Some(StateType::of::<F::Output>());
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
        Crew::start(worker_count(self.threads)?, self.spec)
    }
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder")
            .field("threads", &self.threads)
            .field("name", &self.spec.name)
            .finish_non_exhaustive()
    }
}
