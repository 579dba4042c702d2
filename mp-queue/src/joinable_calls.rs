//! The calls of a [`Queue`](crate::Queue) on a [`JoinableQueue`].

use crate::batch::Batch;
use crate::error::{GetError, NotPutError, PutError};
use crate::get::Iter;
use crate::joinable::JoinableQueue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Putting.
impl<T: Serialize + DeserializeOwned> JoinableQueue<T> {
    /// Puts a value; waits for room: [`Queue::put`](crate::Queue::put). Python: `JoinableQueue.put`.
    pub fn put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.queue.put(value)
    }

    /// Puts a value if there is room now: [`Queue::try_put`](crate::Queue::try_put). Python: `put_nowait`.
    pub fn try_put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.queue.try_put(value)
    }

    /// Puts a value; waits at most `timeout`: [`Queue::put_timeout`](crate::Queue::put_timeout).
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), NotPutError<T>> {
        self.queue.put_timeout(value, timeout)
    }

    /// Puts many values, in order: [`Queue::put_many`](crate::Queue::put_many).
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.put_many(values)
    }

    /// Puts many values as far as there is room now: [`Queue::try_put_many`](crate::Queue::try_put_many).
    pub fn try_put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.try_put_many(values)
    }

    /// Puts many values; waits at most `timeout`: [`Queue::put_many_timeout`](crate::Queue::put_many_timeout).
    pub fn put_many_timeout(
        &self,
        values: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), NotPutError<Vec<T>>> {
        self.queue.put_many_timeout(values, timeout)
    }
}

/// Getting.
impl<T: DeserializeOwned> JoinableQueue<T> {
    /// Gets the first item; waits for it: [`Queue::get`](crate::Queue::get). Report it by
    /// [`task_done`](JoinableQueue::task_done).
    ///
    /// Python: `JoinableQueue.get`.
    pub fn get(&self) -> Result<T, GetError> {
        self.queue.get()
    }

    /// Gets the first item if there is one now: [`Queue::try_get`](crate::Queue::try_get). Python: `get_nowait`.
    pub fn try_get(&self) -> Result<T, GetError> {
        self.queue.try_get()
    }

    /// Gets the first item; waits at most `timeout`: [`Queue::get_timeout`](crate::Queue::get_timeout).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.queue.get_timeout(timeout)
    }

    /// Gets several items at once: [`Queue::get_many`](crate::Queue::get_many). Each is reported by itself.
    pub fn get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.queue.get_many(most)
    }

    /// Gets several items if there is one now: [`Queue::try_get_many`](crate::Queue::try_get_many).
    pub fn try_get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.queue.try_get_many(most)
    }

    /// Gets several items; waits at most `timeout`: [`Queue::get_many_timeout`](crate::Queue::get_many_timeout).
    pub fn get_many_timeout(&self, most: usize, timeout: Duration) -> Result<Batch<T>, GetError> {
        self.queue.get_many_timeout(most, timeout)
    }

    /// The items as they arrive, until the queue is closed: [`Queue::iter`](crate::Queue::iter).
    pub fn iter(&self) -> Iter<'_, T> {
        self.queue.iter()
    }
}

/// How full it is, and its end.
impl<T> JoinableQueue<T> {
    /// Items that were put and not got: [`Queue::qsize`](crate::Queue::qsize). Python: `qsize`.
    pub fn qsize(&self) -> usize {
        self.queue.qsize()
    }

    /// Whether there was no item: [`Queue::empty`](crate::Queue::empty). Python: `empty`.
    pub fn empty(&self) -> bool {
        self.queue.empty()
    }

    /// Whether it held as many items as it may: [`Queue::full`](crate::Queue::full). Python: `full`.
    pub fn full(&self) -> bool {
        self.queue.full()
    }

    /// This process puts and gets no more: [`Queue::close`](crate::Queue::close). Python: `close`.
    pub fn close(&self) {
        self.queue.close()
    }

    /// No process puts any more: [`Queue::shutdown`](crate::Queue::shutdown). Python: `queue.Queue.shutdown`.
    pub fn shutdown(&self) {
        self.queue.shutdown()
    }
}

/// Bytes as they are.
impl JoinableQueue<Vec<u8>> {
    /// Puts a copy of these bytes: [`Queue::put_bytes`](crate::Queue::put_bytes).
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(), PutError> {
        self.queue.put_bytes(bytes)
    }

    /// Puts a copy of these bytes if there is room now: [`Queue::try_put_bytes`](crate::Queue::try_put_bytes).
    pub fn try_put_bytes(&self, bytes: &[u8]) -> Result<(), PutError> {
        self.queue.try_put_bytes(bytes)
    }

    /// Puts a copy of these bytes; waits at most `timeout`:
    /// [`Queue::put_bytes_timeout`](crate::Queue::put_bytes_timeout).
    pub fn put_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), PutError> {
        self.queue.put_bytes_timeout(bytes, timeout)
    }

    /// Gets the first item into `into`: [`Queue::get_bytes_into`](crate::Queue::get_bytes_into).
    pub fn get_bytes_into(&self, into: &mut Vec<u8>) -> Result<usize, GetError> {
        self.queue.get_bytes_into(into)
    }

    /// Gets the first item into `into` if there is one now:
    /// [`Queue::try_get_bytes_into`](crate::Queue::try_get_bytes_into).
    pub fn try_get_bytes_into(&self, into: &mut Vec<u8>) -> Result<usize, GetError> {
        self.queue.try_get_bytes_into(into)
    }

    /// Gets the first item into `into`; waits at most `timeout`:
    /// [`Queue::get_bytes_into_timeout`](crate::Queue::get_bytes_into_timeout).
    pub fn get_bytes_into_timeout(&self, into: &mut Vec<u8>, timeout: Duration) -> Result<usize, GetError> {
        self.queue.get_bytes_into_timeout(into, timeout)
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a JoinableQueue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
