//! Crowds at the lock that its holder may take again.

use super::{all, crowd};
use crate::tables::Pair;
use crate::world::{Fuse, point, spawn};
use mp_core::word::Owned;
use mp_model::AnyOwned;
use mp_sync::raw::{Acquired, RawRLock};
use std::sync::Arc;

type Guarded<O> = Arc<(RawRLock<O>, Pair)>;

fn guarded<O: AnyOwned>() -> Guarded<O> {
    Arc::new((RawRLock::default(), Pair::default()))
}

/// Changes the pair when it is so many deep.
fn add_one<O: Owned>(guarded: &Guarded<O>, depth: u32) {
    let (lock, pair) = &**guarded;
    let how = lock.acquire(None).expect("no deadline");
    for deep in 2..=depth {
        assert_eq!(lock.try_acquire(), Some(Acquired::Clean));
        assert_eq!(lock.depth(), deep);
    }
    pair.add_one(how);
    lock.clear_died();
    for deep in (0..depth).rev() {
        assert!(lock.release());
        point();
        assert_eq!(lock.depth(), deep);
    }
}

/// Each acquires to any depth; no other comes in between.
pub(crate) fn rlock_crowd_excludes_at_any_depth<O: AnyOwned>() {
    let guarded = guarded::<O>();
    let its = guarded.clone();
    let others = crowd(5, move |number| add_one(&its, number % 3 + 1));
    add_one(&guarded, 3);
    all(others);
    assert_eq!(guarded.1.get(), 6);
    assert!(!guarded.0.is_locked() && !guarded.0.release());
}

/// One lends all of it, as a condition's waiter does, and has all of it back.
pub(crate) fn rlock_crowd_takes_what_is_lent<O: AnyOwned>() {
    let guarded = guarded::<O>();
    assert!(guarded.0.acquire(None).is_some() && guarded.0.acquire(None).is_some());
    let its = guarded.clone();
    let others = crowd(4, move |number| add_one(&its, number % 2 + 1));
    assert_eq!((guarded.0.release_all(), guarded.0.depth()), (2, 0));
    assert_eq!(guarded.0.acquire_as_before(2), Acquired::Clean);
    assert!(guarded.0.release() && guarded.0.release());
    all(others);
    assert_eq!(guarded.1.get(), 4);
}

/// Whatever the depth of a dead holder, the next holder counts its own.
pub(crate) fn rlock_crowd_one_dies<O: AnyOwned>(fuse: &Fuse) {
    let guarded = guarded::<O>();
    let its = guarded.clone();
    let victim = spawn(fuse, move || add_one(&its, 3));
    let its = guarded.clone();
    let others = crowd(3, move |number| add_one(&its, number % 2 + 1));
    all(others);
    victim.join();
    add_one(&guarded, 1);
    assert!(guarded.1.get() >= 4);
    assert!(!guarded.0.is_locked());
}
