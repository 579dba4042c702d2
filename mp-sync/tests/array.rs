//! Mirrors CPython's `_TestArray` and the arrays of `_TestSharedCTypes`: P31 for arrays, P32.
//!
//! Left out: `test_getobj_getlock` (tests/relock.rs), a negative size and an array of
//! a length that is no number (they do not compile), `copy` (`to_vec`).

use mp_core::mem::Shareable;
use mp_core::{Child, MemError, Process, transfer};
use mp_pipe::pipe_simplex;
use mp_sync::{AcquireError, Array, Event, OutOfRangeError, RawArray};
use std::fmt::Debug;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        an_index_past_the_end_is_an_error_and_changes_nothing,
        no_elements_are_fine,
        more_than_there_is_memory_is_an_error,
        many_threads_count_exactly,
        what_is_held_is_busy,
    ],
    every_method: [
        a_child_sums_up_in_place,
        what_a_child_writes_is_seen,
        a_new_array_is_zeroed_three_times,
        a_text_is_doubled_by_a_child,
        an_array_travels_as_argument_message_and_result,
        children_count_exactly,
        a_holder_that_was_killed_is_told,
        another_type_is_refused,
        a_raw_number_is_never_half_of_two,
        parts_of_one_raw_array_are_filled_side_by_side,
    ],
}

const TEN: [i32; 10] = [680, 626, 934, 821, 150, 233, 548, 982, 714, 831];
const SUMS: [i32; 10] = [680, 1306, 2240, 3061, 3211, 3444, 3992, 4974, 5688, 6519];

fn sum_up(array: Array<i32>, raw: RawArray<i32>) {
    for at in 1..array.len() {
        array.set(at, array.get(at).unwrap() + array.get(at - 1).unwrap()).unwrap();
        raw.set(at, raw.get(at).unwrap() + raw.get(at - 1).unwrap()).unwrap();
    }
}

/// P32
fn a_child_sums_up_in_place() {
    let (array, raw) = (Array::from_slice(&TEN).unwrap(), RawArray::from_slice(&TEN).unwrap());
    assert_eq!((array.len(), raw.len(), array.get(3), raw.get(3)), (10, 10, Some(TEN[3]), Some(TEN[3])));
    assert_eq!((array.to_vec(), raw.to_vec()), (TEN.to_vec(), TEN.to_vec()));

    array.write(4, &[1, 2, 3, 4]).unwrap();
    raw.write(4, &[1, 2, 3, 4]).unwrap();
    assert_eq!(
        (array.read(2..8), raw.read(2..8)),
        (Ok(vec![934, 821, 1, 2, 3, 4]), Ok(array.read(2..8).unwrap()))
    );
    assert_eq!((array.read(8..), raw.read(..=1)), (Ok(vec![714, 831]), Ok(vec![680, 626])));
    array.write(4, &TEN[4..8]).unwrap();
    raw.write(4, &TEN[4..8]).unwrap();

    Process::new(sum_up, (array.clone(), raw.clone())).start().unwrap().join().unwrap();
    assert_eq!((array.to_vec(), raw.to_vec()), (SUMS.to_vec(), SUMS.to_vec()));
    assert_eq!(raw.fold(0, |sum, element| sum + element), SUMS.iter().sum());
    let mut seen = Vec::new();
    raw.for_each(|element| seen.push(element));
    assert_eq!(seen, SUMS);
}

fn write_both<T: Shareable>(array: Array<T>, raw: RawArray<T>, value: T) {
    array.set(1, value).unwrap();
    raw.set(1, value).unwrap();
}

fn seen<T>(from: T, to: T)
where
    T: Shareable + PartialEq + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let (array, raw) = (Array::from_slice(&[from; 3]).unwrap(), RawArray::from_slice(&[from; 3]).unwrap());
    Process::new(write_both::<T>, (array.clone(), raw.clone(), to)).start().unwrap().join().unwrap();
    let mut copy = [from; 2];
    array.copy_to(1, &mut copy).unwrap();
    assert_eq!((array.to_vec(), copy), (vec![from, to, from], [to, from]));
    raw.copy_to(0, &mut copy).unwrap();
    assert_eq!((raw.to_vec(), copy), (vec![from, to, from], [from, to]));
}

/// P31
fn what_a_child_writes_is_seen() {
    seen(7_i32, -24);
    seen(3.5_f64, -9.25);
    seen(-1_i16, -232);
    seen(2_i64.pow(33), -(2_i64.pow(34)));
    seen(b'x', b'y');
    seen(u128::MAX, 1);
    seen([1.5_f32, 2.5, 3.5], [-1.0, 0.0, 1.0]);
}

fn zeroed_and_spoilt() -> (Vec<u32>, Vec<u32>) {
    let (array, raw) = (Array::zeroed(2000).unwrap(), RawArray::zeroed(2000).unwrap());
    let zeros = (array.to_vec(), raw.to_vec());
    array.update(|elements: &mut [u32]| elements.fill(u32::MAX));
    raw.write(0, &array.to_vec()).unwrap();
    zeros
}

/// P32: memory that is used again must be cleaned, here and in a child.
fn a_new_array_is_zeroed_three_times() {
    let zeros = || (vec![0; 2000], vec![0; 2000]);
    for _ in 0..3 {
        assert_eq!(zeroed_and_spoilt(), zeros());
        assert_eq!(Process::new(zeroed_and_spoilt, ()).start().unwrap().join().unwrap(), zeros());
    }
}

fn double(text: Array<u8>, raw: RawArray<u8>) {
    text.set_value(&text.value().repeat(2)).unwrap();
    raw.set_value(&raw.value().repeat(2)).unwrap();
}

/// `_TestSharedCTypes.test_sharedctypes`, whose array of `c` has a `value` and a `raw`.
fn a_text_is_doubled_by_a_child() {
    let (text, raw) = (Array::zeroed(12).unwrap(), RawArray::zeroed(12).unwrap());
    assert_eq!((text.value(), raw.value()), (vec![], vec![]));
    text.write(0, &[b'.'; 12]).unwrap();
    raw.write(0, &[b'.'; 12]).unwrap();
    // Without a zero it is all of it.
    assert_eq!((text.value(), raw.value()), (vec![b'.'; 12], vec![b'.'; 12]));
    text.set_value(b"hello").unwrap();
    raw.set_value(b"hello").unwrap();
    assert_eq!((text.value(), text.to_vec()), (b"hello".to_vec(), b"hello\0......".to_vec()));
    Process::new(double, (text.clone(), raw.clone())).start().unwrap().join().unwrap();
    for array in [text.to_vec(), raw.to_vec()] {
        assert_eq!(array, b"hellohello\0.");
    }
    assert_eq!((text.value(), raw.value()), (b"hellohello".to_vec(), b"hellohello".to_vec()));
    let too_long = (0, 13, 12);
    assert_eq!((out_of(text.set_value(&[1; 13])), out_of(raw.set_value(&[1; 13]))), (too_long, too_long));
    assert_eq!((text.set_value(&[1; 12]), raw.set_value(b"")), (Ok(()), Ok(())));
    assert_eq!((text.value(), raw.value()), (vec![1; 12], vec![]));
}

fn pass_on(argument: Array<u64>, messages: mp_pipe::Receiver<RawArray<u64>>) -> (RawArray<u64>, Array<u64>) {
    let message = messages.recv().unwrap();
    argument.update(|elements| elements[0] += 1);
    message.set(1, 11).unwrap();
    (message, argument)
}

fn an_array_travels_as_argument_message_and_result() {
    let (array, raw) = (Array::from_slice(&[1, 2]).unwrap(), RawArray::from_slice(&[3, 4]).unwrap());
    let (receiver, sender) = pipe_simplex().unwrap();
    let child = Process::new(pass_on, (array.clone(), receiver)).start().unwrap();
    sender.send(&raw).unwrap();
    let (raw_again, array_again) = child.join().unwrap();
    assert_eq!((array_again.to_vec(), raw_again.to_vec()), (vec![2, 2], vec![3, 11]));
    // The same elements, not copies of them.
    array_again.set(1, 7).unwrap();
    raw_again.set(0, 8).unwrap();
    assert_eq!((array.to_vec(), raw.to_vec()), (vec![2, 7], vec![8, 11]));
}

fn count(array: Array<u64>) {
    for _ in 0..2_000 {
        array.update(|elements| elements.iter_mut().for_each(|element| *element += 1));
    }
}

fn children_count_exactly() {
    let array = Array::zeroed(3).unwrap();
    let start = |_| Process::new(count, (array.clone(),)).start().unwrap();
    let children: Vec<Child<()>> = (0..3).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(array.to_vec(), [6_000; 3]);
}

fn many_threads_count_exactly() {
    let array = Array::zeroed(2).unwrap();
    std::thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(|| count(array.clone()))));
    });
    assert_eq!(array.to_vec(), [8_000; 2]);
}

/// Where it was out of range: start, end, and how many elements there are.
fn out_of<R: std::fmt::Debug>(result: Result<R, OutOfRangeError>) -> (usize, usize, usize) {
    let OutOfRangeError { start, end, len, .. } = result.unwrap_err();
    (start, end, len)
}

fn an_index_past_the_end_is_an_error_and_changes_nothing() {
    let (array, raw) = (Array::from_slice(&TEN).unwrap(), RawArray::from_slice(&TEN).unwrap());
    assert_eq!(
        (array.get(10), raw.get(10), array.get(usize::MAX), raw.get(usize::MAX)),
        (None, None, None, None)
    );
    assert_eq!((out_of(array.set(10, 0)), out_of(raw.set(10, 0))), ((10, 11, 10), (10, 11, 10)));
    assert_eq!(out_of(array.set(usize::MAX, 0)), (usize::MAX, usize::MAX, 10));
    assert_eq!(out_of(raw.set(usize::MAX, 0)), (usize::MAX, usize::MAX, 10));
    assert_eq!((out_of(array.read(8..11)), out_of(raw.read(8..11))), ((8, 11, 10), (8, 11, 10)));
    let three = [0; 3];
    assert_eq!((out_of(array.write(8, &three)), out_of(raw.write(8, &three))), ((8, 11, 10), (8, 11, 10)));
    let mut copy = [5; 3];
    assert_eq!(
        (out_of(array.copy_to(9, &mut copy)), out_of(raw.copy_to(9, &mut copy))),
        ((9, 12, 10), (9, 12, 10))
    );
    assert_eq!(copy, [5; 3]);
    assert_eq!((array.to_vec(), raw.to_vec()), (TEN.to_vec(), TEN.to_vec()));
    assert_eq!(
        array.read(8..11).unwrap_err().to_string(),
        "8..11 does not lie within 0..10: ask for a range that does"
    );
}

fn no_elements_are_fine() {
    let (array, raw) = (Array::<u64>::zeroed(0).unwrap(), RawArray::<u64>::from_values([]).unwrap());
    assert!(array.is_empty() && raw.is_empty());
    assert_eq!((array.to_vec(), raw.to_vec(), array.get(0), raw.get(0)), (vec![], vec![], None, None));
    assert_eq!((array.write(0, &[]), raw.write(0, &[])), (Ok(()), Ok(())));
    assert_eq!(array.lock().unwrap().len(), 0);
    assert_eq!(raw.fold(3, |_, _| 4), 3);
}

fn more_than_there_is_memory_is_an_error() {
    for len in [1 << 46, usize::MAX / 8, usize::MAX] {
        let refused = Array::<u64>::zeroed(len).unwrap_err();
        assert!(matches!(refused, MemError::NoMemory { .. } | MemError::Os(_)), "{len}: {refused}");
        assert!(RawArray::<u64>::zeroed(len).is_err(), "{len}");
    }
}

fn what_is_held_is_busy() {
    let array = Array::from_slice(&[1]).unwrap();
    let guard = array.try_lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(matches!(array.try_lock(), Err(AcquireError::WouldBlock)));
            let (began, wait) = (Instant::now(), Duration::from_millis(50));
            assert!(matches!(array.lock_timeout(wait), Err(AcquireError::Timeout)));
            assert!(began.elapsed() >= wait);
        });
    });
    drop(guard);
    assert_eq!(array.lock_timeout(Duration::ZERO).unwrap()[0], 1);
}

fn change_half(array: Array<u32>, held: Event) {
    let mut guard = array.lock().unwrap();
    guard[0] = 1;
    held.set();
    loop {
        std::thread::park();
    }
}

fn a_holder_that_was_killed_is_told() {
    let (array, held) = (Array::from_slice(&[0, 0]).unwrap(), Event::new().unwrap());
    let child = Process::new(change_half, (array.clone(), held.clone())).start().unwrap();
    held.wait();
    assert!(matches!(array.try_lock(), Err(AcquireError::WouldBlock)));
    child.kill().unwrap();
    let mut guard = array.lock().unwrap_err().into_guard();
    assert_eq!(*guard, [1, 0]);
    guard[1] = 1;
    drop(guard);
    // It is said until it is cleared; calls that give no guard do not say it.
    assert_eq!(array.to_vec(), [1, 1]);
    assert!(matches!(array.try_lock(), Err(AcquireError::OwnerDied(_))));
    array
        .lock_timeout(Duration::ZERO)
        .map_err(|error| match error {
            AcquireError::OwnerDied(died) => died.into_guard().clear_owner_died(),
            other => panic!("no thread holds it: {other}"),
        })
        .unwrap_err();
    assert_eq!(*array.lock().unwrap(), [1, 1]);
}

fn change_for_ever(array: RawArray<u64>, began: Event) {
    began.set();
    loop {
        (0..array.len()).for_each(|at| array.set(at, 0).unwrap());
        (0..array.len()).for_each(|at| array.set(at, u64::MAX).unwrap());
    }
}

fn a_raw_number_is_never_half_of_two() {
    let (array, began) = (RawArray::zeroed(87).unwrap(), Event::new().unwrap());
    let child = Process::new(change_for_ever, (array.clone(), began.clone())).start().unwrap();
    began.wait();
    for _ in 0..20_000 {
        array.for_each(|number| assert!(matches!(number, 0 | u64::MAX)));
        assert!((0..17).all(|at| matches!(array.get(at), Some(0 | u64::MAX))));
        let whole = |numbers: Vec<u64>| numbers.iter().all(|number| matches!(number, 0 | &u64::MAX));
        assert!(whole(array.to_vec()) && whole(array.read(1..8).unwrap()), "in a copy of many");
    }
    child.kill().unwrap();
}

fn fill(array: RawArray<u32>, part: usize) {
    let values: Vec<u32> = (0..1_000).map(|at| (part * 1_000 + at) as u32).collect();
    array.write(part * 1_000, &values).unwrap();
}

fn parts_of_one_raw_array_are_filled_side_by_side() {
    let array = RawArray::zeroed(4_000).unwrap();
    let start = |part| Process::new(fill, (array.clone(), part)).start().unwrap();
    let children: Vec<Child<()>> = (0..4).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!(array.to_vec(), Vec::from_iter(0..4_000));
    assert_eq!(array.fold(0, |sum, element| sum + u64::from(element)), 7_998_000);
}

fn another_type_is_refused() {
    let message = transfer::pack(&Array::<u32>::zeroed(4).unwrap()).unwrap();
    let handles = || message.handles.clone();
    assert!(transfer::unpack::<Array<u64>>(&message.bytes, handles()).is_err());
    assert!(transfer::unpack::<RawArray<u32>>(&message.bytes, handles()).is_err());
    assert!(transfer::unpack::<mp_sync::Value<[u32; 4]>>(&message.bytes, handles()).is_err());
    assert_eq!(transfer::unpack::<Array<u32>>(&message.bytes, handles()).unwrap().to_vec(), [0; 4]);
}
