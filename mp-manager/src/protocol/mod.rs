//! Requests and replies: plain data. Keys and values are packed by the proxy and stay packed in the server.
//!
//! ```text
//!   client ──(serial, Request)──► server        serial 0: no reply is wanted
//!   client ──Request::Call──► a slot ──Reply──► client (slots/)
//!   client ◄──(serial, Reply)──── server        in any order: a call that waits delays no other
//! ```

mod batch;
mod calls;
mod stores;

pub(crate) use batch::{Batch, BatchCall, BatchValue, Results};
pub(crate) use calls::{
    Arrived, BarrierCall, Call, CellCall, ConditionCall, DictCall, Element, EventCall, Gather, ListCall,
    LockCall, Number, PoolCall, QueueCall, ResultsCall, SemaphoreCall, SetCall, Waiting,
};

use crate::restart::Restart;
use crate::slots::Attachable;
use mp_core::OsError;
use mp_core::error::OsResult;
use mp_core::sys::process::random_bytes;
use mp_core::transfer::{Code, Handle, Message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which object: random, so that it cannot be guessed from another.
pub(crate) type ObjectId = u64;

/// A random number, of a manager or an object.
pub(crate) fn new_number() -> OsResult<u64> {
    let mut random = [0; 8];
    random_bytes(&mut random)?;
    Ok(u64::from_le_bytes(random))
}

/// A key as bytes: equal keys have equal bytes.
pub(crate) type Key = Vec<u8>;

/// A packed value, and the objects of the same manager that it refers to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Packed {
    pub(crate) message: Message,
    pub(crate) objects: Vec<ObjectId>,
}

/// Without any object in it.
impl From<Message> for Packed {
    fn from(message: Message) -> Packed {
        Packed { message, objects: Vec::new() }
    }
}

/// Bytes without handles or objects.
impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Packed {
        Message { bytes, handles: Vec::new() }.into()
    }
}

/// A request that is not answered.
pub(crate) const ONE_WAY: u64 = 0;

/// Set in the serial of a call through a slot; the rest is the slot's number. Its reply may come over the connection.
const OF_SLOT: u64 = 1 << 63;

pub(crate) fn serial_of_slot(slot: u32) -> u64 {
    OF_SLOT | u64::from(slot)
}

/// The slot of a call, if it came through one.
pub(crate) fn slot_of_serial(serial: u64) -> Option<u32> {
    if serial & OF_SLOT == 0 { None } else { u32::try_from(serial & !OF_SLOT).ok() }
}

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A new object, to which the client has one reference.
    Create {
        kind: Kind,
        start: Start,
    },
    /// An iterator over the keys of a dict, or the items of a set, as they are now.
    Iterate(ObjectId),
    /// One more reference of this client to an object.
    Hold(ObjectId),
    /// One reference less to each.
    Release(Vec<ObjectId>),
    /// A reference that lasts until every copy of the other end of the voucher is closed: one in flight. The end comes
    /// with the first object of a voucher.
    Lend {
        voucher: u64,
        end: Option<Handle>,
        object: ObjectId,
    },
    /// The same for all that this client holds: it is being forked.
    LendAll {
        end: Handle,
    },
    Call {
        object: ObjectId,
        thread: u64,
        wait: Wait,
        call: Call,
    },
    /// The client has read the item in the reply of this serial.
    Received(u64),
    /// Enters an object under a name, or takes the name away.
    Publish {
        name: String,
        object: Option<ObjectId>,
    },
    /// The object of a name, to which the client has one reference more.
    Lookup {
        name: String,
        kind: Kind,
    },
    /// A slot to call through, and the memory of the slots unless it is attached already.
    Slot {
        attached: bool,
    },
    /// Which manager this is.
    Hello,
    /// A block of named memory, which is the manager's.
    MakeMemory {
        size: u64,
    },
    ReleaseMemory {
        name: String,
    },
    ListMemory,
    /// How many objects there are.
    Count,
    Shutdown,
    /// The client waits no longer for the replies of these serials: the calls are given up, or undone.
    GiveUp(Vec<u64>),
}

/// What an object is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Dict,
    Set,
    List,
    Namespace,
    Value,
    Array,
    Queue,
    Lock,
    RLock,
    Semaphore,
    Condition,
    Event,
    Barrier,
    Pool,
    /// The results of tasks.
    Results,
    Iterator,
    Custom,
    /// Values of Python programs.
    Python,
}

/// How a new object begins.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Start {
    Empty,
    /// A value's first value.
    Value(Packed),
    /// An array's elements.
    Values(Vec<Packed>),
    /// Permits, parties, workers, or the most items of a queue.
    Number(u64),
    /// Permits, of which there may never be more.
    Bounded(u64),
    /// A condition's lock, an object of the same manager.
    Lock(ObjectId),
    /// The function that makes an object of a user's type, and its packed arguments.
    /// In a process of its own, if there is a policy for its death.
    Custom {
        code: Code,
        arguments: Message,
        restart: Option<Restart>,
    },
}

/// How long a call may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wait {
    /// `x()`
    Forever,
    /// `x_timeout()`
    AtMost(Duration),
    /// `try_x()`
    Never,
}

/// What the server answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    /// The next reply has this serial, and handles: a client that cannot take them knows whose reply it has dropped.
    HandlesFollow,
    Created(ObjectId),
    /// The manager, and the server's own number of its process.
    Hello {
        manager: u64,
        pid: u32,
    },
    /// `None`: there is none left, or no memory for it.
    Slot {
        slot: Option<u32>,
        memory: Attachable,
        doorbell: Option<Handle>,
    },
    Count(u64),
    Flag(bool),
    Value(Option<Packed>),
    Values(Vec<Packed>),
    /// One for each key, in the order of the keys.
    Options(Vec<Option<Packed>>),
    Batch(Results),
    Item(Option<(Key, Packed)>),
    Items(Vec<(Key, Packed)>),
    Keys(Vec<Key>),
    Number(Option<u64>),
    Text(String),
    Texts(Vec<String>),
    /// What a method of a user's type returned.
    Returned(Message),
    Failed(Failure),
    /// A call of a relative whose reply was to come over the connection was given up, and is undone.
    GivenUp,
}

impl Reply {
    /// What it is, without what is in it.
    pub(crate) fn name(&self) -> String {
        let shown = format!("{self:?}");
        shown.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().to_owned()
    }
}

/// How many bytes may be held for clients at an address together, unless it is said otherwise (`object/room.rs`).
pub(crate) const DEFAULT_MEMORY_LIMIT: u64 = 1 << 30;

/// Why the server did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    NoSuchObject,
    NoSuchName {
        name: String,
    },
    /// Made by a function of the program: a client that is no relative cannot name one.
    NoRelative,
    WrongKind,
    IndexOutOfRange {
        index: u64,
        len: u64,
    },
    OwnerDied,
    WouldBlock,
    Timeout,
    WouldDeadlock,
    NotOwner,
    OverReleased,
    /// Items that were got by clients which have died.
    TasksLost(u64),
    Overflow,
    Broken,
    NotChanging,
    /// A worker of a pool ended in the task, or the task was too much for it.
    WorkerDied(String),
    /// The pool takes no more tasks, or ends before they are done.
    PoolEnded(String),
    /// The pool was not closed.
    PoolRuns,
    Panicked {
        message: String,
        location: String,
    },
    /// The object's process ended; whether there is a new one.
    Died {
        how: String,
        restarted: bool,
    },
    NoMemory {
        asked: u64,
        available: u64,
    },
    /// Of clients at an address.
    MemoryLimit {
        asked: u64,
        left: u64,
    },
    Os {
        call: String,
        errno: i32,
    },
    Codec(String),
    /// The server has none left.
    NoDescriptors,
}

impl From<OsError> for Failure {
    fn from(error: OsError) -> Failure {
        Failure::Os { call: error.call.to_owned(), errno: error.errno().unwrap_or(0) }
    }
}
