//! Processes for Rust, as Python's `multiprocessing` has them.
//!
//! ```no_run
//! use mp::{Process, Queue};
//!
//! fn square(results: Queue<u64>, x: u64) {
//!     results.put(x * x).unwrap();
//! }
//!
//! fn main() -> mp::Result<()> {
//!     let results = Queue::new()?;
//!     let child = Process::new(square, (results.clone(), 7)).start()?;
//!     child.join()?;
//!     assert_eq!(results.get()?, 49);
//!     Ok(())
//! }
//! ```
//!
//! This crate only gathers the family under one name; each of its crates can be used alone.
//! [`guide`] has the whole of Python's surface row by row, what to choose when, and what happens when a process dies.
//!
//! | Python                                   | here                                               | crate        |
//! |------------------------------------------|----------------------------------------------------|--------------|
//! | `Process(target, args)`                  | [`Process::new`]                                   | `mp-core`    |
//! | `class P(Process)`, `run`                | [`Run`], [`Process::of`]                           | `mp-core`    |
//! | `start`                                  | [`Process::start`], which gives a [`Child`]        | `mp-core`    |
//! | `join is_alive exitcode pid sentinel terminate kill interrupt close` | the same names on [`Child`]                        | `mp-core`    |
//! | `active_children`                        | [`active_children`], which gives [`AnyChild`]      | `mp-core`    |
//! | `current_process`, `parent_process`      | [`current_process`], [`parent_process`]            | `mp-core`    |
//! | children of several kinds in one list    | [`AnyChild`]                                       | `mp-core`    |
//! | a function as an argument                | [`Function`]                                       | `mp-core`    |
//! | `sys.stdin` of a child: empty, as there  | [`Process::inherit_stdin`] hands it on             | `mp-core`    |
//! | `cpu_count`, `os.process_cpu_count`      | [`cpu_count`], [`usable_cpu_count`]                | `mp-core`    |
//! | `set_start_method`, `get_start_method`   | [`set_start_method`], [`get_start_method`]         | `mp-core`    |
//! | `set_start_method(method, force=True)`   | [`force_start_method`]                             | `mp-core`    |
//! | `get_all_start_methods`                  | [`get_all_start_methods`]                          | `mp-core`    |
//! | `get_context(method)`                    | [`get_context`], [`Context::new`]                  | `mp`         |
//! | `set_forkserver_preload`                 | [`set_forkserver_preload`]                         | `mp-core`    |
//! | `current_process().authkey`              | [`CurrentProcess::authkey`], [`set_authkey`]       | `mp-core`    |
//! | `get_logger`, `log_to_stderr`            | [`get_logger`], [`log_to_stderr`]                  | `mp-core`    |
//! | a fork that works on what is borrowed    | [`scope()`], [`Process::fork`]                     | `mp-core`    |
//! | `sys.argv` in a child                    | [`args_os`]                                        | `mp-core`    |
//! | `Lock`                                   | [`Lock`]                                           | `mp-sync`    |
//! | `RLock`                                  | [`RLock`]                                          | `mp-sync`    |
//! | `Condition`                              | [`Condition`], [`ConditionGuard`]                  | `mp-sync`    |
//! | `Semaphore`, `BoundedSemaphore`          | [`Semaphore`], [`BoundedSemaphore`]                | `mp-sync`    |
//! | `Event`                                  | [`Event`]                                          | `mp-sync`    |
//! | `Barrier`                                | [`Barrier`]                                        | `mp-sync`    |
//! | `Value`, `RawValue`                      | [`Value`], [`RawValue`]                            | `mp-sync`    |
//! | `Array`, `RawArray`                      | [`Array`], [`RawArray`]                            | `mp-sync`    |
//! | `Value(..., lock=l)`, `synchronized`     | [`Value::with_lock`], [`Array::with_lock`], [`Synchronized`] | `mp-sync`    |
//! | a counter without a lock                 | [`AtomicU64`] and others, [`AtomicBool`]           | `mp-sync`    |
//! | a `ctypes.Structure` in a `Value`        | [`derive@Shareable`]                               | `mp-derive`  |
//! | a dict in shared memory, built by hand   | [`SharedDict`]                                     | `mp-sync`    |
//! | `Pipe()`, `Pipe(False)`                  | [`pipe()`], [`pipe_simplex`]                       | `mp-pipe`    |
//! | `Connection`                             | [`Connection`]                                     | `mp-pipe`    |
//! | `conn.send(obj)` to and from Python      | `Connection::send_pickle`, of the feature `pickle` | `mp-pipe`    |
//! | `connection.Listener`                    | [`Listener`], at an [`Address`]                    | `mp-pipe`    |
//! | `connection.Client`                      | [`Client`]                                         | `mp-pipe`    |
//! | `AuthenticationError`                    | [`AuthenticationError`]                            | `mp-pipe`    |
//! | `deliver_challenge`, `answer_challenge`  | [`deliver_challenge`], [`answer_challenge`]        | `mp-pipe`    |
//! | `connection.wait`                        | [`wait()`]                                         | `mp-pipe`    |
//! | `selectors.DefaultSelector`, for reading | [`WaitSet`]                                        | `mp-pipe`    |
//! | `Queue()`, `Queue(n)`                    | [`Queue::new`], [`Queue::bounded`]                 | `mp-queue`   |
//! | `SimpleQueue()`                          | [`SimpleQueue::new`]                               | `mp-queue`   |
//! | `JoinableQueue()`                        | [`JoinableQueue::new`]                             | `mp-queue`   |
//! | `queue.Full`, `queue.Empty`              | [`PutError::Full`], [`GetError::Empty`]            | `mp-queue`   |
//! | `Pool(n)`                                | [`Pool::new`]                                      | `mp-pool`    |
//! | `Pool.imap`, `imap_unordered`            | [`Pool::imap`], [`Pool::imap_unordered`], which give an [`Imap`] | `mp-pool`    |
//! | `imap(chunksize, buffersize)`            | [`Pool::imap_with`], [`ImapOptions`]               | `mp-pool`    |
//! | `Pool(initializer)` that sets a global   | [`PoolBuilder::initializer_value`], [`with_state`] | `mp-pool`    |
//! | `Pool` of `fork`, with global data       | [`PoolBuilder::fork_from`], [`fork_from_closure`](PoolBuilder::fork_from_closure) | `mp-pool`    |
//! | an array over `SharedMemory`, as an argument or a result of a pool | [`Pool::buffer`], [`buffer()`], [`Buffer`] | `mp-pool`    |
//! | `ThreadPool(n)`                          | [`ThreadPool`]                                     | `mp-pool`    |
//! | `ThreadPoolExecutor`                     | [`ThreadPoolExecutor`]                             | `mp-pool`    |
//! | `concurrent.futures`                     | [`futures`]                                        | `mp-pool`    |
//! | `ProcessPoolExecutor`                    | [`ProcessPoolExecutor`]                            | `mp-pool`    |
//! | `Future`                                 | [`futures::Future`], which can be awaited          | `mp-pool`    |
//! | `wait`, `as_completed` of futures        | [`futures::wait`], [`futures::as_completed`]       | `mp-pool`    |
//! | `AsyncResult`, `MapResult`               | [`AsyncResult`], [`MapResult`]                     | `mp-pool`    |
//! | named steps with a report of each (no counterpart in Python) | [`pipeline`]                   | `mp-pool`    |
//! | `tqdm(pool.imap(...))`                   | [`Pool::report_to`], [`progress`]                  | `mp-pool`    |
//! | `Manager()`                              | [`Manager::start`]                                 | `mp-manager` |
//! | `manager.dict()`, `list`, `set`          | [`DictProxy`], [`ListProxy`], [`SetProxy`]         | `mp-manager` |
//! | `manager.Namespace()`, `Value`, `Array`  | [`NamespaceProxy`], [`ValueProxy`], [`ArrayProxy`] | `mp-manager` |
//! | `manager.Queue()`, `JoinableQueue()`     | [`QueueProxy`]                                     | `mp-manager` |
//! | `manager.Lock()`, `RLock()`              | [`LockProxy`], [`RLockProxy`]                      | `mp-manager` |
//! | `manager.Semaphore()`, `Condition()`     | [`SemaphoreProxy`], [`ConditionProxy`]             | `mp-manager` |
//! | `manager.Event()`, `Barrier()`           | [`EventProxy`], [`BarrierProxy`]                   | `mp-manager` |
//! | `manager.Pool()`, and iterators          | [`PoolProxy`], [`IteratorProxy`]                   | `mp-manager` |
//! | `SharedMemoryManager`                    | [`Manager::shared_memory`], [`Manager::shareable_list`] | `mp-manager` |
//! | `BaseManager(address, authkey)`          | [`Manager::builder`], [`Manager::connect`]         | `mp-manager` |
//! | a `SyncManager` of a Python program      | `PythonManager`, with the feature `pickle`         | `mp-manager` |
//! | a `SyncManager` that Python programs use | `ManagerBuilder::python_address`, the same         | `mp-manager` |
//! | `get_server().serve_forever()`           | [`ManagerBuilder::serve_forever`]                  | `mp-manager` |
//! | `BaseManager.register(name, class)`      | `#[mp::shared]` on an `impl` block, [`Manager::construct`] | `mp-manager` |
//! | `multiprocessing.shared_memory`          | [`shared_memory`]                                  | `mp-shm`     |
//! | `shared_memory.SharedMemory`             | [`SharedMemory`]                                   | `mp-shm`     |
//! | `shared_memory.ShareableList`            | [`ShareableList`], of [`Item`]s                    | `mp-shm`     |
//! | a read-only array over `SharedMemory`    | [`share()`], [`share_each`], which give a [`SharedData`] | `mp-shm`     |
//! | `KeyboardInterrupt` out of `Pool.map`    | [`Pool::map_interruptible`]                        | `mp-pool`    |
//! | `freeze_support`, `reducer`, and others  | [`not_needed`] says why                            | `mp`         |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used)]
#![cfg_attr(
    not(feature = "listener"),
    allow(rustdoc::broken_intra_doc_links, reason = "the tables name what the feature adds")
)]

mod context;
mod error;
pub mod guide;
pub mod not_needed;

pub use context::{Context, get_context};
pub use error::{Error, Result};
pub use mp_core::process::{ForkProcess, Scope, TARGET, args_os};
#[cfg(feature = "self-describing")]
pub use mp_core::transfer::SelfDescribing;
pub use mp_core::transfer::{Callable, Function, Handle, ParcelError, Target, Transferable};
pub use mp_core::without_derives::Shareable;
pub use mp_core::{
    AlreadySetError, AnyChild, AuthKey, Child, CloseError, CodecError, CreateError, CurrentProcess, Ended,
    ForkIsSafe, JoinError, Level, LevelFilter, Logger, MemError, OsError, OutOfRangeError, ParentProcess,
    Process, Run, StartError, StartMethod, Waitable, active_children, cpu_count, current_process,
    force_start_method, get_all_start_methods, get_logger, get_start_method, log_to_stderr, parent_process,
    replace_forkserver, scope, set_authkey, set_forkserver_preload, set_start_method, usable_cpu_count,
};
/// `#[derive(Shareable)]`, beside the trait that it implements.
pub use mp_derive::ShareableThroughMp as Shareable;
pub use mp_manager::{
    ArrayProxy, AsyncResultProxy, BarrierProxy, ConditionProxy, ConditionProxyGuard, DictBatch, DictProxy,
    EventProxy, IteratorProxy, ListProxy, LockProxy, LockProxyGuard, Manager, ManagerError, MapResultProxy,
    NamespaceProxy, PoolProxy, QueueProxy, RLockProxy, RLockProxyGuard, Restart, SemaphorePermit,
    SemaphoreProxy, SetProxy, Shared, StartManagerError, ValueProxy,
};
#[cfg(feature = "listener")]
pub use mp_manager::{ConnectManagerError, ManagerBuilder};
#[cfg(feature = "pickle")]
pub use mp_manager::{FromPython, PythonError, PythonException, PythonManager, PythonProxy};
#[cfg(feature = "pickle")]
pub use mp_pipe::pickle;
#[cfg(feature = "listener")]
pub use mp_pipe::{
    AcceptError, Address, AuthenticationError, BindError, Client, ClientBuilder, ConnectError,
    HandshakeError, Listener, ListenerBuilder, answer_challenge, answer_challenge_timeout, deliver_challenge,
    deliver_challenge_timeout,
};
pub use mp_pipe::{
    AddError, Connection, NoRecv, NoSend, PollError, Receiver, RecvError, SendError, Sender, WaitSet, pipe,
    pipe_simplex, try_wait, wait, wait_timeout,
};
pub use mp_pool::{
    AsyncResult, Buffer, BufferMut, Generate, GenerateOptions, Generated, Imap, ImapOptions, JoinPoolError,
    MapError, MapResult, NewPoolError, Pool, PoolBuilder, ProcessPoolExecutor, ResizeError, Retry, StateCall,
    Stateful, Statistics, SubmitError, TaskError, TaskNumber, TaskOptions, TaskOutput, TaskOutputKind,
    TaskRecord, Tasks, ThreadFunction, ThreadGenerate, ThreadImap, ThreadMapResult, ThreadPool,
    ThreadPoolBuilder, ThreadPoolExecutor, ThreadResult, ThreadTarget, ThreadTasks, WorkerStatistics,
    YieldError, Yielder, buffer, with_state, worker_index,
};
pub use mp_queue::{
    Batch, BuildQueue, FixedIter, FixedQueue, GetError, Iter as QueueIter, JoinableQueue, NotPutError,
    Producer, PutError, PutManyError, Queue, QueueBuilder, SimpleQueue, Task, TasksError,
};
pub use mp_shm::{Item, ShareableList, SharedData, SharedMemory, share, share_each};
pub use mp_sync::{
    AcquireError, Array, ArrayGuard, Atomic, AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64,
    AtomicIsize, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Barrier, BarrierBuilder,
    BarrierWaitResult, BoundedSemaphore, BrokenBarrierError, Condition, ConditionGuard, DictError, Event,
    Guard, Integer, KeyOf, Lock, LockGuard, Mutex, MutexGuard, OwnedPermit, OwnedSemaphore, OwnerDiedError,
    Permit, RLock, RLockGuard, RawArray, RawValue, ReadGuard, ReleaseError, RwLock, Semaphore, SharedDict,
    Synchronized, Value, ValueGuard, WaitError, WriteGuard,
};

/// `#[mp::shared]` on an `impl` block: its values can live in a manager.
pub use mp_derive::shared_through_mp as shared;

/// The ground floor, for what has no short name here.
pub mod base {
    #[doc(hidden)]
    pub use mp_core::sys;
    pub use mp_core::{error, finalize, mem, popen, process, word};

    /// What can cross to another process inside any value, and why a function or a value did not.
    pub mod transfer {
        pub use mp_core::transfer::{
            Callable, Code, Handle, ParcelError, Target, Transferable, kind, set_longest_message,
        };
    }
}
/// Managers, with what a hand-written [`Shared`] needs. Python: `multiprocessing.managers`.
pub use mp_manager as managers;
/// Pools whose workers are on other hosts: what a backend brings, and the host's side.
pub use mp_pool::backend;
/// Executors and futures. Python: `concurrent.futures`.
pub use mp_pool::futures;
/// Pipelines of named steps, in threads or in processes, with a report of each task.
pub use mp_pool::pipeline;
/// How far the work of a pool or a pipeline is: counts, events, a bar.
pub use mp_pool::progress;
/// Named shared memory, with its errors. Python: `multiprocessing.shared_memory`.
pub use mp_shm as shared_memory;
/// The algorithms of the locks, to be parts of a structure of one's own.
pub use mp_sync::raw;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

#[cfg(doctest)]
#[doc = include_str!("../docs/ctrl-c.md")]
struct CtrlCExamples;
