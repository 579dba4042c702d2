//! Producer: one of those whose end is the end of the stream.

use crate::error::PutError;
use crate::queue::Queue;
use mp_core::transfer::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A counted producer of a queue made by [`Queue::counted`]. Its clones, and copies that travel to other
/// processes, count as well; when the last is gone, by drop, exit or kill, consumers see the end of the stream.
///
/// What counts is a descriptor, so the kernel keeps the number, also of those in flight and of killed processes.
///
/// Python has no counterpart: there a consumer needs a sentinel item from each producer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Producer<T> {
    queue: Queue<T>,
    /// Held; the last one's closing ends the pipe that consumers look at.
    held: Option<Handle>,
}

impl<T> Producer<T> {
    pub(crate) fn new(queue: Queue<T>, held: Handle) -> Producer<T> {
        Producer { queue, held: Some(held) }
    }
}

impl<T: Serialize + DeserializeOwned> Producer<T> {
    /// As [`Queue::put`].
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.queue.put(value)
    }

    /// As [`Queue::try_put`].
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.queue.try_put(value)
    }

    /// As [`Queue::put_timeout`].
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.queue.put_timeout(value, timeout)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // First closed, then told, so that whoever looks sees it. (A killed producer tells nobody: consumers look
        // by themselves within half a second.)
        self.held = None;
        self.queue.wake_everybody();
    }
}
