//! PoolBuilder: a pool with settings of one's own.

use crate::backend::{Backend, Behind};
use crate::board::MOST_WORKERS;
use crate::error::NewPoolError;
use crate::idle::Idle;
use crate::limits::Recycling;
use crate::output::OutputSpec;
use crate::place::Place;
use crate::pool::Pool;
use crate::supervisor::WorkerSpec;
use mp_core::popen::get_helper_method;
use mp_core::sys::state::may_run_on;
use mp_core::transfer::{
    Callable, Captures, Code, Keep, Message, StateType, Target, Transferable, keep, pack_value,
};
use mp_core::{StartMethod, usable_cpu_count};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a pool is made. Made by [`Pool::builder`].
///
/// Python: the arguments of `multiprocessing.Pool`.
#[derive(Debug)]
#[must_use = "a pool is made by build"]
pub struct PoolBuilder {
    processes: Option<usize>,
    pub(crate) places: Option<usize>,
    name: String,
    initializer: Result<Option<(Code, Message)>, NewPoolError>,
    pub(crate) state: Option<StateType>,
    most_tasks: Option<u32>,
    recycling: Recycling,
    pub(crate) idle: Idle,
    pub(crate) output: OutputSpec,
    pub(crate) trace: Option<PathBuf>,
    memory_limit: Option<u64>,
    outlasts_sigterm: bool,
    method: Option<StartMethod>,
    cpus: Option<Vec<usize>>,
    nice: u32,
    backend: Option<Behind>,
}

impl PoolBuilder {
    pub(crate) fn new() -> PoolBuilder {
        PoolBuilder {
            processes: None,
            places: None,
            name: "PoolWorker".to_owned(),
            initializer: Ok(None),
            state: None,
            most_tasks: None,
            recycling: Recycling::default(),
            idle: Idle::default(),
            output: OutputSpec::default(),
            trace: None,
            memory_limit: None,
            outlasts_sigterm: false,
            method: None,
            cpus: None,
            nice: 0,
            backend: None,
        }
    }

    /// How many workers, 1 to 1,024. Default: the CPUs that this process may use; with a
    /// [backend](PoolBuilder::backend), whose hosts have others, there is none. Python: `Pool(processes)`.
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
        self.state = None;
        self
    }

    /// An initializer whose value each worker keeps, and gives to its tasks: functions whose first argument is a `&mut`
    /// to it, made tasks by [`with_state`](crate::with_state). The value never leaves its worker, so it may be
    /// anything: an open file, a connection, a loaded model. It takes the place of an
    /// [`initializer`](PoolBuilder::initializer), whose rules hold for it.
    ///
    /// ```no_run
    /// use mp_pool::{Pool, with_state};
    ///
    /// struct Counter {
    ///     step: u64,
    ///     calls: u64,
    /// }
    ///
    /// fn begin(step: u64) -> Counter {
    ///     Counter { step, calls: 0 }
    /// }
    ///
    /// fn count(counter: &mut Counter, x: u64) -> u64 {
    ///     counter.calls += 1;
    ///     x + counter.step
    /// }
    ///
    /// let pool = Pool::builder().processes(4).initializer_value(begin, (10,)).build()?;
    /// assert_eq!(pool.map(with_state(count), 0..3)?, [10, 11, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A worker that dies loses its value, and its successor makes a new one. A value is dropped where its worker ends
    /// by itself ([`close`](Pool::close), [`max_tasks_per_child`](PoolBuilder::max_tasks_per_child)); a worker that is
    /// killed drops nothing. A task for a state of another type is refused when it is submitted
    /// ([`CodecError::WantsState`](mp_core::CodecError::WantsState)).
    ///
    /// Python: an initializer that sets a global variable; mpire: `worker_init` with `use_worker_state`.
    #[doc(alias = "use_worker_state")]
    pub fn initializer_value<F, A, Kind>(mut self, function: F, arguments: A) -> Self
    where
        F: Target<A> + Callable<A, Kind>,
        F::Output: 'static,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        let code = Code::of::<Keep<F>, A>(&keep(function)).map_err(NewPoolError::from);
        self.initializer = code.and_then(|code| Ok(Some((code, pack_value(&arguments)?))));
        self.state = Some(StateType::of::<F::Output>());
        self
    }

    /// Binds each worker to one CPU of these: the worker of [index](crate::worker_index) `i` to number `i` of them, and
    /// from the first one on again where there are more workers. Default: a worker runs wherever this process may.
    ///
    /// Python: `os.sched_setaffinity` in an initializer; mpire: `cpu_ids`.
    #[doc(alias = "affinity")]
    #[doc(alias = "cpu_ids")]
    pub fn cpus(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.cpus = Some(cpus.into_iter().collect());
        self
    }

    /// Adds so much to the niceness of each worker, so that other processes go before it: up to a niceness of 19, where
    /// a worker gets what no other process wants. Default: 0.
    ///
    /// Python: `os.nice` in an initializer.
    #[doc(alias = "niceness")]
    pub fn nice(mut self, increment: u32) -> Self {
        self.nice = increment;
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

    /// The workers ignore SIGTERM, as they ignore SIGINT: for a program that finishes its tasks when it is told to end,
    /// by a signal to its whole group (a service manager's, `kill -- -PGID`). Default: SIGTERM ends a worker, and the
    /// task that it has is [`TaskError::WorkerDied`](crate::TaskError::WorkerDied).
    ///
    /// The program's own handler of SIGTERM sets a flag, as for Ctrl-C (`docs/ctrl-c.md`):
    /// [`get_interruptible`](crate::MapResult::get_interruptible) comes back, then [`close`](crate::Pool::close) and
    /// [`join`](crate::Pool::join) finish what was submitted. The workers end with this process all the same, whatever
    /// ends it. Programs that a task starts ignore SIGTERM, too, unless they change that.
    ///
    /// Not in Python. Celery: a warm shutdown.
    pub fn drain_on_sigterm(mut self) -> Self {
        self.outlasts_sigterm = true;
        self
    }

    /// A worker that is so old when it has done a task (its chunk) ends then, and is replaced. No task is lost.
    ///
    /// Not in Python.
    pub fn max_age_per_child(mut self, age: Duration) -> Self {
        self.recycling.age = Some(age);
        self
    }

    /// A worker that has more than so many bytes of memory of its own (see [`memory_limit`](PoolBuilder::memory_limit))
    /// when it has done a task (its chunk) ends then, and is replaced. No task is lost: for tasks that leak a little.
    ///
    /// Not in Python. Celery: `worker_max_memory_per_child`.
    #[doc(alias = "worker_max_memory_per_child")]
    pub fn max_memory_per_child(mut self, bytes: u64) -> Self {
        self.recycling.memory = Some(bytes);
        self
    }

    /// A task in whose course its worker has more than so many bytes of memory of its own ends as
    /// [`TaskError::OutOfMemory`](crate::TaskError::OutOfMemory), told from a kill from outside. The worker is killed
    /// and replaced; no other task is lost. Default: without limit.
    ///
    /// What counts is what the worker has written to: its heap and stacks, also what earlier tasks left behind
    /// ([`max_memory_per_child`](PoolBuilder::max_memory_per_child) ends it before that is too much). Shared memory and
    /// files do not count, nor what is reserved and never written to.
    ///
    /// A thread of the pool's looks at the workers, the more often the closer one is to the limit, at most every 5 ms,
    /// and at least each second. So a worker can have somewhat more for a moment. On a machine that has no memory left
    /// by then the kernel may be faster: that task is [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), by
    /// signal 9.
    ///
    /// Not in Python. Dask: `memory_limit`.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// The start method of the workers. [`Fork`](StartMethod::Fork) is taken as
    /// [`ForkServer`](StartMethod::ForkServer), since the pool has threads. Default:
    /// [`get_start_method`](mp_core::get_start_method).
    ///
    /// Python: `get_context(method).Pool()`.
    #[doc(alias = "mp_context")]
    pub fn method(mut self, method: StartMethod) -> Self {
        self.method = Some(method);
        self
    }

    /// Where the workers run. Default: on this host.
    ///
    /// The calls of the pool are the same ones. A worker that dies, or whose host is lost, costs what it had begun, and
    /// is replaced. [`memory_limit`](PoolBuilder::memory_limit), [`cpus`](PoolBuilder::cpus),
    /// [`on_output`](PoolBuilder::on_output), [`trace`](PoolBuilder::trace), [`fork_from`](PoolBuilder::fork_from), and
    /// locks, queues and shared memory in the initializer's arguments, are refused ([`NewPoolError::NeedsThisHost`]);
    /// in a task's arguments they are [`SubmitError::Handles`], in its result [`TaskError::Failed`]. [`Pool::generate`]
    /// is [`SubmitError::Generator`]. A deadline is kept to about 10 ms and the time that a packet takes. How many
    /// [`processes`](PoolBuilder::processes) it has is to be said ([`NewPoolError::BackendWorkers`]).
    ///
    /// Not in Python. Ray, Dask: the address of a cluster.
    ///
    /// [`SubmitError::Handles`]: crate::SubmitError::Handles
    /// [`SubmitError::Generator`]: crate::SubmitError::Generator
    /// [`TaskError::Failed`]: crate::TaskError::Failed
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.backend = Some(Behind(Arc::new(backend)));
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// [`NewPoolError`]; no worker is left then.
    pub fn build(self) -> Result<Pool, NewPoolError> {
        let (spec, processes) = self.checked()?;
        Pool::start(spec, processes, None)
    }

    /// What the workers are made from, and how many there are.
    pub(crate) fn checked(self) -> Result<(WorkerSpec, usize), NewPoolError> {
        let processes = worker_count(self.processes)?;
        if self.most_tasks == Some(0) {
            return Err(NewPoolError::NoTasks);
        }
        if self.memory_limit == Some(0) || self.recycling.memory == Some(0) {
            return Err(NewPoolError::NoMemory);
        }
        if self.idle.least > processes {
            return Err(NewPoolError::LeastProcesses { least: self.idle.least, processes });
        }
        if self.backend.is_some() {
            self.check_backend()?;
        }
        let cpus = usable(self.cpus)?;
        let spec = WorkerSpec {
            name: self.name,
            initializer: self.initializer?,
            state: self.state,
            places: cpus.into_iter().map(|cpu| Place { cpu, nice: self.nice }).collect(),
            most_tasks: self.most_tasks,
            recycling: self.recycling,
            idle: self.idle,
            output: self.output,
            trace: self.trace,
            memory_limit: self.memory_limit,
            outlasts_sigterm: self.outlasts_sigterm,
            board: places(self.places, processes)? as u32,
            method: self.method.map_or_else(get_helper_method, |method| Ok(method.for_helpers()))?,
            blocked: mp_core::sys::signal::blocked(),
            backend: self.backend,
            alone: None,
            is_stepped: false,
        };
        Ok((spec, processes))
    }
}

impl PoolBuilder {
    /// Whether nothing needs workers on this host.
    fn check_backend(&self) -> Result<(), NewPoolError> {
        let has_handles =
            matches!(&self.initializer, Ok(Some((_, arguments))) if !arguments.handles.is_empty());
        let needs = [
            (self.memory_limit.is_some(), "memory_limit"),
            (self.cpus.is_some(), "cpus"),
            (self.output.callback.is_some(), "on_output"),
            (self.trace.is_some(), "trace"),
            (has_handles, "a handle among the initializer's arguments"),
        ];
        match needs.iter().find(|(is_set, _)| *is_set) {
            Some((_, what)) => Err(NewPoolError::NeedsThisHost(what)),
            None if self.processes.is_none() => Err(NewPoolError::BackendWorkers),
            None => Ok(()),
        }
    }
}

/// The CPUs of the workers, by turns.
fn usable(wanted: Option<Vec<usize>>) -> Result<Vec<Option<usize>>, NewPoolError> {
    let Some(cpus) = wanted else { return Ok(vec![None]) };
    match cpus.iter().find(|cpu| !may_run_on(**cpu)) {
        Some(cpu) => Err(NewPoolError::Cpu(*cpu)),
        None if cpus.is_empty() => Err(NewPoolError::NoCpus),
        None => Ok(cpus.into_iter().map(Some).collect()),
    }
}

/// How many workers a pool has, of processes or of threads.
pub(crate) fn worker_count(wanted: Option<usize>) -> Result<usize, NewPoolError> {
    let count = wanted.unwrap_or_else(|| usable_cpu_count().min(MOST_WORKERS));
    if (1..=MOST_WORKERS).contains(&count) { Ok(count) } else { Err(NewPoolError::Workers) }
}

/// For how many workers the pool has places that begins with so many.
fn places(wanted: Option<usize>, processes: usize) -> Result<usize, NewPoolError> {
    match wanted.unwrap_or(processes) {
        most if most > MOST_WORKERS => Err(NewPoolError::Workers),
        most if most < processes => Err(NewPoolError::MostProcesses { most, processes }),
        most => Ok(most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Link;

    struct Elsewhere;

    impl Backend for Elsewhere {
        fn open(&self, _: usize) -> std::io::Result<Box<dyn Link>> {
            Err(std::io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn the_cpus_of_this_host_are_not_those_of_a_backend() {
        let (spec, workers) = Pool::builder().processes(1000).backend(Elsewhere).checked().unwrap();
        assert_eq!(spec.cpus(workers as u32), 1000);
        let (spec, workers) = Pool::builder().processes(1000).checked().unwrap();
        assert_eq!(spec.cpus(workers as u32) as usize, usable_cpu_count());
        let unsaid = Pool::builder().backend(Elsewhere).checked();
        assert!(matches!(unsaid, Err(NewPoolError::BackendWorkers)));
    }
}
