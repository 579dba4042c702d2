//! The lock of a value and of an array is recursive, as in Python, and never lets two references meet. Values that
//! share a lock.

use mp_core::{Child, Process};
use mp_sync::{AcquireError, Array, Event, OwnerDiedError, RLock, RawArray, RawValue, Synchronized, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};

mp_testing::cases! {
    plain: [
        short_forms_work_under_a_guard,
        an_array_is_locked_again_by_its_holder,
        the_lock_is_free_when_it_was_given_back_as_often,
        two_references_never_meet,
        nor_in_an_array,
        nor_in_the_closure_of_an_update,
        nor_beside_a_leaked_guard,
        what_a_dead_guard_had_lent_is_forgotten,
    ],
    every_method: [values_share_a_lock, a_holder_of_a_shared_lock_that_was_killed_is_told]
}

/// Python: `with v.get_lock(): v.value += 1`
fn short_forms_work_under_a_guard() {
    let value = Value::new(0_i32).unwrap();
    let guard = value.lock().unwrap();
    value.set(value.get() + 1);
    value.update(|number| *number += 1);
    let inner = value.lock().unwrap();
    assert_eq!(*inner, 2);
    drop(inner);
    // Also through another handle.
    value.clone().set(3);
    // The outer one may be reached into as well, at its turn.
    let mut guard = guard;
    *guard += 1;
    drop(guard);
    assert_eq!(value.get(), 4);
}

fn an_array_is_locked_again_by_its_holder() {
    let array = Array::from_slice(&[1, 2, 3]).unwrap();
    let guard = array.lock().unwrap();
    array.set(0, 10).unwrap();
    array.update(|elements| elements.reverse());
    array.write(1, &[7]).unwrap();
    assert_eq!((array.get(1), array.to_vec()), (Some(7), vec![3, 7, 10]));
    assert_eq!(*array.try_lock().unwrap(), [3, 7, 10]);
    assert_eq!(*guard, [3, 7, 10]);
    // Shared references may live beside a reader.
    assert_eq!(array.read(..2).unwrap(), [3, 7]);
}

fn is_free(value: &Value<i32>) -> bool {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| !matches!(value.try_lock(), Err(AcquireError::WouldBlock)));
        other.join().unwrap()
    })
}

fn the_lock_is_free_when_it_was_given_back_as_often() {
    let value = Value::new(0).unwrap();
    let (outer, inner) = (value.lock().unwrap(), value.try_lock().unwrap());
    drop(outer);
    assert!(!is_free(&value));
    value.set(1);
    drop(inner);
    assert!(is_free(&value));
}

/// Refused, and the process goes on with what was there.
fn refused<R>(work: impl FnOnce() -> R) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(work)) else { return false };
    payload.downcast_ref::<&str>().is_some_and(|text| text.contains("has lent out a reference"))
}

fn two_references_never_meet() {
    let value = Value::new(1).unwrap();
    let mut guard = value.lock().unwrap();
    let mut other = value.lock().unwrap();
    let mine = &mut *guard;
    assert!(refused(|| value.set(2)) && refused(|| value.get()));
    assert!(refused(|| *other) && refused(|| *other = 3) && refused(|| value.update(|number| *number = 4)));
    *mine += 1;
    assert_eq!(*guard, 2);
    drop(guard);
    *other += 1;
    drop(other);
    // A refusal is a panic under the lock, which the next one is told.
    let guard = value.lock().unwrap_or_else(OwnerDiedError::into_guard);
    guard.clear_owner_died();
    let shared = &*guard;
    assert!(refused(|| value.set(9)));
    assert_eq!((*shared, value.get()), (3, 3));
}

fn nor_in_an_array() {
    let array = Array::from_slice(&[1, 2, 3]).unwrap();
    let mut guard = array.lock().unwrap();
    let first = &mut guard[0];
    assert!(refused(|| array.set(0, 9)) && refused(|| array.to_vec()));
    assert!(refused(|| array.update(|elements| elements[0] = 9)));
    *first += 1;
    drop(guard);
    assert_eq!(array.to_vec(), [2, 2, 3]);
}

fn nor_in_the_closure_of_an_update() {
    let value = Value::new(1).unwrap();
    value.update(|number| {
        assert!(refused(|| value.set(7)));
        *number += 1;
    });
    assert_eq!(value.get(), 2);
}

fn nor_beside_a_leaked_guard() {
    let value: &'static Value<i32> = Box::leak(Box::new(Value::new(1).unwrap()));
    let guard = Box::leak(Box::new(value.lock().unwrap()));
    let leaked: &'static mut i32 = guard;
    assert!(refused(|| value.set(7)));
    *leaked += 1;
    // One that was kept is given away, with all that it lent.
    let value = Value::new(1).unwrap();
    let mut guard = value.lock().unwrap();
    *guard += 1;
    guard.keep();
    value.set(value.get() + 1);
    assert_eq!(value.get(), 3);
}

fn hold_a_reference(value: Value<i32>, held: Event) {
    let mut guard = value.lock().unwrap();
    let _lent = &mut *guard;
    held.set();
    mp_testing::stay();
}

fn what_a_dead_guard_had_lent_is_forgotten() {
    let (value, held) = (Value::new(1).unwrap(), Event::new().unwrap());
    let child = Process::new(hold_a_reference, (value.clone(), held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    let guard = value.lock().unwrap_err().into_guard();
    value.set(value.get() + 1);
    assert_eq!(*guard, 2);
}

type Shared = (Synchronized<RawValue<i64>>, Synchronized<RawValue<i64>>, Synchronized<RawArray<i64>>);

fn move_one(rounds: u32, (from, to, log): Shared) {
    for _ in 0..rounds {
        let _all = from.lock().unwrap();
        from.set(from.get() - 1);
        to.update(|number| *number += 1);
        log.write(0, &[from.get(), to.get()]).unwrap();
    }
}

/// Python: `Value('q', 0, lock=lock)`, twice. A holder of the lock sees a sum that never changes.
fn values_share_a_lock() {
    const ROUNDS: u32 = 2_000;
    let lock = RLock::new().unwrap();
    let shared = || -> Shared {
        let log = Array::with_lock(&[0, 0], &lock).unwrap();
        (Value::with_lock(9_000, &lock).unwrap(), Value::with_lock(0, &lock).unwrap(), log)
    };
    let (from, to, log) = shared();
    let start =
        |_| Process::new(move_one, (ROUNDS, (from.clone(), to.clone(), log.clone()))).start().unwrap();
    let movers: Vec<Child<()>> = (0..2).map(start).collect();
    while to.get() < i64::from(2 * ROUNDS) {
        let _all = lock.acquire().unwrap();
        assert_eq!(from.get() + to.get(), 9_000);
        let logged = log.to_vec();
        assert!(logged == [0, 0] || logged == [from.get(), to.get()]);
    }
    movers.iter().for_each(|child| child.join().unwrap());
    assert_eq!((from.get(), log.get(1), log.get(2)), (5_000, Some(4_000), None));
}

fn take_and_stay((from, _, _): Shared, held: Event) {
    let _all = from.lock().unwrap();
    held.set();
    mp_testing::stay();
}

fn a_holder_of_a_shared_lock_that_was_killed_is_told() {
    let (lock, held) = (RLock::new().unwrap(), Event::new().unwrap());
    let value = || Value::with_lock(5, &lock).unwrap();
    let (from, to, log) = (value(), value(), Array::with_lock(&[1], &lock).unwrap());
    let child = Process::new(take_and_stay, ((from, to.clone(), log), held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    assert_eq!(to.get(), 5);
    assert!(to.lock().is_err(), "told by each of them, until it is cleared");
}
