//! Programs and workers around a pool that are not as usual: one that dies of SIGPIPE, one that exits while the pool
//! works, workers that may not send.
#![allow(unsafe_code, reason = "signal(2), as a program calls it")]

use mp_core::sys::process::Ended;
use mp_core::sys::signal::SIGPIPE;
use mp_pool::{Generated, Pool, PoolBuilder, TaskError, YieldError, Yielder};
use mp_testing::{Fate, all_gone, filter, parent_in_role, role};
use nix::libc;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::OnceLock;

mp_testing::cases! {
    plain: [
        a_value_that_a_worker_may_not_send,
        a_task_that_may_not_send_what_it_yields,
    ],
    every_method: [
        an_ended_pool_sends_no_signal,
        an_exit_starts_no_workers,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

/// As command-line programs do, whose reader may end before them.
fn an_ended_pool_sends_no_signal() {
    // SAFETY: the default, which is no handler.
    assert_ne!(unsafe { libc::signal(SIGPIPE, libc::SIG_DFL) }, libc::SIG_ERR);
    let pool = Pool::builder().processes(2).on_output(|_| ()).build().unwrap();
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    pool.close();
    pool.join().unwrap();
    // Its threads have ended: nothing reads what would wake them.
    pool.join().unwrap();
    pool.terminate();
    pool.flush_output();
    drop(pool);
}

fn say_worker() {
    println!("a worker begins");
}

fn builder() -> PoolBuilder {
    Pool::builder().processes(3).initializer(say_worker, ())
}

/// A pool that this process leaves to its exit.
fn a_pool_of_its_own(x: u64) -> u64 {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| builder().build().unwrap()).apply(square, (x,)).unwrap()
}

/// The exit kills the workers. The pool's thread sees that, and goes on until the process has ended.
fn an_exit_starts_no_workers() {
    match role().as_deref() {
        Some("exits") => {
            let pool = builder().build().unwrap();
            assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
            std::process::exit(3)
        }
        Some("returns") => assert_eq!(a_pool_of_its_own(4), 16),
        Some("closes a pool of pools") => {
            let pool = Pool::new(1).unwrap();
            assert_eq!(pool.apply(a_pool_of_its_own, (4,)).unwrap(), 16);
            pool.close();
            pool.join().unwrap();
        }
        _ => {
            for (way, code) in [("exits", 3), ("returns", 0), ("closes a pool of pools", 0)] {
                for _ in 0..5 {
                    // It ends with the last process that may still say something.
                    let ended = parent_in_role(way).stderr(Stdio::inherit()).output().unwrap();
                    assert_eq!(ended.status.code(), Some(code), "{way}");
                    let says = String::from_utf8(ended.stdout).unwrap();
                    let begun = says.lines().filter(|line| *line == "a worker begins").count();
                    // One that does not begin before the exit never does.
                    assert!((1..=3).contains(&begun), "{way}: {says}");
                    all_gone();
                }
            }
        }
    }
}

/// A sandbox that a worker puts itself into.
fn send_nothing() {
    filter(libc::SYS_sendmsg, &[], Fate::Fails(libc::EPERM));
}

fn silent_workers() -> Pool {
    Pool::builder().processes(2).initializer(send_nothing, ()).build().unwrap()
}

/// Of some results there is more than was guessed.
fn longer_and_longer(x: u64) -> Vec<u64> {
    vec![x; if x < 250 { 0 } else { x as usize }]
}

fn a_value_that_a_worker_may_not_send() {
    let pool = silent_workers();
    for chunk in [1, 50] {
        let results = pool.map_in_chunks(longer_and_longer, 0..300, Some(chunk)).unwrap().get_each();
        for (x, result) in (0..).zip(results) {
            match result {
                Ok(value) => assert_eq!(value, longer_and_longer(x)),
                // It says why where there is room for that; else the worker ends.
                Err(TaskError::Failed(reason)) => assert!(x >= 250 && reason.contains("sendmsg"), "{reason}"),
                Err(TaskError::WorkerDied { how, .. }) => {
                    assert!(x >= 250 && how == Some(Ended::Exited(1)), "{x}: {how:?}");
                }
                Err(other) => panic!("{x}: {other:?}"),
            }
        }
    }
    let refused = pool.apply(|_: u64| vec![7_u8; 100_000], (1,)).unwrap_err().to_string();
    assert!(refused.contains("sendmsg"), "{refused}");
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

fn yield_a_long_one(x: u64, results: Yielder<Vec<u8>>) -> Result<(), YieldError> {
    results.yield_(vec![7; if x == 2 { 10_000_000 } else { 10 }])
}

fn a_task_that_may_not_send_what_it_yields() {
    let pool = silent_workers();
    let mut ends = HashMap::new();
    for generated in pool.generate(yield_a_long_one, 0..5).unwrap() {
        if let Generated::End { item, outcome, .. } = generated {
            ends.insert(item, outcome);
        }
    }
    assert_eq!(ends.len(), 5);
    for (x, outcome) in ends {
        match outcome {
            Ok(()) => assert_ne!(x, 2),
            Err(TaskError::WorkerDied { how: Some(Ended::Exited(1)), .. }) => assert_eq!(x, 2),
            Err(other) => panic!("{x}: {other:?}"),
        }
    }
}
