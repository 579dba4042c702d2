//! Mirrors CPython's `_TestSemaphore`: P20, P21. And what it is for where Python releases another's lock.
//!
//! Permits of the dead come back in `owned_semaphore.rs`.

use mp_core::{Child, Process};
use mp_sync::{BoundedSemaphore, CreateError, ReleaseError, Semaphore, Value};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        what_cannot_be_is_an_error,
        many_are_given_at_once_or_not_at_all,
    ],
    every_method: [
        permits_are_counted,
        a_bounded_one_refuses_more_than_it_began_with,
        a_timeout_ends_the_wait_and_takes_nothing,
        a_permit_of_another_process_is_waited_for,
        each_permit_wakes_one_child,
        one_permit_is_a_lock,
        a_killed_sleeper_costs_no_permit,
    ]
}

/// With two permits; leaves four.
fn take_two_and_give_four(semaphore: Semaphore) {
    assert_eq!((semaphore.get_value(), semaphore.locked()), (2, false));
    semaphore.acquire().keep();
    assert_eq!(semaphore.get_value(), 1);
    semaphore.acquire().keep();
    assert_eq!((semaphore.get_value(), semaphore.locked()), (0, true));
    assert!(semaphore.try_acquire().is_err());
    // One that was not to be had is not given back either.
    assert_eq!(semaphore.get_value(), 0);
    for value in 1..=4 {
        semaphore.release().unwrap();
        assert_eq!(semaphore.get_value(), value);
    }
    {
        let _scoped = semaphore.acquire();
        assert_eq!(semaphore.get_value(), 3);
    }
    assert_eq!(semaphore.get_value(), 4);
}

/// P20, here and in a child.
fn permits_are_counted() {
    take_two_and_give_four(Semaphore::new(2).unwrap());
    let semaphore = Semaphore::new(2).unwrap();
    assert_eq!(format!("{semaphore:?}"), "Semaphore { value: 2 }");
    let child = Process::new(take_two_and_give_four, (semaphore.clone(),)).start().unwrap();
    child.join().unwrap();
    assert_eq!(semaphore.get_value(), 4);
}

fn take_two_and_give_no_more(semaphore: BoundedSemaphore) {
    assert_eq!(semaphore.release(), Err(ReleaseError::TooMany { most: 2 }));
    for value in [1, 0] {
        semaphore.acquire().keep();
        assert_eq!(semaphore.get_value(), value);
    }
    assert!(semaphore.try_acquire().is_err());
    for value in [1, 2] {
        semaphore.release().unwrap();
        assert_eq!(semaphore.get_value(), value);
    }
    let permit = semaphore.acquire();
    assert_eq!(format!("{semaphore:?}"), "BoundedSemaphore { value: 1, most: 2 }");
    assert!(semaphore.release_many(2).is_err());
    assert_eq!(semaphore.get_value(), 1);
    drop(permit);
    assert_eq!(semaphore.release(), Err(ReleaseError::TooMany { most: 2 }));
    assert_eq!(semaphore.get_value(), 2);
}

/// P20, here and in a child: the bound travels along.
fn a_bounded_one_refuses_more_than_it_began_with() {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    take_two_and_give_no_more(semaphore.clone());
    let child = Process::new(take_two_and_give_no_more, (semaphore.clone(),)).start().unwrap();
    child.join().unwrap();
    assert_eq!(semaphore.get_value(), 2);
}

fn what_cannot_be_is_an_error() {
    assert!(matches!(Semaphore::new(1 << 31), Err(CreateError::Argument(_))));
    assert!(matches!(BoundedSemaphore::new(u32::MAX), Err(CreateError::Argument(_))));
    let full = Semaphore::new((1 << 31) - 1).unwrap();
    assert!(full.release().is_err() && full.release_many(u32::MAX).is_err());
    drop(full.acquire());
    assert_eq!(full.get_value(), (1 << 31) - 1);
}

fn ask_without_success(semaphore: Semaphore) {
    assert!(semaphore.try_acquire().is_err());
    assert!(semaphore.acquire_timeout(Duration::ZERO).is_err());
    // Both longer than the waits between two timed looks, which must not be taken for the end.
    for timeout in [800, 1400].map(Duration::from_millis) {
        let began = Instant::now();
        assert!(semaphore.acquire_timeout(timeout).is_err());
        assert!(began.elapsed() >= timeout, "{timeout:?}: given up after {:?}", began.elapsed());
    }
}

/// P21, here and in a child. That `try_acquire` takes no timeout is in its type.
fn a_timeout_ends_the_wait_and_takes_nothing() {
    let semaphore = Semaphore::new(0).unwrap();
    let child = Process::new(ask_without_success, (semaphore.clone(),)).start().unwrap();
    ask_without_success(semaphore.clone());
    child.join().unwrap();
    assert_eq!(semaphore.get_value(), 0);
    semaphore.release().unwrap();
    assert!(semaphore.acquire_timeout(Duration::MAX).is_ok());
    assert_eq!(semaphore.get_value(), 1);
}

fn many_are_given_at_once_or_not_at_all() {
    let semaphore = Semaphore::new(0).unwrap();
    semaphore.release_many(0).unwrap();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| semaphore.acquire().keep())).collect();
        semaphore.release_many(4).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(semaphore.get_value(), 0);
}

fn give(semaphore: Semaphore) {
    semaphore.release().unwrap();
}

/// The releasing process is not the one that took the permit: a lock of Python's, released by another process.
fn a_permit_of_another_process_is_waited_for() {
    let turn = Semaphore::new(1).unwrap();
    turn.acquire().keep();
    let child = Process::new(give, (turn.clone(),)).start().unwrap();
    turn.acquire().keep();
    child.join().unwrap();
    assert!(turn.locked());
}

fn take_one(semaphore: Semaphore) {
    semaphore.acquire().keep();
}

fn each_permit_wakes_one_child() {
    let semaphore = Semaphore::new(0).unwrap();
    let start = |_| Process::new(take_one, (semaphore.clone(),)).start().unwrap();
    let children: Vec<Child<()>> = (0..6).map(start).collect();
    semaphore.release_many(2).unwrap();
    (0..4).for_each(|_| semaphore.release().unwrap());
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(semaphore.get_value(), 0);
}

fn count(semaphore: Semaphore, value: Value<[u64; 2]>) {
    for _ in 0..2000 {
        let permit = semaphore.acquire();
        // Two steps, which only the permit makes one.
        let [seen, _] = value.get();
        value.update(|pair| pair[1] = seen + 1);
        value.update(|pair| pair[0] = seen + 1);
        drop(permit);
    }
}

fn one_permit_is_a_lock() {
    let (semaphore, value) = (Semaphore::new(1).unwrap(), Value::new([0_u64; 2]).unwrap());
    let start = |_| Process::new(count, (semaphore.clone(), value.clone())).start().unwrap();
    let children: Vec<Child<()>> = (0..4).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(value.get(), [8000, 8000]);
}

/// Killed at any moment of its sleep; the one that lives gets its permit all the same.
fn a_killed_sleeper_costs_no_permit() {
    for round in 0..20_u32 {
        let semaphore = Semaphore::new(0).unwrap();
        let start = || Process::new(take_one, (semaphore.clone(),)).start().unwrap();
        let (victim, sleeper) = (start(), start());
        let moment = Instant::now() + Duration::from_micros(u64::from(round) * 97);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        victim.kill().unwrap();
        semaphore.release().unwrap();
        // The dead one may have taken that along.
        let ended = victim.join();
        if ended.is_ok() || semaphore.get_value() == 0 && sleeper.is_alive() {
            semaphore.release().unwrap();
        }
        sleeper.join().unwrap();
    }
}
