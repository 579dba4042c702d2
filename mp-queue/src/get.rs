//! Getting: one item, many at once, or all of them as they arrive.

use crate::Queue;
use crate::batch::Batch;
use crate::channel::{Records, Wait};
use crate::error::GetError;
use mp_core::transfer::{from_block, is_block, scratch, unpack};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

impl<T: DeserializeOwned> Queue<T> {
    /// Gets the first item; waits for it.
    ///
    /// Python: `Queue.get`.
    ///
    /// # Errors
    /// [`GetError::Closed`] when there is no item and none will follow. [`GetError::Decode`] for an item that
    /// is not a `T`; the item is taken, and the next get returns the next one.
    #[doc(alias = "recv")]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Until(None))
    }

    /// Gets the first item if there is one now; [`GetError::Empty`] if not. Python: `Queue.get_nowait`.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Not)
    }

    /// Gets the first item; waits for it at most `timeout`, then [`GetError::Timeout`].
    /// Python: `Queue.get(timeout=...)`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Wait::within(timeout))
    }

    /// Gets several items at once, in order. Waits until there is one, and takes what is there then, up to
    /// `most`.
    ///
    /// ```
    /// let queue = mp_queue::Queue::new()?;
    /// queue.put_many([1, 2, 3])?;
    /// let items: Vec<u32> = queue.get_many(10)?.collect::<Result<_, _>>()?;
    /// assert_eq!(items, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python has no counterpart.
    ///
    /// # Errors
    /// The errors of [`get`](Queue::get). An item that is not a `T` is an error at its position in the
    /// [`Batch`].
    ///
    /// # When a process dies
    /// If this process is killed, all items that it has taken are lost with it.
    pub fn get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::Until(None))
    }

    /// Gets several items if there are any now; [`GetError::Empty`] if not: see
    /// [`get_many`](Queue::get_many).
    pub fn try_get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::Not)
    }

    /// Gets several items; waits for the first one at most `timeout`, then [`GetError::Timeout`]: see
    /// [`get_many`](Queue::get_many).
    pub fn get_many_timeout(&self, most: usize, timeout: Duration) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::within(timeout))
    }

    fn get_many_within(&self, most: usize, wait: Wait) -> Result<Batch<T>, GetError> {
        let mut records = Records { bytes: scratch::decoding(), ends: Vec::new() };
        let handles = if most == 0 { Vec::new() } else { self.channel.get_many(most, &mut records, wait)? };
        let tasks = self.channel.has_tasks().then(|| Arc::clone(&self.channel));
        Ok(Batch::new(records, handles, tasks))
    }

    pub(crate) fn get_within(&self, wait: Wait) -> Result<T, GetError> {
        if is_block::<T>() {
            let mut block = Vec::new();
            self.channel.get(&mut block, wait)?;
            return Ok(from_block(block).expect("its type was asked for"));
        }
        let mut buffer = scratch::decoding();
        buffer.clear();
        let result = self.channel.get(&mut buffer, wait);
        let value =
            result.and_then(|handles| unpack(&buffer, handles).map_err(|error| self.channel.give_up(error)));
        scratch::keep_decoding(buffer);
        value
    }

    /// The items as they arrive, until the queue is closed. An item that cannot be decoded is an `Err`, and
    /// the iterator goes on; after any other error it ends.
    ///
    /// Python: `iter(queue.get, sentinel)`, without the sentinel.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: Some(self) }
    }
}

/// An iterator over the items of a queue as they arrive: see [`Queue::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    queue: Option<&'a Queue<T>>,
}

impl<T: DeserializeOwned> Iterator for Iter<'_, T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.queue?.get();
        if !matches!(item, Ok(_) | Err(GetError::Decode(_))) {
            self.queue = None;
        }
        Some(item).filter(|item| !matches!(item, Err(GetError::Closed)))
    }
}

impl<T: DeserializeOwned> std::iter::FusedIterator for Iter<'_, T> {}

impl<'a, T: DeserializeOwned> IntoIterator for &'a Queue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
