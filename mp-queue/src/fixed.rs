//! FixedQueue: plain values, copied without serialisation.

use crate::channel::{Channel, Records, Wait, waitable_by_its_channel};
use crate::error::{GetError, NotPutError, PutManyError};
use crate::queue::{BuildQueue, QueueBuilder, sealed};
use mp_core::CreateError;
use mp_core::mem::{Shareable, bytes_of, value_of};
use mp_core::transfer::scratch;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A queue of [`Shareable`] values: numbers, arrays, `#[derive(Shareable)]` structs. Values are copied into
/// shared memory and out of it without serialisation. Everything else is as in a [`Queue`](crate::Queue).
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
    /// Makes an unbounded queue.
    pub fn new() -> Result<FixedQueue<T>, CreateError> {
        QueueBuilder::new().build()
    }

    /// Makes a queue of at most `items` items.
    pub fn bounded(items: u32) -> Result<FixedQueue<T>, CreateError> {
        QueueBuilder::new().max_items(items).build()
    }

    fn over(channel: Channel) -> FixedQueue<T> {
        FixedQueue { channel: Arc::new(channel), items: PhantomData }
    }

    /// Puts a value; waits for room: see [`Queue::put`](crate::Queue::put).
    #[inline]
    pub fn put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::Until(None))
    }

    /// Puts a value if there is room now: see [`Queue::try_put`](crate::Queue::try_put).
    #[inline]
    pub fn try_put(&self, value: T) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::Not)
    }

    /// Puts a value; waits at most `timeout` for room: see [`Queue::put_timeout`](crate::Queue::put_timeout).
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), NotPutError<T>> {
        self.put_within(value, Wait::within(timeout))
    }

    #[inline]
    fn put_within(&self, value: T, wait: Wait) -> Result<(), NotPutError<T>> {
        self.channel.put(bytes_of(&value), &[], wait).map_err(|reason| NotPutError { value, reason })
    }

    /// Puts many values, in order, and publishes as many at once as there is room for. Waits for room.
    ///
    /// # Errors
    /// [`PutManyError`] has the number of values that were put; the others were not.
    pub fn put_many(&self, values: &[T]) -> Result<(), PutManyError> {
        self.put_many_within(values, Wait::Until(None))
    }

    /// Puts as many of the values as there is room for now: see [`put_many`](FixedQueue::put_many).
    pub fn try_put_many(&self, values: &[T]) -> Result<(), PutManyError> {
        self.put_many_within(values, Wait::Not)
    }

    /// Puts many values; waits at most `timeout` for all of them together: see
    /// [`put_many`](FixedQueue::put_many).
    pub fn put_many_timeout(&self, values: &[T], timeout: Duration) -> Result<(), PutManyError> {
        self.put_many_within(values, Wait::within(timeout))
    }

    fn put_many_within(&self, values: &[T], wait: Wait) -> Result<(), PutManyError> {
        let put = self.channel.put_many(values.len(), |at| bytes_of(&values[at]), wait);
        put.map_err(|(put, reason)| PutManyError { put, reason })
    }

    /// Gets the first item; waits for it: see [`Queue::get`](crate::Queue::get).
    #[inline]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Until(None))
    }

    /// Gets the first item if there is one now: see [`Queue::try_get`](crate::Queue::try_get).
    #[inline]
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Not)
    }

    /// Gets the first item; waits for it at most `timeout`: see
    /// [`Queue::get_timeout`](crate::Queue::get_timeout).
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

    /// Appends up to `most` items to `into`, in order, and returns their number. Waits until there is an
    /// item, and takes what is there then.
    ///
    /// # When a process dies
    /// If this process is killed, all items that it has taken are lost with it.
    pub fn get_many_into(&self, into: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(into, most, Wait::Until(None))
    }

    /// Appends up to `most` items to `into`, if there are any now: see
    /// [`get_many_into`](FixedQueue::get_many_into).
    pub fn try_get_many_into(&self, into: &mut Vec<T>, most: usize) -> Result<usize, GetError> {
        self.get_many_within(into, most, Wait::Not)
    }

    /// Appends up to `most` items to `into`; waits for the first one at most `timeout`: see
    /// [`get_many_into`](FixedQueue::get_many_into).
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

    /// Decodes a record. One of another length was not put by this library.
    #[inline]
    fn value(bytes: &[u8]) -> Result<T, GetError> {
        if bytes.len() == size_of::<T>() { Ok(value_of(bytes)) } else { Err(GetError::Corrupt) }
    }

    /// The number of items: see [`Queue::qsize`](crate::Queue::qsize).
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.channel.items()
    }

    /// Whether there was no item at some moment during the call: see [`Queue::empty`](crate::Queue::empty).
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether it held as many items as it may: see [`Queue::full`](crate::Queue::full).
    #[doc(alias = "is_full")]
    pub fn full(&self) -> bool {
        self.channel.is_full()
    }

    /// Closes this handle: see [`Queue::close`](crate::Queue::close).
    pub fn close(&self) {
        self.channel.close();
    }

    /// Shuts the queue down for all processes: see [`Queue::shutdown`](crate::Queue::shutdown).
    pub fn shutdown(&self) {
        self.channel.shutdown();
    }

    /// The items as they arrive, until the queue is closed. After any error the iterator ends.
    ///
    /// Python: `iter(queue.get, sentinel)`, without the sentinel.
    pub fn iter(&self) -> FixedIter<'_, T> {
        FixedIter { queue: Some(self) }
    }
}

/// An iterator over the items of a queue as they arrive: see [`FixedQueue::iter`].
#[derive(Debug)]
pub struct FixedIter<'a, T> {
    queue: Option<&'a FixedQueue<T>>,
}

impl<T: Shareable> Iterator for FixedIter<'_, T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.queue?.get();
        if item.is_err() {
            self.queue = None;
        }
        Some(item).filter(|item| !matches!(item, Err(GetError::Closed)))
    }
}

impl<T: Shareable> std::iter::FusedIterator for FixedIter<'_, T> {}

impl<'a, T: Shareable> IntoIterator for &'a FixedQueue<T> {
    type Item = Result<T, GetError>;
    type IntoIter = FixedIter<'a, T>;

    fn into_iter(self) -> FixedIter<'a, T> {
        self.iter()
    }
}

impl<T> sealed::Sealed for FixedQueue<T> {}

impl<T: Shareable> BuildQueue for FixedQueue<T> {
    fn build(builder: QueueBuilder) -> Result<FixedQueue<T>, CreateError> {
        Ok(FixedQueue::over(Channel::create::<FixedQueue<T>>(builder.limits, None)?))
    }
}

impl<T> Clone for FixedQueue<T> {
    fn clone(&self) -> Self {
        FixedQueue { channel: Arc::clone(&self.channel), items: PhantomData }
    }
}

impl<T> std::fmt::Debug for FixedQueue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FixedQueue<{}>({} items)", std::any::type_name::<T>(), self.channel.looks_to_hold())
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

// A queue is ready when a get would not wait.
waitable_by_its_channel!(FixedQueue, channel);
