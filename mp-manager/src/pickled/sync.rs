//! The calls on objects that may wait, as the calls of the server's own objects; and their replies as Python's.
//!
//! ```text
//!   acquire(True, 0.5) ──► Lock(Acquire), at most 0.5 s ──► Done: True    Timeout: False
//!   get(False)         ──► Queue(Get), never             ──► Value: it     WouldBlock: queue.Empty
//! ```

use super::arguments::{Asked, index, is_true, seconds};
use super::held::Held;
use super::kinds::Type;
use super::numbers::proxied;
use super::raised::Raised;
use crate::error::ManagerError;
use crate::object::{self, Counts};
use crate::protocol::{
    BarrierCall, Call, ConditionCall, EventCall, Failure, Kind, LockCall, ObjectId, Packed, QueueCall, Reply,
    SemaphoreCall, Start, Wait, Waiting,
};
use mp_core::transfer::Message;
use mp_pipe::pickle::{Value, dumps, loads};
use std::time::Duration;

/// A call of one of the server's own objects.
pub(crate) struct Step {
    pub(crate) call: Call,
    pub(crate) wait: Wait,
    pub(crate) then: Then,
}

/// What a reply means to the Python program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// True if it was done, False if there was no time left.
    Truth,
    Nothing,
    Flag,
    Count,
    /// Whether the count is nothing.
    IsZero,
    Item,
    /// Nothing, or the queue is full.
    Put,
}

/// An object that may wait, and how long its waits last at most.
pub(super) type Waiter = (Kind, Box<dyn object::Object>, Option<Duration>);

/// A new object of such a type.
pub(super) fn make(counts: &Counts, type_: Type, asked: &Asked) -> Result<Waiter, Raised> {
    let none = || asked.exactly().map(|[]: [Value; 0]| Start::Empty);
    let (kind, start) = match type_ {
        Type::Lock => {
            none()?;
            return Ok((Kind::Lock, object::lock_of_no_thread(), None));
        }
        Type::RLock => (Kind::RLock, none()?),
        Type::Event => (Kind::Event, none()?),
        // Its lock was looked for before.
        Type::Condition => (Kind::Condition, Start::Empty),
        Type::Semaphore | Type::BoundedSemaphore => {
            let [value] = asked.bind(0, ["value"])?;
            let value = value.map_or(Ok(1), |value| index(&value))?;
            let permits =
                u64::try_from(value).map_err(|_| Raised::value("semaphore initial value must be >= 0"))?;
            let bounded = type_ == Type::BoundedSemaphore;
            (Kind::Semaphore, if bounded { Start::Bounded(permits) } else { Start::Number(permits) })
        }
        Type::Barrier => return barrier(counts, asked),
        _ => {
            let [most] = asked.bind(0, ["maxsize"])?;
            let most = most.map_or(Ok(0), |most| index(&most))?;
            (Kind::Queue, Start::Number(u64::try_from(most).unwrap_or(0)))
        }
    };
    Ok((kind.clone(), made(counts, &kind, start)?, None))
}

/// The lock that a new condition is to be over; `None`: one of its own.
pub(super) fn lock_of_condition(type_: Type, asked: &Asked) -> Result<Option<ObjectId>, Raised> {
    if type_ != Type::Condition {
        return Ok(None);
    }
    let [lock] = asked.bind(0, ["lock"])?;
    match lock.unwrap_or_default() {
        Value::None => Ok(None),
        lock => match proxied(&lock) {
            Some(number) => Ok(Some(number)),
            None => {
                Err(Raised::type_error("Condition(lock): give the proxy of a Lock or RLock of this server"))
            }
        },
    }
}

fn made(counts: &Counts, kind: &Kind, start: Start) -> Result<Box<dyn object::Object>, Raised> {
    object::make(counts, kind, start).map_err(|failure| raised(Type::Queue, Then::Nothing, &failure))
}

fn barrier(counts: &Counts, asked: &Asked) -> Result<Waiter, Raised> {
    let [parties, action, timeout] = asked.bind(1, ["parties", "action", "timeout"])?;
    if !action.unwrap_or_default().is_none() {
        return Err(Raised::type_error("this server calls no Python function: a barrier without an action"));
    }
    let parties = index(&parties.unwrap_or_default())?;
    let parties = u64::try_from(parties).ok().filter(|parties| *parties > 0);
    let parties = parties.ok_or_else(|| Raised::value("parties must be > 0"))?;
    let timeout =
        timeout.filter(|timeout| !timeout.is_none()).map(|timeout| seconds(&timeout)).transpose()?;
    let kind = Kind::Barrier;
    Ok((kind.clone(), made(counts, &kind, Start::Number(parties))?, timeout))
}

/// What a call is here.
pub(super) fn step(
    counts: &Counts,
    type_: Type,
    longest: Option<Duration>,
    asked: &Asked,
) -> Result<Step, Raised> {
    let now = |call, then| Ok(Step { call, wait: Wait::Never, then });
    match (type_, &*asked.method) {
        (Type::Lock | Type::RLock, "acquire") => {
            Ok(Step { call: Call::Lock(LockCall::Acquire), wait: lock_time(asked)?, then: Then::Truth })
        }
        (Type::Lock | Type::RLock, "release") => now(Call::Lock(LockCall::Release), Then::Nothing),
        (Type::Lock, "locked") => now(Call::Lock(LockCall::Locked), Then::Flag),
        (Type::Semaphore | Type::BoundedSemaphore, "acquire") => {
            let wait = semaphore_time(asked)?;
            Ok(Step { call: Call::Semaphore(SemaphoreCall::Acquire), wait, then: Then::Truth })
        }
        (Type::Semaphore | Type::BoundedSemaphore, "release") => {
            let [count] = asked.bind(0, ["n"])?;
            let count = u64::try_from(count.map_or(Ok(1), |count| index(&count))?).unwrap_or(0);
            if count == 0 {
                return Err(Raised::value("n must be one or more"));
            }
            now(Call::Semaphore(SemaphoreCall::Release(count)), Then::Nothing)
        }
        (Type::Condition, _) => condition(asked),
        (Type::Event, method) => {
            let call = match method {
                "is_set" => return now(Call::Event(EventCall::IsSet), Then::Flag),
                "set" => EventCall::Set,
                "clear" => EventCall::Clear,
                "wait" => {
                    let call = Call::Event(EventCall::Wait);
                    return Ok(Step { call, wait: timeout(asked)?, then: Then::Truth });
                }
                _ => return Err(unknown(type_, asked)),
            };
            now(Call::Event(call), Then::Nothing)
        }
        (Type::Barrier, _) => barrier_step(longest, asked),
        (Type::Queue | Type::JoinableQueue, _) => queue(counts, asked),
        _ => Err(unknown(type_, asked)),
    }
}

fn unknown(type_: Type, asked: &Asked) -> Raised {
    Raised::attribute(format!("'{}' object has no attribute '{}'", type_.name(), asked.method))
}

fn condition(asked: &Asked) -> Result<Step, Raised> {
    let (call, wait, then) = match &*asked.method {
        "acquire" => (ConditionCall::Acquire, lock_time(asked)?, Then::Truth),
        "release" => (ConditionCall::Release, Wait::Never, Then::Nothing),
        "wait" => (ConditionCall::Wait(Waiting::Asked), timeout(asked)?, Then::Flag),
        "notify" => {
            let [count] = asked.bind(0, ["n"])?;
            let count = count.map_or(Ok(1), |count| index(&count))?;
            (ConditionCall::Notify(u64::try_from(count).unwrap_or(0)), Wait::Never, Then::Nothing)
        }
        "notify_all" => (ConditionCall::NotifyAll, Wait::Never, Then::Nothing),
        _ => return Err(unknown(Type::Condition, asked)),
    };
    Ok(Step { call: Call::condition(call), wait, then })
}

fn barrier_step(longest: Option<Duration>, asked: &Asked) -> Result<Step, Raised> {
    let (call, wait, then) = match &*asked.method {
        "wait" => {
            let wait = match (timeout(asked)?, longest) {
                (Wait::Forever, Some(longest)) => Wait::AtMost(longest),
                (wait, _) => wait,
            };
            (BarrierCall::Wait(None), wait, Then::Count)
        }
        "abort" => (BarrierCall::Abort, Wait::Never, Then::Nothing),
        "reset" => (BarrierCall::Reset, Wait::Never, Then::Nothing),
        _ => {
            let [name] = asked.exactly()?;
            match name.as_str() {
                Some("parties") => (BarrierCall::Parties, Wait::Never, Then::Count),
                Some("n_waiting") => (BarrierCall::Waiting, Wait::Never, Then::Count),
                Some("broken") => (BarrierCall::Broken, Wait::Never, Then::Flag),
                _ => {
                    let name = super::repr::repr(&name);
                    return Err(Raised::attribute(format!("'Barrier' object has no attribute {name}")));
                }
            }
        }
    };
    Ok(Step { call: Call::Barrier(call), wait, then })
}

fn queue(counts: &Counts, asked: &Asked) -> Result<Step, Raised> {
    let put = |value, wait| {
        let call = Call::Queue(QueueCall::Put(packed(counts, value)?));
        Ok(Step { call, wait, then: Then::Put })
    };
    let (call, wait, then) = match &*asked.method {
        "put" => {
            let [item, block, time] = asked.bind(1, ["item", "block", "timeout"])?;
            return put(item.unwrap_or_default(), queue_time(block, time)?);
        }
        "put_nowait" => {
            let [item] = asked.bind(1, ["item"])?;
            return put(item.unwrap_or_default(), Wait::Never);
        }
        "get" => {
            let [block, time] = asked.bind(0, ["block", "timeout"])?;
            (QueueCall::Get, queue_time(block, time)?, Then::Item)
        }
        "get_nowait" => (QueueCall::Get, Wait::Never, Then::Item),
        "qsize" => (QueueCall::Len, Wait::Never, Then::Count),
        "empty" => (QueueCall::Len, Wait::Never, Then::IsZero),
        "full" => (QueueCall::Full, Wait::Never, Then::Flag),
        "task_done" => (QueueCall::TaskDone, Wait::Never, Then::Nothing),
        "join" => (QueueCall::Join, Wait::Forever, Then::Nothing),
        _ => return Err(unknown(Type::Queue, asked)),
    };
    Ok(Step { call: Call::Queue(call), wait, then })
}

fn packed(counts: &Counts, value: Value) -> Result<Packed, Raised> {
    let held = Held::new(counts, value);
    let bytes = dumps(&held.value).map_err(|error| Raised::value(error.to_string()))?;
    Ok(Packed { message: Message { bytes, handles: Vec::new() }, objects: held.ids() })
}

/// `acquire(blocking=True, timeout=-1)`
fn lock_time(asked: &Asked) -> Result<Wait, Raised> {
    let [blocking, timeout] = asked.bind(0, ["blocking", "timeout"])?;
    let blocks = blocking.is_none_or(|blocking| is_true(&blocking));
    let timeout = timeout.filter(|timeout| !super::compare::equal(timeout, &Value::Int(-1)));
    match timeout {
        Some(_) if !blocks => Err(Raised::value("can't specify a timeout for a non-blocking call")),
        Some(time) if super::compare::less(&time, &Value::Int(0))? => {
            Err(Raised::value("timeout value must be a non-negative number"))
        }
        Some(time) => Ok(Wait::AtMost(seconds(&time)?)),
        None => Ok(if blocks { Wait::Forever } else { Wait::Never }),
    }
}

/// `acquire(blocking=True, timeout=None)`
fn semaphore_time(asked: &Asked) -> Result<Wait, Raised> {
    let [blocking, timeout] = asked.bind(0, ["blocking", "timeout"])?;
    let blocks = blocking.is_none_or(|blocking| is_true(&blocking));
    match timeout.filter(|timeout| !timeout.is_none()) {
        Some(_) if !blocks => Err(Raised::value("can't specify timeout for non-blocking acquire")),
        Some(time) => Ok(Wait::AtMost(seconds(&time)?)),
        None => Ok(if blocks { Wait::Forever } else { Wait::Never }),
    }
}

/// `(block=True, timeout=None)`
fn queue_time(block: Option<Value>, timeout: Option<Value>) -> Result<Wait, Raised> {
    if !block.is_none_or(|block| is_true(&block)) {
        return Ok(Wait::Never);
    }
    match timeout.filter(|timeout| !timeout.is_none()) {
        None => Ok(Wait::Forever),
        Some(time) if super::compare::less(&time, &Value::Int(0))? => {
            Err(Raised::value("'timeout' must be a non-negative number"))
        }
        Some(time) => Ok(Wait::AtMost(seconds(&time)?)),
    }
}

/// `wait(timeout=None)`
fn timeout(asked: &Asked) -> Result<Wait, Raised> {
    let [timeout] = asked.bind(0, ["timeout"])?;
    Ok(match timeout.filter(|timeout| !timeout.is_none()) {
        None => Wait::Forever,
        Some(time) => match seconds(&time)? {
            Duration::ZERO => Wait::Never,
            time => Wait::AtMost(time),
        },
    })
}

/// What a reply is in Python.
pub(super) fn answer(counts: &Counts, type_: Type, then: Then, reply: &Reply) -> Result<Held, Raised> {
    let value: Value = match (then, reply) {
        (_, Reply::Failed(Failure::WouldBlock | Failure::Timeout)) => match then {
            Then::Truth => false.into(),
            Then::Item => return Err(Raised::new("queue", "Empty", [])),
            Then::Put => return Err(Raised::new("queue", "Full", [])),
            _ => return Err(broken_barrier()),
        },
        (_, Reply::Failed(failure)) => return Err(raised(type_, then, failure)),
        (Then::Truth, Reply::Done) => true.into(),
        (Then::Nothing | Then::Put, Reply::Done) => Value::None,
        (Then::Flag, Reply::Flag(flag)) => (*flag).into(),
        (Then::Count, Reply::Count(count)) => (*count).into(),
        (Then::IsZero, Reply::Count(count)) => (*count == 0).into(),
        (Then::Item, Reply::Value(Some(packed))) => {
            let value =
                loads(&packed.message.bytes).map_err(|error| Raised::unpickling(error.to_string()))?;
            return Ok(Held::new(counts, value));
        }
        (_, other) => return Err(Raised::runtime(&format!("the server's own reply is not one: {other:?}"))),
    };
    Ok(Held::plain(value))
}

fn broken_barrier() -> Raised {
    Raised::new("threading", "BrokenBarrierError", [])
}

fn raised(type_: Type, then: Then, failure: &Failure) -> Raised {
    match (failure, type_) {
        (Failure::Broken, _) => broken_barrier(),
        (Failure::OwnerDied, _) => Raised::os(EOWNERDEAD, &told(failure)),
        (Failure::OverReleased, Type::Lock) => Raised::runtime("release unlocked lock"),
        (Failure::OverReleased, Type::Queue | Type::JoinableQueue) => {
            Raised::value("task_done() called too many times")
        }
        (Failure::OverReleased, _) => Raised::value("Semaphore released too many times"),
        (Failure::TasksLost(_), _) => Raised::runtime(&told(failure)),
        (Failure::NotOwner, Type::Condition) if then == Then::Flag => {
            Raised::runtime("cannot wait on un-acquired lock")
        }
        (Failure::NotOwner, Type::Condition) => Raised::runtime("cannot notify on un-acquired lock"),
        (Failure::NotOwner, _) => Raised::runtime("cannot release un-acquired lock"),
        (Failure::NoSuchObject, _) => Raised::new("builtins", "KeyError", ["the object is gone".into()]),
        (other, _) => Raised::runtime(&format!("the server has refused it: {other:?}")),
    }
}

/// In the words of the error that a Rust program has.
fn told(failure: &Failure) -> String {
    ManagerError::from(failure.clone()).to_string()
}

/// As Linux numbers it, but on MIPS, SPARC and PA-RISC.
const EOWNERDEAD: i32 = 130;
