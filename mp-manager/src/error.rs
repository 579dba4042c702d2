//! The errors of managed objects.

use crate::protocol::Failure;
use crate::server::begin::NotBegun;
use mp_core::process::At;
use mp_core::{CodecError, MemError, OsError, StartError};
use mp_shm::SharedMemoryError;

/// What to do where the two sides do not understand each other.
pub(crate) const ONE_VERSION: &str = "run one version of mp-manager in both processes";

/// The error of a call on a managed object.
///
/// Python: `RemoteError`, the exceptions that the server passes on, and `EOFError` when it is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The manager's process has ended, and its objects with it.
    #[error("the manager process has ended, and its objects with it: start a new manager")]
    Gone,
    /// The worker of a manager's pool ended within the task: it was killed, or crashed. Another one is in its place.
    #[error(
        "the task has cost its worker: {0}; another worker is there, so submit it again if it may run twice"
    )]
    WorkerDied(String),
    /// The manager's pool was closed or terminated, or its workers cannot live.
    #[error("the manager's pool does no more tasks: {0}; make another pool")]
    PoolEnded(String),
    /// The manager's pool was not closed, so it does not end. Python: `ValueError`.
    #[error("the manager's pool still takes tasks: close or terminate it first")]
    PoolRuns,
    /// There is no such position in the list. Python: `IndexError`.
    #[error("index {index} is out of range for a list of {len}: use an index below its length")]
    IndexOutOfRange {
        /// The position asked for.
        index: usize,
        /// The list's length at that moment.
        len: usize,
    },
    /// The namespace has no such attribute. Python: `AttributeError`.
    #[error("the namespace has no attribute `{name}`: set it first")]
    NoSuchAttribute {
        /// The attribute asked for.
        name: String,
    },
    /// The lock's holder ended without releasing it. Returned once; the lock is free now.
    #[error(
        "the holder of the lock died, and what it guards may be half changed: check it, then acquire again"
    )]
    OwnerDied,
    /// It cannot be done now; `try_` calls only. Python: `False`, `queue.Empty`, `queue.Full`.
    #[error("it cannot be done now: try again later, or wait")]
    WouldBlock,
    /// It could not be done in time; `_timeout` calls only. Python: `False`, `queue.Empty`, `queue.Full`.
    #[error("it could not be done in time: try again")]
    Timeout,
    /// The manager's process has not answered within the call's timeout: it is stopped, or has too much to do. Whether
    /// the call was done is not known: an item that was put may be in the queue, a barrier may have been passed. The
    /// lock of a condition is not held any more. Where nothing was done, and nothing will be, it is
    /// [`Timeout`](ManagerError::Timeout).
    #[error(
        "the manager process did not answer in time, and the call may be done or not: it is stopped or overloaded, so \
         let it run, or allow more time, and look at the object before the call is made again"
    )]
    Unanswered,
    /// The caller would wait for ever: it holds what it asks for, a lock or a value that its own `update` is changing,
    /// or what the thread that has that waits for. Calls that do not wait, or for a time only, end by themselves: they
    /// are [`WouldBlock`](ManagerError::WouldBlock) or [`Timeout`](ManagerError::Timeout), also for a lock that the
    /// calling thread has itself.
    ///
    /// Not told is a circle through what any thread may bring about, since the manager cannot know which one will: a
    /// thread that sleeps in a condition, or waits for an event, an item, a permit or a barrier, and holds a lock that
    /// the one on which it waits needs first. (A notifier that has the condition's lock already is told.) Hold nothing
    /// else in such a wait, or give it a timeout.
    #[error(
        "this thread holds what it would wait for, or what the thread that has that waits for: release it first"
    )]
    WouldDeadlock,
    /// The caller does not hold the lock. Python: `RuntimeError`.
    #[error("the lock is not held by this thread: acquire it first")]
    NotOwner,
    /// More was released, or reported as done, than was taken. Python: `ValueError`.
    #[error("more was released than was acquired: release once for each acquire")]
    OverReleased,
    /// All other tasks of the queue are done; these items were got by processes that have ended since, and will not be
    /// done. Each process is told of them once, by its next `join`. Its first one tells of all since the queue was
    /// made, since no other process may have joined before. Python's `join` waits for ever.
    #[error("{items} items were got by processes that ended before they were done: put them again")]
    TasksLost {
        /// How many, since this process was told last, or since the queue was made.
        items: u64,
    },
    /// The sum does not fit into the number's type. The number is as it was.
    #[error("the sum does not fit into the number's type: use a larger type")]
    Overflow,
    /// The barrier is broken: a waiter died or was too late, or it was aborted. Python: `BrokenBarrierError`.
    #[error("the barrier is broken: reset it")]
    BrokenBarrier,
    /// The function that was to change a value panicked in the server. The value is as it was, if it was packed; an
    /// object of a user's type is as the method left it.
    #[error("the function panicked in the manager{}: {message}", At(location))]
    Panicked {
        /// The message of the panic.
        message: String,
        /// `file:line:column`.
        location: String,
    },
    /// The process of the supervised object ended within this call, or before it.
    #[error("the process of the object {how}{}", if *restarted {
        ": it was started again with its first state, so check what the call had done"
    } else {
        ", and it is not started again: make a new object"
    })]
    ObjectDied {
        /// How it ended.
        how: String,
        /// Whether the object is there again, as its constructor made it.
        restarted: bool,
    },
    /// The object is not of that kind, or there is no such object: the proxy is not this manager's.
    #[error(
        "the manager has no object of this kind under this proxy: use proxies with the manager that made \
         them, and look a name up as what was published under it"
    )]
    NoSuchObject,
    /// No object is published under that name.
    #[error("the manager has published no such object under the name `{name}`: publish it first")]
    NoSuchName {
        /// The name asked for.
        name: String,
    },
    /// This process has connected by an address, and objects of a user's type are made by a function of the program. A
    /// pool does nothing but call such functions.
    #[error(
        "a client that has connected by an address cannot have a function called in the manager: make the object or \
         the pool in the process that has started the manager"
    )]
    NoRelative,
    /// This process has connected by an address, and the manager would have held more for such clients together than
    /// its `ManagerBuilder::memory_limit`: values, keys, objects and named memory. Nothing was done.
    #[error(
        "{asked} bytes would have been held, and the manager may hold {left} more for clients that have connected by \
         an address: remove values, release blocks, or raise the manager's `memory_limit`"
    )]
    MemoryLimit {
        /// Bytes asked for.
        asked: u64,
        /// Bytes that may still be made.
        left: u64,
    },
    /// The manager's process has no descriptors left for the handles in this call, or for the connection of this
    /// process. Nothing was done, and calls without handles go on.
    #[error(
        "the manager process has no descriptors left: take out or drop what has handles, or start it with a higher \
         RLIMIT_NOFILE (`ulimit -n`)"
    )]
    NoDescriptors,
    /// A value or a function could not be encoded or decoded, here or there.
    #[error("{0}")]
    Codec(String),
    /// Named memory of the manager cannot be made, or cannot be opened here.
    #[error(transparent)]
    SharedMemory(#[from] SharedMemoryError),
    /// The system refused, here or in the manager's process: too many open files or processes, for example.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl From<CodecError> for ManagerError {
    fn from(error: CodecError) -> Self {
        ManagerError::Codec(error.to_string())
    }
}

impl From<Failure> for ManagerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSuchObject | Failure::WrongKind => ManagerError::NoSuchObject,
            Failure::NoSuchName { name } => ManagerError::NoSuchName { name },
            Failure::IndexOutOfRange { index, len } => {
                ManagerError::IndexOutOfRange { index: index as usize, len: len as usize }
            }
            Failure::OwnerDied => ManagerError::OwnerDied,
            Failure::NoRelative => ManagerError::NoRelative,
            Failure::WouldBlock => ManagerError::WouldBlock,
            Failure::Timeout => ManagerError::Timeout,
            Failure::WouldDeadlock => ManagerError::WouldDeadlock,
            Failure::NotOwner => ManagerError::NotOwner,
            Failure::OverReleased => ManagerError::OverReleased,
            Failure::TasksLost(items) => ManagerError::TasksLost { items },
            Failure::Overflow => ManagerError::Overflow,
            Failure::Broken => ManagerError::BrokenBarrier,
            Failure::WorkerDied(how) => ManagerError::WorkerDied(how),
            Failure::PoolEnded(why) => ManagerError::PoolEnded(why),
            Failure::PoolRuns => ManagerError::PoolRuns,
            Failure::NotChanging => ManagerError::Codec(format!(
                "the change was not begun, so the request is damaged: {ONE_VERSION}"
            )),
            Failure::Panicked { message, location } => ManagerError::Panicked { message, location },
            Failure::Died { how, restarted } => ManagerError::ObjectDied { how, restarted },
            Failure::NoMemory { asked, available } => {
                ManagerError::SharedMemory(MemError::NoMemory { asked, available }.into())
            }
            Failure::NoDescriptors => ManagerError::NoDescriptors,
            Failure::MemoryLimit { asked, left } => ManagerError::MemoryLimit { asked, left },
            Failure::Os { call, errno } => ManagerError::Os(os_error(&call, errno)),
            Failure::Codec(reason) => ManagerError::Codec(reason),
        }
    }
}

/// An error of the server's, of a call that is known here by a name that lives as long as the program.
fn os_error(call: &str, errno: i32) -> OsError {
    const CALLS: [&str; 12] = [
        "fallocate",
        "ftruncate",
        "pthread_create",
        "fork",
        "posix_spawn",
        "recvmsg",
        "memfd_create",
        "mmap",
        "linkat",
        "shm_open",
        "open(O_TMPFILE)",
        "open(/proc)",
    ];
    let known = CALLS.into_iter().find(|known| *known == call);
    OsError::new(known.unwrap_or("a system call of the manager"), errno)
}

/// The error of connecting to a manager.
#[cfg(feature = "listener")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectManagerError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] mp_pipe::ConnectError),
    /// What listens there does not answer as a manager of this version.
    #[error("what listens there is no manager of this version: {0}; check the address, and {remedy}", remedy = ONE_VERSION)]
    NotAManager(String),
}

/// The error of starting a manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartManagerError {
    /// Its process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Its process ended before it could serve.
    #[error("the manager process could not begin to serve: {0}")]
    NotServing(String),
    /// The initializer returned an error or panicked in the manager's process, or cannot be called there.
    #[error("the manager was not started, since its initializer failed: {0}")]
    Initializer(String),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl From<NotBegun> for StartManagerError {
    fn from(reason: NotBegun) -> StartManagerError {
        match reason {
            NotBegun::Initializer(reason) => StartManagerError::Initializer(reason),
            NotBegun::Other(reason) => StartManagerError::NotServing(reason),
        }
    }
}
