//! Mirrors CPython's `_TestPool`: P41; and what its pool does not survive.
//!
//! `imap` and `imap_unordered` are in imap.rs; P42 and P43 in conformance.rs.

use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::Ended;
use mp_core::sys::signal::{SIGKILL, send_to_child};
use mp_core::{StartMethod, active_children, current_process};
use mp_mock::{builder, new_pool};
use mp_pool::{JoinPoolError, MapError, Pool, SubmitError, TaskError};
use mp_queue::Queue;
use mp_testing::kill_if_it_lives;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        wrong_numbers_are_refused,
        a_chunk_may_be_as_long_as_can_be,
        a_pool_whose_workers_cannot_be_watched_is_broken_and_ends,
        values_that_cannot_cross_are_their_tasks_failure,
        threads_share_a_pool,
        idle_workers_take_over_what_waits,
        bytes_of_every_length_cross,
        long_results_stand_until_they_are_read,
        spawned_workers_have_the_name_they_were_given,
    ],
    every_method: [
        two_hundred_workers_on_a_thousand_items,
        a_panicking_initializer_breaks_the_pool,
        workers_that_cannot_live_break_the_pool,
        apply_and_map_keep_the_order,
        a_panic_is_one_items_error,
        a_killed_worker_costs_one_task,
        a_killed_idle_worker_costs_nothing,
        exits_and_aborts_are_the_tasks_end,
        closing_and_joining,
        dropping_with_tasks_pending_ends,
        large_values_in_and_out,
        workers_are_replaced_after_their_tasks,
        a_worker_may_have_the_number_of_a_dead_one,
    ],
    mock: [
        values_that_cannot_cross_are_their_tasks_failure,
        threads_share_a_pool,
        bytes_of_every_length_cross,
        a_panicking_initializer_breaks_the_pool,
        workers_that_cannot_live_break_the_pool,
        apply_and_map_keep_the_order,
        a_panic_is_one_items_error,
        a_killed_idle_worker_costs_nothing,
        exits_and_aborts_are_the_tasks_end,
        closing_and_joining,
        workers_are_replaced_after_their_tasks,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

fn length_unless_it_begins_with_9(bytes: Vec<u8>) -> usize {
    if bytes.first() == Some(&9) {
        std::process::abort();
    }
    bytes.len()
}

fn sevens(length: usize) -> Vec<u8> {
    vec![7; length]
}

/// In the arena, and out of it where there are too many, while other tasks use what is free of it.
fn long_results_stand_until_they_are_read() {
    let pool = new_pool(2).unwrap();
    let mebibyte_of = |x: u8| vec![x; 1 << 20];
    let results: Vec<_> = (0..60).map(|x| pool.apply_async(reversed, (mebibyte_of(x),)).unwrap()).collect();
    results.iter().for_each(|result| result.wait());
    assert_eq!(pool.map(length_unless_it_begins_with_9, (100..120).map(mebibyte_of)).unwrap(), [1 << 20; 20]);
    for _ in 0..2 {
        for (x, result) in (0..).zip(&results) {
            assert!(result.get().unwrap() == mebibyte_of(x), "{x}");
        }
    }
}

/// A vector of bytes that is all there is to an argument or a result is not packed; a long one goes alone.
fn bytes_of_every_length_cross() {
    let lengths = [0, 1, 2, 126, 127, 128, 4000, 4096, 16_383, 16_384, 65_536, 1 << 20, 17 << 20];
    let bytes = |length: usize| {
        let mut bytes = vec![7; length];
        bytes.last_mut().into_iter().for_each(|last| *last = 8);
        bytes
    };
    let pool = new_pool(2).unwrap();
    for chunk_size in [1, 5] {
        let back = pool.map_in_chunks(reversed, lengths.map(bytes), Some(chunk_size)).unwrap().get().unwrap();
        let expected = lengths.map(|length| reversed(bytes(length)));
        assert!(back == expected, "{chunk_size}");
    }
    assert_eq!(pool.map(length_unless_it_begins_with_9, lengths.map(bytes)).unwrap(), lengths);
    assert!(pool.map(sevens, lengths).unwrap() == lengths.map(sevens));
    let poisoned = [20_000, 30_000, 40_000].map(|length| {
        let mut bytes = bytes(length);
        bytes[0] = if length == 30_000 { 9 } else { 7 };
        bytes
    });
    let each = pool.map_each(length_unless_it_begins_with_9, poisoned).unwrap();
    assert!(matches!(each[..], [Ok(20_000), Err(TaskError::WorkerDied { .. }), Ok(40_000)]), "{each:?}");
}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// P41
fn apply_and_map_keep_the_order() {
    let pool = new_pool(4).unwrap();
    assert_eq!(pool.apply(square, (5,)).unwrap(), 25);
    assert_eq!(pool.apply_async(add, (2, 3)).unwrap().get().unwrap(), 5);
    let squares: Vec<u64> = (0..100).map(square).collect();
    assert_eq!(pool.map(square, 0..100).unwrap(), squares);
    assert!(matches!(pool.map_in_chunks(square, 0..100, Some(0)), Err(SubmitError::ChunkSize)));
    for chunk_size in [1, 7, 20, 1000] {
        assert_eq!(pool.map_in_chunks(square, 0..100, Some(chunk_size)).unwrap().get().unwrap(), squares);
    }
    assert_eq!(pool.map(square, []).unwrap(), []);
    assert_eq!(pool.starmap(add, (0..50).map(|x| (x, 2 * x))).unwrap()[49], 147);
    let pids: HashSet<u32> = pool.map(|_: u32| std::process::id(), 0..40).unwrap().into_iter().collect();
    assert!(!pids.is_empty() && pids.len() <= 4 && !pids.contains(&std::process::id()));
    let result = pool.map_async(square, 0..10).unwrap();
    assert!(result.wait_timeout(Duration::MAX) && result.ready());
}

/// P41
fn two_hundred_workers_on_a_thousand_items() {
    let pool = new_pool(200).unwrap();
    let sum: u64 = pool.map(square, 0..1000).unwrap().iter().sum();
    assert_eq!(sum, 332_833_500);
}

/// More batches than a number of items can be doubled.
fn a_chunk_may_be_as_long_as_can_be() {
    let pool = new_pool(2).unwrap();
    let input = || (0..6000_usize).map(|x| vec![x as u8; 1000]);
    let lengths = pool.map_in_chunks(length_unless_it_begins_with_9, input(), Some(usize::MAX)).unwrap();
    let each = lengths.get_each();
    assert!(each.len() == 6000 && (0..).zip(&each).all(|(x, length)| length.is_ok() == (x % 256 != 9)));
}

fn wrong_numbers_are_refused() {
    assert!(new_pool(0).is_err());
    assert!(builder().processes(1).max_tasks_per_child(0).build().is_err());
    assert!(active_children().is_empty());
}

fn fails_at_37(x: u32) -> u32 {
    assert_ne!(x, 37, "no {x}");
    x
}

fn a_panic_is_one_items_error() {
    let pool = new_pool(2).unwrap();
    let each = pool.map_each(fails_at_37, 0..100).unwrap();
    for (index, outcome) in each.iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(*value as usize, index),
            Err(TaskError::Panicked { message, location, worker }) => {
                assert_eq!(index, 37);
                assert!(message.contains("no 37") && location.contains("pool.rs"), "{message} {location}");
                assert!(worker.starts_with("PoolWorker-"), "{worker}");
            }
            other => panic!("{other:?}"),
        }
    }
    match pool.map(fails_at_37, 0..100) {
        Err(SubmitError::Map(MapError::Item { index, .. })) => assert_eq!(index, 37),
        other => panic!("{other:?}"),
    }
    // Its worker lives.
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
}

fn say_pid_and_stay(pids: Queue<u32>) {
    pids.put(std::process::id()).unwrap();
    loop {
        std::thread::park();
    }
}

fn a_killed_worker_costs_one_task() {
    let pool = new_pool(2).unwrap();
    let pids = Queue::new().unwrap();
    for _ in 0..4 {
        let doomed = pool.apply_async(say_pid_and_stay, (pids.clone(),)).unwrap();
        let others = pool.map_async(square, 0..200).unwrap();
        let pid: u32 = pids.get().unwrap();
        assert!(kill_if_it_lives(pid));
        match doomed.get() {
            Err(TaskError::WorkerDied { pid: died, how: Some(Ended::Signaled(9)), .. }) => {
                assert_eq!(died, pid)
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(others.get().unwrap().len(), 200);
    }
    assert_eq!(pool.map(square, 0..10).unwrap().len(), 10);
}

fn a_killed_idle_worker_costs_nothing() {
    let pool = new_pool(2).unwrap();
    assert_eq!(pool.map(square, 0..10).unwrap().len(), 10);
    for _ in 0..3 {
        for pid in pool.worker_pids() {
            kill_if_it_lives(pid);
        }
        assert_eq!(pool.map(square, 0..50).unwrap().len(), 50);
    }
}

fn end_somehow(how: u32) -> u32 {
    match how {
        1 => std::process::exit(3),
        2 => std::process::abort(),
        value => value,
    }
}

fn exits_and_aborts_are_the_tasks_end() {
    let pool = new_pool(2).unwrap();
    let each = pool.map_each(end_somehow, [0, 1, 2, 5]).unwrap();
    assert_eq!((&each[0], &each[3]), (&Ok(0), &Ok(5)));
    let died = |outcome: &Result<u32, TaskError>| match outcome {
        Err(TaskError::WorkerDied { how, .. }) => *how,
        other => panic!("{other:?}"),
    };
    assert_eq!(died(&each[1]), Some(Ended::Exited(3)));
    assert_eq!(died(&each[2]), Some(Ended::Signaled(6)));
}

#[derive(Debug)]
struct Unwilling;

impl Serialize for Unwilling {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwilling"))
    }
}

impl<'de> Deserialize<'de> for Unwilling {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("unwilling"))
    }
}

/// Is written, and cannot be read.
#[derive(Debug)]
struct Unreadable;

impl Serialize for Unreadable {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("unreadable"))
    }
}

fn values_that_cannot_cross_are_their_tasks_failure() {
    let pool = new_pool(1).unwrap();
    assert!(matches!(pool.apply(|_: Unwilling| (), (Unwilling,)), Err(SubmitError::Arguments(_))));
    assert!(matches!(pool.apply_async(|| Unwilling, ()).unwrap().get(), Err(TaskError::Failed(_))));
    assert!(matches!(
        pool.apply_async(|_: Unreadable| (), (Unreadable,)).unwrap().get(),
        Err(TaskError::Failed(_))
    ));
    assert!(matches!(pool.apply_async(|| Unreadable, ()).unwrap().get(), Err(TaskError::Value(_))));
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

fn closing_and_joining() {
    let pool = new_pool(3).unwrap();
    assert_eq!(pool.join(), Err(JoinPoolError::StillRunning));
    assert_eq!(pool.try_join(), Err(JoinPoolError::StillRunning));
    let result = pool.map_async(square, 0..500).unwrap();
    pool.close();
    assert!(matches!(pool.map(square, 0..2), Err(SubmitError::Closed)));
    pool.join().unwrap();
    pool.join().unwrap();
    assert_eq!(result.get().unwrap().len(), 500);
    assert!(pool.worker_pids().is_empty());
    assert!(active_children().is_empty());
}

fn dropping_with_tasks_pending_ends() {
    let pool = new_pool(2).unwrap();
    let pids = Queue::new().unwrap();
    let results: Vec<_> =
        (0..50).map(|_| pool.apply_async(say_pid_and_stay, (pids.clone(),)).unwrap()).collect();
    let _: u32 = pids.get().unwrap();
    drop(pool);
    assert!(results.iter().all(|result| matches!(result.get(), Err(TaskError::Terminated))));
    assert!(active_children().is_empty());
}

fn turn(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().rev().collect()
}

/// All at once: neither side may wait for the other to read first.
fn large_values_in_and_out() {
    let pool = new_pool(2).unwrap();
    let item = |seed: usize| (0..1 << 20).map(|at| (at * 31 + seed) as u8).collect::<Vec<u8>>();
    let results = pool.map(turn, (0..64).map(item)).unwrap();
    assert_eq!(results.len(), 64);
    assert!(results.into_iter().enumerate().all(|(seed, bytes)| bytes == turn(item(seed))));
}

/// This worker, and no other one: a process id may be given away again.
fn which_process(_: u32) -> u64 {
    static NUMBER: OnceLock<u64> = OnceLock::new();
    *NUMBER.get_or_init(|| RandomState::new().hash_one(std::process::id()))
}

fn workers_are_replaced_after_their_tasks() {
    let pool = builder().processes(2).max_tasks_per_child(5).build().unwrap();
    let each: HashSet<u64> =
        pool.map_in_chunks(which_process, 0..60, Some(1)).unwrap().get().unwrap().into_iter().collect();
    assert!(each.len() >= 12, "{} workers for 60 tasks of at most 5 each", each.len());
}

/// The system is told which number to give next, over and over: that of a worker that has ended.
fn a_worker_may_have_the_number_of_a_dead_one() {
    const NEXT: &str = "/proc/sys/kernel/ns_last_pid";
    if std::fs::OpenOptions::new().write(true).open(NEXT).is_err() {
        mp_testing::not_here("the next process id may not be chosen here");
    }
    let pool = builder().processes(2).max_tasks_per_child(1).build().unwrap();
    let first = pool.map_in_chunks(|_: u32| std::process::id(), 0..4, Some(1)).unwrap().get().unwrap();
    let done = AtomicBool::new(false);
    let pids = std::thread::scope(|scope| {
        scope.spawn(|| {
            // ORDERING: Relaxed: only whether to go on.
            while !done.load(Ordering::Relaxed) {
                first.iter().for_each(|pid| std::fs::write(NEXT, (pid - 1).to_string()).unwrap());
            }
        });
        let pids = pool.map_in_chunks(|_: u32| std::process::id(), 0..60, Some(1)).unwrap().get();
        // ORDERING: as above.
        done.store(true, Ordering::Relaxed);
        pids.unwrap()
    });
    assert_eq!(pids.len(), 60);
}

fn refuse(why: String) {
    panic!("no {why}");
}

fn a_panicking_initializer_breaks_the_pool() {
    let pool = builder().processes(2).initializer(refuse, ("entry".to_owned(),)).build().unwrap();
    let broken = match pool.apply_async(square, (2,)) {
        Ok(result) => result.get().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(broken.contains("no entry"), "{broken}");
    assert!(matches!(pool.apply(square, (2,)), Err(SubmitError::Broken(_))));
    drop(pool);
    assert!(active_children().is_empty());
}

fn die() {
    std::process::abort();
}

fn workers_that_cannot_live_break_the_pool() {
    let pool = builder().processes(2).initializer(die, ()).build().unwrap();
    let broken = match pool.apply_async(square, (2,)) {
        Ok(result) => result.get().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(broken.contains("in a row") && broken.contains("signal 6"), "{broken}");
}

/// No call waits for more descriptors than the process may have.
fn a_pool_whose_workers_cannot_be_watched_is_broken_and_ends() {
    let pool = Pool::new(3).unwrap();
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    let killed = pidfd_open(pool.worker_pids()[0]).unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 4, most).unwrap();
    // The watcher wakes, and is to wait for all of them again.
    send_to_child(killed.as_fd(), SIGKILL).unwrap();
    let reason = loop {
        match pool.apply(square, (3,)) {
            Err(SubmitError::Broken(reason) | SubmitError::Task(TaskError::Broken(reason))) => break reason,
            other => assert!(matches!(other, Ok(9) | Err(SubmitError::Task(_))), "{other:?}"),
        }
    };
    assert!(reason.contains("cannot be watched"), "{reason}");
    pool.join().unwrap();
    assert!(pool.worker_pids().is_empty() && active_children().is_empty());
}

fn threads_share_a_pool() {
    let pool = new_pool(2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..10 {
                    let from = thread * 1000 + round;
                    let squares = pool.map(square, from..from + 20).unwrap();
                    assert!(squares.into_iter().zip(from..).all(|(value, x)| value == x * x));
                }
            });
        }
    });
}

fn stay_until(go: Queue<u32>, blocked: bool) -> u32 {
    if blocked { go.get().unwrap() } else { 0 }
}

/// One worker is stuck in the first task; the other does all the rest, also what is in the first one's lane.
fn idle_workers_take_over_what_waits() {
    let pool = new_pool(2).unwrap();
    let go = Queue::new().unwrap();
    let stuck = pool.apply_async(stay_until, (go.clone(), true)).unwrap();
    let rest: Vec<_> = (0..100).map(|_| pool.apply_async(stay_until, (go.clone(), false)).unwrap()).collect();
    assert!(rest.iter().all(|result| result.get() == Ok(0)));
    assert!(!stuck.ready());
    go.put(7).unwrap();
    assert_eq!(stuck.get(), Ok(7));
}

fn spawned_workers_have_the_name_they_were_given() {
    mp_core::set_start_method(StartMethod::Spawn).unwrap();
    let pool = builder().processes(2).name("Spawned").build().unwrap();
    let names = pool.map(|_: u32| current_process().name().to_owned(), 0..10).unwrap();
    assert!(names.iter().all(|name| name.starts_with("Spawned-")), "{names:?}");
}
