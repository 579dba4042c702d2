//! Permits that have owners: as many as there are, and none lost with a process that dies.

use mp_core::sys::robust::MOST_HELD;
use mp_core::{Child, Process};
use mp_sync::{CreateError, Event, Lock, OwnedSemaphore, RawValue, ReleaseError, RwLock};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [permits_are_counted, wrong_numbers_are_refused, a_timeout_takes_nothing,
        what_is_held_beyond_the_kernels_list_comes_back_too],
    every_method: [
        permits_of_the_killed_come_back,
        a_killed_holder_lets_the_waiter_in,
        no_more_are_in_than_there_are_permits,
    ]
}

fn permits_are_counted() {
    let seats = OwnedSemaphore::new(2).unwrap();
    let (first, second) = (seats.acquire(), seats.try_acquire().unwrap());
    assert_eq!((seats.get_value(), seats.permits()), (0, 2));
    assert!(seats.try_acquire().is_err());
    drop(first);
    assert_eq!(seats.get_value(), 1);
    drop((seats.acquire(), second));
    assert_eq!(seats.get_value(), 2);
    seats.acquire().keep();
    std::thread::scope(|scope| {
        assert_eq!(scope.spawn(|| seats.release()).join().unwrap(), Err(ReleaseError::NotOwner));
    });
    assert_eq!((seats.release(), seats.release()), (Ok(()), Err(ReleaseError::NotOwner)));
}

fn wrong_numbers_are_refused() {
    assert!(matches!(OwnedSemaphore::new(0), Err(CreateError::Argument(_))));
    let error = OwnedSemaphore::new(129).unwrap_err();
    assert_eq!(error.to_string(), "129 permits are too many for an OwnedSemaphore: ask for at most 128");
    let most = OwnedSemaphore::new(128).unwrap();
    let all: Vec<_> = (0..128).map(|_| most.try_acquire().unwrap()).collect();
    assert!(most.try_acquire().is_err());
    drop(all);
    assert_eq!(most.get_value(), 128);
}

fn a_timeout_takes_nothing() {
    let seats = OwnedSemaphore::new(1).unwrap();
    let seat = seats.acquire();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (began, timeout) = (Instant::now(), Duration::from_millis(60));
            assert!(seats.acquire_timeout(timeout).is_err());
            assert!(began.elapsed() >= timeout);
            assert!(seats.acquire_timeout(Duration::ZERO).is_err());
        });
    });
    drop(seat);
    assert!(seats.acquire_timeout(Duration::ZERO).is_ok());
}

fn sit(seats: OwnedSemaphore, there: Event) {
    let _seat = seats.acquire();
    there.set();
    loop {
        std::thread::park();
    }
}

fn sitting(seats: &OwnedSemaphore) -> Child<()> {
    let there = Event::new().unwrap();
    let child = Process::new(sit, (seats.clone(), there.clone())).daemon().start().unwrap();
    there.wait();
    child
}

fn permits_of_the_killed_come_back() {
    let seats = OwnedSemaphore::new(3).unwrap();
    let _mine = seats.acquire();
    let children = [sitting(&seats), sitting(&seats)];
    assert!(seats.try_acquire().is_err());
    for (child, free) in children.iter().zip(1..) {
        child.kill().unwrap();
        let _ = child.join();
        assert_eq!(seats.get_value(), free);
    }
    let _again = (seats.try_acquire().unwrap(), seats.try_acquire().unwrap());
    assert!(seats.try_acquire().is_err());
}

fn a_killed_holder_lets_the_waiter_in() {
    let seats = OwnedSemaphore::new(1).unwrap();
    let child = sitting(&seats);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| drop(seats.acquire()));
        child.kill().unwrap();
        waiter.join().unwrap();
    });
    let _ = child.join();
    assert_eq!(seats.get_value(), 1);
}

/// A thread that holds as many as the kernel is told of, and then more, of each kind.
fn what_is_held_beyond_the_kernels_list_comes_back_too() {
    const ROOM: u32 = 128;
    let full: Vec<_> = (0..MOST_HELD as u32 / ROOM).map(|_| OwnedSemaphore::new(ROOM).unwrap()).collect();
    let (seats, lock) = (OwnedSemaphore::new(1).unwrap(), Lock::new().unwrap());
    let (read, written) = (RwLock::new(1_u32).unwrap(), RwLock::new(1_u32).unwrap());
    let there = Event::new().unwrap();
    let hold = || {
        full.iter().for_each(|seats| (0..ROOM).for_each(|_| seats.acquire().keep()));
        seats.acquire().keep();
        lock.acquire().unwrap().keep();
        let _held = (read.read().unwrap(), written.write().unwrap());
        there.set();
        loop {
            std::thread::park();
        }
    };
    let child = Process::fork(hold).start::<()>().unwrap();
    there.wait();
    assert_eq!(seats.get_value(), 0);
    assert!(seats.try_acquire().is_err() && read.try_write().is_err() && written.try_read().is_err());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| seats.acquire().keep());
        child.kill().unwrap();
        waiter.join().unwrap();
    });
    assert!(child.join().is_err());
    // The one that waited has ended with its permit, which the kernel knows.
    assert_eq!(seats.get_value(), 1);
    assert!(full.iter().all(|seats| seats.get_value() == ROOM));
    assert!(lock.acquire().is_err());
    assert!(read.write().is_ok());
    assert!(written.read().is_err());
}

fn come_and_go(seats: OwnedSemaphore, count: RawValue<u32>) {
    for _ in 0..500 {
        let _seat = seats.acquire();
        count.set(count.get() + 1);
    }
}

fn no_more_are_in_than_there_are_permits() {
    let (seats, count) = (OwnedSemaphore::new(1).unwrap(), RawValue::new(0).unwrap());
    let start = |_| Process::new(come_and_go, (seats.clone(), count.clone())).start().unwrap();
    let children: Vec<_> = (0..4).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    // Read, changed and written back under the one permit: nothing is lost.
    assert_eq!((count.get(), seats.get_value()), (2000, 1));
}
