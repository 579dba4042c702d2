//! Mirrors CPython's `test_rlock`: as often as it was taken it is given back, by its holder alone.

use mp_core::Process;
use mp_sync::{AcquireError, Event, RLock, RawValue, ReleaseError};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        taken_again_and_given_back_as_often,
        another_thread_has_to_wait,
        a_timeout_ends_the_wait,
    ],
    every_method: [
        another_process_waits_for_the_last_release,
        a_killed_holder_is_told_of_and_its_depth_forgotten,
    ]
}

fn taken_again_and_given_back_as_often() {
    let lock = RLock::new().unwrap();
    assert_eq!((lock.depth(), lock.locked(), lock.release()), (0, false, Err(ReleaseError::NotOwner)));
    let first = lock.acquire().unwrap();
    let second = lock.try_acquire().unwrap();
    lock.acquire_timeout(Duration::ZERO).unwrap().keep();
    assert_eq!(lock.depth(), 3);
    assert_eq!(format!("{lock:?}"), format!("RLock {{ owner: Some({}), depth: 3 }}", std::process::id()));
    // In any order: it is one lock.
    drop(first);
    assert_eq!((lock.depth(), lock.locked()), (2, true));
    lock.release().unwrap();
    drop(second);
    assert_eq!(format!("{lock:?}"), "RLock { owner: None, depth: 0 }");
    assert_eq!((lock.depth(), lock.locked(), lock.release()), (0, false, Err(ReleaseError::NotOwner)));
}

fn another_thread_has_to_wait() {
    let lock = RLock::new().unwrap();
    let _guards = [lock.acquire().unwrap(), lock.acquire().unwrap()];
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert!(matches!(lock.try_acquire(), Err(AcquireError::WouldBlock)));
            assert_eq!((lock.depth(), lock.release()), (0, Err(ReleaseError::NotOwner)));
        });
        other.join().unwrap();
    });
    assert_eq!(lock.depth(), 2);
}

fn a_timeout_ends_the_wait() {
    let lock = RLock::new().unwrap();
    let _guard = lock.acquire().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (began, timeout) = (std::time::Instant::now(), Duration::from_millis(60));
            assert!(matches!(lock.acquire_timeout(timeout), Err(AcquireError::Timeout)));
            assert!(began.elapsed() >= timeout);
        });
    });
}

fn see(lock: RLock, here: Event, value: RawValue<u32>) -> u32 {
    here.set();
    let _guard = lock.acquire().unwrap();
    value.get()
}

fn another_process_waits_for_the_last_release() {
    let (lock, here, value) = (RLock::new().unwrap(), Event::new().unwrap(), RawValue::new(0_u32).unwrap());
    let outer = lock.acquire().unwrap();
    let inner = lock.acquire().unwrap();
    let child = Process::new(see, (lock.clone(), here.clone(), value.clone())).start().unwrap();
    here.wait();
    drop(inner);
    value.set(7);
    drop(outer);
    assert_eq!(child.join().unwrap(), 7);
}

fn hold_deep(lock: RLock, here: Event) {
    let _guards = [lock.acquire().unwrap(), lock.acquire().unwrap(), lock.acquire().unwrap()];
    here.set();
    loop {
        std::thread::park();
    }
}

fn a_killed_holder_is_told_of_and_its_depth_forgotten() {
    let (lock, here) = (RLock::new().unwrap(), Event::new().unwrap());
    let child = Process::new(hold_deep, (lock.clone(), here.clone())).start().unwrap();
    here.wait();
    child.kill().unwrap();
    let guard = lock.acquire().unwrap_err().into_guard();
    assert_eq!(lock.depth(), 1);
    // It is told once; inside it is known.
    drop(lock.acquire().unwrap());
    guard.clear_owner_died();
    drop(guard);
    drop(lock.acquire().unwrap());
    let _ = child.join();
}
