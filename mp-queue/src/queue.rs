//! Queue: many producers, many consumers, any value that serde can carry.

use crate::batch::Batch;
use crate::channel::{Channel, Limits, Records, Wait};
use crate::error::{GetError, NewQueueError, PutError, PutRefusal};
use crate::memory::{Packets, RingMemory};
use crate::ring::layout::Layout;
use crate::{MOST_HANDLES, Producer};
use mp_core::CodecError;
use mp_core::mem::Kind;
use mp_core::sys::fd::pipe;
use mp_core::transfer::{Handle, as_block, attach, from_block, is_block, pack_onto, scratch, unpack};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A queue between processes. Clones, and copies that travelled to other processes, are handles of one queue.
///
/// [`put`](Queue::put) serialises in the caller, copies into shared memory and returns when that is done: no
/// thread works behind it, a process may exit right after, and its starter may join it before anybody has got the
/// item. An unbounded queue grows, up to a ceiling of bytes, and gives the memory back when it is drained.
///
/// ```
/// let queue = mp_queue::Queue::new()?;
/// queue.put("hello".to_owned())?;
/// assert_eq!(queue.get()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.Queue`.
pub struct Queue<T> {
    channel: Arc<Channel>,
    items: PhantomData<fn(T) -> T>,
}

/// How a queue is made, where the defaults do not fit.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueBuilder {
    limits: Limits,
}

impl QueueBuilder {
    /// At most this many items: a put into a full queue waits. Python: `Queue(maxsize)`.
    pub fn max_items(mut self, items: u32) -> Self {
        self.limits.items = Some(items);
        self
    }

    /// At most about this many bytes of shared memory, at least 256 KiB. Default: the eighth part of the available
    /// memory, at most 1 GiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// Makes the queue.
    pub fn build<T>(self) -> Result<Queue<T>, NewQueueError> {
        self.build_with(None)
    }

    fn build_with<T>(self, producers: Option<Handle>) -> Result<Queue<T>, NewQueueError> {
        Ok(Queue::over(Channel::create(kind::<T>(), self.limits, producers)?))
    }

    /// Makes the queue with its first counted producer: see [`Queue::counted`].
    pub fn build_counted<T>(self) -> Result<(Producer<T>, Queue<T>), NewQueueError> {
        let (alive, held) = pipe()?;
        let queue = self.build_with(Some(Handle::new(alive)))?;
        Ok((Producer::new(queue.clone(), Handle::new(held)), queue))
    }
}

fn kind<T>() -> Kind {
    Kind::of_items::<Layout<mp_core::sys::robust::RobustWord, std::sync::atomic::AtomicU64>, T>()
}

impl<T> Queue<T> {
    /// An unbounded queue. Python: `Queue()`.
    pub fn new() -> Result<Queue<T>, NewQueueError> {
        Queue::<T>::builder().build()
    }

    /// A queue of at most `items` items. Python: `Queue(maxsize)`.
    pub fn bounded(items: u32) -> Result<Queue<T>, NewQueueError> {
        Queue::<T>::builder().max_items(items).build()
    }

    /// An unbounded queue that counts its producers: when the [`Producer`] and all its copies are gone, by drop,
    /// exit or kill, and the queue is drained, [`get`](Queue::get) says [`GetError::Closed`]. That is the end of
    /// the stream; [`empty`](Queue::empty) is not.
    ///
    /// Under the start method `Fork` a child keeps copies of all that its parent has open: start consumers before
    /// there is a producer, or give the parent's producer away first.
    pub fn counted() -> Result<(Producer<T>, Queue<T>), NewQueueError> {
        Queue::<T>::builder().build_counted()
    }

    /// For limits of one's own.
    pub fn builder() -> QueueBuilder {
        QueueBuilder::default()
    }

    fn over(channel: Channel) -> Queue<T> {
        Queue { channel: Arc::new(channel), items: PhantomData }
    }

    /// Items that were put and not got, at some moment during the call. `qsize`, [`empty`](Queue::empty) and
    /// [`full`](Queue::full) come from one count.
    ///
    /// Python: `Queue.qsize`.
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.channel.items()
    }

    /// Whether there was no item at some moment during the call. It does not mean that none will come: see
    /// [`counted`](Queue::counted).
    ///
    /// Python: `Queue.empty`.
    #[doc(alias = "is_empty")]
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether it held as many items as it may. An unbounded queue is never full in this sense.
    ///
    /// Python: `Queue.full`.
    #[doc(alias = "is_full")]
    pub fn full(&self) -> bool {
        self.channel.looks_full()
    }

    /// This process puts and gets no more: every call on this handle and its clones here says `Closed`, also one
    /// that waits in another thread. A second close is fine; other processes go on.
    ///
    /// Python: `Queue.close`.
    pub fn close(&self) {
        self.channel.close();
    }

    /// Nobody puts any more, in any process: puts say `Closed`, and so do gets once what is there is drained.
    /// Everybody who waits learns of it. A put that is under way is waited for, so that no getter leaves before its
    /// item is there; for half a second at most, since its process may be stopped.
    ///
    /// Python: `queue.Queue.shutdown`.
    pub fn shutdown(&self) {
        self.channel.shutdown();
    }

    /// Has everybody who waits look again: a producer is gone.
    pub(crate) fn wake_everybody(&self) {
        self.channel.wake_everybody();
    }
}

impl<T: Serialize> Queue<T> {
    /// Puts a value; waits while a bounded queue is full, or an unbounded one is at its ceiling. When it returns,
    /// the item is in the queue, whatever becomes of this process.
    ///
    /// Python: `Queue.put`.
    ///
    /// # Errors
    /// [`PutError`] gives the value back.
    #[doc(alias = "send")]
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::Until(None))
    }

    /// Puts a value if there is room now. Python: `Queue.put_nowait`.
    #[doc(alias = "put_nowait")]
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::Not)
    }

    /// Puts a value; waits at most `timeout` for room. Python: `Queue.put(timeout=...)`.
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_within(value, Wait::within(timeout))
    }

    /// Puts many values, in order, and publishes as many at once as there is room for: much faster than one by one.
    /// Waits for room as [`put`](Queue::put) does.
    ///
    /// Python has no counterpart.
    ///
    /// # Errors
    /// [`PutError`] gives back the values that were not put; those before them were.
    pub fn put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<Vec<T>>> {
        self.put_many_within(values, Wait::Until(None))
    }

    /// As [`put_many`](Queue::put_many), as far as there is room now.
    pub fn try_put_many(&self, values: impl IntoIterator<Item = T>) -> Result<(), PutError<Vec<T>>> {
        self.put_many_within(values, Wait::Not)
    }

    /// As [`put_many`](Queue::put_many); waits at most `timeout`, for all of them together.
    pub fn put_many_timeout(
        &self,
        values: impl IntoIterator<Item = T>,
        timeout: Duration,
    ) -> Result<(), PutError<Vec<T>>> {
        self.put_many_within(values, Wait::within(timeout))
    }

    fn put_within(&self, value: T, wait: Wait) -> Result<(), PutError<T>> {
        if self.channel.is_closed() {
            return Err(PutError { value, reason: PutRefusal::Closed });
        }
        if let Some(block) = as_block(&value) {
            return self.channel.put(block, &[], wait).map_err(|reason| PutError { value, reason });
        }
        let mut buffer = scratch::encoding();
        let result =
            pack_item(&value, &mut buffer).and_then(|handles| self.channel.put(&buffer, &handles, wait));
        scratch::keep_encoding(buffer);
        result.map_err(|reason| PutError { value, reason })
    }

    fn put_many_within(
        &self,
        values: impl IntoIterator<Item = T>,
        wait: Wait,
    ) -> Result<(), PutError<Vec<T>>> {
        let mut values: Vec<T> = values.into_iter().collect();
        let mut batch = Records { bytes: scratch::encoding(), ends: Vec::with_capacity(values.len()) };
        let mut done = 0;
        let result = self.put_each(&values, &mut batch, &mut done, wait);
        scratch::keep_encoding(batch.bytes);
        result.map_err(|reason| PutError { value: values.split_off(done), reason })
    }

    /// Packs the values into the batch, and puts it when it is long, or a value has handles, which go alone.
    fn put_each(
        &self,
        values: &[T],
        batch: &mut Records,
        done: &mut usize,
        wait: Wait,
    ) -> Result<(), PutRefusal> {
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

    fn flush(&self, batch: &mut Records, done: &mut usize, wait: Wait) -> Result<(), PutRefusal> {
        let (put, result) = match self.channel.put_many(batch, wait) {
            Ok(()) => (batch.len(), Ok(())),
            Err((put, reason)) => (put, Err(reason)),
        };
        *done += put;
        batch.clear();
        result
    }
}

/// Packs one item to the end of `bytes`.
fn pack_item<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<Vec<Handle>, PutRefusal> {
    let start = bytes.len();
    let handles = pack_onto(value, bytes)?;
    if handles.len() > MOST_HANDLES {
        bytes.truncate(start);
        return Err(PutRefusal::TooManyHandles { count: handles.len() });
    }
    Ok(handles)
}

/// A batch of so many bytes is put before the next value is packed.
const LONG_BATCH: usize = 64 << 10;

impl<T: DeserializeOwned> Queue<T> {
    /// Gets the first item; waits for it.
    ///
    /// Python: `Queue.get`.
    ///
    /// # Errors
    /// [`GetError::Closed`] when there is none and none will come; [`GetError::Decode`] for an item that is no
    /// `T`, which is gone then: the next get gives the next one.
    #[doc(alias = "recv")]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Until(None))
    }

    /// Gets the first item if there is one now. Python: `Queue.get_nowait`.
    #[doc(alias = "get_nowait")]
    pub fn try_get(&self) -> Result<T, GetError> {
        self.get_within(Wait::Not)
    }

    /// Gets the first item; waits for it at most `timeout`, then [`GetError::Empty`].
    /// Python: `Queue.get(timeout=...)`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.get_within(Wait::within(timeout))
    }

    /// Gets several items at once, in order: waits until there is one, and takes what is there then, up to `most`.
    /// If this process is killed, all that it has taken is lost with it.
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
    /// As [`get`](Queue::get); an item that is no `T` is an error in its place in the [`Batch`].
    pub fn get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::Until(None))
    }

    /// As [`get_many`](Queue::get_many), if there is an item now.
    pub fn try_get_many(&self, most: usize) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::Not)
    }

    /// As [`get_many`](Queue::get_many); waits for the first item at most `timeout`.
    pub fn get_many_timeout(&self, most: usize, timeout: Duration) -> Result<Batch<T>, GetError> {
        self.get_many_within(most, Wait::within(timeout))
    }

    fn get_many_within(&self, most: usize, wait: Wait) -> Result<Batch<T>, GetError> {
        let mut records = Records { bytes: scratch::decoding(), ends: Vec::new() };
        let handles = if most == 0 { Vec::new() } else { self.channel.get_many(most, &mut records, wait)? };
        Ok(Batch::new(records, handles))
    }

    fn get_within(&self, wait: Wait) -> Result<T, GetError> {
        if is_block::<T>() {
            let mut block = Vec::new();
            self.channel.get(&mut block, wait)?;
            return Ok(from_block(block).expect("its type was asked for"));
        }
        let mut buffer = scratch::decoding();
        buffer.clear();
        let result = self.channel.get(&mut buffer, wait);
        let value =
            result.and_then(|handles| unpack(&buffer, handles).map_err(|error: CodecError| error.into()));
        scratch::keep_decoding(buffer);
        value
    }

    /// The items as they come, until the queue is closed. An item that cannot be decoded is an `Err` and not the
    /// end; after any other error there is nothing more to come.
    ///
    /// Python: `iter(queue.get, sentinel)`, without the sentinel.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { queue: Some(self) }
    }
}

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

/// The items of a queue as they come: see [`Queue::iter`].
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

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { channel: Arc::clone(&self.channel), items: PhantomData }
    }
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = std::any::type_name::<T>();
        write!(f, "Queue<{name}>({} items)", self.qsize())
    }
}

/// Within a transfer only.
impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mapping, Packets { send, receive }, producers) = self.channel.parts();
        (mapping, send, receive, producers).serialize(serializer)
    }
}

/// The mapping of a queue of `T`, read with its type checked.
struct MappingOf<T>(RingMemory, PhantomData<fn(T) -> T>);

impl<'de, T> Deserialize<'de> for MappingOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = attach(deserializer, kind::<T>(), std::any::type_name::<Queue<T>>())?;
        Ok(MappingOf(RingMemory::attach(mapping).map_err(D::Error::custom)?, PhantomData))
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (memory, send, receive, producers) =
            <(MappingOf<T>, Handle, Handle, Option<Handle>)>::deserialize(deserializer)?;
        Ok(Queue::over(Channel::over(memory.0, Packets { send, receive }, producers)))
    }
}
