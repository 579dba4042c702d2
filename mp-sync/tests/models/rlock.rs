//! Models of the lock that its holder may take again.

use crate::world::{AtomicU32, Fuse, point, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::AnyOwned;
use mp_sync::raw::{Acquired, RawRLock};
use std::sync::Arc;

/// The number is changed in two steps by a holder at depth two. Relaxed, so that only the lock orders it.
struct Guarded<O: Owned> {
    lock: RawRLock<O>,
    number: AtomicU32,
}

fn guarded<O: AnyOwned>() -> Arc<Guarded<O>> {
    Arc::new(Guarded { lock: RawRLock::default(), number: AtomicU32::new(0) })
}

/// ORDERING: Relaxed throughout: see the type.
fn add_two<O: Owned>(guarded: &Guarded<O>) -> Acquired {
    let how = guarded.lock.acquire(None).expect("no deadline");
    guarded.number.store(guarded.number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    assert_eq!(guarded.lock.acquire(None), Some(Acquired::Clean));
    assert_eq!(guarded.lock.depth(), 2);
    point();
    guarded.number.store(guarded.number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    assert!(guarded.lock.release());
    // Once is not all: it is still held.
    assert_eq!(guarded.lock.depth(), 1);
    guarded.lock.clear_died();
    assert!(guarded.lock.release());
    how
}

pub(crate) fn rlock_is_held_until_the_last_release<O: AnyOwned>() {
    let guarded = guarded::<O>();
    let other = guarded.clone();
    let other = spawn(&Fuse::never(), move || add_two(&other));
    assert_eq!(add_two(&guarded), Acquired::Clean);
    assert_eq!(other.join(), Some(Acquired::Clean));
    assert_eq!(guarded.number.load(Ordering::Relaxed), 4);
    assert!(!guarded.lock.is_locked() && !guarded.lock.release());
}

pub(crate) fn rlock_all_is_given_and_taken_back<O: AnyOwned>() {
    let guarded = guarded::<O>();
    for depth in 1..=3 {
        assert!(guarded.lock.acquire(None).is_some());
        assert_eq!(guarded.lock.depth(), depth);
    }
    let other = guarded.clone();
    let other = spawn(&Fuse::never(), move || add_two(&other));
    let depth = guarded.lock.release_all();
    assert_eq!((depth, guarded.lock.depth()), (3, 0));
    assert_eq!(guarded.lock.acquire_as_before(depth), Acquired::Clean);
    for depth in (0..3).rev() {
        assert!(guarded.lock.release());
        assert_eq!(guarded.lock.depth(), depth);
    }
    assert_eq!(other.join(), Some(Acquired::Clean));
    assert_eq!(guarded.number.load(Ordering::Relaxed), 2);
}

/// Whatever depth the dead one had, the next holder is one deep and is told.
pub(crate) fn rlock_dead_holder_is_reported<O: AnyOwned>(fuse: &Fuse) {
    let guarded = guarded::<O>();
    let victim = guarded.clone();
    let victim = spawn(fuse, move || add_two(&victim));
    let mine = add_two(&guarded);
    let finished = victim.join().is_some();
    let last = add_two(&guarded);
    let number = guarded.number.load(Ordering::Relaxed);
    let told = mine == Acquired::OwnerDied || last == Acquired::OwnerDied;
    assert!(number.is_multiple_of(2) || told, "half a change in a clean lock");
    assert!(!finished || (number == 6 && !told));
    assert_eq!(guarded.lock.depth(), 0);
}
