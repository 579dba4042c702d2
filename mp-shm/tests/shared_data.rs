//! Read-only data that processes share.

use mp_core::mem::Shareable;
use mp_core::transfer::{Handle, pack, unpack};
use mp_core::{MemError, Process};
use mp_shm::{SharedData, share, share_each};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

mp_testing::cases! {
    plain: [a_limit_of_file_sizes_is_an_error],
    every_method: [
        a_child_reads_what_was_shared,
        it_outlives_the_process_that_made_it,
        another_type_is_refused,
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Shareable)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
}

const POINT: Point = Point { x: 1.5, y: -2.0 };

type All = (SharedData<[u64]>, SharedData<Point>, SharedData<[Point]>, SharedData<[u8]>);

fn read_all((numbers, point, points, nothing): All) -> (u64, usize, bool, usize) {
    let same = *point == POINT && points.iter().all(|it| *it == POINT);
    (numbers.iter().sum(), points.len(), same, nothing.len())
}

fn a_child_reads_what_was_shared() {
    let all = (
        share_each(0..100_000).unwrap(),
        share(&POINT).unwrap(),
        share(&[POINT; 7][..]).unwrap(),
        share(&[][..]).unwrap(),
    );
    for _ in 0..2 {
        let child = Process::new(read_all, (all.clone(),)).start().unwrap();
        assert_eq!(child.join().unwrap(), (100_000 * 99_999 / 2, 7, true, 0));
    }
    assert_eq!(read_all(all), (100_000 * 99_999 / 2, 7, true, 0));
}

fn make() -> (SharedData<[u64]>, u32) {
    (share_each(0..1000).unwrap(), std::process::id())
}

fn it_outlives_the_process_that_made_it() {
    let (numbers, maker) = Process::new(make, ()).start().unwrap().join().unwrap();
    assert_ne!(maker, std::process::id());
    assert!(numbers.iter().copied().eq(0..1000));
}

/// As any handle: what is known of its contents is in the memory itself.
#[derive(serde::Serialize, serde::Deserialize)]
struct Untyped(Handle);

fn read_as_others(Untyped(handle): Untyped) -> (String, bool, usize) {
    let message = pack(&Untyped(handle)).unwrap();
    let signed = unpack::<SharedData<[i64]>>(&message.bytes, message.handles.clone());
    let value = unpack::<SharedData<u64>>(&message.bytes, message.handles.clone());
    let same = unpack::<SharedData<[u64]>>(&message.bytes, message.handles);
    (signed.unwrap_err().to_string(), value.is_err(), same.unwrap().len())
}

fn another_type_is_refused() {
    let message = pack(&share_each(0..10_u64).unwrap()).unwrap();
    let untyped: Untyped = unpack(&message.bytes, message.handles).unwrap();
    let child = Process::new(read_as_others, (untyped,)).start().unwrap();
    let (refused, value_is_refused, length) = child.join().unwrap();
    assert!(refused.contains("not a [i64]"), "{refused}");
    assert!(value_is_refused && length == 10);
}

/// The system would end the process by SIGXFSZ.
fn a_limit_of_file_sizes_is_an_error() {
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 1 << 16, most).unwrap();
    assert!(matches!(share(&[0_u8; 1 << 17][..]), Err(MemError::Os(_))));
    assert!(matches!(share_each(0..100_000_u64), Err(MemError::Os(_))));
    assert_eq!(share(&[7_u8; 1 << 10][..]).unwrap()[1023], 7);
}
