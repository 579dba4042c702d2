//! The models: 2 or 3 threads, 1 or 2 rounds. Each is generic over its world, so that a faulty one can be put in.

mod barrier;
mod condition;
mod event;
mod lock;
mod rlock;
mod rwlock;
mod seats;
mod semaphore;

pub(crate) use barrier::*;
pub(crate) use condition::*;
pub(crate) use event::*;
pub(crate) use lock::*;
pub(crate) use rlock::*;
pub(crate) use rwlock::*;
pub(crate) use seats::*;
pub(crate) use semaphore::*;

use mp_core::word::Deadline;
use std::time::Duration;

/// The id that the harness gives to the first thread that a model starts.
const FIRST: u32 = 2;

/// Some deadline: in the model it passes whenever it likes.
fn soon() -> Option<Deadline> {
    Deadline::after(Duration::ZERO)
}
