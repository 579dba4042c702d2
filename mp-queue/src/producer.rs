//! Producer: a counted producer, whose end is the end of the stream.

use crate::error::NotPutError;
use crate::queue::Queue;
use mp_core::transfer::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A counted producer of a queue made by [`Queue::counted`]. Its clones count as well, and so do copies that
/// were sent to other processes. When the last one is gone, by drop, exit or kill, consumers see the end of
/// the stream.
///
/// A producer is counted by a descriptor. So the kernel keeps the number, also of producers in flight and of
/// killed processes.
///
/// Python has no counterpart: there a consumer needs a sentinel item from each producer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Producer<T> {
    queue: Queue<T>,
    /// The write end of a pipe. When the last copy closes, consumers read the end of the pipe.
    held: Option<Handle>,
}

impl<T> Producer<T> {
    pub(crate) fn new(queue: Queue<T>, held: Handle) -> Producer<T> {
        Producer { queue, held: Some(held) }
    }
}

impl<T: Serialize + DeserializeOwned> Producer<T> {
    /// Puts a value; waits for room: see [`Queue::put`].
    pub fn put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.queue.put(value)
    }

    /// Puts a value if there is room now: see [`Queue::try_put`].
    pub fn try_put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.queue.try_put(value)
    }

    /// Puts a value; waits at most `timeout` for room: see [`Queue::put_timeout`].
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), NotPutError<T>> {
        self.queue.put_timeout(value, timeout)
    }

    /// Puts many values, in order: [`Queue::put_many`].
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.put_many(values)
    }

    /// Puts many values as far as there is room now: [`Queue::try_put_many`].
    pub fn try_put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.try_put_many(values)
    }

    /// Puts many values; waits at most this long for all of them together: [`Queue::put_many_timeout`].
    pub fn put_many_timeout(
        &self,
        values: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.put_many_timeout(values, timeout)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // Closed before the wake, so that a consumer that wakes sees the end. (A killed producer wakes no
        // consumer: consumers wake by themselves within half a second.)
        self.held = None;
        self.queue.wake_all();
    }
}
