//! The crowds: 4 to 6 threads, in whatever `crate::world` is. What loom, which walks every schedule, has no time for.
//! Each is generic over its words, so that faulty ones can be put in.

mod barrier;
mod condition;
mod event;
mod lock;
mod owned_semaphore;
mod rlock;
mod rwlock;
mod semaphore;

pub(crate) use barrier::*;
pub(crate) use condition::*;
pub(crate) use event::*;
pub(crate) use lock::*;
pub(crate) use owned_semaphore::*;
pub(crate) use rlock::*;
pub(crate) use rwlock::*;
pub(crate) use semaphore::*;

use crate::world::{Fuse, Life, spawn};

/// Starts so many threads that survive and `work`, each with its number.
fn crowd<T: Send + 'static>(count: u32, work: impl Fn(u32) -> T + Clone + Send + 'static) -> Vec<Life<T>> {
    let start = |number| {
        let work = work.clone();
        spawn(&Fuse::never(), move || work(number))
    };
    (0..count).map(start).collect()
}

/// What they came to.
fn all<T>(crowd: Vec<Life<T>>) -> Vec<T> {
    crowd.into_iter().map(|one| one.join().expect("lives")).collect()
}
