//! The model beside the lesson `ex32_lost_update`: no barrier stands between the read and the write, and every schedule
//! is walked. Some lose an addition; with a lock none does.

use mp_core::word::Ordering;
use mp_model::loom::{AtomicU32, Fuse, ModelOwned, bound, explore, spawn};
use mp_sync::raw::RawLock;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The sums of two threads that add one each, over all schedules.
fn totals(locked: bool) -> Vec<u32> {
    let totals = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&totals);
    let report = explore(bound(), move || {
        let counter = Arc::new((RawLock::<ModelOwned>::default(), AtomicU32::new(0)));
        let others = [(); 2].map(|()| {
            let counter = Arc::clone(&counter);
            spawn(&Fuse::never(), move || {
                let (lock, number) = &*counter;
                let _ = locked.then(|| lock.acquire(None));
                // ORDERING: Relaxed: the lock orders it, or nothing does.
                let read = number.load(Ordering::Relaxed);
                number.store(read + 1, Ordering::Relaxed);
                assert_eq!(lock.release(), locked);
            })
        });
        others.into_iter().for_each(|other| assert!(other.join().is_some()));
        seen.lock().unwrap().insert(counter.1.load(Ordering::Relaxed));
    });
    println!("locked {locked}: {report}");
    let totals = totals.lock().unwrap();
    totals.iter().copied().collect()
}

#[test]
fn without_a_lock_some_schedules_lose_one() {
    assert_eq!(totals(false), [1, 2]);
}

#[test]
fn with_a_lock_none_does() {
    assert_eq!(totals(true), [2]);
}
