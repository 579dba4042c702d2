//! Puts and gets of bytes in the caller's memory.

use crate::Queue;
use crate::channel::Wait;
use crate::error::{GetError, PutError};
use std::time::Duration;

impl Queue<Vec<u8>> {
    /// Puts a copy of these bytes: [`put`](Queue::put) without a vector of one's own. Waits for room.
    ///
    /// Python: `Queue.put` of `bytes`.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<(), PutError> {
        self.channel.put(bytes, &[], Wait::Until(None))
    }

    /// Puts a copy of these bytes if there is room now; [`PutError::Full`] if not.
    pub fn try_put_bytes(&self, bytes: &[u8]) -> Result<(), PutError> {
        self.channel.put(bytes, &[], Wait::Not)
    }

    /// Puts a copy of these bytes; waits at most `timeout` for room, then [`PutError::Timeout`].
    pub fn put_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), PutError> {
        self.channel.put(bytes, &[], Wait::within(timeout))
    }

    /// Gets the first item into `into`, in place of its contents, and returns its length in bytes. This is
    /// [`get`](Queue::get) with memory that is used again. On an error the contents of `into` are
    /// unspecified.
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

    /// Gets the first item into `into`, if there is one now; [`GetError::Empty`] if not.
    pub fn try_get_bytes_into(&self, into: &mut Vec<u8>) -> Result<usize, GetError> {
        self.get_bytes_within(into, Wait::Not)
    }

    /// Gets the first item into `into`; waits for it at most `timeout`, then [`GetError::Timeout`].
    pub fn get_bytes_into_timeout(&self, into: &mut Vec<u8>, timeout: Duration) -> Result<usize, GetError> {
        self.get_bytes_within(into, Wait::within(timeout))
    }

    fn get_bytes_within(&self, into: &mut Vec<u8>, wait: Wait) -> Result<usize, GetError> {
        into.clear();
        self.channel.get(into, wait)?;
        Ok(into.len())
    }
}
