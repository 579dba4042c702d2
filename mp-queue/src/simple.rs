//! SimpleQueue: put, get and empty only.

use crate::channel::waitable_by_its_channel;
use crate::error::{GetError, NotPutError};
use crate::{Iter, Queue};
use mp_core::CreateError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A [`Queue`] with few calls: put, get, empty, close.
///
/// ```
/// let queue = mp_queue::SimpleQueue::new()?;
/// assert!(queue.empty());
/// queue.put(7)?;
/// assert_eq!(queue.get()?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.SimpleQueue`. There `put` waits until its pipe has room; here the queue grows.
/// There `empty` fails after `close`; here it still answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SimpleQueue<T>(Queue<T>);

impl<T> SimpleQueue<T> {
    /// Makes a queue. Python: `SimpleQueue()`.
    pub fn new() -> Result<SimpleQueue<T>, CreateError> {
        Queue::new().map(SimpleQueue)
    }

    /// Whether there was no item at some moment during the call. Python: `SimpleQueue.empty`.
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.0.empty()
    }

    /// Closes this handle: see [`Queue::close`]. Python: `SimpleQueue.close`.
    pub fn close(&self) {
        self.0.close();
    }
}

impl<T: Serialize + DeserializeOwned> SimpleQueue<T> {
    /// Puts a value; waits while the queue is at its ceiling of bytes: see [`Queue::put`]. Python:
    /// `SimpleQueue.put`.
    pub fn put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.0.put(value)
    }
}

impl<T: DeserializeOwned> SimpleQueue<T> {
    /// Gets the first item; waits for it: see [`Queue::get`]. Python: `SimpleQueue.get`.
    pub fn get(&self) -> Result<T, GetError> {
        self.0.get()
    }

    /// The items as they arrive, until the queue is closed: see [`Queue::iter`].
    pub fn iter(&self) -> Iter<'_, T> {
        self.0.iter()
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a SimpleQueue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for SimpleQueue<T> {
    fn clone(&self) -> Self {
        SimpleQueue(self.0.clone())
    }
}

// Ready when a get would not wait.
waitable_by_its_channel!(SimpleQueue, 0);
