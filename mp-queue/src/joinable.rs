//! JoinableQueue: a queue whose items are reported done, so that a process can wait for all of them.

use crate::Queue;
use crate::channel::{Channel, Wait, waitable_by_its_channel};
use crate::error::{GetError, TasksError};
use crate::queue::{BuildQueue, QueueBuilder, sealed};
use mp_core::CreateError;
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A queue with all calls of a [`Queue`], whose items count as unfinished until they are reported done.
///
/// ```
/// use mp_core::Process;
/// use mp_queue::JoinableQueue;
///
/// fn work(queue: JoinableQueue<u32>) {
///     while let Ok(task) = queue.get_task() {
///         assert!(*task < 10); // … and when the task is dropped, it is done.
///     }
/// }
///
/// let queue = JoinableQueue::new()?;
/// let worker = Process::new(work, (queue.clone(),)).start()?;
/// queue.put_many(0..10)?;
/// queue.join()?;
/// queue.shutdown();
/// worker.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An item that cannot be decoded counts as done when its [`GetError::Decode`] is returned, by every form of
/// get.
///
/// Python: `multiprocessing.JoinableQueue`.
///
/// # When a process dies
/// Items that it had got and not done stay undone. [`join`](JoinableQueue::join) returns their number within
/// a second, where Python's waits for ever. This holds for 127 processes at a time; items that further
/// processes got are waited for as in Python. (A process without a slot among the 127 tries for one again
/// with every thousandth task.) If a process was killed while it got an item with handles, the item counts as
/// not got until the next get.
pub struct JoinableQueue<T> {
    pub(crate) queue: Queue<T>,
    /// Lost items that a join of this handle has returned.
    told: Arc<AtomicU32>,
}

impl<T> JoinableQueue<T> {
    /// Makes an unbounded queue. Python: `JoinableQueue()`.
    pub fn new() -> Result<JoinableQueue<T>, CreateError> {
        QueueBuilder::new().build()
    }

    /// Makes a queue of at most `items` items. Python: `JoinableQueue(maxsize)`.
    pub fn bounded(items: u32) -> Result<JoinableQueue<T>, CreateError> {
        QueueBuilder::new().max_items(items).build()
    }

    fn over(channel: Channel) -> JoinableQueue<T> {
        JoinableQueue { queue: Queue::over(channel.with_tasks()), told: Arc::default() }
    }

    /// Reports one item as done: one that this process got, or, if it has none, one of another process.
    ///
    /// Python: `JoinableQueue.task_done`.
    ///
    /// # Errors
    /// [`TasksError::TooManyDone`] if every item that was got is done already.
    pub fn task_done(&self) -> Result<(), TasksError> {
        if self.queue.channel.task_done() { Ok(()) } else { Err(TasksError::TooManyDone) }
    }

    /// Waits until every item that was put is done.
    ///
    /// Python: `JoinableQueue.join`.
    ///
    /// # Errors
    /// [`TasksError::Lost`] if all are done except for items of processes that died. A process that joins for the first
    /// time is told of all since the queue was made.
    pub fn join(&self) -> Result<(), TasksError> {
        self.join_until(Wait::Until(None))
    }

    /// Whether every item that was put is done: `Err` with [`TasksError::WouldBlock`] if not, else as
    /// [`join`](JoinableQueue::join).
    pub fn try_join(&self) -> Result<(), TasksError> {
        self.join_until(Wait::Not)
    }

    /// Waits at most `timeout` until every item that was put is done, then [`TasksError::Timeout`]: see
    /// [`join`](JoinableQueue::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), TasksError> {
        self.join_until(Wait::within(timeout))
    }

    fn join_until(&self, wait: Wait) -> Result<(), TasksError> {
        let until = match wait {
            Wait::Not => Deadline::after(Duration::ZERO),
            Wait::Until(until) => until,
        };
        let late = wait.error(TasksError::WouldBlock, TasksError::Timeout);
        let lost = self.queue.channel.join(until).ok_or(late)?;
        // ORDERING: Relaxed: only a count.
        match lost.wrapping_sub(self.told.swap(lost, Ordering::Relaxed)) {
            0 => Ok(()),
            items => Err(TasksError::Lost { items }),
        }
    }
}

impl<T: DeserializeOwned> JoinableQueue<T> {
    /// Gets the first item as a [`Task`], which is reported done when it is dropped. Waits for an item.
    pub fn get_task(&self) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.get())
    }

    /// Gets the first item as a [`Task`], if there is one now; [`GetError::Empty`] if not.
    pub fn try_get_task(&self) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.try_get())
    }

    /// Gets the first item as a [`Task`]; waits for it at most `timeout`, then [`GetError::Timeout`].
    pub fn get_task_timeout(&self, timeout: Duration) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.get_within(Wait::within(timeout)))
    }

    fn task(&self, got: Result<T, GetError>) -> Result<Task<'_, T>, GetError> {
        Ok(Task { item: got?, queue: self })
    }
}

/// An item of a [`JoinableQueue`] in work: reported done when it is dropped, also by a panic.
#[must_use = "dropped at once, the task is done at once"]
pub struct Task<'a, T> {
    item: T,
    queue: &'a JoinableQueue<T>,
}

impl<T> Deref for Task<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Task<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl<T> Drop for Task<'_, T> {
    fn drop(&mut self) {
        // An error means that the item was reported already, by `task_done`.
        let _ = self.queue.task_done();
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.item).finish()
    }
}

impl<T> sealed::Sealed for JoinableQueue<T> {}

impl<T> BuildQueue for JoinableQueue<T> {
    fn build(builder: QueueBuilder) -> Result<JoinableQueue<T>, CreateError> {
        Channel::create::<JoinableQueue<T>>(builder.limits, None).map(JoinableQueue::over)
    }
}

impl<T> Clone for JoinableQueue<T> {
    fn clone(&self) -> Self {
        JoinableQueue { queue: self.queue.clone(), told: Arc::clone(&self.told) }
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Joinable{:?}", self.queue)
    }
}

/// Within a transfer only.
impl<T> Serialize for JoinableQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.queue.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Channel::read::<JoinableQueue<T>, D>(deserializer).map(JoinableQueue::over)
    }
}

// A queue is ready when a get would not wait.
waitable_by_its_channel!(JoinableQueue, queue);
