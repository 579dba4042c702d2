//! Crowds at permits that have owners.

use super::{all, crowd};
use crate::world::{AtomicU32, Fuse, TimedLooks, point, set_looks, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::RawOwnedSemaphore;
use std::sync::Arc;

/// Permits, and the owner of each; `WAITING` threads can wait and be notified at once.
type Permits<O, const WAITING: usize> = Arc<(RawOwnedSemaphore<O, 2, WAITING>, [AtomicU32; 2])>;

fn permits<O: AnyOwned, const WAITING: usize>(count: u32) -> Permits<O, WAITING> {
    let permits: Permits<O, WAITING> = Arc::default();
    permits.0.init(count);
    permits
}

/// ORDERING: Relaxed throughout: only the permit orders it.
fn use_permit<O: Owned, const WAITING: usize>(permits: &Permits<O, WAITING>, permit: usize) {
    let (permits, owners) = &**permits;
    owners[permit].store(O::me(), Ordering::Relaxed);
    point();
    assert_eq!(owners[permit].load(Ordering::Relaxed), O::me(), "two on one permit");
    assert!(permits.release(permit));
}

fn wait_and_use<O: Owned, const WAITING: usize>(permits: &Permits<O, WAITING>) {
    let permit = permits.0.acquire(None).expect("no deadline");
    use_permit(permits, permit);
}

/// Two permits, and six threads that want one, for ever or for a while.
pub(crate) fn permits_crowd_has_one_owner_each<O: AnyOwned>() {
    let permits = permits::<O, 6>(2);
    let its = permits.clone();
    let others = crowd(5, move |number| match number {
        0 => its.0.acquire(soon()).into_iter().for_each(|permit| use_permit(&its, permit)),
        1 => its.0.try_acquire().into_iter().for_each(|permit| use_permit(&its, permit)),
        _ => wait_and_use(&its),
    });
    wait_and_use(&permits);
    all(others);
    assert_eq!(permits.0.value(), 2);
}

/// More wait than can be told: the others find out by looking.
pub(crate) fn permits_crowd_more_wait_than_are_told<O: AnyOwned>() {
    set_looks(TimedLooks::Always);
    let permits = permits::<O, 1>(1);
    let its = permits.clone();
    let others = crowd(4, move |_| wait_and_use(&its));
    wait_and_use(&permits);
    all(others);
    assert_eq!(permits.0.value(), 1);
}

/// The permit of a dead thread goes to a waiter.
pub(crate) fn permits_crowd_has_those_of_the_dead<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let permits = permits::<O, 4>(1);
    let its = permits.clone();
    let victim = spawn(fuse, move || wait_and_use(&its));
    let its = permits.clone();
    let others = crowd(3, move |_| wait_and_use(&its));
    all(others);
    victim.join();
    let first = permits.0.try_acquire();
    assert_eq!((first, permits.0.value()), (Some(0), 0));
}
