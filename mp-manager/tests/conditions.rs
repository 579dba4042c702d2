//! Conditions over a lock of the manager that the user made. CPython: `threading.Condition(lock)` in a manager.

use mp_core::Process;
use mp_manager::{ConditionProxy, ListProxy, LockProxy, Manager, ManagerError};
use mp_sync::Event;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_condition_takes_its_lock,
        two_conditions_over_one_lock_wake_their_own,
        a_wait_gives_a_reentrant_lock_up_wholly,
        a_killed_holder_of_the_lock_is_told_of_by_the_condition,
        a_killed_sleeper_takes_no_notification,
        a_condition_keeps_its_lock,
        a_lock_of_another_manager_is_refused,
    ],
    every_method: [
        a_bounded_buffer_of_two_conditions,
    ]
}

const SHORT: Duration = Duration::from_millis(20);

fn a_condition_takes_its_lock() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let condition = manager.condition_with_lock(&lock).unwrap();
    assert!(matches!(condition.notify_one(), Err(ManagerError::NotOwner)));
    let mut guard = condition.acquire().unwrap();
    assert!(lock.locked().unwrap());
    assert!(matches!(condition.acquire(), Err(ManagerError::WouldDeadlock)));
    std::thread::scope(|scope| {
        let (taken, proceed) = (Event::new().unwrap(), Event::new().unwrap());
        scope.spawn({
            let (lock, taken, proceed) = (&lock, taken.clone(), proceed.clone());
            move || {
                // It waits for the lock's own proxy, which the wait below gives up.
                let _guard = lock.acquire().unwrap();
                taken.set();
                proceed.wait();
            }
        });
        scope.spawn({
            let taken = taken.clone();
            move || {
                taken.wait();
                proceed.set();
            }
        });
        // The thread that wants the lock may come later than one wait takes, and it is waited for below.
        while !taken.is_set() {
            assert!(matches!(guard.wait_timeout(SHORT), Err(ManagerError::Timeout)));
        }
    });
    assert!(lock.locked().unwrap());
    drop(guard);
    assert!(!lock.locked().unwrap());
}

fn two_conditions_over_one_lock_wake_their_own() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let conditions = [(); 2].map(|()| manager.condition_with_lock(&lock).unwrap());
    let (asleep, woken) = (manager.value(0_u32).unwrap(), manager.list::<usize>().unwrap());
    std::thread::scope(|scope| {
        for (number, condition) in conditions.iter().enumerate() {
            let (asleep, woken) = (&asleep, &woken);
            scope.spawn(move || {
                let mut guard = condition.acquire().unwrap();
                asleep.fetch_add(1).unwrap();
                guard.wait().unwrap();
                woken.push(number).unwrap();
            });
        }
        while asleep.get().unwrap() < 2 {
            std::thread::yield_now();
        }
        for number in [1, 0] {
            // The lock's guard is as good as the condition's.
            let guard = lock.acquire().unwrap();
            conditions[number].notify(9).unwrap();
            drop(guard);
            while woken.len().unwrap() < 2 - number {
                std::thread::yield_now();
            }
            assert_eq!(woken.to_vec().unwrap(), [1, 0][..2 - number]);
        }
    });
}

fn a_wait_gives_a_reentrant_lock_up_wholly() {
    let manager = Manager::start().unwrap();
    let lock = manager.rlock().unwrap();
    let condition = manager.condition_with_lock(&lock).unwrap();
    let outer = lock.acquire().unwrap();
    let mut inner = condition.acquire().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _guard = lock.acquire().unwrap();
            condition.notify_one().unwrap();
        });
        inner.wait().unwrap();
    });
    let elsewhere = || std::thread::scope(|scope| scope.spawn(|| lock.try_acquire().is_ok()).join().unwrap());
    drop(inner);
    assert!(!elsewhere());
    drop(outer);
    assert!(elsewhere());
}

fn hold(lock: LockProxy, held: Event) {
    let _guard = lock.acquire().unwrap();
    held.set();
    loop {
        std::thread::park();
    }
}

fn a_killed_holder_of_the_lock_is_told_of_by_the_condition() {
    let manager = Manager::start().unwrap();
    let (lock, held) = (manager.lock().unwrap(), Event::new().unwrap());
    let condition = manager.condition_with_lock(&lock).unwrap();
    let child = Process::new(hold, (lock, held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    assert!(matches!(condition.acquire(), Err(ManagerError::OwnerDied)));
    drop(condition.acquire().unwrap());
}

fn sleep_there(condition: ConditionProxy, asleep: ListProxy<u8>) {
    let mut guard = condition.acquire().unwrap();
    asleep.push(0).unwrap();
    guard.wait().unwrap();
}

fn a_killed_sleeper_takes_no_notification() {
    let manager = Manager::start().unwrap();
    let lock = manager.lock().unwrap();
    let condition = manager.condition_with_lock(&lock).unwrap();
    let asleep = manager.list().unwrap();
    let start = |count| {
        let child = Process::new(sleep_there, (condition.clone(), asleep.clone())).start().unwrap();
        while asleep.len().unwrap() < count {
            std::thread::yield_now();
        }
        // Once the lock is free again, it sleeps.
        drop(lock.acquire().unwrap());
        child
    };
    let (first, second) = (start(1), start(2));
    let objects = manager.number_of_objects().unwrap();
    first.kill().unwrap();
    assert!(first.join().is_err());
    condition.acquire().unwrap().notify_one().unwrap();
    second.join().unwrap();
    assert_eq!(manager.number_of_objects().unwrap(), objects);
}

fn a_condition_keeps_its_lock() {
    let manager = Manager::start().unwrap();
    let condition = {
        let lock = manager.lock().unwrap();
        manager.condition_with_lock(&lock).unwrap()
    };
    assert_eq!(manager.number_of_objects().unwrap(), 2);
    drop(condition.acquire().unwrap());
    drop(condition);
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn a_lock_of_another_manager_is_refused() {
    let (manager, other) = (Manager::start().unwrap(), Manager::start().unwrap());
    let lock = other.rlock().unwrap();
    assert!(matches!(manager.condition_with_lock(&lock), Err(ManagerError::NoSuchObject)));
    assert_eq!((manager.number_of_objects().unwrap(), other.number_of_objects().unwrap()), (0, 1));
}

fn fill(items: ListProxy<u32>, not_full: ConditionProxy, not_empty: ConditionProxy) {
    for item in 0..20 {
        let mut guard = not_full.acquire().unwrap();
        guard.wait_for(|| items.len().unwrap() < 2).unwrap();
        items.push(item).unwrap();
        not_empty.notify_one().unwrap();
    }
}

fn a_bounded_buffer_of_two_conditions() {
    let manager = Manager::start().unwrap();
    let (lock, items) = (manager.lock().unwrap(), manager.list().unwrap());
    let [not_full, not_empty] = [(); 2].map(|()| manager.condition_with_lock(&lock).unwrap());
    let arguments = (items.clone(), not_full.clone(), not_empty.clone());
    let child = Process::new(fill, arguments).start().unwrap();
    let taken: Vec<u32> = (0..20)
        .map(|_| {
            let mut guard = not_empty.acquire().unwrap();
            guard.wait_for(|| !items.is_empty().unwrap()).unwrap();
            let item = items.remove(0).unwrap();
            not_full.notify_one().unwrap();
            item
        })
        .collect();
    assert_eq!(taken, (0..20).collect::<Vec<_>>());
    child.join().unwrap();
}
