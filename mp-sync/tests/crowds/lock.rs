//! Crowds at the lock.

use super::{all, crowd};
use crate::tables::{Locked, add_one, inside, locked};
use crate::world::{Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::Owned;
use mp_model::{AnyOwned, soon};
use mp_sync::raw::Acquired;

/// As it pleases: waiting for ever, for a while, or not at all. Gives how often it came in.
fn two_visits<O: Owned>(locked: &Locked<O>, number: u32) -> u32 {
    let visit = |round| {
        let taken = match (number + round) % 3 {
            0 => Some(locked.0.acquire(None).expect("no deadline")),
            1 => locked.0.acquire(soon()),
            _ => locked.0.try_acquire(),
        };
        assert_eq!(taken.is_some(), locked.0.held_by_me());
        taken.into_iter().for_each(|how| inside(locked, how));
        u32::from(taken.is_some())
    };
    visit(0) + visit(1)
}

/// However they come in, one is inside at a time, and the last one leaves it free.
pub(crate) fn lock_crowd_excludes<O: AnyOwned>() {
    let lock = locked::<O>();
    let its = lock.clone();
    let others = crowd(5, move |number| two_visits(&its, number));
    add_one(&lock);
    let visits: u32 = all(others).iter().sum();
    assert_eq!(lock.1.get(), visits + 1);
    assert_eq!(lock.0.try_acquire(), Some(Acquired::Clean));
}

/// All wait for ever: each release wakes the next.
pub(crate) fn lock_crowd_is_let_in_one_by_one<O: AnyOwned>() {
    let lock = locked::<O>();
    let how = lock.0.acquire(None).expect("no deadline");
    let its = lock.clone();
    let others = crowd(4, move |_| {
        add_one(&its);
        add_one(&its);
    });
    inside(&lock, how);
    all(others);
    assert_eq!(lock.1.get(), 9);
    assert!(!lock.0.is_locked());
}

/// Wherever one dies, the others go on without a timer; and only the next holder finds half a change.
pub(crate) fn lock_crowd_one_dies<O: AnyOwned>(fuse: &Fuse) {
    let lock = locked::<O>();
    let its = lock.clone();
    let victim = spawn(fuse, move || add_one(&its));
    let its = lock.clone();
    // One barges in where it finds the lock free: there pthread's robust mutexes lose a wake.
    let others = crowd(3, move |number| match number {
        0 => its.0.try_acquire().into_iter().for_each(|how| inside(&its, how)),
        _ => add_one(&its),
    });
    all(others);
    victim.join();
    add_one(&lock);
    assert!(lock.1.get() >= 3);
    assert!(!lock.0.is_locked());
}

/// As above, for a thread that is woken and dies after so many steps.
pub(crate) fn lock_crowd_woken_one_dies<O: AnyOwned>(fuse: &Fuse) {
    lock_crowd_one_dies::<O>(fuse);
}

/// Two die, each after as many steps: then it may take a timed look.
pub(crate) fn lock_crowd_two_die<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let lock = locked::<O>();
    let victims = [(); 2].map(|()| {
        let its = lock.clone();
        spawn(fuse, move || add_one(&its))
    });
    let its = lock.clone();
    let others = crowd(3, move |number| two_visits(&its, number));
    add_one(&lock);
    all(others);
    for victim in victims {
        victim.join();
    }
    add_one(&lock);
    assert!(!lock.0.is_locked());
}

/// Without a list the timed look finds the dead owner.
pub(crate) fn lock_crowd_without_a_kernel_list<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let lock = locked::<O>();
    let its = lock.clone();
    let victim = spawn(fuse, move || add_one(&its));
    let its = lock.clone();
    let others = crowd(3, move |_| add_one(&its));
    all(others);
    victim.join();
    add_one(&lock);
    assert!(lock.1.get() >= 4);
}
