//! Mirrors CPython's `_TestValue`, and `_TestSharedCTypes` for structures: P31.
//!
//! Left out: `copy` (`get`). `test_getobj_getlock` is tests/relock.rs.

use mp_core::Process;
use mp_core::mem::Shareable;
use mp_sync::{AcquireError, Array, Event, RawArray, RawValue, Value};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [many_threads_count_exactly, what_is_held_is_busy, a_kept_guard_is_held_to_its_threads_end],
    every_method: [what_a_child_writes_is_seen, a_structure_of_ones_own_is_shared,
        a_holder_that_was_killed_is_told, another_type_is_refused,
        a_whole_new_value_ends_the_warning, a_raw_number_is_never_half_of_two]
}

fn write_both<T: Shareable>(locked: Value<T>, raw: RawValue<T>, value: T) {
    locked.set(value);
    raw.set(value);
}

fn seen<T>(from: T, to: T)
where
    T: Shareable + PartialEq + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let (locked, raw) = (Value::new(from).unwrap(), RawValue::new(from).unwrap());
    assert_eq!((locked.get(), raw.get()), (from, from));
    Process::new(write_both::<T>, (locked.clone(), raw.clone(), to)).start().unwrap().join().unwrap();
    assert_eq!((locked.get(), raw.get()), (to, to));
}

/// P31
fn what_a_child_writes_is_seen() {
    seen(7_i32, -24);
    seen(3.5_f64, -9.25);
    seen(-1_i16, -232);
    seen(2_i64.pow(33), -(2_i64.pow(34)));
    seen(b'x', b'y');
    seen([1.5_f32, 2.5], [-1.0, 0.0]);
}

#[derive(Debug, Clone, Copy, PartialEq, Shareable)]
#[repr(C)]
struct Mixed {
    y: f64,
    x: i32,
    z: [i16; 2],
}

fn double(locked: Value<Mixed>, raw: RawValue<Mixed>, array: Array<Mixed>, all: RawArray<Mixed>) -> f64 {
    let twice = |item: &mut Mixed| *item = Mixed { x: item.x * 2, y: item.y * 2.0, z: item.z.map(|z| z * 2) };
    locked.update(twice);
    let mut item = raw.get();
    twice(&mut item);
    raw.set(item);
    array.update(|items| items.iter_mut().for_each(twice));
    all.write(0, &array.to_vec()).unwrap();
    all.fold(0.0, |sum, item| sum + item.y)
}

/// P31: `_TestSharedCTypes.test_sharedctypes`.
fn a_structure_of_ones_own_is_shared() {
    let item = Mixed { y: 2.5, x: 3, z: [4, -5] };
    let doubled = Mixed { y: 5.0, x: 6, z: [8, -10] };
    let (locked, raw) = (Value::new(item).unwrap(), RawValue::new(item).unwrap());
    let (array, all) = (Array::from_slice(&[item; 10]).unwrap(), RawArray::zeroed(10).unwrap());
    let arguments = (locked.clone(), raw.clone(), array.clone(), all.clone());
    assert_eq!(Process::new(double, arguments).start().unwrap().join().unwrap(), 50.0);
    assert_eq!((locked.get(), raw.get()), (doubled, doubled));
    assert_eq!((array.to_vec(), all.to_vec()), (vec![doubled; 10], vec![doubled; 10]));
}

fn what_is_held_is_busy() {
    let value = Value::new(1).unwrap();
    let guard = value.try_lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(value.try_lock(), Err(AcquireError::WouldBlock)));
            let (began, wait) = (Instant::now(), Duration::from_millis(50));
            assert!(matches!(value.lock_timeout(wait), Err(AcquireError::Timeout)));
            assert!(began.elapsed() >= wait);
        });
    });
    drop(guard);
    assert_eq!(*value.lock_timeout(Duration::ZERO).unwrap(), 1);
}

/// It has no `release`: a reference to the data could be there still.
fn a_kept_guard_is_held_to_its_threads_end() {
    let value = Value::new(1_u32).unwrap();
    std::thread::scope(|scope| {
        let keeps = scope.spawn(|| {
            value.lock().unwrap().keep();
            let others = std::thread::scope(|scope| {
                scope.spawn(|| matches!(value.try_lock(), Err(AcquireError::WouldBlock))).join().unwrap()
            });
            // Its own thread may take it again, and gives that one back.
            others && value.try_lock().is_ok()
        });
        assert!(keeps.join().unwrap());
    });
    let guard = value.lock().unwrap_err().into_guard();
    assert_eq!(*guard, 1);
}

fn many_threads_count_exactly() {
    let value = Value::new(0_u64).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..5_000).for_each(|_| value.update(|number| *number += 1)));
        }
    });
    assert_eq!(value.get(), 20_000);
}

fn change_half(value: Value<[u32; 2]>, held: Event) {
    let mut guard = value.lock().unwrap();
    guard[0] = 1;
    held.set();
    loop {
        std::thread::park();
    }
}

fn a_holder_that_was_killed_is_told() {
    let (value, held) = (Value::new([0_u32, 0]).unwrap(), Event::new().unwrap());
    let child = Process::new(change_half, (value.clone(), held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    let mut guard = value.lock().unwrap_err().into_guard();
    assert_eq!(*guard, [1, 0]);
    guard[1] = 1;
    guard.clear_owner_died();
    drop(guard);
    assert_eq!(*value.lock().unwrap(), [1, 1]);
}

fn a_whole_new_value_ends_the_warning() {
    let (value, held) = (Value::new([0_u32, 0]).unwrap(), Event::new().unwrap());
    let child = Process::new(change_half, (value.clone(), held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    assert_eq!(value.get(), [1, 0]);
    drop(value.lock().unwrap_err());
    value.set([2, 2]);
    assert_eq!(*value.lock().unwrap(), [2, 2]);
}

fn change_for_ever(number: RawValue<u64>, began: Event) {
    began.set();
    loop {
        number.set(0);
        number.set(u64::MAX);
    }
}

fn a_raw_number_is_never_half_of_two() {
    let (number, began) = (RawValue::new(0).unwrap(), Event::new().unwrap());
    let child = Process::new(change_for_ever, (number.clone(), began.clone())).start().unwrap();
    began.wait();
    assert!((0..200_000).all(|_| matches!(number.get(), 0 | u64::MAX)));
    child.kill().unwrap();
}

fn another_type_is_refused() {
    let message = mp_core::transfer::pack(&Value::new(1_u32).unwrap()).unwrap();
    assert!(mp_core::transfer::unpack::<Value<[u8; 4]>>(&message.bytes, message.handles.clone()).is_err());
    assert!(mp_core::transfer::unpack::<Value<u32>>(&message.bytes, message.handles).is_ok());
}
