//! A reader or a writer that stands still, wherever that is: a timed put or get costs its timeout and no
//! more, and all is there when it goes on. Fault row 5, and row 4 for queues; instruction by instruction by
//! mp-sweep.

use mp_core::Process;
use mp_core::sys::process::random_bytes;
use mp_queue::{GetError, PutError, Queue};
use mp_testing::{go_on, stop};
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    every_method: [
        a_stopped_reader_costs_a_writer_its_timeout_alone,
        a_stopped_writer_costs_a_reader_its_timeout_alone,
        stopped_at_any_moment_nothing_is_lost,
    ]
}

const TIMEOUT: Duration = Duration::from_millis(50);
const ROOM: u32 = 8;

fn get_all(queue: Queue<u32>) -> Vec<u32> {
    queue.iter().map(Result::unwrap).collect()
}

fn put_all(queue: Queue<u32>, last: u32) {
    (0..last).for_each(|number| queue.put(number).unwrap());
}

/// Row 5
fn a_stopped_reader_costs_a_writer_its_timeout_alone() {
    let queue = Queue::bounded(ROOM).unwrap();
    let reader = Process::new(get_all, (queue.clone(),)).daemon().start().unwrap();
    stop(&reader);
    let mut put = 0;
    let refused = loop {
        let began = Instant::now();
        match queue.put_timeout(put, TIMEOUT) {
            Ok(()) => put += 1,
            Err(refused) => {
                assert!(began.elapsed() >= TIMEOUT);
                break refused;
            }
        }
    };
    assert!(matches!(refused.reason, PutError::Timeout), "{refused}");
    assert_eq!((refused.into_inner(), put), (ROOM, ROOM));
    assert!(matches!(queue.try_put(put).unwrap_err().reason, PutError::Full));
    go_on(&reader);
    (ROOM..100).for_each(|number| queue.put_timeout(number, Duration::MAX).unwrap());
    queue.shutdown();
    assert_eq!(reader.join().unwrap(), (0..100).collect::<Vec<u32>>());
}

fn a_stopped_writer_costs_a_reader_its_timeout_alone() {
    let queue = Queue::bounded(ROOM).unwrap();
    let writer = Process::new(put_all, (queue.clone(), 100)).daemon().start().unwrap();
    // It waits for room by then, or is about to.
    while !queue.full() {
        thread::yield_now();
    }
    stop(&writer);
    let mut got = Vec::new();
    let began = loop {
        let began = Instant::now();
        match queue.get_timeout(TIMEOUT) {
            Ok(number) => got.push(number),
            Err(GetError::Timeout) => break began,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(began.elapsed() >= TIMEOUT && got.len() >= ROOM as usize);
    go_on(&writer);
    (got.len()..100).for_each(|_| got.push(queue.get().unwrap()));
    writer.join().unwrap();
    assert_eq!(got, (0..100).collect::<Vec<u32>>());
}

/// Stopped wherever it is, with a lock in its hands perhaps: timed calls come back meanwhile.
fn stopped_at_any_moment_nothing_is_lost() {
    const ALL: u32 = 20_000;
    let queue = Queue::bounded(ROOM).unwrap();
    let writer = Process::new(put_all, (queue.clone(), ALL)).daemon().start().unwrap();
    let mut got = Vec::new();
    while got.len() < ALL as usize {
        stop(&writer);
        for _ in 0..ROOM + 2 {
            got.extend(queue.get_timeout(Duration::from_micros(200)).ok());
        }
        go_on(&writer);
        let mut random = [0];
        random_bytes(&mut random).unwrap();
        (0..random[0]).take(ALL as usize - got.len()).for_each(|_| got.push(queue.get().unwrap()));
    }
    writer.join().unwrap();
    assert_eq!(got, (0..ALL).collect::<Vec<u32>>());
}
