//! Mirrors CPython's `_TestLock`: P18, P19.
//!
//! `RLock` and its cases are in `rlock.rs`. The kill sweep is mp-sweep.

use mp_core::{Child, JoinError, Process};
use mp_sync::{AcquireError, Event, Lock, RLock, RawValue, ReleaseError};
use mp_testing::limited;
use nix::sys::resource::Resource;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_kept_guard_is_released_by_its_thread_only,
        a_forgotten_guard_keeps_its_memory,
        a_timeout_ends_the_wait,
        locks_are_given_back_in_any_order,
        a_panic_while_it_is_held_is_told,
        a_guard_of_an_unwinding_thread_is_as_any_other,
    ],
    every_method: [
        taken_once_and_given_back,
        held_in_one_process_is_held_in_all,
        it_says_which_thread_holds_it,
        a_lock_of_a_child_that_left_it_held_says_so,
        a_killed_holder_wakes_a_waiter,
        a_killed_holder_of_several_locks_frees_them_all,
        four_processes_count_exactly,
        a_stopped_holder_is_not_dead,
        a_panic_of_a_child_is_told,
        a_process_that_can_open_no_file_takes_no_holder_for_dead,
        a_holder_that_becomes_another_program_is_told,
    ]
}

fn take_and_give_back(lock: Lock) {
    let guard = lock.acquire().unwrap();
    assert!(matches!(lock.try_acquire(), Err(AcquireError::WouldBlock)));
    assert!(lock.locked());
    drop(guard);
    assert!(!lock.locked());
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
    {
        let _scoped = lock.acquire().unwrap();
        assert!(lock.locked());
    }
    assert!(!lock.locked());
}

/// P18, here and in a child.
fn taken_once_and_given_back() {
    let lock = Lock::new().unwrap();
    take_and_give_back(lock.clone());
    Process::new(take_and_give_back, (lock.clone(),)).start().unwrap().join().unwrap();
    take_and_give_back(lock);
}

fn see_it_held(lock: Lock) {
    assert!(lock.locked());
    assert!(matches!(lock.try_acquire(), Err(AcquireError::WouldBlock)));
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
}

/// P18: the second attempt and the release too many are another process's.
fn held_in_one_process_is_held_in_all() {
    let lock = Lock::new().unwrap();
    let guard = lock.acquire().unwrap();
    Process::new(see_it_held, (lock.clone(),)).start().unwrap().join().unwrap();
    assert!(lock.locked(), "another process gave it back");
    drop(guard);
    let holder = holder_of(std::slice::from_ref(&lock));
    see_it_held(lock);
    holder.kill().unwrap();
}

fn a_kept_guard_is_released_by_its_thread_only() {
    let lock = Lock::new().unwrap();
    lock.acquire().unwrap().keep();
    assert!(lock.locked());
    std::thread::scope(|scope| {
        assert_eq!(scope.spawn(|| lock.release()).join().unwrap(), Err(ReleaseError::NotOwner));
    });
    assert_eq!(lock.release(), Ok(()));
    assert_eq!(lock.release(), Err(ReleaseError::NotOwner));
}

/// The robust list runs through the memory of held locks: it must not be unmapped.
fn a_forgotten_guard_keeps_its_memory() {
    for _ in 0..100 {
        let lock = Lock::new().unwrap();
        lock.acquire().unwrap().keep();
        drop(lock);
        let other = Lock::new().unwrap();
        drop(other.acquire().unwrap());
    }
    let ended = std::thread::spawn(|| {
        let lock = Lock::new().unwrap();
        lock.acquire().unwrap().keep();
    });
    ended.join().unwrap();
    let lock = Lock::new().unwrap();
    drop(lock.acquire().unwrap());
}

fn a_timeout_ends_the_wait() {
    let lock = Lock::new().unwrap();
    let _guard = lock.acquire().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let began = std::time::Instant::now();
            let timeout = Duration::from_millis(60);
            assert!(matches!(lock.acquire_timeout(timeout), Err(AcquireError::Timeout)));
            assert!(began.elapsed() >= timeout);
            assert!(matches!(lock.acquire_timeout(Duration::ZERO), Err(AcquireError::Timeout)));
        });
    });
}

fn locks_are_given_back_in_any_order() {
    let locks: Vec<Lock> = (0..6).map(|_| Lock::new().unwrap()).collect();
    for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
        let mut guards: Vec<_> = locks.iter().map(|lock| Some(lock.acquire().unwrap())).collect();
        for at in order {
            guards[at] = None;
            assert!(!locks[at].locked());
        }
    }
}

/// Row 36 of what may go wrong: poisoned, not leaked.
fn a_panic_while_it_is_held_is_told() {
    let (lock, recursive) = (Lock::new().unwrap(), RLock::new().unwrap());
    std::thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _guards = (lock.acquire().unwrap(), recursive.acquire().unwrap());
            let _inner = recursive.acquire().unwrap();
            panic!("on purpose");
        });
        assert!(panics.join().is_err());
    });
    for _ in 0..2 {
        assert!(lock.acquire().is_err() && recursive.acquire().is_err());
    }
    lock.acquire().unwrap_or_else(|died| died.into_guard()).clear_owner_died();
    recursive.acquire().unwrap_or_else(|died| died.into_guard()).clear_owner_died();
    assert!(lock.acquire().is_ok() && recursive.acquire().is_ok());
}

/// Takes the lock while its thread unwinds, and gives it back.
struct Tidies<'a>(&'a Lock);

impl Drop for Tidies<'_> {
    fn drop(&mut self) {
        drop(self.0.acquire().unwrap());
    }
}

fn a_guard_of_an_unwinding_thread_is_as_any_other() {
    let lock = Lock::new().unwrap();
    std::thread::scope(|scope| {
        let panics = scope.spawn(|| {
            let _tidies = Tidies(&lock);
            panic!("on purpose");
        });
        assert!(panics.join().is_err());
    });
    assert!(lock.acquire().is_ok());
}

fn panic_with(lock: Lock) {
    let _guard = lock.acquire().unwrap();
    panic!("on purpose");
}

fn a_panic_of_a_child_is_told() {
    let lock = Lock::new().unwrap();
    let child = Process::new(panic_with, (lock.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Panicked { .. })));
    assert!(lock.acquire().is_err());
}

/// `test_lock` looks at its `repr`. The main thread has the id of its process.
fn it_says_which_thread_holds_it() {
    let lock = Lock::new().unwrap();
    assert_eq!(format!("{lock:?}"), "Lock { owner: None }");
    let guard = lock.acquire().unwrap();
    assert_eq!(format!("{lock:?}"), format!("Lock {{ owner: Some({}) }}", std::process::id()));
    drop(guard);
    let holder = holder_of(std::slice::from_ref(&lock));
    assert_eq!(format!("{lock:?}"), format!("Lock {{ owner: Some({}) }}", holder.pid()));
    holder.kill().unwrap();
    drop(lock.acquire().unwrap_err());
    assert_eq!(format!("{lock:?}"), "Lock { owner: None }");
}

fn leave_held(lock: Lock) {
    lock.acquire().unwrap().keep();
}

/// P19, answered otherwise than CPython does: the lock is not stuck, it says that its owner died.
fn a_lock_of_a_child_that_left_it_held_says_so() {
    let lock = Lock::new().unwrap();
    Process::new(leave_held, (lock.clone(),)).start().unwrap().join().unwrap();
    for _ in 0..2 {
        // Until it is cleared, each acquire reports it.
        assert!(lock.acquire().is_err());
    }
    let guard = lock.acquire().unwrap_err().into_guard();
    guard.clear_owner_died();
    drop(guard);
    drop(lock.acquire().unwrap());
}

fn hold_for_ever(locks: Vec<Lock>, held: Event) {
    let _guards: Vec<_> = locks.iter().map(|lock| lock.acquire().unwrap()).collect();
    held.set();
    loop {
        std::thread::park();
    }
}

fn holder_of(locks: &[Lock]) -> Child<()> {
    let held = Event::new().unwrap();
    let child = Process::new(hold_for_ever, (locks.to_vec(), held.clone())).start().unwrap();
    held.wait();
    child
}

fn wait_for(lock: Lock, waiting: Event) -> bool {
    waiting.set();
    lock.acquire().is_err()
}

fn a_killed_holder_wakes_a_waiter() {
    let lock = Lock::new().unwrap();
    let holder = holder_of(std::slice::from_ref(&lock));
    let waiting = Event::new().unwrap();
    let waiter = Process::new(wait_for, (lock.clone(), waiting.clone())).start().unwrap();
    waiting.wait();
    holder.kill().unwrap();
    assert!(waiter.join().unwrap(), "the waiter was not told");
    assert!(matches!(holder.join(), Err(JoinError::Killed(9))));
}

fn a_killed_holder_of_several_locks_frees_them_all() {
    let locks: Vec<Lock> = (0..20).map(|_| Lock::new().unwrap()).collect();
    let holder = holder_of(&locks);
    assert!(locks.iter().all(Lock::locked));
    holder.kill().unwrap();
    assert!(locks.iter().all(|lock| lock.acquire().is_err()));
}

fn count(lock: Lock, number: RawValue<u64>, times: u64) {
    for _ in 0..times {
        let _guard = lock.acquire().unwrap();
        number.set(number.get() + 1);
    }
}

fn four_processes_count_exactly() {
    let (lock, number) = (Lock::new().unwrap(), RawValue::new(0_u64).unwrap());
    let start = |_| Process::new(count, (lock.clone(), number.clone(), 5_000)).start().unwrap();
    let children: Vec<_> = (0..4).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(number.get(), 20_000);
}

/// However long it is stopped.
fn a_stopped_holder_is_not_dead() {
    let lock = Lock::new().unwrap();
    let holder = holder_of(std::slice::from_ref(&lock));
    let signal = |number| mp_core::sys::process::send_signal(holder.sentinel(), number).unwrap();
    signal(mp_core::sys::signal::SIGSTOP);
    // Longer than the waits between two timed looks at the owner.
    assert!(matches!(lock.acquire_timeout(Duration::from_millis(1200)), Err(AcquireError::Timeout)));
    signal(mp_core::sys::signal::SIGKILL);
    assert!(lock.acquire().is_err());
}

/// Whether the owner lives is read from a file.
fn a_process_that_can_open_no_file_takes_no_holder_for_dead() {
    let lock = Lock::new().unwrap();
    let holder = holder_of(std::slice::from_ref(&lock));
    let busy = limited(Resource::RLIMIT_NOFILE, 0, || {
        // Longer than the waits between two timed looks at the owner.
        matches!(lock.acquire_timeout(Duration::from_millis(1200)), Err(AcquireError::Timeout))
    });
    holder.kill().unwrap();
    assert!(busy, "the lock was taken from a living holder");
    assert!(lock.acquire().is_err());
}

fn become_another_program(lock: Lock) {
    use std::os::unix::process::CommandExt;
    lock.acquire().unwrap().keep();
    panic!("{}", std::process::Command::new("/bin/true").exec());
}

/// Row 37: its memory, with the word that names the holder, is gone.
fn a_holder_that_becomes_another_program_is_told() {
    let lock = Lock::new().unwrap();
    let child = Process::new(become_another_program, (lock.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Exited(0))));
    for _ in 0..2 {
        assert!(lock.acquire().is_err());
    }
}
