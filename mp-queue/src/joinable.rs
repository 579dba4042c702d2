//! JoinableQueue: items are reported done, and that can be waited for.

use crate::Queue;
use crate::channel::{Channel, Wait, waitable_by_its_channel};
use crate::error::{GetError, NewQueueError, TaskDoneError, TasksError};
use crate::queue::QueueBuilder;
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A [`Queue`] with all its calls, whose items count as unfinished until somebody says that they are done.
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
/// An item that cannot be decoded counts as done with the [`GetError::Decode`] that tells of it, in whatever form it was
/// got: there is nothing to work on.
///
/// Python: `multiprocessing.JoinableQueue`.
///
/// # When a process dies
/// What it had got and not done is done by nobody: [`join`](JoinableQueue::join) says how many such items there were,
/// within a second, where Python's waits for ever. This is known of 127 processes at a time; what further ones get is
/// waited for as in Python. (One that found no place among them looks for one again with every thousandth task.) An item
/// with handles whose getter was killed with these in hand, and nothing else, counts as one that nobody has got, until
/// the next get.
pub struct JoinableQueue<T> {
    queue: Queue<T>,
    /// Lost items that were told of.
    told: Arc<AtomicU32>,
}

impl<T> JoinableQueue<T> {
    /// An unbounded queue. Python: `JoinableQueue()`.
    pub fn new() -> Result<JoinableQueue<T>, NewQueueError> {
        Queue::<T>::builder().build_joinable()
    }

    /// A queue of at most `items` items. Python: `JoinableQueue(maxsize)`.
    pub fn bounded(items: u32) -> Result<JoinableQueue<T>, NewQueueError> {
        Queue::<T>::builder().max_items(items).build_joinable()
    }

    fn over(channel: Channel) -> JoinableQueue<T> {
        JoinableQueue { queue: Queue::over(channel.with_tasks()), told: Arc::default() }
    }

    /// One item that was got is done: of those that this process got, or, if it has none to do, of another's.
    ///
    /// Python: `JoinableQueue.task_done`.
    ///
    /// # Errors
    /// Each item that was got is done already.
    pub fn task_done(&self) -> Result<(), TaskDoneError> {
        if self.queue.channel.task_done() { Ok(()) } else { Err(TaskDoneError) }
    }

    /// Waits until every item that was put is done.
    ///
    /// Python: `JoinableQueue.join`.
    ///
    /// # Errors
    /// [`TasksError::Lost`]: all are done, except for some that went with processes that died.
    pub fn join(&self) -> Result<(), TasksError> {
        self.join_until(None)
    }

    /// As [`join`](JoinableQueue::join); waits at most `timeout`, then [`TasksError::TimedOut`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), TasksError> {
        self.join_until(Deadline::after(timeout))
    }

    fn join_until(&self, until: Option<Deadline>) -> Result<(), TasksError> {
        let lost = self.queue.channel.join(until).ok_or(TasksError::TimedOut)?;
        // ORDERING: Relaxed: a count that says what was told, and no more.
        match lost.wrapping_sub(self.told.swap(lost, Ordering::Relaxed)) {
            0 => Ok(()),
            items => Err(TasksError::Lost { items }),
        }
    }
}

impl<T: DeserializeOwned> JoinableQueue<T> {
    /// Gets the first item, as [`get`](Queue::get) does, with its report: when the task is dropped, it is done.
    pub fn get_task(&self) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.get())
    }

    /// As [`get_task`](JoinableQueue::get_task), if there is an item now.
    pub fn try_get_task(&self) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.try_get())
    }

    /// As [`get_task`](JoinableQueue::get_task); waits at most `timeout`.
    pub fn get_task_timeout(&self, timeout: Duration) -> Result<Task<'_, T>, GetError> {
        self.task(self.queue.get_within(Wait::within(timeout)))
    }

    fn task(&self, got: Result<T, GetError>) -> Result<Task<'_, T>, GetError> {
        Ok(Task { item: got?, queue: self })
    }
}

/// An item of a [`JoinableQueue`] that somebody works on: done when dropped, by a panic too.
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
        // Somebody said so already, by `task_done`.
        let _ = self.queue.task_done();
    }
}

impl<T: fmt::Debug> fmt::Debug for Task<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Task").field(&self.item).finish()
    }
}

impl QueueBuilder {
    /// Makes a [`JoinableQueue`].
    pub fn build_joinable<T>(self) -> Result<JoinableQueue<T>, NewQueueError> {
        Channel::create::<JoinableQueue<T>>(self.limits, None).map(JoinableQueue::over)
    }
}

/// All calls of a queue: what any of them gets is to be reported done.
impl<T> Deref for JoinableQueue<T> {
    type Target = Queue<T>;
    fn deref(&self) -> &Queue<T> {
        &self.queue
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

// Ready when a get would not wait.
waitable_by_its_channel!(JoinableQueue, queue);
