//! The errors of queues.

use mp_core::{CodecError, OsError};
use std::fmt;

/// The error of a put: the value that was not put, and the reason. No part of the value is in the queue.
///
/// Of many values: those that were not put. The ones before them were.
///
/// Python: `queue.Full`, `ValueError: Queue is closed`, and the errors of pickling.
pub struct NotPutError<T> {
    pub(crate) value: T,
    /// Why it was not put.
    pub reason: PutError,
}

impl<T> NotPutError<T> {
    /// The value, given back.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }
}

/// Why not all of the items of a slice were put.
#[derive(Debug, thiserror::Error)]
#[error("{put} items were put, the others were not: {reason}")]
#[non_exhaustive]
pub struct PutManyError {
    /// How many were put: the first ones of the slice.
    pub put: usize,
    /// Why the others were not.
    #[source]
    pub reason: PutError,
}

/// The reason why a value was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// The queue holds as many items, or bytes, as it may; `try_` calls only.
    #[error("the queue is full")]
    Full,
    /// There was no room in time; `_timeout` calls only.
    #[error("the queue was full all the time: get items from it, or wait longer")]
    Timeout,
    /// As many items with handles (locks, queues, connections) are in the queue as the kernel keeps for one socket,
    /// which is some 550 with the usual limit of 208 KiB: an unbounded queue does not grow beyond that. Items without
    /// handles have room. In a `_timeout` call: all the time.
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

impl<T> fmt::Debug for NotPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotPutError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for NotPutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T> std::error::Error for NotPutError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.source()
    }
}

impl PutError {
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
    /// There is no item now; `try_` calls only.
    #[error("the queue is empty")]
    Empty,
    /// No item came in time; `_timeout` calls only.
    #[error("the queue was empty all the time: put items into it, or wait longer")]
    Timeout,
    /// There is no item, and none will come: this handle was closed, the queue was shut down and drained, or all
    /// its counted producers are gone.
    #[error("the queue is closed")]
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

/// The error of counting the tasks of a queue: of `task_done`, and of waiting until all items are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TasksError {
    /// `task_done` was called more often than items were got. Python: `ValueError: task_done() called too many times`.
    #[error("task_done was called more often than items were got: call it once for each item")]
    TooManyDone,
    /// Items are not done yet; `try_join` only.
    #[error("items are not done yet: try again, or wait")]
    WouldBlock,
    /// Not all items were done in time; `join_timeout` only.
    #[error("not all items were done in time: wait again")]
    Timeout,
    /// All others are done; these were got by processes that have died since, and will not be done.
    #[error("{items} items were got by processes that died before they were done: put them again")]
    Lost {
        /// The number of such items since the last call on this handle, or a clone of it, that returned it. If there
        /// was none, since the queue was made: also of those that other processes were told of, since this one may be
        /// the only one that joins.
        items: u32,
    },
}
