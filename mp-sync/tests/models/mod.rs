//! The small models: 2 or 3 threads, 1 or 2 rounds, in whatever `crate::world` is. Each is generic over its words, so
//! that faulty ones can be put in.

mod barrier;
mod condition;
mod event;
mod lock;
mod napping;
mod owned_semaphore;
mod rlock;
mod rwlock;
mod semaphore;
mod spinning;
mod turns;

pub(crate) use barrier::*;
pub(crate) use condition::*;
pub(crate) use event::*;
pub(crate) use lock::*;
pub(crate) use napping::*;
pub(crate) use owned_semaphore::*;
pub(crate) use rlock::*;
pub(crate) use rwlock::*;
pub(crate) use semaphore::*;
pub(crate) use spinning::*;
pub(crate) use turns::*;
