//! Mirrors CPython's `_TestCondition`: P22 to P25; and what becomes of waiters that die.
//!
//! Waiting or notifying without a guard (P24) does not compile: doc-tests of `Condition`.
//!
//! A waiter counts itself under the lock and releases the lock by its wait: a thread that finds the count with the lock
//! held knows that so many wait.

use mp_core::{Child, JoinError, Process};
use mp_sync::{AtomicU32, Condition, Lock, Mutex, MutexGuard, RLock, ReleaseError, Value, WaitError};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        the_first_waiters_are_woken_first,
        as_many_are_woken_as_were_notified,
        a_notification_without_a_waiter_is_nothing,
        an_rlock_is_lent_whole,
        a_kept_guard_is_released_by_its_thread_only,
        one_too_many_is_told,
        a_panic_with_the_lock_is_told,
        a_guard_copied_by_fork_neither_waits_nor_notifies,
    ],
    every_method: [
        each_notification_wakes_one,
        waits_time_out_and_all_are_woken,
        timeouts_are_kept,
        waiting_for_a_number,
        notifications_do_not_prolong_a_wait,
        a_killed_waiter_is_passed_over,
        a_killed_holder_is_told_to_waiters,
    ]
}

/// How many came to wait, and how many of them have come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, mp_core::mem::Shareable)]
#[repr(C)]
struct Count {
    came: u32,
    back: u32,
}

/// Longer than the waits between two timed looks, which must not be taken for the end.
const BRIEFLY: Duration = Duration::from_millis(800);

type Room = Condition<Mutex<Count>>;

fn room() -> Room {
    Condition::with_lock(&Mutex::new(Count { came: 0, back: 0 }).unwrap()).unwrap()
}

fn wait(room: Room) {
    let mut count = room.acquire().unwrap();
    count.came += 1;
    count.wait().unwrap();
    count.back += 1;
}

/// Holds the lock once the counts are so.
fn when(room: &Room, is_so: impl Fn(Count) -> bool) -> mp_sync::ConditionGuard<'_, Mutex<Count>> {
    loop {
        let count = room.acquire().unwrap();
        if is_so(*count) {
            return count;
        }
        drop(count);
        thread::yield_now();
    }
}

fn waiting_child(room: &Room) -> Child<()> {
    Process::new(wait, (room.clone(),)).daemon().start().unwrap()
}

/// P22
fn each_notification_wakes_one() {
    let room = room();
    let child = waiting_child(&room);
    let other = room.clone();
    let thread = thread::spawn(move || wait(other));
    when(&room, |count| count.came == 2).notify_one();
    let mut count = when(&room, |count| count.back > 0);
    // The lock is free meanwhile: any other woken waiter would come back.
    assert_eq!(count.wait_timeout(BRIEFLY), Err(WaitError::Timeout));
    assert_eq!(count.back, 1);
    count.notify_one();
    drop(count);
    drop(when(&room, |count| count.back == 2));
    child.join().unwrap();
    thread.join().unwrap();
}

fn wait_briefly(room: Room) -> bool {
    let mut count = room.acquire().unwrap();
    let began = Instant::now();
    let notified = count.wait_timeout(BRIEFLY).is_ok();
    count.back += 1;
    notified || began.elapsed() < BRIEFLY
}

/// P23
fn waits_time_out_and_all_are_woken() {
    let room = room();
    let children: Vec<_> =
        (0..3).map(|_| Process::new(wait_briefly, (room.clone(),)).start().unwrap()).collect();
    thread::scope(|scope| {
        let threads: Vec<ScopedJoinHandle<'_, bool>> =
            (0..3).map(|_| scope.spawn(|| wait_briefly(room.clone()))).collect();
        assert!(threads.into_iter().all(|thread| !thread.join().unwrap()));
    });
    assert!(children.iter().all(|child| !child.join().unwrap()));
    assert_eq!(*room.acquire().unwrap(), Count { came: 0, back: 6 });

    let children: Vec<_> = (0..3).map(|_| waiting_child(&room)).collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| wait(room.clone()));
        }
        when(&room, |count| count.came == 6).notify_all();
    });
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(room.acquire().unwrap().back, 12);
}

fn notify(room: Room) {
    when(&room, |count| count.came == 1).notify_one();
}

/// P24
fn timeouts_are_kept() {
    let room = room();
    let child = Process::new(notify, (room.clone(),)).start().unwrap();
    let mut count = room.acquire().unwrap();
    assert_eq!(count.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
    let began = Instant::now();
    assert_eq!(count.wait_timeout(Duration::from_millis(100)), Err(WaitError::Timeout));
    assert!(began.elapsed() >= Duration::from_millis(100));
    count.came += 1;
    count.wait_timeout(Duration::from_secs(3600)).unwrap();
    drop(count);
    child.join().unwrap();
}

fn wait_for_four(condition: Condition<Lock>, number: Value<i32>) {
    let mut guard = condition.acquire().unwrap();
    number.set(0);
    guard.notify_all();
    guard.wait_for(|| number.get() == 4).unwrap();
}

/// P25
fn waiting_for_a_number() {
    let lock = Lock::new().unwrap();
    let condition = Condition::with_lock(&lock).unwrap();
    let number = Value::new(-1).unwrap();
    let child = Process::new(wait_for_four, (condition.clone(), number.clone())).start().unwrap();
    condition.acquire().unwrap().wait_for(|| number.get() == 0).unwrap();
    for _ in 0..4 {
        let guard = condition.acquire().unwrap();
        assert!(lock.locked(), "the condition is over the lock that it was given");
        number.update(|number| *number += 1);
        guard.notify_one();
    }
    child.join().unwrap();
    assert_eq!(child.exitcode(), Some(0));

    let mut guard = condition.acquire().unwrap();
    let began = Instant::now();
    assert_eq!(guard.wait_for_timeout(BRIEFLY, || number.get() == 5), Err(WaitError::Timeout));
    assert!(began.elapsed() >= BRIEFLY);
    guard.wait_for_timeout(Duration::ZERO, || number.get() == 4).unwrap();
}

fn notify_waiters(condition: Condition<Lock>, asked: AtomicU32) {
    while asked.load(Acquire) == 0 {
        thread::yield_now();
    }
    // Can be acquired only after the caller has released it.
    condition.acquire().unwrap().notify_one();
}

/// The timeout is that of the whole wait. Notified or not, whose time is up neither lends the lock nor asks again.
fn notifications_do_not_prolong_a_wait() {
    let condition = Condition::with_lock(&Lock::new().unwrap()).unwrap();
    let asked = AtomicU32::new(0).unwrap();
    let child = Process::new(notify_waiters, (condition.clone(), asked.clone())).start().unwrap();
    let mut guard = condition.acquire().unwrap();
    let began = Instant::now();
    let is_so = guard.wait_for_timeout(BRIEFLY, || {
        // Its second answer, after the notification, takes longer than there is time.
        while asked.load(Acquire) == 1 && began.elapsed() < BRIEFLY * 2 {
            thread::yield_now();
        }
        asked.fetch_add(1, Release);
        false
    });
    assert_eq!((is_so, asked.load(Acquire)), (Err(WaitError::Timeout), 2));
    drop(guard);
    child.join().unwrap();
}

/// P24: the lock is its parent's, and so is what only its holder may do.
fn a_guard_copied_by_fork_neither_waits_nor_notifies() {
    let room = Condition::new().unwrap();
    let mut count = room.acquire().unwrap();
    let child = Process::fork(|| count.wait() == Err(WaitError::NotOwner)).start().unwrap();
    assert!(child.join().unwrap());
    let waits = || count.wait_timeout(Duration::ZERO) == Err(WaitError::NotOwner);
    assert!(Process::fork(waits).start().unwrap().join().unwrap());
    let child = Process::fork(|| count.notify_all()).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Panicked { .. })));
    assert_eq!(count.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

fn the_first_waiters_are_woken_first() {
    let room = room();
    let order = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..8 {
            let (room, order) = (&room, &order);
            scope.spawn(move || {
                let mut count = when(room, |count| count.came == number);
                count.came += 1;
                count.wait().unwrap();
                order.lock().unwrap().push(number);
                count.back += 1;
            });
        }
        for back in 0..8 {
            when(&room, |count| count.came == 8 && count.back == back).notify_one();
        }
    });
    assert_eq!(order.into_inner().unwrap(), Vec::from_iter(0..8));
}

fn as_many_are_woken_as_were_notified() {
    let room = room();
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| wait(room.clone()));
        }
        let count = when(&room, |count| count.came == 10);
        count.notify(3);
        count.notify(0);
        count.notify(1);
        drop(count);
        let mut count = when(&room, |count| count.back == 4);
        // Six are left. A waiter that comes now is woken last.
        assert_eq!(count.wait_timeout(Duration::from_millis(50)), Err(WaitError::Timeout));
        assert_eq!(count.back, 4);
        count.notify(100);
    });
    assert_eq!(room.acquire().unwrap().back, 10);
}

fn a_notification_without_a_waiter_is_nothing() {
    let room = room();
    let mut count = room.acquire().unwrap();
    count.notify_all();
    count.notify_one();
    assert_eq!(count.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

fn an_rlock_is_lent_whole() {
    let lock = RLock::new().unwrap();
    let condition = Condition::with_lock(&lock).unwrap();
    let _outer = lock.acquire().unwrap();
    let mut guard = condition.acquire().unwrap();
    assert_eq!(lock.depth(), 2);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Had by another thread only if it was lent whole.
            let guard = condition.acquire().unwrap();
            assert_eq!(lock.depth(), 1);
            guard.notify_one();
        });
        guard.wait().unwrap();
    });
    assert_eq!(lock.depth(), 2);
}

fn a_kept_guard_is_released_by_its_thread_only() {
    let (plain, default) = (Condition::with_lock(&Lock::new().unwrap()).unwrap(), Condition::new().unwrap());
    plain.acquire().unwrap().keep();
    default.acquire().unwrap().keep();
    default.try_acquire().unwrap().keep();
    let owner = format!("Condition {{ lock: Lock {{ owner: Some({}) }}, .. }}", std::process::id());
    assert_eq!(format!("{plain:?}"), owner);
    thread::scope(|scope| {
        let others = || (plain.release(), default.release(), plain.try_acquire().is_err());
        assert_eq!(
            scope.spawn(others).join().unwrap(),
            (Err(ReleaseError::NotOwner), Err(ReleaseError::NotOwner), true)
        );
    });
    assert_eq!((plain.release(), plain.release()), (Ok(()), Err(ReleaseError::NotOwner)));
    assert_eq!((default.release(), default.lock().depth()), (Ok(()), 1));
    assert_eq!((default.release(), default.release()), (Ok(()), Err(ReleaseError::NotOwner)));
}

fn one_too_many_is_told() {
    let room = room();
    thread::scope(|scope| {
        for _ in 0..128 {
            scope.spawn(|| wait(room.clone()));
        }
        let mut count = when(&room, |count| count.came == 128);
        assert_eq!(count.wait(), Err(WaitError::TooMany));
        count.notify_all();
    });
    assert_eq!(room.acquire().unwrap().wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
}

/// With one notification and a waiter killed before it or after, the other comes back.
fn a_killed_waiter_is_passed_over() {
    for _ in 0..8 {
        let room = room();
        let (first, second) = {
            let first = waiting_child(&room);
            drop(when(&room, |count| count.came == 1));
            (first, waiting_child(&room))
        };
        drop(when(&room, |count| count.came == 2));
        first.kill().unwrap();
        // Dead by now, or about to be: chosen before that, its turn goes to the other.
        when(&room, |_| true).notify_one();
        let _ = first.join();
        let first_came_back = room.acquire().unwrap_or_else(|died| died.into_guard()).back == 1;
        if first_came_back {
            room.acquire().unwrap_or_else(|died| died.into_guard()).notify_one();
        }
        second.join().unwrap();
    }
}

fn die_with_the_lock(room: Room) {
    let _count = when(&room, |count| count.came == 1);
    std::process::abort();
}

fn a_killed_holder_is_told_to_waiters() {
    let room = room();
    let killer = Process::new(die_with_the_lock, (room.clone(),)).start().unwrap();
    let mut count = room.acquire().unwrap();
    count.came += 1;
    let told = loop {
        match count.wait_timeout(Duration::from_millis(1)) {
            Ok(()) => panic!("it was not notified"),
            Err(WaitError::Timeout) => {}
            Err(told) => break told,
        }
    };
    assert_eq!(told, WaitError::OwnerDied { notified: false });
    assert_eq!(count.came, 1);
    count.clear_owner_died();
    assert_eq!(count.wait_timeout(Duration::ZERO), Err(WaitError::Timeout));
    drop(count);
    drop(room.acquire().unwrap());
    assert!(killer.join().is_err());
}

fn a_panic_with_the_lock_is_told() {
    let room = room();
    thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _count = room.acquire().unwrap();
            panic!("on purpose");
        });
        assert!(panics.join().is_err());
    });
    assert!(room.acquire().is_err());
    let count: MutexGuard<'_, Count> = room.lock().lock().unwrap_or_else(|died| died.into_guard());
    count.clear_owner_died();
    drop(count);
    assert!(room.acquire().is_ok());
}
