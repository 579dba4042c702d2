//! Models of the lock.

use crate::tables::{add_one, inside, locked};
use crate::world::{Fuse, TimedLooks, live_here, point, set_looks, spawn};
use mp_core::word::Owned;
use mp_model::{AnyOwned, FIRST, soon};
use mp_sync::raw::{Acquired, RawLock};
use std::sync::Arc;

pub(crate) fn lock_excludes_and_hands_on<O: AnyOwned>() {
    let lock = locked::<O>();
    let others = [(); 2].map(|()| {
        let lock = lock.clone();
        spawn(&Fuse::never(), move || add_one(&lock))
    });
    add_one(&lock);
    for other in others {
        other.join().expect("lives");
    }
    assert_eq!(lock.1.get(), 3);
    assert!(!lock.0.is_locked());
}

/// A word is on one thread's list at a time: the next thread that takes it finds it on no list.
pub(crate) fn lock_is_on_one_list_at_a_time<O: AnyOwned>() {
    let lock = locked::<O>();
    let other = {
        let lock = lock.clone();
        spawn(&Fuse::never(), move || add_one(&lock))
    };
    add_one(&lock);
    other.join().expect("lives");
    assert_eq!(lock.1.get(), 2);
}

/// A sleeper whose deadline passes may have used up the wake that another sleeper needed.
pub(crate) fn lock_timeout_passes_the_wake_on<O: AnyOwned>() {
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (for_ever, hurried) = (lock.clone(), lock.clone());
    let for_ever = spawn(&Fuse::never(), move || visit(&for_ever));
    let hurried = spawn(&Fuse::never(), move || {
        if hurried.acquire(soon()).is_some() {
            assert!(hurried.release());
        }
    });
    assert!(lock.release());
    barge(&lock);
    for_ever.join().expect("lives");
    hurried.join().expect("lives");
    assert!(!lock.is_locked());
}

pub(crate) fn lock_try_and_owner<O: AnyOwned>() {
    let lock = locked::<O>();
    let other = lock.clone();
    let other = spawn(&Fuse::never(), move || {
        let taken = other.0.try_acquire();
        assert_eq!(taken.is_some(), other.0.held_by_me());
        if let Some(how) = taken {
            assert_eq!(other.0.owner(), Some(FIRST));
            inside(&other, how);
        }
        assert!(!other.0.release(), "given back what was not held");
        taken.is_some()
    });
    add_one(&lock);
    let taken = other.join().expect("lives");
    assert_eq!(lock.1.get(), 1 + u32::from(taken));
    assert_eq!(lock.0.owner(), None);
    assert_eq!(lock.0.try_acquire(), Some(Acquired::Clean));
    assert_eq!(lock.0.try_acquire(), None);
    assert!(lock.0.release());
}

/// As short as a visit can be: three of them and a death make many schedules.
fn visit<O: Owned>(lock: &RawLock<O>) {
    if lock.acquire(None) == Some(Acquired::OwnerDied) {
        lock.clear_died();
    }
    assert!(lock.release());
}

/// Takes the lock only if it is free at that moment, and gives it back.
fn barge<O: Owned>(lock: &RawLock<O>) {
    if lock.try_acquire().is_some() {
        assert!(lock.release());
    }
}

/// Takes the lock and ends with it: the kernel gives it back.
fn keep<O: Owned>(lock: &RawLock<O>) {
    assert!(lock.acquire(None).is_some());
}

/// The victim gives back, one sleeps, and a third barges in before the victim's wake: this is where pthread's
/// robust mutexes lose a wake.
pub(crate) fn lock_dead_releaser_sleeper_barger<O: AnyOwned>(fuse: &Fuse) {
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (sleeper, barger) = (lock.clone(), lock.clone());
    let sleeper = spawn(&Fuse::never(), move || visit(&sleeper));
    let barger = spawn(&Fuse::never(), move || barge(&barger));
    live_here(fuse, || assert!(lock.release()));
    sleeper.join().expect("lives");
    barger.join().expect("lives");
    assert!(!lock.is_locked());
}

/// Two sleep. The victim is woken and dies before it takes the lock, while the waker holds it again.
pub(crate) fn lock_dead_sleeper_sleeper_barger<O: AnyOwned>(fuse: &Fuse) {
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (victim, sleeper) = (lock.clone(), lock.clone());
    let victim = spawn(fuse, move || keep(&victim));
    let sleeper = spawn(&Fuse::never(), move || keep(&sleeper));
    assert!(lock.release());
    barge(&lock);
    victim.join();
    sleeper.join().expect("lives");
    assert!(!lock.is_locked());
}

/// Three whole visits, and one of them dies anywhere.
pub(crate) fn lock_one_of_three_dies<O: AnyOwned>(fuse: &Fuse) {
    let lock = Arc::<RawLock<O>>::default();
    let (victim, sleeper) = (lock.clone(), lock.clone());
    let victim = spawn(fuse, move || visit(&victim));
    let sleeper = spawn(&Fuse::never(), move || visit(&sleeper));
    visit(&lock);
    victim.join();
    sleeper.join().expect("lives");
    assert!(!lock.is_locked());
}

/// A thread that finds half a change is told so, wherever the previous holder died.
pub(crate) fn lock_dead_holder_is_reported<O: AnyOwned>(fuse: &Fuse) {
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || add_one(&victim));
    add_one(&lock);
    victim.join();
    add_one(&lock);
    assert!(lock.1.get() >= 2);
}

pub(crate) fn lock_died_stays_until_cleared<O: AnyOwned>(fuse: &Fuse) {
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.acquire(None);
        point();
        let held = victim.0.held_by_me();
        victim.0.release();
        held
    });
    let died = victim.join().is_none();
    let first = lock.0.acquire(None).expect("no deadline");
    assert!(died || first == Acquired::Clean);
    assert!(lock.0.release());
    assert_eq!(lock.0.acquire(None), Some(first), "it stays over a release");
    lock.0.clear_died();
    assert!(lock.0.release());
    assert_eq!(lock.0.try_acquire(), Some(Acquired::Clean));
    assert!(lock.0.release());
}

/// Without a list the timed look finds the dead owner.
pub(crate) fn lock_without_a_kernel_list<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || add_one(&victim));
    add_one(&lock);
    add_one(&lock);
    victim.join();
    assert!(lock.1.get() >= 2);
}
