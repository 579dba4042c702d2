//! What comes out of a guard of shared data is a plain reference: it must not live where the lock is not held. A fork
//! would copy it, so a fork is refused while the thread has such a guard, has leaked one, or was left one by a thread
//! that ended.

use mp_core::{Child, JoinError, Process, StartError, StartMethod, scope};
use mp_sync::{AcquireError, Array, Condition, Event, Lock, Mutex, OwnerDiedError, RLock, RwLock, Value};
use std::borrow::Cow;

mp_testing::cases! {
    plain: [
        a_text_in_an_array_is_not_carried_by_a_fork,
        a_number_is_not_borrowed_by_two_processes,
        every_guard_of_data_refuses_a_fork,
        every_way_to_fork_is_refused,
        a_guard_without_data_refuses_no_fork,
        what_has_ended_refuses_no_fork,
        a_leaked_guard_refuses_every_fork,
        what_a_thread_leaked_stays_locked,
    ],
    every_method: [
        what_a_thread_leaked_is_free_when_its_process_has_ended,
    ]
}

/// How many guards the fork was refused for; 0: it was not.
fn refused<T>(started: Result<Child<T>, StartError>) -> usize {
    match started {
        Err(StartError::Borrowed { guards }) => guards,
        Err(error) => panic!("{error}"),
        Ok(child) => {
            child.kill().unwrap();
            0
        }
    }
}

fn refused_now() -> usize {
    refused(Process::fork(|| ()).start())
}

fn a_text_in_an_array_is_not_carried_by_a_fork() {
    let array = Array::from_slice(b"text").unwrap();
    let mut guard = array.lock().unwrap();
    let text = std::str::from_utf8(&guard).unwrap();
    assert_eq!(refused(Process::fork(move || text.chars().count()).start()), 1);
    guard[0] = 0xF7;
}

fn a_number_is_not_borrowed_by_two_processes() {
    let value = Value::new(0_u64).unwrap();
    let mut guard = value.lock().unwrap();
    let number: &mut u64 = &mut guard;
    assert_eq!(refused(Process::fork(move || *number += 1).start()), 1);
    *guard += 1;
    drop(guard);
    assert_eq!(value.get(), 1);
    assert_eq!(value.update(|number| refused(Process::fork(move || *number += 1).start())), 1);
}

fn every_guard_of_data_refuses_a_fork() {
    let (value, array) = (Value::new(1_u8).unwrap(), Array::from_slice(&[1_u8]).unwrap());
    let (mutex, lock) = (Mutex::new(1_u8).unwrap(), RwLock::new(1_u8).unwrap());
    let condition = Condition::with_lock(&Mutex::new(1_u8).unwrap()).unwrap();
    let one = value.lock().unwrap();
    let two = array.lock().unwrap();
    let three = mutex.try_lock().unwrap();
    let four = condition.acquire().unwrap();
    let five = lock.read().unwrap();
    assert_eq!(refused_now(), 5);
    let error = Process::fork(|| ()).start().unwrap_err().to_string();
    assert!(error.contains("5 guards") && error.contains("drop the guards before the fork"), "{error}");
    drop((one, two, three, four, five));
    let write = lock.write().unwrap();
    assert_eq!(refused_now(), 1);
    drop(write);
    assert_eq!(refused_now(), 0);
}

fn length(text: Cow<'_, str>) -> usize {
    text.len()
}

fn every_way_to_fork_is_refused() {
    let array = Array::from_slice(b"text").unwrap();
    let guard = array.lock().unwrap();
    let text = std::str::from_utf8(&guard).unwrap();
    assert_eq!(refused(scope(|scope| scope.fork(|| text.len()))), 1);
    assert_eq!(refused(scope(|scope| scope.start(Process::fork(|| text.len()).name("named")))), 1);
    let borrowing = Process::new(length, (Cow::Borrowed(text),)).method(StartMethod::Fork);
    assert_eq!(refused(borrowing.start()), 1);
    // A child that is no copy gets a copy of the argument.
    let copying = Process::new(length, (Cow::Borrowed(text),)).method(StartMethod::Spawn);
    assert_eq!(copying.start().unwrap().join().unwrap(), 4);
}

fn a_guard_without_data_refuses_no_fork() {
    let (lock, again, condition) = (Lock::new().unwrap(), RLock::new().unwrap(), Condition::new().unwrap());
    let held = (lock.acquire().unwrap(), again.acquire().unwrap(), condition.acquire().unwrap());
    // The child's copies hold nothing.
    let child = Process::fork(|| (lock.release().is_err(), again.release().is_err())).start().unwrap();
    assert_eq!(child.join().unwrap(), (true, true));
    drop(held);
}

fn what_has_ended_refuses_no_fork() {
    let value = Value::new(1_u8).unwrap();
    drop(value.lock().unwrap());
    value.update(|number| *number += 1);
    let panicked =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| value.update(|_| panic!("in it"))));
    assert!(panicked.is_err());
    // A guard that was kept has no reference: its lock is held, and nothing is borrowed.
    value.lock().unwrap_or_else(OwnerDiedError::into_guard).keep();
    assert_eq!(refused_now(), 0);
    // Others' guards are theirs.
    std::thread::spawn(|| Array::from_slice(&[1]).unwrap().update(|_| ())).join().unwrap();
    assert_eq!(refused_now(), 0);
}

fn a_leaked_guard_refuses_every_fork() {
    let value: &'static Value<u64> = Box::leak(Box::new(Value::new(1).unwrap()));
    let guard = Box::leak(Box::new(value.lock().unwrap()));
    let number: &'static mut u64 = guard;
    assert_eq!(refused(Process::fork(move || *number += 1).start()), 1);
    assert_eq!(refused_now(), 1);
}

/// A reference into the value, from a guard that a thread leaked which has ended.
fn leaked_by_a_thread(value: &'static Value<u64>) -> &'static mut u64 {
    let leak = || &mut **Box::leak(Box::new(value.lock().unwrap()));
    std::thread::spawn(leak).join().unwrap()
}

fn what_a_thread_leaked_stays_locked() {
    let value: &'static Value<u64> = Box::leak(Box::new(Value::new(1).unwrap()));
    let number = leaked_by_a_thread(value);
    // Its lock is the main thread's now, which may take it again: but what is lent stays lent.
    let reached = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| value.get()));
    assert!(reached.is_err(), "two could write to it");
    std::thread::spawn(|| assert!(matches!(value.try_lock(), Err(AcquireError::WouldBlock)))).join().unwrap();
    *number += 1;
    assert_eq!(refused(Process::fork(move || *number += 1).start()), 1);
    // A thread that leaves a lock without data behind is told of, as ever.
    let lock: &'static Lock = Box::leak(Box::new(Lock::new().unwrap()));
    std::thread::spawn(|| lock.acquire().unwrap().keep()).join().unwrap();
    assert!(matches!(lock.try_acquire(), Err(AcquireError::OwnerDied(_))));
}

fn leak_and_wait(value: Value<u64>, leaked: Event) {
    let value: &'static Value<u64> = Box::leak(Box::new(value));
    *leaked_by_a_thread(value) = 2;
    leaked.set();
    loop {
        std::thread::park();
    }
}

fn what_a_thread_leaked_is_free_when_its_process_has_ended() {
    let (value, leaked) = (Value::new(1).unwrap(), Event::new().unwrap());
    let child = Process::new(leak_and_wait, (value.clone(), leaked.clone())).start().unwrap();
    leaked.wait();
    assert!(matches!(value.try_lock(), Err(AcquireError::WouldBlock)));
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(_))));
    assert_eq!(*value.lock().unwrap_err().into_guard(), 2);
}
