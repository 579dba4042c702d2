//! Mirrors CPython's `_TestValue`: P31 for the types that are here.
//!
//! Left out, and added by the issue "Synchronisation": `Array`, and structures of one's own.

use mp_core::Process;
use mp_core::mem::Shareable;
use mp_sync::{Event, RawValue, Value};

mp_testing::cases! {
    plain: [many_threads_count_exactly],
    every_method: [what_a_child_writes_is_seen, a_holder_that_was_killed_is_told, another_type_is_refused]
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

fn another_type_is_refused() {
    let message = mp_core::transfer::pack(&Value::new(1_u32).unwrap()).unwrap();
    assert!(mp_core::transfer::unpack::<Value<[u8; 4]>>(&message.bytes, message.handles.clone()).is_err());
    assert!(mp_core::transfer::unpack::<Value<u32>>(&message.bytes, message.handles).is_ok());
}
