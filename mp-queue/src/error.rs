//! The errors of queues.

use mp_core::{CodecError, MemError, OsError};
use std::fmt;

/// The error of a put: the value that was not put, and the reason. No part of the value is in the queue.
///
/// Python: `queue.Full`, `ValueError: Queue is closed`, and the errors of pickling.
pub struct PutError<T> {
    /// The value, returned to the caller.
    pub value: T,
    /// The reason.
    pub reason: PutErrorKind,
}

/// The reason why a value was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutErrorKind {
    /// The queue holds as many items or bytes as it may; with a timeout, it did so until the timeout passed.
    #[error("the queue is full: get items first, or put with a timeout")]
    Full,
    /// The queue holds as many items with handles (locks, queues, connections) as the kernel buffers on one
    /// socket: some 550 with the usual limit of 208 KiB, also in an unbounded queue. Items without handles
    /// can still be put. With a timeout, there was no room until the timeout passed.
    #[error(
        "the queue holds as many items with handles as the kernel buffers: get some first, or raise the sysctl \
         net.core.wmem_max before the queue is made"
    )]
    HandlesFull,
    /// This handle was closed, or the queue was shut down.
    #[error("the queue is closed: put before close and shutdown, or use another handle")]
    Closed,
    /// The value could not be serialised.
    #[error(transparent)]
    Serialize(#[from] CodecError),
    /// The serialised value does not fit into this queue even when it is empty.
    #[error(
        "the value has {bytes} bytes, more than this queue can hold: split it, or share it through shared \
         memory"
    )]
    TooLarge {
        /// The value's length when serialised.
        bytes: usize,
    },
    /// The queue must grow for this value, and there is no memory.
    #[error(
        "the queue cannot grow, since no memory or address space is left: get items, or raise RLIMIT_AS (`ulimit -v`)"
    )]
    NoMemory,
    /// The value holds more handles than one item can carry.
    #[error(
        "the value has {count} handles, and one item carries at most {most}: put it in parts",
        most = crate::MOST_HANDLES
    )]
    TooManyHandles {
        /// Handles in the value.
        count: usize,
    },
    /// The shared memory was overwritten by a process.
    #[error("the queue's shared memory was overwritten: make a new queue")]
    Corrupt,
    /// The system refused: too many descriptors in flight, for example.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for PutError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

impl PutErrorKind {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self)
    }
}

/// The error of a get.
///
/// Python: `queue.Empty`, `ValueError: Queue is closed`, and the errors of unpickling.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The queue is empty; with a timeout, it was so until the timeout passed.
    #[error("the queue is empty: try again later, or wait with get")]
    Empty,
    /// No item is left and none will follow: this handle was closed, the queue was shut down and drained, or
    /// all its counted producers have ended.
    #[error("the queue is closed, and no item is left: stop read_cursor")]
    Closed,
    /// An item was taken that is not a value of this type. The next item can be got.
    #[error(transparent)]
    Decode(#[from] CodecError),
    /// The item's handles could not all be opened in this process. The item is still in the queue, for the
    /// next get.
    #[error(
        "this process has no descriptors left for the item's handles, and the item is still in the queue: close some, \
         or raise RLIMIT_NOFILE (`ulimit -n`)"
    )]
    Handles,
    /// The shared memory was overwritten by a process.
    #[error("the queue's shared memory was overwritten: make a new queue")]
    Corrupt,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The error of making a queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewQueueError {
    /// A bounded queue of zero items, into which nothing could be put.
    #[error("a queue of zero items can hold nothing: give a bound of at least one")]
    NoItems,
    /// Shared memory could not be made.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// `task_done` was called more often than items were got.
///
/// Python: `ValueError: task_done() called too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("task_done was called more often than items were got: call it once for each item")]
pub struct TaskDoneError;

/// The error of waiting until all items are done.
///
/// Python has no counterpart: its `join` waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TasksError {
    /// The timeout passed before all items were done.
    #[error("items are not done yet: wait again, or wait longer")]
    TimedOut,
    /// All other items are done. These were got by processes that died before they were done, so they stay
    /// undone.
    #[error("{items} items were got by processes that died before they were done: put them again")]
    Lost {
        /// The number of such items since the last call on this handle that returned it.
        items: u32,
    },
}
