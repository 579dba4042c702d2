//! Crowds at the semaphore.

use super::{all, crowd};
use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::{Ordering, Word};
use mp_model::{AnyWord, soon};
use mp_sync::raw::{MOST_PERMITS, RawSemaphore};
use std::sync::Arc;

/// A semaphore, and how many are inside.
type Counted<W> = Arc<(RawSemaphore<W>, AtomicU32)>;

fn with_permits<W: AnyWord>(permits: u32) -> Counted<W> {
    let counted: Counted<W> = Arc::default();
    counted.0.release(permits, MOST_PERMITS).expect("room for them");
    counted
}

fn inside<W: Word>(counted: &Counted<W>) {
    // ORDERING: Relaxed: a count of its own.
    assert!(counted.1.fetch_add(1, Ordering::Relaxed) < 2, "more inside than there are permits");
    counted.1.fetch_sub(1, Ordering::Relaxed);
    counted.0.release(1, 2).expect("only a holder gives one back");
}

fn give<W: Word>(counted: &Counted<W>, permits: u32) {
    counted.0.release(permits, MOST_PERMITS).expect("room for them");
}

/// Two permits, and six threads that want one, for ever, for a while or not at all.
pub(crate) fn semaphore_crowd_shares_two_permits<W: AnyWord>() {
    let counted = with_permits::<W>(2);
    let its = counted.clone();
    let others = crowd(5, move |number| {
        for round in 0..2 {
            let taken = match (number + round) % 4 {
                0 => its.0.try_acquire(),
                1 => its.0.acquire(soon()),
                _ => its.0.acquire(None),
            };
            if taken {
                inside(&its);
            }
        }
    });
    assert!(counted.0.acquire(None));
    inside(&counted);
    all(others);
    assert_eq!((counted.0.value(), counted.0.release(1, 2).is_err()), (2, true));
}

/// Each permit reaches a waiter, released one by one or several at once.
pub(crate) fn semaphore_crowd_each_permit_wakes_one<W: AnyWord>() {
    let counted = with_permits::<W>(0);
    let its = counted.clone();
    let others = crowd(5, move |_| assert!(its.0.acquire(None)));
    [1, 3, 1].into_iter().for_each(|permits| give(&counted, permits));
    all(others);
    assert_eq!(counted.0.value(), 0);
}

/// One dies asleep, woken or with its permit: the others get what was given and not taken.
pub(crate) fn semaphore_crowd_dead_sleeper<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let counted = with_permits::<W>(0);
    let its = counted.clone();
    let victim = spawn(fuse, move || its.0.acquire(None));
    let its = counted.clone();
    let others = crowd(3, move |_| assert!(its.0.acquire(None)));
    give(&counted, 3);
    // The dead one may have taken one along.
    give(&counted, 1);
    victim.join();
    all(others);
    assert!(counted.0.value() <= 1);
}

/// A release by a thread that dies in it happens whole or not at all.
pub(crate) fn semaphore_crowd_dead_releaser<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let counted = with_permits::<W>(0);
    let its = counted.clone();
    let victim = spawn(fuse, move || give(&its, 2));
    let its = counted.clone();
    let hurried = crowd(2, move |_| its.0.acquire(soon()));
    let its = counted.clone();
    let patient = crowd(2, move |_| assert!(its.0.acquire(None)));
    give(&counted, 4);
    let gave = victim.join().is_some();
    all(patient);
    let taken = 2 + all(hurried).into_iter().map(u32::from).sum::<u32>();
    let there = counted.0.value() + taken;
    assert!(there == 6 || (there == 4 && !gave), "{there}");
}
