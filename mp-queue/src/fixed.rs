//! FixedQueue: plain values, copied as they are.

use crate::channel::{Channel, Records, Wait, waitable_by_its_channel};
use crate::error::{GetError, NewQueueError, PutError};
use crate::queue::QueueBuilder;
use mp_core::mem::{Shareable, bytes_of, value_of};
use mp_core::transfer::scratch;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A queue of [`Shareable`] values: numbers, arrays, `#[derive(Shareable)]` structs. They are copied into shared memory
/// and out of it as they are, without serialisation; all else is as with a [`Queue`](crate::Queue).
///
/// ```
/// let queue = mp_queue::FixedQueue::new()?;
/// queue.put([1.0, 2.0])?;
/// queue.put_many(&[[3.0, 4.0], [5.0, 6.0]])?;
/// assert_eq!(queue.get()?, [1.0, 2.0]);
/// let mut rest = Vec::new();
/// assert_eq!(queue.get_many_into(&mut rest, 10)?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python has no counterpart.
pub struct FixedQueue<T> {
    channel: Arc<Channel>,
    items: PhantomData<fn(T) -> T>,
}

impl<T: Shareable> FixedQueue<T> {
    /// An unbounded queue.
    pub fn new() -> Result<FixedQueue<T>, NewQueueError> {
        QueueBuilder::default().build_fixed()
    }

    /// A queue of at most `items` items.
    pub fn bounded(items: u32) -> Result<FixedQueue<T>, NewQueueError> {
        QueueBuilder::default().max_items(items).build_fixed()
    }

    fn over(channel: Channel) -> FixedQueue<T> {
        FixedQueue { channel: Arc::new(channel), items: PhantomData }
    }

    /// As [`Queue::put`](crate::Queue::put).
    #[inline]
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::Until(None))
    }

    /// As [`Queue::try_put`](crate::Queue::try_put).
    #[inline]
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::Not)
    }

    /// As [`Queue::put_timeout`](crate::Queue::put_timeout).
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::within(timeout))
    }

    #[inline]
    fn put_within(&self, value: T, wait: Wait) -> Result<(), PutError<T>> {
        self.channel.put(bytes_of(&value), &[], wait).map_err(|reason| PutError { value, reason })
    }

    /// Puts many values, in order, and publishes as many at once as there is room for.
    ///
    /// # Errors
    /// [`PutError`] says how many were put; the others were not.
    pub fn put_many(&self, values: &[T]) -> Result<(), PutError<usize>> {
        self.put_many_within(values, Wait::Until(None))
    }

    /// As [`put_many`](FixedQueue::put_many), as far as there is room now.
    pub fn try_put_many(&self, values: &[T]) -> Result<(), PutError<usize>> {
        self.put_many_within(values, Wait::Not)
    }

    /// As [`put_many`](FixedQueue::put_many); waits at most `timeout`, for all of them together.
    pub fn put_many_timeout(&self, values: &[T], timeout: Duration) -> Result<(), PutError<usize>> {
        self.put_many_within(values, Wait::within(timeout))
    }

    fn put_many_within(&self, values: &[T], wait: Wait) -> Result<(), PutError<usize>> {
        let put = self.channel.put_many(values.len(), |at| bytes_of(&values[at]), wait);
        put.map_err(|(value, reason)| PutError { value, reason })
    }

    /// As [`Queue::get`](crate::Queue::get).
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Until(None))
    }

    /// As [`Queue::try_get`](crate::Queue::try_get).
    #[inline]
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Not)
    }

    /// As [`Queue::get_timeout`](crate::Queue::get_timeout).
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Wait::within(timeout))
    }

    #[inline]
    fn get_within(&self, wait: Wait) -> Result<T, GetError> {
        let mut buffer = scratch::decoding();
        buffer.clear();
        let value = self.channel.get(&mut buffer, wait).and_then(|_| Self::value(&buffer));
        scratch::keep_decoding(buffer);
        value
    }

    /// Appends up to `most` items to `into`, in order, and gives how many: waits until there is one, and takes what is
    /// there then. If this process is killed, all that it has taken is lost with it.
    pub fn get_many_into(&self, into: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(into, most, Wait::Until(None))
    }

    /// As [`get_many_into`](FixedQueue::get_many_into), if there is an item now.
    pub fn try_get_many_into(&self, into: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(into, most, Wait::Not)
    }

    /// As [`get_many_into`](FixedQueue::get_many_into); waits for the first item at most `timeout`.
    pub fn get_many_into_timeout(
        &self,
        into: &mut Vec<T>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, GetError> {
        self.get_many_within(into, most, Wait::within(timeout))
    }

    fn get_many_within(&self, into: &mut Vec<T>, most: usize, wait: Wait) -> Result<usize, GetError> {
        if most == 0 {
            return Ok(0);
        }
        let mut records = Records { bytes: scratch::decoding(), ends: Vec::new() };
        let before = into.len();
        let got = self.channel.get_many(most, &mut records, wait).and_then(|_| {
            into.reserve(records.len());
            (0..records.len()).try_for_each(|at| {
                into.push(Self::value(records.get(at))?);
                Ok(())
            })
        });
        scratch::keep_decoding(records.bytes);
        got.map(|()| into.len() - before)
    }

    /// A record of another length was not put by us.
    #[inline]
    fn value(bytes: &[u8]) -> Result<T, GetError> {
        if bytes.len() == size_of::<T>() { Ok(value_of(bytes)) } else { Err(GetError::Corrupt) }
    }

    /// As [`Queue::qsize`](crate::Queue::qsize).
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.channel.items()
    }

    /// As [`Queue::empty`](crate::Queue::empty).
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// As [`Queue::full`](crate::Queue::full).
    #[doc(alias = "is_full")]
    pub fn full(&self) -> bool {
        self.channel.looks_full()
    }

    /// As [`Queue::close`](crate::Queue::close).
    pub fn close(&self) {
        self.channel.close();
    }

    /// As [`Queue::shutdown`](crate::Queue::shutdown).
    pub fn shutdown(&self) {
        self.channel.shutdown();
    }
}

impl QueueBuilder {
    /// Makes a [`FixedQueue`].
    pub fn build_fixed<T: Shareable>(self) -> Result<FixedQueue<T>, NewQueueError> {
        Ok(FixedQueue::over(Channel::create::<FixedQueue<T>>(self.limits, None)?))
    }
}

impl<T> Clone for FixedQueue<T> {
    fn clone(&self) -> Self {
        FixedQueue { channel: Arc::clone(&self.channel), items: PhantomData }
    }
}

impl<T> std::fmt::Debug for FixedQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FixedQueue<{}>({} items)", std::any::type_name::<T>(), self.channel.items())
    }
}

/// Within a transfer only.
impl<T> Serialize for FixedQueue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.channel.serialize(serializer)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for FixedQueue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Channel::read::<FixedQueue<T>, D>(deserializer).map(FixedQueue::over)
    }
}

// Ready when a get would not wait.
waitable_by_its_channel!(FixedQueue, channel);
