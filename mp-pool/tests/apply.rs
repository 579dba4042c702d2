//! One task at a time, by the short way of a call of one item (`src/lone.rs`): from one thread and from several, whose
//! tasks end in every way.

use mp_core::transfer::Handle;
use mp_mock::new_pool;
use mp_pool::{Pool, SubmitError, TaskError};
use serde::{Deserialize, Serialize, Serializer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

mp_testing::cases! {
    plain: [
        results_of_every_kind_come_back,
        threads_apply_at_once,
        a_task_that_is_waited_for_comes_beside_others,
        an_argument_is_dropped_without_the_pools_lock,
        a_closed_pool_says_so_first,
    ],
    mock: [
        threads_apply_at_once,
        a_task_that_is_waited_for_comes_beside_others,
        a_closed_pool_says_so_first,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

fn repeat(byte: u8, length: usize) -> Vec<u8> {
    vec![byte; length]
}

fn length(bytes: Vec<u8>, _: u8) -> usize {
    bytes.len()
}

fn count(handles: Vec<Handle>) -> Vec<Handle> {
    handles
}

fn panics(x: u64) -> u64 {
    assert!(x != 3, "three");
    x
}

fn dies(_: u64) -> u64 {
    std::process::abort()
}

/// Short and long ones, with handles, and none; the next one is as if nothing had been.
fn results_of_every_kind_come_back() {
    let pool = Pool::new(1).unwrap();
    for round in 0..3_u8 {
        assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
        for bytes in [0, 1, 29, 30, 31, 32, 33, 200, 300, 20_000, 9 << 20] {
            assert_eq!(pool.apply(repeat, (round, bytes)).unwrap(), repeat(round, bytes));
            assert_eq!(pool.apply(length, (repeat(round, bytes), 1)).unwrap(), bytes);
        }
        let (end, other) = mp_core::sys::fd::pipe().unwrap();
        let handles = vec![Handle::new(end), Handle::new(other)];
        assert_eq!(pool.apply(count, (handles,)).unwrap().len(), 2);
        let panicked = pool.apply(panics, (3,)).unwrap_err();
        assert!(matches!(panicked, SubmitError::Task(TaskError::Panicked { .. })), "{panicked:?}");
        let died = pool.apply(dies, (3,)).unwrap_err();
        assert!(matches!(died, SubmitError::Task(TaskError::WorkerDied { .. })), "{died:?}");
    }
}

/// A thread that waits for its own task alone is told of the others', and leads for them.
fn threads_apply_at_once() {
    let pool = new_pool(2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..300 {
                    let x = 1000 * thread + round;
                    assert_eq!(pool.apply(square, (x,)).unwrap(), square(x));
                    if thread == 2 && round % 100 == 50 {
                        assert!(pool.apply(panics, (3,)).is_err());
                        let died = pool.apply(dies, (3,)).unwrap_err();
                        assert!(matches!(died, SubmitError::Task(TaskError::WorkerDied { .. })), "{died:?}");
                    }
                }
            });
        }
    });
    assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
}

/// Two results are left to be told when the third is waited for, and a map is done by the same workers in between.
fn a_task_that_is_waited_for_comes_beside_others() {
    let pool = new_pool(2).unwrap();
    for round in 0..50_u64 {
        assert_eq!(pool.apply(square, (round,)).unwrap(), square(round));
        let early: Vec<_> = (0..2).map(|x| pool.apply_async(square, (round + x,)).unwrap()).collect();
        assert_eq!(pool.apply(square, (round + 2,)).unwrap(), square(round + 2));
        assert!(early.iter().zip(round..).all(|(result, x)| result.get() == Ok(square(x))));
        assert_eq!(pool.apply(square, (round,)).unwrap(), square(round));
        let squares = pool.map_in_chunks(square, 0..100, Some(1)).unwrap().get().unwrap();
        assert!(squares.into_iter().zip(0..).all(|(value, x)| value == square(x)));
    }
}

static POOL: OnceLock<Weak<Pool>> = OnceLock::new();
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// Asks its pool for the workers when it is dropped, in the process that submits it.
#[derive(Serialize, Deserialize)]
struct Asks(u64);

impl Drop for Asks {
    fn drop(&mut self) {
        if let Some(pool) = POOL.get().and_then(Weak::upgrade) {
            assert_eq!(pool.worker_pids().len(), 1);
            ASKED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn number_of(asks: Asks) -> u64 {
    asks.0
}

fn an_argument_is_dropped_without_the_pools_lock() {
    let pool = Arc::new(Pool::new(1).unwrap());
    POOL.set(Arc::downgrade(&pool)).unwrap();
    assert_eq!(pool.apply(number_of, (Asks(7),)).unwrap(), 7);
    assert_eq!(pool.apply_async(number_of, (Asks(8),)).unwrap().get(), Ok(8));
    assert_eq!(ASKED.load(Ordering::Relaxed), 2);
}

#[derive(Deserialize)]
struct Unwilling;

impl Serialize for Unwilling {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

fn take(_: Unwilling) {}

/// Whatever else would be refused.
fn a_closed_pool_says_so_first() {
    let pool = new_pool(1).unwrap();
    let refused = pool.apply(take, (Unwilling,)).unwrap_err();
    assert!(matches!(refused, SubmitError::Arguments(_)), "{refused:?}");
    assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
    pool.close();
    let refused = [pool.apply(take, (Unwilling,)), pool.apply_async(take, (Unwilling,)).map(drop)];
    assert!(refused.iter().all(|refused| matches!(refused, Err(SubmitError::Closed))), "{refused:?}");
    assert!(matches!(pool.apply(square, (7,)), Err(SubmitError::Closed)));
    pool.join().unwrap();
}
