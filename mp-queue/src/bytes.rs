//! Bytes as they are, in memory of the caller's.

use crate::Queue;
use crate::channel::Wait;
use crate::error::{GetError, PutRefusal};
use std::time::Duration;

impl Queue<Vec<u8>> {
    /// Puts a copy of these bytes: [`put`](Queue::put) without a vector of one's own.
    ///
    /// Python: `Queue.put` of `bytes`.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(), PutRefusal> {
        self.channel.put(bytes, &[], Wait::Until(None))
    }

    /// As [`put_bytes`](Queue::put_bytes), if there is room now.
    pub fn try_put_bytes(&self, bytes: &[u8]) -> Result<(), PutRefusal> {
        self.channel.put(bytes, &[], Wait::Not)
    }

    /// As [`put_bytes`](Queue::put_bytes); waits at most `timeout`.
    pub fn put_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), PutRefusal> {
        self.channel.put(bytes, &[], Wait::within(timeout))
    }

    /// Gets the first item into `into`, in place of what it held, and gives its length: [`get`](Queue::get) with memory
    /// that is used again. On an error, what `into` holds means nothing.
    ///
    /// ```
    /// let queue = mp_queue::Queue::new()?;
    /// queue.put_bytes(b"hello")?;
    /// let mut message = Vec::new();
    /// assert_eq!(queue.get_bytes_into(&mut message)?, 5);
    /// assert_eq!(message, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_bytes_into(&self, into: &mut Vec<u8>) -> Result<usize, GetError> {
        self.get_bytes_within(into, Wait::Until(None))
    }

    /// As [`get_bytes_into`](Queue::get_bytes_into), if there is an item now.
    pub fn try_get_bytes_into(&self, into: &mut Vec<u8>) -> Result<usize, GetError> {
        self.get_bytes_within(into, Wait::Not)
    }

    /// As [`get_bytes_into`](Queue::get_bytes_into); waits at most `timeout`.
    pub fn get_bytes_into_timeout(&self, into: &mut Vec<u8>, timeout: Duration) -> Result<usize, GetError> {
        self.get_bytes_within(into, Wait::within(timeout))
    }

    fn get_bytes_within(&self, into: &mut Vec<u8>, wait: Wait) -> Result<usize, GetError> {
        into.clear();
        self.channel.get(into, wait)?;
        Ok(into.len())
    }
}
