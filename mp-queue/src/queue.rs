//! Queue: many producers, many consumers, any value that serde can carry.

use crate::Producer;
use crate::channel::{Channel, Limits, waitable_by_its_channel};
use mp_core::CreateError;
use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::sync::Arc;

/// A queue between processes. Clones, and copies that were sent to other processes, are handles of one queue.
///
/// [`put`](Queue::put) serialises in the caller, copies into shared memory, and returns when that is done. No
/// thread works behind it: a process may exit right after a put, and its parent may join it before the item
/// was got. An unbounded queue grows up to a ceiling of bytes, and returns the memory when it is drained.
///
/// ```
/// let queue = mp_queue::Queue::new()?;
/// queue.put("hello".to_owned())?;
/// assert_eq!(queue.get()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When a process dies
/// A killed producer leaves its item whole in the queue or not at all. A killed consumer loses at most the
/// items that it had taken. All other processes go on within a second.
///
/// Python: `multiprocessing.Queue`.
pub struct Queue<T> {
    pub(crate) channel: Arc<Channel>,
    items: PhantomData<fn(T) -> T>,
}

/// How a queue is made, where the defaults do not fit.
///
/// ```
/// use mp_queue::{JoinableQueue, Producer, Queue, QueueBuilder};
///
/// let tasks: JoinableQueue<u32> = QueueBuilder::new().max_items(10).build()?;
/// let (producer, numbers): (Producer<u32>, Queue<u32>) = QueueBuilder::new().max_bytes(1 << 20).build()?;
/// # Ok::<(), mp_queue::CreateError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use = "a builder is no queue"]
pub struct QueueBuilder {
    pub(crate) limits: Limits,
}

impl QueueBuilder {
    /// With the default limits.
    pub fn new() -> QueueBuilder {
        QueueBuilder::default()
    }

    /// At most this many items: a put into a full queue waits. Python: `Queue(maxsize)`.
    #[doc(alias = "maxsize")]
    pub fn max_items(mut self, items: u32) -> Self {
        self.limits.items = Some(items);
        self
    }

    /// Sets the most bytes of shared memory, about, at least 256 KiB. Default: an eighth of the available
    /// memory, between 8 MiB and 1 GiB.
    ///
    /// One item may take nearly all of that: the whole pages (4 KiB) within it, less 16 bytes, at most 4 GiB. An item
    /// larger than a quarter of it may have to wait until nothing else is in the queue.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = Some(bytes);
        self
    }

    /// Makes the queue: a [`Queue`], a [`JoinableQueue`](crate::JoinableQueue), a [`FixedQueue`](crate::FixedQueue), or
    /// a queue with its first counted producer ([`Queue::counted`]).
    ///
    /// # Errors
    /// There is no room for an item, no memory, or the system refuses.
    pub fn build<Q: BuildQueue>(self) -> Result<Q, CreateError> {
        Q::build(self)
    }
}

/// What [`QueueBuilder::build`] makes: the queues of this crate.
pub trait BuildQueue: sealed::Sealed + Sized {
    #[doc(hidden)]
    fn build(builder: QueueBuilder) -> Result<Self, CreateError>;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl<T> sealed::Sealed for Queue<T> {}

impl<T> BuildQueue for Queue<T> {
    fn build(builder: QueueBuilder) -> Result<Queue<T>, CreateError> {
        Queue::with_producers(builder, None)
    }
}

impl<T> sealed::Sealed for (Producer<T>, Queue<T>) {}

impl<T> BuildQueue for (Producer<T>, Queue<T>) {
    fn build(builder: QueueBuilder) -> Result<(Producer<T>, Queue<T>), CreateError> {
        let (alive, held) = pipe()?;
        let queue = Queue::with_producers(builder, Some(Handle::new(alive)))?;
        Ok((Producer::new(queue.clone(), Handle::new(held)), queue))
    }
}

impl Queue<()> {
    /// A builder for queues of any items: what [`build`](QueueBuilder::build) is to make says which.
    ///
    /// ```
    /// use mp_queue::Queue;
    ///
    /// let numbers: Queue<u32> = Queue::builder().max_items(10).build()?;
    /// numbers.put(7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> QueueBuilder {
        QueueBuilder::new()
    }
}

impl<T> Queue<T> {
    /// Makes an unbounded queue. Python: `Queue()`.
    pub fn new() -> Result<Queue<T>, CreateError> {
        QueueBuilder::new().build()
    }

    /// Makes a queue of at most `items` items. Python: `Queue(maxsize)`.
    pub fn bounded(items: u32) -> Result<Queue<T>, CreateError> {
        QueueBuilder::new().max_items(items).build()
    }

    /// Makes an unbounded queue that counts its producers. When the [`Producer`] and all its copies are gone,
    /// by drop, exit or kill, and the queue is drained, [`get`](Queue::get) returns
    /// [`GetError::Closed`](crate::GetError::Closed). That is the end of the stream; [`empty`](Queue::empty)
    /// is not.
    ///
    /// Under the start method `Fork` a child keeps copies of all descriptors of its parent: start consumers
    /// before there is a producer, or give the parent's producer away first.
    pub fn counted() -> Result<(Producer<T>, Queue<T>), CreateError> {
        QueueBuilder::new().build()
    }

    fn with_producers(builder: QueueBuilder, producers: Option<Handle>) -> Result<Queue<T>, CreateError> {
        Ok(Queue::over(Channel::create::<Queue<T>>(builder.limits, producers)?))
    }

    pub(crate) fn over(channel: Channel) -> Queue<T> {
        Queue { channel: Arc::new(channel), items: PhantomData }
    }

    /// The number of items that were put and not got, at some moment during the call. `qsize`,
    /// [`empty`](Queue::empty) and [`full`](Queue::full) use one count.
    ///
    /// Python: `Queue.qsize`.
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.channel.items()
    }

    /// Whether there was no item at some moment during the call. More items may follow: see
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
        self.channel.is_full()
    }

    /// Closes the queue for this process: every call on this handle and its clones here returns `Closed`,
    /// also one that waits in another thread. A second close has no effect; other processes go on.
    ///
    /// Python: `Queue.close`.
    pub fn close(&self) {
        self.channel.close();
    }

    /// Shuts the queue down for all processes. Puts return `Closed`, and so do gets once the queue is
    /// drained. All waiters wake. A put in progress is waited for, so that no consumer leaves before its item
    /// is there; for at most half a second, since its process may be stopped.
    ///
    /// Python: `queue.Queue.shutdown`.
    pub fn shutdown(&self) {
        self.channel.shutdown();
    }

    /// Wakes all waiters, since a producer has ended.
    pub(crate) fn wake_all(&self) {
        self.channel.wake_all();
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
        write!(f, "Queue<{name}>({} items)", self.channel.looks_to_hold())
    }
}

/// Within a transfer only.
impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.channel.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Channel::read::<Queue<T>, D>(deserializer).map(Queue::over)
    }
}

// A queue is ready when a get would not wait.
waitable_by_its_channel!(Queue, channel);
