//! Putting: one value, or many at once.

use crate::channel::{Records, Wait};
use crate::error::{NotPutError, PutError};
use crate::{MOST_HANDLES, Queue};
use mp_core::transfer::{Handle, as_block, pack_value_onto, scratch};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// Puts a value. Waits while a bounded queue is full, or an unbounded one is at its ceiling. When it
    /// returns, the item is in the queue, whatever happens to this process.
    ///
    /// A value with handles also waits while the queue holds as many of these as the kernel buffers, some
    /// 550: start the processes that get them first. ([`try_put`](Queue::try_put) returns
    /// [`HandlesFull`](PutError::HandlesFull) then.)
    ///
    /// Python: `Queue.put`.
    ///
    /// # Errors
    /// [`NotPutError`] returns the value.
    #[doc(alias = "send")]
    pub fn put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::Until(None))
    }

    /// Puts a value if there is room now; [`PutError::Full`] if not. Python: `Queue.put_nowait`.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::Not)
    }

    /// Puts a value; waits at most `timeout` for room, then [`PutError::Timeout`]. Python:
    /// `Queue.put(timeout=...)`.
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::within(timeout))
    }

    /// Puts many values, in order, and publishes as many at once as there is room for. This is much faster
    /// than one by one. Waits for room as [`put`](Queue::put) does.
    ///
    /// Python has no counterpart.
    ///
    /// # Errors
    /// [`NotPutError`] returns the values that were not put; those before them were put.
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.put_many_within(values, Wait::Until(None))
    }

    /// Puts as many of the values as there is room for now: see [`put_many`](Queue::put_many).
    pub fn try_put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), NotPutError<Vec<T>>> {
        self.put_many_within(values, Wait::Not)
    }

    /// Puts many values; waits at most `timeout` for all of them together: see [`put_many`](Queue::put_many).
    pub fn put_many_timeout(
        &self,
        values: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), NotPutError<Vec<T>>> {
        self.put_many_within(values, Wait::within(timeout))
    }

    fn put_within(&self, value: T, wait: Wait) -> Result<(), NotPutError<T>> {
        if self.channel.is_closed() {
            return Err(NotPutError { value, reason: PutError::Closed });
        }
        if let Some(block) = as_block(&value) {
            return self.channel.put(block, &[], wait).map_err(|reason| NotPutError { value, reason });
        }
        let mut buffer = scratch::encoding();
        let result =
            pack_item(&value, &mut buffer).and_then(|handles| self.channel.put(&buffer, &handles, wait));
        scratch::keep_encoding(buffer);
        result.map_err(|reason| NotPutError { value, reason })
    }

    fn put_many_within(
        &self,
        values: impl IntoIterator<Item = T>,
        wait: Wait,
    ) -> Result<(), NotPutError<Vec<T>>> {
        let mut values: Vec<T> = values.into_iter().collect();
        let mut batch = Records { bytes: scratch::encoding(), ends: Vec::with_capacity(values.len()) };
        let mut done = 0;
        let result = self.put_each(&values, &mut batch, &mut done, wait);
        scratch::keep_encoding(batch.bytes);
        result.map_err(|reason| NotPutError { value: values.split_off(done), reason })
    }

    /// Packs the values into the batch, and puts the batch when it is long. A value with handles is put
    /// alone.
    fn put_each(
        &self,
        values: &[T],
        batch: &mut Records,
        done: &mut usize,
        wait: Wait,
    ) -> Result<(), PutError> {
        for value in values {
            let start = batch.bytes.len();
            let handles = match as_block(value) {
                Some(block) => {
                    batch.bytes.extend_from_slice(block);
                    Vec::new()
                }
                None => match pack_item(value, &mut batch.bytes) {
                    Ok(handles) => handles,
                    Err(reason) => {
                        self.flush(batch, done, wait)?;
                        return Err(reason);
                    }
                },
            };
            if !handles.is_empty() {
                let item = batch.bytes.split_off(start);
                self.flush(batch, done, wait)?;
                self.channel.put(&item, &handles, wait)?;
                *done += 1;
                continue;
            }
            batch.ends.push(batch.bytes.len());
            if batch.bytes.len() >= LONG_BATCH {
                self.flush(batch, done, wait)?;
            }
        }
        self.flush(batch, done, wait)
    }

    fn flush(&self, batch: &mut Records, done: &mut usize, wait: Wait) -> Result<(), PutError> {
        let (put, result) = match self.channel.put_many(batch.len(), |at| batch.get(at), wait) {
            Ok(()) => (batch.len(), Ok(())),
            Err((put, reason)) => (put, Err(reason)),
        };
        *done += put;
        batch.clear();
        result
    }
}

/// Packs one item to the end of `bytes`; returns its handles.
fn pack_item<T: Serialize + DeserializeOwned>(
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Vec<Handle>, PutError> {
    let start = bytes.len();
    let handles = pack_value_onto(value, bytes)?;
    if handles.len() > MOST_HANDLES {
        bytes.truncate(start);
        return Err(PutError::TooManyHandles { count: handles.len() });
    }
    Ok(handles)
}

/// A batch of this many bytes is put before the next value is packed.
const LONG_BATCH: usize = 64 << 10;
