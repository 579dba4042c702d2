//! Context: a start method under a name of its own.

use mp_core::error::OsResult;
use mp_core::mem::Shareable;
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::{CreateError, MemError, Process, Run, StartError, StartMethod};
use mp_manager::{Manager, StartManagerError};
use mp_pipe::{Connection, Receiver, Sender};
use mp_pool::{NewPoolError, Pool};
use mp_queue::{JoinableQueue, Queue, SimpleQueue};
use mp_sync::{
    Array, Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, RawArray, RawValue, Semaphore, Value,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The context of the start method that has this name: `fork`, `spawn` or `forkserver`.
///
/// ```
/// assert_eq!(mp::get_context("spawn")?.start_method(), mp::StartMethod::Spawn);
/// assert!(mp::get_context("thread").is_err());
/// # Ok::<(), mp::Error>(())
/// ```
///
/// Python: `multiprocessing.get_context`.
pub fn get_context(method: &str) -> Result<Context, StartError> {
    method.parse().map(Context)
}

/// Processes of one start method, whatever the default is. Queues, locks and values are the same in every context,
/// since they travel to any process. The workers of a pool, and the server of a manager, are started by the context's
/// method.
///
/// ```no_run
/// use mp::{Context, StartMethod};
///
/// let spawn = Context::new(StartMethod::Spawn);
/// let child = spawn.process(|| "fresh".to_owned(), ()).start()?;
/// assert_eq!(child.join()?, "fresh");
/// # Ok::<(), mp::Error>(())
/// ```
///
/// Python: `multiprocessing.get_context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(StartMethod);

impl Context {
    /// The context of a start method. Python: `get_context(method)`.
    pub fn new(method: StartMethod) -> Context {
        Context(method)
    }

    /// Its start method. Python: `context.get_start_method()`.
    pub fn start_method(self) -> StartMethod {
        self.0
    }

    /// Makes a process with this start method: see [`Process::new`]. Python: `context.Process(target, args)`.
    pub fn process<F, A, Kind>(self, function: F, arguments: A) -> Process<F, A>
    where
        F: Target<A> + Callable<A, Kind>,
        F::Output: Transferable,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        Process::new(function, arguments).method(self.0)
    }

    /// Makes a process with this start method: see [`Process::of`].
    /// Python: an instance of a subclass of `context.Process`.
    pub fn of<T: Run>(self, work: T) -> Process<impl Target<(T,), Output = T::Output>, (T,)> {
        Process::of(work).method(self.0)
    }

    /// Makes a pool of so many workers, started with this method: see
    /// [`PoolBuilder::method`](crate::PoolBuilder::method), which the other settings go with.
    /// Python: `context.Pool(processes)`.
    pub fn pool(self, processes: usize) -> Result<Pool, NewPoolError> {
        Pool::builder().processes(processes).method(self.0).build()
    }

    /// Starts a manager with this method: see [`Manager::start_by`]. Python: `context.Manager()`.
    pub fn manager(self) -> Result<Manager, StartManagerError> {
        Manager::start_by(self.0)
    }

    /// Makes a lock: see [`Lock::new`]. Python: `context.Lock()`.
    pub fn lock(self) -> Result<Lock, MemError> {
        Lock::new()
    }

    /// Makes a recursive lock: see [`RLock::new`]. Python: `context.RLock()`.
    pub fn rlock(self) -> Result<RLock, MemError> {
        RLock::new()
    }

    /// Makes a semaphore: see [`Semaphore::new`]. Python: `context.Semaphore(value)`.
    pub fn semaphore(self, permits: u32) -> Result<Semaphore, CreateError> {
        Semaphore::new(permits)
    }

    /// Makes a bounded semaphore: see [`BoundedSemaphore::new`]. Python: `context.BoundedSemaphore(value)`.
    pub fn bounded_semaphore(self, permits: u32) -> Result<BoundedSemaphore, CreateError> {
        BoundedSemaphore::new(permits)
    }

    /// Makes a condition: see [`Condition::new`].
    /// Python: `context.Condition()`; `Condition(lock)` is [`Condition::with_lock`].
    pub fn condition(self) -> Result<Condition, MemError> {
        Condition::new()
    }

    /// Makes an event: see [`Event::new`]. Python: `context.Event()`.
    pub fn event(self) -> Result<Event, MemError> {
        Event::new()
    }

    /// Makes a barrier: see [`Barrier::new`]. Python: `context.Barrier(parties)`.
    pub fn barrier(self, parties: u32) -> Result<Barrier, CreateError> {
        Barrier::new(parties)
    }

    /// Makes a value with a lock: see [`Value::new`]. Python: `context.Value(typecode, value)`.
    pub fn value<T: Shareable>(self, value: T) -> Result<Value<T>, MemError> {
        Value::new(value)
    }

    /// Makes a value without a lock: see [`RawValue::new`]. Python: `context.RawValue(typecode, value)`.
    pub fn raw_value<T: Shareable>(self, value: T) -> Result<RawValue<T>, MemError> {
        RawValue::new(value)
    }

    /// Makes an array with a lock: see [`Array::from_slice`]. Python: `context.Array(typecode, sequence)`.
    pub fn array<T: Shareable>(self, values: &[T]) -> Result<Array<T>, MemError> {
        Array::from_slice(values)
    }

    /// Makes an array without a lock: see [`RawArray::from_slice`]. Python: `context.RawArray(typecode, sequence)`.
    pub fn raw_array<T: Shareable>(self, values: &[T]) -> Result<RawArray<T>, MemError> {
        RawArray::from_slice(values)
    }

    /// Makes a two-way pipe: see [`pipe`](crate::pipe()). Python: `context.Pipe()`.
    #[doc(alias = "Pipe")]
    pub fn pipe<A, B>(self) -> OsResult<(Connection<A, B>, Connection<B, A>)> {
        mp_pipe::pipe()
    }

    /// Makes a one-way pipe: see [`pipe_simplex`](crate::pipe_simplex). Python: `context.Pipe(duplex=False)`.
    #[doc(alias = "Pipe")]
    pub fn pipe_simplex<T>(self) -> OsResult<(Receiver<T>, Sender<T>)> {
        mp_pipe::pipe_simplex()
    }

    /// Makes a queue whose items are reported done: see [`JoinableQueue::new`]. Python: `context.JoinableQueue()`.
    pub fn joinable_queue<T>(self) -> Result<JoinableQueue<T>, CreateError> {
        JoinableQueue::new()
    }

    /// Makes a simple queue: see [`SimpleQueue::new`]. Python: `context.SimpleQueue()`.
    pub fn simple_queue<T>(self) -> Result<SimpleQueue<T>, CreateError> {
        SimpleQueue::new()
    }

    /// Makes a queue: see [`Queue::new`]. Python: `context.Queue()`.
    pub fn queue<T>(self) -> Result<Queue<T>, CreateError> {
        Queue::new()
    }
}
