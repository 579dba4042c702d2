//! What the server keeps. A call on an object is one step, or waits until another call has changed the object.

mod attempt;
mod barrier;
mod cell;
mod condition;
mod dict;
mod event;
mod ids;
mod leases;
mod list;
mod lock;
mod number;
mod queue;
mod results;
mod room;
mod semaphore;
mod set;
mod stored;
mod tasks;
mod touched;

pub(crate) use attempt::{Attempt, Caller, ClientId, Object};
pub(crate) use ids::IdMap;
pub(crate) use results::Results;
pub(crate) use room::{BESIDE, Charge, Room};
pub(crate) use stored::{Counts, Kept};
pub(crate) use touched::Touched;

use crate::protocol::{Failure, Kind, Start};

/// Python's `Lock`, which is no thread's.
#[cfg(feature = "pickle")]
pub(crate) fn lock_of_no_thread() -> Box<dyn Object> {
    Box::new(lock::Lock::of_no_thread())
}

/// A new object; no failure but a start that does not fit.
pub(crate) fn make(counts: &Counts, kind: &Kind, start: Start) -> Result<Box<dyn Object>, Failure> {
    Ok(match (kind, start) {
        (Kind::Dict | Kind::Namespace, Start::Empty) => Box::new(dict::Dict::new(counts)),
        (Kind::Set, Start::Empty) => Box::new(set::Set::new(counts)),
        (Kind::List, Start::Empty) => Box::new(list::List::new(counts, Vec::new())),
        (Kind::List | Kind::Array, Start::Values(values)) => Box::new(list::List::new(counts, values)),
        (Kind::Value, Start::Value(value)) => Box::new(cell::Cell::new(counts, value)),
        (Kind::Queue, Start::Number(most)) => Box::new(queue::Queue::new(counts, most)),
        (Kind::Lock, Start::Empty) => Box::new(lock::Lock::new(false)),
        // A condition's own lock is reentrant.
        (Kind::RLock | Kind::Condition, Start::Empty) => Box::new(lock::Lock::new(true)),
        (Kind::Semaphore, Start::Number(permits)) => Box::new(semaphore::Semaphore::new(permits, None)),
        (Kind::Semaphore, Start::Bounded(permits)) => {
            Box::new(semaphore::Semaphore::new(permits, Some(permits)))
        }
        (Kind::Event, Start::Empty) => Box::new(event::Event::default()),
        (Kind::Barrier, Start::Number(parties)) => Box::new(barrier::Barrier::new(parties)),
        _ => return Err(Failure::WrongKind),
    })
}
