//! Channel: the ring, the packets beside it, and the conditions under which the queue is closed. Bytes in,
//! bytes out.

use crate::error::{GetError, PutError};
use crate::memory::{Packets, RingMemory, default_ceiling, first_segment};
use crate::ring::layout::Layout;
use crate::ring::{NotTaken, Packet, Refused, Ring, SHORT, TakeContext, Worker};
use crate::share;
use crate::worker::ThisProcess;
use mp_core::mem::{Kind, Mapping};
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::robust::RobustWord;
use mp_core::transfer::{Handle, attach_part};
use mp_core::word::Deadline;
use mp_core::{CodecError, CreateError, OsError, Waitable};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// How long a call may wait for the other side. A call that does not wait for it still waits briefly for its
/// own side's lock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait {
    Not,
    Until(Option<Deadline>),
}

impl Wait {
    pub(crate) fn within(timeout: Duration) -> Wait {
        Wait::Until(Deadline::after(timeout))
    }

    /// `never` for a call that does not wait, else `late`.
    pub(crate) fn error<E>(self, never: E, late: E) -> E {
        match self {
            Wait::Not => never,
            Wait::Until(_) => late,
        }
    }
}

/// How long a shutdown waits for a put in progress.
const PUT_UNDER_WAY: Duration = Duration::from_millis(500);

/// The limits of a new queue.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) items: Option<u32>,
    pub(crate) bytes: Option<usize>,
}

/// A handle of a queue, whatever its items are.
pub(crate) struct Channel {
    /// Shared by all handles of the queue in this process.
    ring: Arc<Ring<RingMemory>>,
    /// The read end of a pipe that ends when all counted producers have ended.
    producers: Option<Handle>,
    /// This handle was closed.
    closed: AtomicBool,
    /// The tasks of this process, if items must be reported done.
    worker: Option<ThisProcess>,
}

impl Channel {
    /// Makes the channel of a new `Q`.
    pub(crate) fn create<Q>(limits: Limits, producers: Option<Handle>) -> Result<Channel, CreateError> {
        if limits.items == Some(0) {
            return Err(CreateError::Argument(
                "a queue of zero items can hold nothing: give a bound of at least one".to_owned(),
            ));
        }
        let ceiling = limits.bytes.unwrap_or_else(default_ceiling);
        let memory = RingMemory::create(kind::<Q>(), limits.items.unwrap_or(0), ceiling)?;
        Ok(Channel::over(share::list(memory), producers))
    }

    /// Deserialises the channel of a `Q`.
    pub(crate) fn read<'de, Q, D: Deserializer<'de>>(deserializer: D) -> Result<Channel, D::Error> {
        let (mapping, packets, producers) =
            <(MappingOf<Q>, Packets, Option<Handle>)>::deserialize(deserializer)?;
        let ring = match share::find(&mapping.0) {
            // This process has the queue already, so the descriptors that arrived are closed.
            Some(ring) => ring,
            None => share::list(RingMemory::attach(mapping.0, packets).map_err(D::Error::custom)?),
        };
        Ok(Channel::over(ring, producers))
    }

    fn over(ring: Arc<Ring<RingMemory>>, producers: Option<Handle>) -> Channel {
        Channel { ring, producers, closed: AtomicBool::new(false), worker: None }
    }

    /// The same channel, for a queue whose items must be reported done.
    pub(crate) fn with_tasks(self) -> Channel {
        Channel { worker: Some(ThisProcess::default()), ..self }
    }

    /// Reports one item as done. `false`: no item is to be done.
    pub(crate) fn task_done(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| self.ring.tasks().task_done(worker))
    }

    /// Whether items must be reported done.
    pub(crate) fn has_tasks(&self) -> bool {
        self.worker.is_some()
    }

    /// Reports an item as done that cannot be decoded. Without this a join would wait for a report that no
    /// process can make.
    #[cold]
    pub(crate) fn give_up(&self, error: CodecError) -> GetError {
        self.task_done();
        error.into()
    }

    /// Waits until all items are done or lost; `None`: the deadline passed. Returns the number of items lost
    /// so far.
    pub(crate) fn join(&self, until: Option<Deadline>) -> Option<u32> {
        let worker = self.worker.as_ref()?;
        self.ring.tasks().join(worker, until).then(|| self.ring.tasks().lost())
    }

    pub(crate) fn items(&self) -> usize {
        self.ring.discard_orphans();
        self.ring.items()
    }

    /// As [`items`](Channel::items), and changes nothing.
    pub(crate) fn looks_to_hold(&self) -> usize {
        self.ring.items()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.ring.is_full()
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        // ORDERING: Release, pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn shutdown(&self) {
        self.ring.shut(Deadline::after(PUT_UNDER_WAY));
        self.tell_pollers();
    }

    /// Signals the processes that poll.
    #[inline]
    fn tell_pollers(&self) {
        self.ring.polls().tell(|| self.ring.memory().packets().signal());
    }

    /// Wakes all waiters, for example when a producer has ended.
    pub(crate) fn wake_all(&self) {
        self.ring.wake_all();
        self.tell_pollers();
    }

    /// Whether a get would not wait: it finds an item, or the end.
    fn is_ready(&self) -> bool {
        self.ring.discard_orphans();
        !self.ring.is_empty() || self.is_closed() || self.has_ended()
    }

    /// Whether nothing more can be put.
    fn has_ended(&self) -> bool {
        let gone = |end: &Handle| wait_for(end.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO));
        self.ring.is_shut() || self.producers.as_ref().is_some_and(|end| gone(end).unwrap_or(false))
    }

    /// Puts one record with its handles.
    #[inline]
    pub(crate) fn put(&self, bytes: &[u8], handles: &[Handle], wait: Wait) -> Result<(), PutError> {
        if !handles.is_empty() {
            return self.put_with_handles(bytes, handles, wait);
        }
        let put = self.attempt_put(wait, |until| self.ring.put([bytes], until));
        put.map(|_| ()).map_err(|refused| refusal(refused, bytes.len(), wait))
    }

    #[cold]
    fn put_with_handles(&self, bytes: &[u8], handles: &[Handle], wait: Wait) -> Result<(), PutError> {
        let (mut failed, no_room) = (None, Cell::new(false));
        let mut send = |ticket| match self.ring.memory().packets().send(ticket, handles) {
            Ok(true) => Packet::Sent,
            Ok(false) => {
                no_room.set(true);
                Packet::Full
            }
            Err(error) => {
                failed = Some(error);
                Packet::Failed
            }
        };
        let put = self.attempt_put(wait, |until| {
            no_room.set(false);
            self.ring.put_with_packet(bytes, until, &mut send)
        });
        put.map_err(|refused| match failed.take() {
            Some(error) if refused == Refused::Unsent => PutError::Os(error),
            _ if refused == Refused::Full && no_room.get() => PutError::HandlesFull,
            _ => refusal(refused, bytes.len(), wait),
        })
    }

    /// Puts `count` records without handles, in order, as they find room. `Err` has the number of records put
    /// before.
    pub(crate) fn put_many<'a>(
        &self,
        count: usize,
        record: impl Fn(usize) -> &'a [u8],
        wait: Wait,
    ) -> Result<(), (usize, PutError)> {
        let mut done = 0;
        while done < count {
            let put = self.attempt_put(wait, |until| self.ring.put((done..count).map(&record), until));
            done += put.map_err(|refused| (done, refusal(refused, record(done).len(), wait)))?;
        }
        Ok(())
    }

    #[inline]
    fn attempt_put<R>(
        &self,
        wait: Wait,
        mut put: impl FnMut(Option<Deadline>) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let mut attempt = |until| if self.is_closed() { Err(Refused::Closed) } else { put(until) };
        let put = match wait {
            Wait::Not => self.ring.after_put(false, attempt(Deadline::after(SHORT))),
            Wait::Until(until) => self.ring.until_room(until, || attempt(until)),
        };
        if put.is_ok() {
            self.tell_pollers();
        }
        put
    }

    /// Takes one record: appends its bytes to `into`, and returns its handles.
    #[inline]
    pub(crate) fn get(&self, into: &mut Vec<u8>, wait: Wait) -> Result<Vec<Handle>, GetError> {
        let mut delivery = Delivery { channel: self, handles: Vec::new(), failed: None };
        let taken = self.attempt_take(wait, |until| self.ring.take(into, &mut delivery, until));
        match taken {
            Ok(()) => Ok(delivery.handles),
            Err(NotTaken::Unreceived) => Err(delivery.failed.unwrap_or(GetError::Corrupt)),
            Err(why) => Err(failure(why, wait)),
        }
    }

    /// Takes up to `most` records at once, at least one. A record with handles is taken alone.
    pub(crate) fn get_many(
        &self,
        most: usize,
        into: &mut Records,
        wait: Wait,
    ) -> Result<Vec<Handle>, GetError> {
        into.clear();
        let Records { bytes, ends } = into;
        let delivery = Delivery { channel: self, handles: Vec::new(), failed: None };
        self.attempt_take(wait, |until| self.ring.take_many(most, bytes, ends, &delivery, until))
            .map_err(|why| failure(why, wait))?;
        if !ends.is_empty() {
            return Ok(Vec::new());
        }
        // The first record has a packet. (Another consumer may take it first: then this waits for the next
        // record.)
        let handles = self.get(bytes, wait)?;
        ends.push(bytes.len());
        Ok(handles)
    }

    #[inline]
    fn attempt_take<R>(
        &self,
        wait: Wait,
        mut take: impl FnMut(Option<Deadline>) -> Result<R, NotTaken>,
    ) -> Result<R, NotTaken> {
        let mut attempt = |until| {
            if self.is_closed() {
                return Err(NotTaken::Ended);
            }
            match take(until) {
                // The end is read before the last attempt: records that were put before the end must still be
                // taken.
                Err(NotTaken::Empty) if self.has_ended() => {
                    if self.ring.is_empty() {
                        Err(NotTaken::Ended)
                    } else {
                        take(until)
                    }
                }
                other => other,
            }
        };
        match wait {
            Wait::Not => self.ring.after_take(false, attempt(Deadline::after(SHORT))),
            Wait::Until(until) => self.ring.until_item(until, || attempt(until)),
        }
    }
}

/// The kind of a queue's memory. Queues of different types, or of different items, do not pass for each
/// other.
fn kind<Q>() -> Kind {
    Kind::of_items::<Layout<RobustWord, AtomicU64>, Q>()
}

/// Within a transfer only.
impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&**self.ring.memory().mapping(), self.ring.memory().packets(), &self.producers).serialize(serializer)
    }
}

/// The memory of a `Q`, deserialised with its kind checked.
struct MappingOf<Q>(Arc<Mapping>, PhantomData<fn(Q)>);

impl<'de, Q> Deserialize<'de> for MappingOf<Q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = std::any::type_name::<Q>();
        Ok(MappingOf(attach_part(deserializer, kind::<Q>(), expected, first_segment())?, PhantomData))
    }
}

/// The handles that a get receives beside the ring.
struct Delivery<'a> {
    channel: &'a Channel,
    handles: Vec<Handle>,
    failed: Option<GetError>,
}

impl TakeContext for Delivery<'_> {
    fn receive(&mut self, packet: u64) -> Result<bool, NotTaken> {
        let received = self.channel.ring.memory().packets().receive(packet).map_err(|error| {
            self.failed = Some(error);
            NotTaken::Unreceived
        })?;
        let is_there = received.is_some();
        self.handles = received.unwrap_or_default();
        Ok(is_there)
    }

    #[inline]
    fn worker(&self) -> Option<&impl Worker> {
        self.channel.worker.as_ref()
    }
}

impl Waitable for Channel {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.ring.memory().packets().descriptor()
    }

    fn is_ready(&self) -> Option<bool> {
        self.ring.polls().begin();
        Some(Channel::is_ready(self))
    }

    fn resync(&self) {
        let packets = self.ring.memory().packets();
        self.ring.polls().reset(|| packets.quiet(), || Channel::is_ready(self), || packets.signal());
    }
}

/// Implements `Waitable` for a queue by its channel.
macro_rules! waitable_by_its_channel {
    ($queue:ident, $($channel:tt)+) => {
        impl<T> mp_core::Waitable for $queue<T> {
            fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
                self.$($channel)+.descriptor()
            }
            fn is_ready(&self) -> Option<bool> {
                self.$($channel)+.is_ready()
            }
            fn resync(&self) {
                self.$($channel)+.resync();
            }
        }
    };
}
pub(crate) use waitable_by_its_channel;

fn refusal(refused: Refused, bytes: usize, wait: Wait) -> PutError {
    match refused {
        Refused::Full => wait.error(PutError::Full, PutError::Timeout),
        Refused::Closed => PutError::Closed,
        Refused::TooLarge => PutError::TooLarge { bytes },
        Refused::NoMemory => PutError::NoMemory,
        Refused::Unmapped(errno) => PutError::Os(OsError::new("mmap", errno)),
        Refused::Unsent | Refused::Corrupt => PutError::Corrupt,
    }
}

fn failure(why: NotTaken, wait: Wait) -> GetError {
    match why {
        NotTaken::Empty => wait.error(GetError::Empty, GetError::Timeout),
        NotTaken::Ended => GetError::Closed,
        NotTaken::Unmapped(errno) => GetError::Os(OsError::new("mmap", errno)),
        NotTaken::Unreceived | NotTaken::Corrupt => GetError::Corrupt,
    }
}

/// The bytes of several records, one after the other, and their ends.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<usize>,
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[at]]
    }
}
