//! Atomic numbers that processes share. (Python has none; of `_TestValue` P31 is mirrored.)

use mp_core::{Child, Process, transfer};
use mp_sync::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, RawValue,
};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

mp_testing::cases! {
    every_method: [children_count_exactly, what_a_child_writes_is_seen,
        a_message_is_whole_when_its_flag_is_up, one_of_many_is_first, another_type_is_refused]
}

fn count(number: AtomicU64, other: AtomicI32) {
    for _ in 0..20_000 {
        number.fetch_add(1, Relaxed);
        other.fetch_sub(1, Relaxed);
    }
}

fn children_count_exactly() {
    let (number, other) = (AtomicU64::new(5).unwrap(), AtomicI32::new(5).unwrap());
    let start = |_| Process::new(count, (number.clone(), other.clone())).start().unwrap();
    let children: Vec<Child<()>> = (0..3).map(start).collect();
    children.iter().for_each(|child| child.join().unwrap());
    assert_eq!((number.load(Relaxed), other.load(Relaxed)), (60_005, -59_995));
}

type Others = (AtomicU8, AtomicI8, AtomicU16, AtomicI16, AtomicU32, AtomicI64, AtomicUsize, AtomicIsize);

fn negate(others: Others, flag: AtomicBool) -> Others {
    let (a, b, c, d, e, f, g, h) = &others;
    a.fetch_xor(u8::MAX, Relaxed);
    b.fetch_xor(-1, Relaxed);
    c.fetch_xor(u16::MAX, Relaxed);
    d.fetch_xor(-1, Relaxed);
    e.fetch_xor(u32::MAX, Relaxed);
    f.fetch_xor(-1, Relaxed);
    g.fetch_xor(usize::MAX, Relaxed);
    h.fetch_xor(-1, Relaxed);
    flag.store(true, Relaxed);
    others
}

/// P31
fn what_a_child_writes_is_seen() {
    let flag = AtomicBool::new(false).unwrap();
    let others = (
        AtomicU8::new(1).unwrap(),
        AtomicI8::new(2).unwrap(),
        AtomicU16::new(3).unwrap(),
        AtomicI16::new(4).unwrap(),
        AtomicU32::new(5).unwrap(),
        AtomicI64::new(6).unwrap(),
        AtomicUsize::new(7).unwrap(),
        AtomicIsize::new(8).unwrap(),
    );
    let child = Process::new(negate, (others.clone(), flag.clone())).start().unwrap();
    let again = child.join().unwrap();
    for (a, b, c, d, e, f, g, h) in [others, again] {
        assert_eq!((a.load(Relaxed), b.load(Relaxed)), (!1, !2));
        assert_eq!((c.load(Relaxed), d.load(Relaxed)), (!3, !4));
        assert_eq!((e.load(Relaxed), f.load(Relaxed)), (!5, !6));
        assert_eq!((g.load(Relaxed), h.load(Relaxed)), (!7, !8));
    }
    assert!(flag.load(Relaxed));
}

fn write_messages(message: RawValue<u64>, ready: AtomicBool) {
    for number in 1..=500 {
        message.set(number);
        ready.store(true, Release);
        while ready.load(Acquire) {
            std::thread::yield_now();
        }
    }
}

fn a_message_is_whole_when_its_flag_is_up() {
    let (message, ready) = (RawValue::new(0).unwrap(), AtomicBool::new(false).unwrap());
    let child = Process::new(write_messages, (message.clone(), ready.clone())).start().unwrap();
    for number in 1..=500 {
        while !ready.load(Acquire) {
            std::thread::yield_now();
        }
        assert_eq!(message.get(), number);
        ready.store(false, Release);
    }
    child.join().unwrap();
}

fn try_to_be_first(taken: AtomicBool, also: AtomicBool) -> (bool, bool) {
    (!taken.swap(true, AcqRel), also.compare_exchange(true, false, AcqRel, Relaxed) == Ok(true))
}

fn one_of_many_is_first() {
    let (taken, also) = (AtomicBool::new(false).unwrap(), AtomicBool::new(true).unwrap());
    let start = |_| Process::new(try_to_be_first, (taken.clone(), also.clone())).start().unwrap();
    let children: Vec<Child<(bool, bool)>> = (0..4).map(start).collect();
    let firsts: Vec<(bool, bool)> = children.iter().map(|child| child.join().unwrap()).collect();
    assert_eq!(firsts.iter().filter(|(swapped, _)| *swapped).count(), 1);
    assert_eq!(firsts.iter().filter(|(_, exchanged)| *exchanged).count(), 1);
}

fn another_type_is_refused() {
    let message = transfer::pack(&AtomicU32::new(1).unwrap()).unwrap();
    assert!(transfer::unpack::<AtomicI32>(&message.bytes, message.handles.clone()).is_err());
    assert!(transfer::unpack::<RawValue<u32>>(&message.bytes, message.handles.clone()).is_err());
    assert_eq!(transfer::unpack::<AtomicU32>(&message.bytes, message.handles).unwrap().load(Relaxed), 1);
}
