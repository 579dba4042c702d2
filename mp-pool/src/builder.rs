//! PoolBuilder: a pool with settings of one's own.

use crate::dispatch::MOST_WORKERS;
use crate::error::NewPoolError;
use crate::pool::Pool;
use crate::supervisor::WorkerSpec;
use mp_core::popen::get_helper_method;
use mp_core::transfer::{Callable, Captures, Code, Message, Target, Transferable, pack_value};
use mp_core::{StartMethod, usable_cpu_count};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a pool is made. Made by [`Pool::builder`].
///
/// Python: the arguments of `multiprocessing.Pool`.
#[derive(Debug)]
#[must_use = "a pool is made by build"]
pub struct PoolBuilder {
    processes: Option<usize>,
    name: String,
    initializer: Result<Option<(Code, Message)>, NewPoolError>,
    most_tasks: Option<u32>,
    method: Option<StartMethod>,
}

impl PoolBuilder {
    pub(crate) fn new() -> PoolBuilder {
        PoolBuilder {
            processes: None,
            name: "PoolWorker".to_owned(),
            initializer: Ok(None),
            most_tasks: None,
            method: None,
        }
    }

    /// How many workers, 1 to 1,024. Default: the CPUs that this process may use. Python: `Pool(processes)`.
    #[doc(alias = "max_workers")]
    pub fn processes(mut self, count: usize) -> Self {
        self.processes = Some(count);
        self
    }

    /// What the workers are called, before `-1`, `-2` … Default: `PoolWorker`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// A function that each worker calls before its first task. If it panics the pool is broken, and says why. So it is
    /// if the worker ends in it, by an exit or a crash, 8 times in a row.
    ///
    /// Python: `Pool(initializer, initargs)`.
    #[doc(alias = "initargs")]
    pub fn initializer<F, A, Kind>(mut self, function: F, arguments: A) -> Self
    where
        F: Target<A> + Callable<A, Kind>,
        F::Output: Transferable,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        let code = Code::of::<F, A>(&function).map_err(NewPoolError::from);
        self.initializer = code.and_then(|code| Ok(Some((code, pack_value(&arguments)?))));
        self
    }

    /// A worker ends after about so many tasks (it finishes its chunk) and is replaced.
    ///
    /// Python: `Pool(maxtasksperchild)`, which counts chunks.
    #[doc(alias = "maxtasksperchild")]
    pub fn max_tasks_per_child(mut self, tasks: u32) -> Self {
        self.most_tasks = Some(tasks);
        self
    }

    /// The start method of the workers. [`Fork`](StartMethod::Fork) is taken as [`ForkServer`](StartMethod::ForkServer),
    /// since the pool has threads. Default: [`get_start_method`](mp_core::get_start_method).
    ///
    /// Python: `get_context(method).Pool()`.
    #[doc(alias = "mp_context")]
    pub fn method(mut self, method: StartMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// [`NewPoolError`]; no worker is left then.
    pub fn build(self) -> Result<Pool, NewPoolError> {
        let processes = worker_count(self.processes)?;
        if self.most_tasks == Some(0) {
            return Err(NewPoolError::NoTasks);
        }
        let spec = WorkerSpec {
            name: self.name,
            initializer: self.initializer?,
            most_tasks: self.most_tasks,
            method: self.method.map_or_else(get_helper_method, |method| Ok(method.for_helpers()))?,
            blocked: mp_core::sys::signal::blocked(),
        };
        Pool::start(spec, processes)
    }
}

/// How many workers a pool has, of processes or of threads.
pub(crate) fn worker_count(wanted: Option<usize>) -> Result<usize, NewPoolError> {
    let count = wanted.unwrap_or_else(|| usable_cpu_count().min(MOST_WORKERS));
    if (1..=MOST_WORKERS).contains(&count) { Ok(count) } else { Err(NewPoolError::Workers) }
}
