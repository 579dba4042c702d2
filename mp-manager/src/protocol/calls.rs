//! The calls of each kind of object.

use super::{Batch, Failure, Key, ObjectId, Packed};
use mp_core::transfer::{Code, Message};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Call {
    Dict(DictCall),
    Set(SetCall),
    List(ListCall),
    Cell(CellCall),
    Queue(QueueCall),
    Lock(LockCall),
    Semaphore(SemaphoreCall),
    Condition {
        /// Whose call it is, for the lock that it is over: the server says.
        #[serde(skip)]
        condition: ObjectId,
        call: ConditionCall,
    },
    Event(EventCall),
    Barrier(BarrierCall),
    Pool(PoolCall),
    Results(ResultsCall),
    Custom {
        method: u32,
        exclusive: bool,
        arguments: Message,
    },
}

impl Call {
    /// Whether it takes an item, which goes back if its caller dies before it has read it.
    pub(crate) fn takes_item(&self) -> bool {
        matches!(self, Call::Queue(QueueCall::Get) | Call::Results(ResultsCall::Take(_)))
    }

    /// What is left of it to be undone after it was answered; `None`: nothing, or others may have built on it.
    pub(crate) fn undoable(&self) -> Option<Call> {
        Some(match self {
            Call::Queue(QueueCall::Get) => Call::Queue(QueueCall::Get),
            // What it says of lost tasks is said once.
            Call::Queue(QueueCall::Join) => Call::Queue(QueueCall::Join),
            Call::Results(ResultsCall::Take(most)) => Call::Results(ResultsCall::Take(*most)),
            Call::Lock(LockCall::Acquire) => Call::Lock(LockCall::Acquire),
            Call::Semaphore(SemaphoreCall::Acquire) => Call::Semaphore(SemaphoreCall::Acquire),
            Call::Condition { condition, call: ConditionCall::Acquire } => {
                Call::Condition { condition: *condition, call: ConditionCall::Acquire }
            }
            Call::Condition { condition, call: ConditionCall::Wait(waiting) } => {
                Call::Condition { condition: *condition, call: ConditionCall::Wait(*waiting) }
            }
            _ => return None,
        })
    }

    /// A call of a condition, as a client makes it.
    pub(crate) fn condition(call: ConditionCall) -> Call {
        Call::Condition { condition: 0, call }
    }
}

/// A change takes three steps: `Begin` gives the values and keeps other writers away, the client computes, `Commit`
/// writes. A client that dies in between has changed nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum DictCall {
    Get(Key),
    Insert(Key, Packed),
    InsertMany(Vec<(Key, Packed)>),
    GetOrInsert(Key, Packed),
    Remove(Key),
    RemoveLast,
    Contains(Key),
    Len,
    Items,
    Keys,
    Values,
    Clear,
    /// If the key's value is `expected` (`None`: it has none), it becomes `new`. Gives what was there.
    CompareExchange {
        key: Key,
        expected: Option<Vec<u8>>,
        new: Option<Packed>,
    },
    Add(Key, Number, Vec<u8>),
    Begin(Vec<Key>),
    Commit(Vec<(Key, Option<Packed>)>),
    Abort(Vec<Key>),
    /// Calls one after the other, and no other client's between them.
    Batch(Batch),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum SetCall {
    Insert(Key),
    Remove(Key),
    Contains(Key),
    ContainsAll(Vec<Key>),
    InsertMany(Vec<Key>),
    RemoveMany(Vec<Key>),
    /// Keeps these, and gives how many it has removed.
    Retain(Vec<Key>),
    Pop,
    Len,
    All,
    Clear,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ListCall {
    Push(Packed),
    Extend(Vec<Packed>),
    Get(u64),
    Range(u64, u64),
    Set(u64, Packed),
    Insert(u64, Packed),
    Remove(u64),
    /// Replaces a range, and gives what was there.
    Splice(u64, u64, Vec<Packed>),
    Pop,
    Find(Vec<u8>),
    Count(Vec<u8>),
    RemoveValue(Vec<u8>),
    Reverse,
    Len,
    All,
    Clear,
    Add(u64, Number, Vec<u8>),
    CompareExchange {
        index: u64,
        expected: Vec<u8>,
        new: Packed,
    },
    Begin,
    /// For a change of one place: the whole list is kept all the same.
    BeginOne(u64),
    Commit(Vec<Packed>),
    CommitOne(u64, Packed),
    Abort,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum CellCall {
    Get,
    /// Gives what was there.
    Set(Packed),
    Add(Number, Vec<u8>),
    CompareExchange {
        expected: Vec<u8>,
        new: Packed,
    },
    Begin,
    Commit(Packed),
    Abort,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum QueueCall {
    Put(Packed),
    Get,
    Len,
    Full,
    TaskDone,
    Join,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LockCall {
    Acquire,
    Release,
    Locked,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum SemaphoreCall {
    Acquire,
    Release(u64),
    Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum ConditionCall {
    Acquire,
    Release,
    /// Gives the lock up, waits to be notified, and takes the lock again. How far it has come, the server
    /// says.
    Wait(Waiting),
    Notify(u64),
    NotifyAll,
}

/// How far a wait for a condition has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Waiting {
    Asked,
    /// By which it is notified, and how often the lock is to be taken again.
    Asleep {
        ticket: u64,
        depth: u64,
    },
    /// It takes the lock again; whether it was notified.
    Returning {
        notified: bool,
        depth: u64,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum EventCall {
    IsSet,
    Set,
    Clear,
    Wait,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum BarrierCall {
    /// With the generation and the place in it, once it has arrived.
    Wait(Option<(u64, u64)>),
    Abort,
    Reset,
    Parties,
    Waiting,
    Broken,
}

/// A pool in the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PoolCall {
    /// Tasks of one function, with the arguments of each. Gives the object that their results come to.
    Submit {
        code: Code,
        tasks: Vec<Message>,
        gather: Gather,
    },
    Close,
    Terminate,
    Join,
    Processes,
}

/// How the results of tasks are to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Gather {
    /// All together.
    Together,
    /// One by one, in the order of the tasks.
    InOrder,
    /// One by one, as they come.
    AsTheyCome,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ResultsCall {
    /// Takes the next elements, up to so many; waits until there is one.
    Take(u64),
    /// Copies all, once all are there.
    Get,
    Wait,
    IsReady,
    IsSuccessful,
    /// No more are taken.
    Close,
    /// What has come: the server's own call.
    #[serde(skip)]
    Arrive(Arrived),
}

/// One of the results, or why there is none.
pub(crate) type Element = Result<Packed, Failure>;

#[derive(Debug)]
pub(crate) enum Arrived {
    /// With its place among the tasks.
    One(u64, Element),
    All(Result<Vec<Element>, Failure>),
}

/// What kind of number a packed value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Number {
    I8,
    I16,
    I32,
    I64,
    I128,
    U8,
    U16,
    U32,
    U64,
    U128,
    F32,
    F64,
}
