//! Models of the semaphore.

use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::Ordering;
use mp_model::{AnyWord, soon};
use mp_sync::raw::{MOST_PERMITS, RawSemaphore};
use std::sync::Arc;

fn with_permits<W: AnyWord>(permits: u32) -> Arc<RawSemaphore<W>> {
    let semaphore = Arc::<RawSemaphore<W>>::default();
    semaphore.release(permits, MOST_PERMITS).expect("room for them");
    semaphore
}

/// One permit is a lock: what one holder wrote the next one sees.
pub(crate) fn semaphore_of_one_excludes<W: AnyWord>() {
    let shared = Arc::new((with_permits::<W>(1), AtomicU32::new(0)));
    // ORDERING: Relaxed: only the semaphore orders it.
    let add_one = |shared: &(Arc<RawSemaphore<W>>, AtomicU32)| {
        assert!(shared.0.acquire(None));
        shared.1.store(shared.1.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        shared.0.release(1, 1).expect("only its holder gives it back");
    };
    let others = [(); 2].map(|()| {
        let shared = shared.clone();
        spawn(&Fuse::never(), move || add_one(&shared))
    });
    add_one(&shared);
    for other in others {
        other.join().expect("lives");
    }
    assert_eq!((shared.1.load(Ordering::Relaxed), shared.0.value()), (3, 1));
}

/// Each permit reaches a waiter, released one by one or at once.
pub(crate) fn semaphore_wakes_one_for_each<W: AnyWord>() {
    two_sleepers_are_woken_by::<W>(&[1, 1]);
}

pub(crate) fn semaphore_wakes_many_at_once<W: AnyWord>() {
    two_sleepers_are_woken_by::<W>(&[2]);
}

/// So many permits at a time.
fn two_sleepers_are_woken_by<W: AnyWord>(given: &[u32]) {
    let semaphore = with_permits::<W>(0);
    let sleepers = [(); 2].map(|()| {
        let semaphore = semaphore.clone();
        spawn(&Fuse::never(), move || assert!(semaphore.acquire(None)))
    });
    given.iter().for_each(|permits| semaphore.release(*permits, MOST_PERMITS).expect("room"));
    sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("lives"));
    assert_eq!(semaphore.value(), 0);
}

/// One whose deadline passes may have used up the wake that another sleeper needs for the next permit.
pub(crate) fn semaphore_timeout_passes_the_wake_on<W: AnyWord>() {
    let semaphore = with_permits::<W>(0);
    let (for_ever, hurried) = (semaphore.clone(), semaphore.clone());
    let for_ever = spawn(&Fuse::never(), move || assert!(for_ever.acquire(None)));
    let hurried = spawn(&Fuse::never(), move || hurried.acquire(soon()));
    semaphore.release(1, MOST_PERMITS).expect("room");
    // A thread that never sleeps takes it, maybe before the woken ones.
    let barged = semaphore.try_acquire();
    semaphore.release(1, MOST_PERMITS).expect("room");
    let taken = u32::from(hurried.join().expect("lives")) + u32::from(barged);
    if taken == 2 {
        // Nothing was left for it.
        semaphore.release(1, MOST_PERMITS).expect("room");
    }
    for_ever.join().expect("lives");
}

/// Two concurrent releases never pass the bound, and a refused one adds nothing.
pub(crate) fn semaphore_bound_is_never_passed<W: AnyWord>() {
    let semaphore = with_permits::<W>(1);
    let other = semaphore.clone();
    let other = spawn(&Fuse::never(), move || other.release(1, 2).is_ok());
    let mine = semaphore.release(1, 2).is_ok();
    let given = u32::from(mine) + u32::from(other.join().expect("lives"));
    assert_eq!((given, semaphore.value()), (1, 2));
}

/// Dead in a release, asleep, or with the permit: a living thread gets what was released and not taken.
pub(crate) fn semaphore_dead_sleeper<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let semaphore = with_permits::<W>(0);
    let (victim, sleeper) = (semaphore.clone(), semaphore.clone());
    let victim = spawn(fuse, move || victim.acquire(None));
    let sleeper = spawn(&Fuse::never(), move || assert!(sleeper.acquire(None)));
    semaphore.release(1, MOST_PERMITS).expect("room");
    // The dead one may have taken one along.
    semaphore.release(1, MOST_PERMITS).expect("room");
    victim.join();
    sleeper.join().expect("lives");
    assert!(semaphore.value() <= 1);
}

pub(crate) fn semaphore_dead_releaser<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let semaphore = with_permits::<W>(0);
    let (victim, sleeper) = (semaphore.clone(), semaphore.clone());
    let victim = spawn(fuse, move || victim.release(1, MOST_PERMITS));
    let sleeper = spawn(&Fuse::never(), move || sleeper.acquire(soon()));
    let gave = victim.join().is_some();
    let taken = sleeper.join().expect("lives");
    // Released once or not at all; once for certain by a thread that survived it.
    let there = semaphore.value() + u32::from(taken);
    assert!(there == 1 || (there == 0 && !gave), "{there}");
}
