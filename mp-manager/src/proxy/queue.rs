//! QueueProxy: a queue in the server.

use super::{proxy, show};
use crate::error::ManagerError;
use crate::packed::pack_for;
use crate::protocol::{Call, QueueCall, Wait};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

proxy! {
    /// A queue in the manager's process, with a count of the tasks that are not done.
    ///
    /// `mp_queue::Queue` does the same in shared memory, without a server, and much faster; this one can be a value of
    /// other objects of the manager.
    ///
    /// A getter that dies while it waits gets nothing. One that is killed after the manager has sent it an item takes
    /// the item along.
    ///
    /// Python: what `SyncManager.Queue` and `SyncManager.JoinableQueue` return.
    QueueProxy<T>, Queue
}

impl<T> QueueProxy<T> {
    /// How many items there are. Python: `q.qsize()`.
    pub fn qsize(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Queue(QueueCall::Len))
    }

    /// Whether there is no item. Python: `q.empty()`.
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.qsize()? == 0)
    }

    /// Whether there are as many items as there may be. Python: `q.full()`.
    #[doc(alias = "full")]
    pub fn is_full(&self) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Queue(QueueCall::Full))
    }

    /// Says that the task of an item is done: of one that this process has got, or, if it has none, of another one's.
    /// Python: `q.task_done()`.
    ///
    /// # Errors
    /// [`ManagerError::OverReleased`]: more tasks are done than items were put.
    pub fn task_done(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Queue(QueueCall::TaskDone))
    }

    /// Waits until the tasks of all items are done. Python: `q.join()`.
    ///
    /// # Errors
    /// [`ManagerError::TasksLost`]: all are done but those of items that a process had got before it ended. A process
    /// that hands an item on to another one and ends takes the task along: let the other one get it. Each process is
    /// told of each loss once; a process that joins for the first time, of all since the queue was made, also of those
    /// that others were told of. It may be the only one that joins, and a loss that no process is told of would be
    /// taken for a task that is done.
    pub fn join(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Queue(QueueCall::Join))
    }

    /// As [`join`](QueueProxy::join), but waits at most so long, then [`ManagerError::Timeout`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), ManagerError> {
        self.reference.done_waiting(Wait::AtMost(timeout), Call::Queue(QueueCall::Join))
    }

    /// [`ManagerError::WouldBlock`] if some tasks are not done; else as [`join`](QueueProxy::join).
    pub fn try_join(&self) -> Result<(), ManagerError> {
        self.reference.done_waiting(Wait::Never, Call::Queue(QueueCall::Join))
    }
}

impl<T: Serialize + DeserializeOwned> QueueProxy<T> {
    /// Puts an item; waits while the queue is full. Python: `q.put(item)`.
    pub fn put(&self, item: T) -> Result<(), ManagerError> {
        self.put_within(Wait::Forever, item)
    }

    /// Puts an item if there is room now, else [`ManagerError::WouldBlock`]. Python: `q.put_nowait(item)`.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, item: T) -> Result<(), ManagerError> {
        self.put_within(Wait::Never, item)
    }

    /// Puts an item; waits for room at most so long, then [`ManagerError::Timeout`].
    /// Python: `q.put(item, timeout=...)`.
    ///
    /// # Errors
    /// [`ManagerError::Unanswered`]: the manager's process did not answer, and the item may be in the queue or not.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), ManagerError> {
        self.put_within(Wait::AtMost(timeout), item)
    }

    fn put_within(&self, wait: Wait, item: T) -> Result<(), ManagerError> {
        let packed = pack_for(self.reference.manager(), &item)?;
        self.reference.done_waiting(wait, Call::Queue(QueueCall::Put(packed)))
    }

    /// Takes the next item; waits for it. Python: `q.get()`.
    pub fn get(&self) -> Result<T, ManagerError> {
        self.get_within(Wait::Forever)
    }

    /// Takes the next item if there is one, else [`ManagerError::WouldBlock`]. Python: `q.get_nowait()`.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, ManagerError> {
        self.get_within(Wait::Never)
    }

    /// Takes the next item; waits for it at most so long, then [`ManagerError::Timeout`]. Python: `q.get(timeout=...)`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, ManagerError> {
        self.get_within(Wait::AtMost(timeout))
    }

    fn get_within(&self, wait: Wait) -> Result<T, ManagerError> {
        self.reference.unpack_one(self.reference.call_waiting(wait, Call::Queue(QueueCall::Get))?)
    }
}

/// Shows how many items there are: it asks the manager.
impl<T> fmt::Debug for QueueProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "QueueProxy", self.qsize())
    }
}
