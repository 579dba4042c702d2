//! What can go wrong when putting and getting.

use mp_core::{CodecError, MemError, OsError};
use std::fmt;

/// A value that was not put, and why. Nothing of it is in the queue.
///
/// Python: `queue.Full`, `ValueError: Queue is closed`, and the errors of pickling.
pub struct PutError<T> {
    /// The value, given back.
    pub value: T,
    /// Why it was refused.
    pub reason: PutRefusal,
}

/// Why a value was not put.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutRefusal {
    /// The queue holds as many items, or bytes, as it may. With a timeout: until it passed.
    #[error("the queue is full")]
    Full,
    /// As many items with handles (locks, queues, connections) are in the queue as the kernel keeps for one socket, which
    /// is some 550 with the usual limit of 208 KiB: an unbounded queue does not grow beyond that. Items without handles
    /// have room. With a timeout: until it passed.
    #[error(
        "the queue holds as many items with handles as the kernel keeps: get some first, or raise the sysctl \
         net.core.wmem_max before the queue is made"
    )]
    HandlesFull,
    /// This handle was closed, or the queue was shut down.
    #[error("the queue is closed")]
    Closed,
    /// The value could not be serialised.
    #[error(transparent)]
    Serialize(#[from] CodecError),
    /// The value's bytes fit no queue of this size, however empty.
    #[error("{bytes} bytes are more than this queue can hold")]
    TooLarge {
        /// The value's length when serialised.
        bytes: usize,
    },
    /// The queue would have to grow, and there is no memory.
    #[error(
        "no memory for a larger queue, or no address space for it in this process (RLIMIT_AS, `ulimit -v`)"
    )]
    NoMemory,
    /// The value holds more handles than one item can carry.
    #[error("{count} handles in one item: at most {most}", most = crate::MOST_HANDLES)]
    TooManyHandles {
        /// Handles in the value.
        count: usize,
    },
    /// The shared memory was overwritten by somebody.
    #[error("the queue's shared memory is corrupt")]
    Corrupt,
    /// The system refused: too many descriptors in flight, for one.
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

impl PutRefusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self)
    }
}

/// Why no value was got.
///
/// Python: `queue.Empty`, `ValueError: Queue is closed`, and the errors of unpickling.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// There is no item now; with a timeout: until it passed.
    #[error("the queue is empty")]
    Empty,
    /// There is no item, and none will come: this handle was closed, the queue was shut down and drained, or all
    /// its counted producers are gone.
    #[error("the queue is closed")]
    Closed,
    /// An item was taken, and is no value of this type. The next one can be got.
    #[error(transparent)]
    Decode(#[from] CodecError),
    /// The item's handles could not all be opened here. The item is still in the queue, for whoever gets next.
    #[error(
        "the item's handles could not be received: this process has no descriptors left. Close some, or raise the \
         limit (RLIMIT_NOFILE, `ulimit -n`); the item is still in the queue"
    )]
    Handles,
    /// The shared memory was overwritten by somebody.
    #[error("the queue's shared memory is corrupt")]
    Corrupt,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Why a queue was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewQueueError {
    /// A queue for no items can never be put into.
    #[error("a bounded queue holds at least one item")]
    NoItems,
    /// No shared memory.
    #[error(transparent)]
    Memory(#[from] MemError),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// More items were reported done than were got.
///
/// Python: `ValueError: task_done() called too many times`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("task_done was called too many times")]
pub struct TaskDoneError;

/// Not every item was done.
///
/// Python has no counterpart: its `join` waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TasksError {
    /// Items are not done yet, and the time is over.
    #[error("items are not done yet")]
    TimedOut,
    /// All others are done; these were got by processes that have died since, and are done by nobody.
    #[error("{items} items were got by processes that died before they were done")]
    Lost {
        /// How many, since this handle last heard of it.
        items: u32,
    },
}
