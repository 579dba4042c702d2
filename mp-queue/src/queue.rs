//! Queue: many producers, many consumers, any value that serde can carry.

use crate::error::{GetError, NewQueueError, PutError, PutRefusal};
use crate::memory::{Packets, RingMemory, default_ceiling};
use crate::ring::layout::Layout;
use crate::ring::{NotTaken, Packet, Refused, Ring};
use crate::{MOST_HANDLES, Producer};
use mp_core::CodecError;
use mp_core::mem::Kind;
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::transfer::{Handle, attach, pack_onto, scratch, unpack};
use mp_core::word::Deadline;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    shared: Arc<Shared>,
    items: PhantomData<fn(T) -> T>,
}

struct Shared {
    ring: Ring<RingMemory>,
    packets: Packets,
    /// Ends when all counted producers are gone, in whatever way.
    producers: Option<Handle>,
    /// [`Queue::close`] was called in this process.
    closed: AtomicBool,
}

/// How a queue is made, where the defaults do not fit.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueBuilder {
    items: Option<u32>,
    bytes: Option<usize>,
}

impl QueueBuilder {
    /// At most this many items: a put into a full queue waits. Python: `Queue(maxsize)`.
    pub fn max_items(mut self, items: u32) -> Self {
        self.items = Some(items);
        self
    }

    /// At most about this many bytes of shared memory, at least 256 KiB. Default: the eighth part of the available
    /// memory, at most 1 GiB.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Makes the queue.
    pub fn build<T>(self) -> Result<Queue<T>, NewQueueError> {
        self.build_with(None)
    }

    fn build_with<T>(self, producers: Option<Handle>) -> Result<Queue<T>, NewQueueError> {
        if self.items == Some(0) {
            return Err(NewQueueError::NoItems);
        }
        let ceiling = self.bytes.unwrap_or_else(default_ceiling);
        let memory = RingMemory::create(kind::<T>(), self.items.unwrap_or(0), ceiling)?;
        Ok(Queue::over(Shared {
            ring: Ring(memory),
            packets: Packets::new()?,
            producers,
            closed: AtomicBool::new(false),
        }))
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

    fn over(shared: Shared) -> Queue<T> {
        Queue { shared: Arc::new(shared), items: PhantomData }
    }

    /// Items that were put and not got, at some moment during the call. `qsize`, [`empty`](Queue::empty) and
    /// [`full`](Queue::full) come from one count.
    ///
    /// Python: `Queue.qsize`.
    #[doc(alias = "len")]
    pub fn qsize(&self) -> usize {
        self.shared.ring.items()
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
        self.shared.ring.looks_full()
    }

    /// This process puts and gets no more: every call on this handle and its clones here says `Closed`, also one
    /// that waits in another thread. A second close is fine; other processes go on.
    ///
    /// Python: `Queue.close`.
    pub fn close(&self) {
        // ORDERING: Release, pairs with the Acquire in `is_closed`.
        self.shared.closed.store(true, Ordering::Release);
        self.wake_everybody();
    }

    /// Nobody puts any more, in any process: puts say `Closed`, and so do gets once what is there is drained.
    /// Everybody who waits learns of it. A put that is under way is waited for, so that no getter leaves before its
    /// item is there; for half a second at most, since its process may be stopped.
    ///
    /// Python: `queue.Queue.shutdown`.
    pub fn shutdown(&self) {
        self.shared.ring.shut(Deadline::after(PUT_UNDER_WAY));
    }

    /// Has everybody who waits look again: a producer is gone.
    pub(crate) fn wake_everybody(&self) {
        self.shared.ring.wake_everybody();
    }
}

impl Shared {
    /// Whether nothing more can be put.
    fn has_ended(&self) -> bool {
        let gone = |end: &Handle| wait_for(end.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO));
        self.ring.is_shut() || self.producers.as_ref().is_some_and(|end| gone(end).unwrap_or(false))
    }

    fn is_closed(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }

    fn put(&self, bytes: &[u8], handles: &[Handle], wait: Wait) -> Result<(), PutRefusal> {
        let mut failed = None;
        let mut send = |number| match self.packets.send(number, handles) {
            Ok(true) => Packet::Sent,
            Ok(false) => Packet::Full,
            Err(error) => {
                failed = Some(error);
                Packet::Failed
            }
        };
        let mut attempt = |until| {
            if self.is_closed() {
                return Err(Refused::Closed);
            }
            let send: Option<&mut dyn FnMut(u64) -> Packet> =
                if handles.is_empty() { None } else { Some(&mut send) };
            self.ring.put(bytes, until, send)
        };
        let result = match wait {
            Wait::Not => self.ring.after_put(false, attempt(Deadline::after(LOCK))),
            Wait::Until(until) => self.ring.until_room(until, || attempt(until)),
        };
        result.map_err(|refused| match refused {
            Refused::Full => PutRefusal::Full,
            Refused::Closed => PutRefusal::Closed,
            Refused::TooLarge => PutRefusal::TooLarge { bytes: bytes.len() },
            Refused::NoMemory => PutRefusal::NoMemory,
            Refused::Unsent => failed.take().map_or(PutRefusal::Corrupt, PutRefusal::Os),
            Refused::Corrupt => PutRefusal::Corrupt,
        })
    }

    /// Takes one item's bytes and handles.
    fn get(&self, into: &mut Vec<u8>, wait: Wait) -> Result<Vec<Handle>, GetError> {
        let mut failed = None;
        let mut receive = |number| {
            self.packets.peek(number).map_err(|error| {
                failed = Some(error);
                NotTaken::Unreceived
            })
        };
        let mut attempt = |until| {
            if self.is_closed() {
                return Err(NotTaken::Ended);
            }
            // Asked before the look: what was put before the end is still to be taken.
            let ended = self.ring.looks_empty() && self.has_ended();
            into.clear();
            match self.ring.take(into, until, &mut receive, || self.packets.consume()) {
                Err(NotTaken::Empty) if ended => Err(NotTaken::Ended),
                other => other,
            }
        };
        let taken = match wait {
            Wait::Not => self.ring.after_take(false, attempt(Deadline::after(LOCK))),
            Wait::Until(until) => self.ring.until_item(until, || attempt(until)),
        };
        let handles = taken.map_err(|why| match why {
            NotTaken::Empty => GetError::Empty,
            NotTaken::Ended => GetError::Closed,
            NotTaken::Unreceived => failed.take().unwrap_or(GetError::Corrupt),
            NotTaken::Corrupt => GetError::Corrupt,
        })?;
        Ok(handles.unwrap_or_default())
    }
}

/// How long a call may wait for the other side.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Not,
    Until(Option<Deadline>),
}

/// A call that does not wait for the other side still waits for its own side's lock, which is held for one copy;
/// but not for long, since its holder may be stopped.
const LOCK: Duration = Duration::from_millis(50);
/// How long [`Queue::shutdown`] waits for a put in progress.
const PUT_UNDER_WAY: Duration = Duration::from_millis(500);

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
        self.put_within(value, Wait::Until(Deadline::after(timeout)))
    }

    fn put_within(&self, value: T, wait: Wait) -> Result<(), PutError<T>> {
        if self.shared.is_closed() {
            return Err(PutError { value, reason: PutRefusal::Closed });
        }
        let mut buffer = scratch::encoding();
        let result = pack_onto(&value, &mut buffer).map_err(PutRefusal::from).and_then(|handles| {
            if handles.len() > MOST_HANDLES {
                return Err(PutRefusal::TooManyHandles { count: handles.len() });
            }
            self.shared.put(&buffer, &handles, wait)
        });
        scratch::keep_encoding(buffer);
        result.map_err(|reason| PutError { value, reason })
    }
}

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
        self.get_within(Wait::Until(Deadline::after(timeout)))
    }

    fn get_within(&self, wait: Wait) -> Result<T, GetError> {
        let mut buffer = scratch::decoding();
        let result = self.shared.get(&mut buffer, wait);
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
        Queue { shared: Arc::clone(&self.shared), items: PhantomData }
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
        let Shared { ring, packets, producers, .. } = &*self.shared;
        (ring.0.mapping(), &packets.send, &packets.receive, producers).serialize(serializer)
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
        Ok(Queue::over(Shared {
            ring: Ring(memory.0),
            packets: Packets { send, receive },
            producers,
            closed: AtomicBool::new(false),
        }))
    }
}
