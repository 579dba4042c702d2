//! What locks, events and semaphores cost in descriptors: they share pages, and a page goes with its last object.

use mp_core::Process;
use mp_sync::{Event, Lock, RLock, Semaphore};
use mp_testing::{At, kill_at, limited, open_descriptors};
use nix::libc;
use nix::sys::resource::Resource;
use std::fs;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        five_thousand_locks_under_a_limit_of_1024,
        a_page_goes_with_its_last_object,
        a_forked_copy_makes_objects_of_its_own,
        a_killed_maker_leaves_what_others_have,
    ],
    every_method: [
        what_a_child_made_outlives_it_alone,
    ]
}

fn open() -> usize {
    open_descriptors(std::process::id()).len()
}

/// Pages of small objects that are mapped here.
fn pages() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:mp-objects").count()
}

fn is_free(lock: &Lock) -> bool {
    lock.try_acquire().is_ok()
}

fn five_thousand_locks_under_a_limit_of_1024() {
    let locks: Vec<Lock> =
        limited(Resource::RLIMIT_NOFILE, 1024, || (0..5000).map(|_| Lock::new().unwrap()).collect());
    // Each is a lock of its own.
    let held: Vec<_> = locks.iter().step_by(10).map(|lock| lock.acquire().unwrap()).collect();
    for (number, lock) in locks.iter().enumerate() {
        assert_eq!(is_free(lock), number % 10 != 0, "lock {number}");
    }
    drop(held);
    assert!(locks.iter().all(is_free));
}

fn a_page_goes_with_its_last_object() {
    let before = (open(), pages());
    let events: Vec<Event> = (0..100).map(|_| Event::new().unwrap()).collect();
    let (semaphores, locks) = ((0..100).map(Semaphore::new), (0..100).map(|_| RLock::new()));
    let others: Vec<_> = semaphores.zip(locks).collect();
    let all = pages();
    assert!(all - before.1 < 20, "{all} pages for 300 objects");
    drop(others);
    events[50].set();
    let one = events.into_iter().nth(50).unwrap();
    assert_eq!((open(), pages()), (before.0 + 1, before.1 + 1));
    assert!(one.is_set());
    drop(one);
    assert_eq!((open(), pages()), before);
    // Neither do many lives one after the other pile up beside a long one.
    let _long = Lock::new().unwrap();
    (0..1000).for_each(|_| drop(Lock::new().unwrap()));
    assert!(pages() - before.1 <= 2, "{} pages", pages() - before.1);
}

fn make_many() -> (Vec<Lock>, usize) {
    let locks: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
    (locks.iter().step_by(50).cloned().collect(), pages())
}

fn what_a_child_made_outlives_it_alone() {
    let before = (open(), pages());
    let (locks, made) = Process::new(make_many, ()).start().unwrap().join().unwrap();
    assert!(made >= 4 && pages() - before.1 == 2, "{made} pages there, {} here", pages());
    let _held = locks[0].acquire().unwrap();
    assert!(!is_free(&locks[0]) && is_free(&locks[1]));
}

/// Both go on in the page that the parent had begun.
fn a_forked_copy_makes_objects_of_its_own() {
    let first = Lock::new().unwrap();
    let child = Process::fork(|| (0..5).map(|_| Lock::new().unwrap()).collect::<Vec<Lock>>());
    let child = child.start().unwrap();
    let mut all: Vec<Lock> = (0..5).map(|_| Lock::new().unwrap()).collect();
    all.extend(child.join().unwrap());
    all.push(first);
    for (number, lock) in all.iter().enumerate() {
        let _held = lock.acquire().unwrap();
        let held: Vec<usize> = (0..all.len()).filter(|other| !is_free(&all[*other])).collect();
        assert_eq!(held, [number]);
    }
}

fn make_for_ever(go: Event) {
    go.wait();
    let mut locks = Vec::new();
    loop {
        locks.push(Lock::new().unwrap());
        if locks.len() == 500 {
            locks.clear();
        }
    }
}

/// Killed while it makes some, after it has got one of ours: that works, and goes when we drop it.
fn a_killed_maker_leaves_what_others_have() {
    let before = (open(), pages());
    let go = Event::new().unwrap();
    let lock = Lock::new().unwrap();
    let its = go.clone();
    let child = Process::fork(move || make_for_ever(its)).start().unwrap();
    kill_at(child.pid(), At::After(libc::SYS_ftruncate), || go.set());
    assert!(child.join().is_err());
    assert!(go.wait_timeout(Duration::ZERO) && is_free(&lock));
    let more: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
    assert!(more.iter().all(is_free));
    drop((more, lock, go, child));
    assert_eq!(pages(), before.1);
}
