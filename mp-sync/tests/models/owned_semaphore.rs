//! Models of permits that have owners.

use crate::world::{AtomicU32, Fuse, TimedLooks, point, set_looks, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::RawOwnedSemaphore;
use std::sync::Arc;

/// One permit, and the number of its owners. Relaxed, so that only the permit orders it.
type Permit<O> = Arc<(RawOwnedSemaphore<O, 1, 2>, AtomicU32)>;

fn permit<O: AnyOwned>() -> Permit<O> {
    let permits = RawOwnedSemaphore::default();
    permits.init(1);
    Arc::new((permits, AtomicU32::new(0)))
}

/// ORDERING: Relaxed throughout: see the type.
fn use_permit<O: Owned>(permit: &Permit<O>) {
    let (permits, owners) = &**permit;
    let number = permits.acquire(None).expect("no deadline");
    owners.store(1, Ordering::Relaxed);
    point();
    assert_eq!(owners.load(Ordering::Relaxed), 1);
    owners.store(0, Ordering::Relaxed);
    assert!(permits.release(number));
}

/// Two threads want one permit: one after the other has it.
pub(crate) fn permits_are_handed_on<O: AnyOwned>() {
    let permit = permit::<O>();
    let other = permit.clone();
    let other = spawn(&Fuse::never(), move || use_permit(&other));
    use_permit(&permit);
    other.join();
    assert_eq!(permit.0.value(), 1);
    assert!(!permit.0.release(0) && !permit.0.release(1));
}

/// A thread that gives up has no permit, and has cost no other thread one.
pub(crate) fn permits_timeout_takes_nothing<O: AnyOwned>() {
    let permit = permit::<O>();
    let other = permit.clone();
    let other = spawn(&Fuse::never(), move || use_permit(&other));
    if let Some(number) = permit.0.acquire(soon()) {
        assert!(permit.0.release(number));
    }
    other.join();
    assert_eq!(permit.0.try_acquire(), Some(0));
}

/// The permit of a dead thread goes to the next.
pub(crate) fn permits_of_the_dead_come_back<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let permit = permit::<O>();
    let victim = permit.clone();
    let victim = spawn(fuse, move || use_permit(&victim));
    let number = permit.0.acquire(None).expect("no deadline");
    assert!(permit.0.release(number));
    victim.join();
    assert_eq!(permit.0.try_acquire(), Some(0));
}
