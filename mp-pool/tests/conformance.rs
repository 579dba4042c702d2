//! What of CPython's `_TestPool` the other files do not have: P42's errors and times, P43's ends.

use mp_core::active_children;
use mp_pool::{JoinPoolError, MapError, NewPoolError, Pool, SubmitError, TaskError};
use mp_queue::Queue;
use mp_testing::stay;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        wrong_numbers_start_nothing,
        an_argument_that_cannot_be_packed_fails_its_job_alone,
    ],
    every_method: [
        an_error_comes_with_its_place_by_get_and_by_callback,
        a_value_that_cannot_be_packed_fails_its_job_alone,
        a_late_result_is_a_timeout_and_the_pool_goes_on,
        ten_thousand_waiting_tasks_are_terminated,
        closing_then_joining_finishes_what_was_submitted,
        a_call_at_the_wrong_moment_is_an_error,
        worker_ids_change_after_so_many_tasks,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

fn fail(x: u64) -> u64 {
    panic!("no square of {x}")
}

fn is_the_panic(error: &TaskError) -> bool {
    matches!(error, TaskError::Panicked { message, location, worker }
        if message == "no square of 7" && location.contains("conformance.rs") && worker.starts_with("PoolWorker-"))
}

/// P42: the error of `get`, and the callback's, have the message and the place in the worker.
fn an_error_comes_with_its_place_by_get_and_by_callback() {
    let pool = Pool::new(2).unwrap();
    let result = pool.apply_async(fail, (7,)).unwrap();
    assert!(is_the_panic(&result.get().unwrap_err()));
    // Again, as often as it is asked.
    assert!(is_the_panic(&result.get().unwrap_err()));
    assert_eq!(result.successful(), Some(false));
    let (say, hear) = mpsc::channel();
    result.call_back(move |outcome| say.send(outcome).unwrap());
    assert!(is_the_panic(&hear.recv().unwrap().unwrap_err()));
    match pool.apply(fail, (7,)) {
        Err(SubmitError::Task(error)) => assert!(is_the_panic(&error)),
        other => panic!("{other:?}"),
    }
    let (say, hear) = mpsc::channel();
    pool.map_async(fail, [7]).unwrap().call_back(move |outcome| say.send(outcome).unwrap());
    assert!(matches!(hear.recv().unwrap(), Err(MapError::Item { index: 0, error }) if is_the_panic(&error)));
}

#[derive(Debug, PartialEq, Deserialize)]
struct Odd(u64);

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(2) {
            return Err(serde::ser::Error::custom("an even number has no serial form"));
        }
        serializer.serialize_newtype_struct("Odd", &self.0)
    }
}

/// P42
fn an_argument_that_cannot_be_packed_fails_its_job_alone() {
    let pool = Pool::new(2).unwrap();
    let refused = pool.apply_async(|odd: Odd| odd.0, (Odd(2),)).unwrap_err();
    assert!(matches!(&refused, SubmitError::Arguments(error) if error.to_string().contains("even number")));
    assert_eq!(pool.apply(|odd: Odd| odd.0, (Odd(3),)).unwrap(), 3);
}

/// P42
fn a_value_that_cannot_be_packed_fails_its_job_alone() {
    let pool = Pool::new(2).unwrap();
    let each = pool.map_each(Odd, 0..10).unwrap();
    for (x, outcome) in (0..).zip(each) {
        match outcome {
            Ok(odd) => assert!(odd == Odd(x) && x % 2 == 1),
            Err(TaskError::Failed(reason)) => {
                assert!(x % 2 == 0 && reason.contains("even number"), "{reason}")
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn wait(gate: Queue<u64>) -> u64 {
    gate.get().unwrap()
}

/// P42: not before its time, and the result comes later.
fn a_late_result_is_a_timeout_and_the_pool_goes_on() {
    let (pool, gate) = (Pool::new(1).unwrap(), Queue::new().unwrap());
    let result = pool.apply_async(wait, (gate.clone(),)).unwrap();
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        let began = Instant::now();
        assert_eq!(result.get_timeout(timeout), Err(TaskError::Timeout));
        assert!(began.elapsed() >= timeout);
    }
    let others = pool.map_async(square, 0..3).unwrap();
    assert_eq!(others.get_timeout(Duration::from_millis(50)), Err(MapError::Timeout));
    gate.put(7).unwrap();
    assert_eq!(result.get().unwrap(), 7);
    assert_eq!(others.get().unwrap(), [0, 1, 4]);
    assert_eq!(pool.apply(square, (9,)).unwrap(), 81);
}

/// P42. A pool that cannot start a worker: `helpers_without_processes_leave_nothing`. -1 does not compile.
fn wrong_numbers_start_nothing() {
    assert!(matches!(Pool::new(0), Err(NewPoolError::Workers)));
    assert!(matches!(
        Pool::builder().processes(2).max_tasks_per_child(0).build(),
        Err(NewPoolError::NoTasks)
    ));
    assert!(active_children().is_empty());
}

/// P43: they would take hours.
fn ten_thousand_waiting_tasks_are_terminated() {
    let pool = Pool::new(3).unwrap();
    let results = pool.map_in_chunks(|_: u64| -> u64 { stay() }, 0..10_000, Some(1)).unwrap();
    let pids = pool.worker_pids();
    pool.terminate();
    pool.join().unwrap();
    let each = results.get_each();
    assert_eq!(each.len(), 10_000);
    assert!(each.iter().all(|outcome| *outcome == Err(TaskError::Terminated)));
    assert!(pool.worker_pids().is_empty() && active_children().is_empty());
    assert!(pids.iter().all(|pid| mp_testing::state(*pid).is_none_or(|state| state == 'Z')));
}

/// P43
fn closing_then_joining_finishes_what_was_submitted() {
    let pool = Pool::new(3).unwrap();
    let result = pool.map_async(square, 0..10_000).unwrap();
    pool.close();
    pool.join().unwrap();
    assert!(result.ready());
    assert_eq!(result.get().unwrap(), (0..10_000).map(square).collect::<Vec<_>>());
    assert!(active_children().is_empty());
}

/// P43. A pool that is not closed does not hang its program's exit: `workers_end_with_their_parent_whatever_they_do`.
fn a_call_at_the_wrong_moment_is_an_error() {
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.join(), Err(JoinPoolError::StillRunning));
    assert_eq!(pool.try_join(), Err(JoinPoolError::StillRunning));
    assert_eq!(pool.join_timeout(Duration::ZERO), Err(JoinPoolError::StillRunning));
    pool.close();
    assert!(matches!(pool.map(square, 0..3), Err(SubmitError::Closed)));
    assert!(matches!(pool.apply_async(square, (3,)), Err(SubmitError::Closed)));
    assert!(matches!(pool.imap(square, 0..3), Err(SubmitError::Closed)));
    pool.join().unwrap();
    pool.join().unwrap();
}

/// P43
fn worker_ids_change_after_so_many_tasks() {
    let pool = Pool::builder().processes(2).max_tasks_per_child(5).build().unwrap();
    let pids = pool.map_in_chunks(|_: u64| std::process::id(), 0..100, Some(1)).unwrap().get().unwrap();
    let mut tasks = std::collections::HashMap::new();
    pids.iter().for_each(|pid| *tasks.entry(*pid).or_insert(0) += 1);
    assert!(tasks.values().all(|tasks| *tasks <= 5), "{tasks:?}");
    assert!(pids.iter().collect::<HashSet<_>>().len() >= 20);
}
