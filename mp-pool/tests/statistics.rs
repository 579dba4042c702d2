//! What is counted of each worker.

use mp_mock::{builder, new_executor, new_pool};
use mp_pool::{Retry, SubmitError, TaskError, TaskOptions};
use std::time::Duration;

mp_testing::cases! {
    every_method: [
        tasks_and_bytes_are_counted,
        a_task_counts_once_however_often_it_is_tried,
        restarts_are_counted,
        time_is_the_workers_own,
    ],
    mock: [
        tasks_and_bytes_are_counted,
        a_task_counts_once_however_often_it_is_tried,
        restarts_are_counted,
    ],
}

fn length(bytes: Vec<u8>) -> usize {
    assert!(!bytes.is_empty());
    bytes.len()
}

fn tasks_and_bytes_are_counted() {
    let pool = new_pool(3).unwrap();
    assert_eq!(pool.map(|x: u64| x, 0..1000).unwrap().len(), 1000);
    // One that panics is a task, too.
    pool.map_each(length, [vec![1], vec![]]).unwrap();
    let statistics = pool.statistics();
    assert_eq!((statistics.tasks(), statistics.restarts(), statistics.workers.len()), (1002, 0, 3));
    let small: u64 = statistics.workers.iter().map(|worker| worker.bytes_in).sum();
    // In shared memory, and by message.
    for size in [1 << 20, 17 << 20] {
        let before = pool.statistics();
        assert_eq!(pool.apply(length, (vec![7; size],)).unwrap(), size);
        assert_eq!(pool.apply(|size: usize| vec![7_u8; size], (size,)).unwrap().len(), size);
        let (after, size) = (pool.statistics(), size as u64);
        assert_eq!(after.tasks() - before.tasks(), 2);
        let difference = |of: fn(&mp_pool::WorkerStatistics) -> u64| -> u64 {
            let sum = |statistics: &mp_pool::Statistics| statistics.workers.iter().map(of).sum::<u64>();
            sum(&after) - sum(&before)
        };
        for bytes in [difference(|worker| worker.bytes_in), difference(|worker| worker.bytes_out)] {
            assert!((size..size + 200).contains(&bytes), "{bytes} of {size}");
        }
    }
    // At least a byte each, and a number is packed in less than ten.
    assert!((1000..10_000).contains(&small), "{small}");
    let pids: Vec<Option<u32>> = pool.statistics().workers.iter().map(|worker| worker.pid).collect();
    assert!(pids.iter().flatten().all(|pid| pool.worker_pids().contains(pid)));

    let executor = new_executor(1).unwrap();
    assert_eq!(executor.submit(|x: u64| x, (1,)).unwrap().result().unwrap(), 1);
    assert_eq!(executor.statistics().tasks(), 1);
}

/// With a text that comes in shared memory, and one that comes by message.
fn a_task_counts_once_however_often_it_is_tried() {
    fn fail(length: usize) {
        std::panic::resume_unwind(Box::new("x".repeat(length)));
    }
    let pool = new_pool(2).unwrap();
    let tried = pool.with(TaskOptions::new().retry(Retry::new(3).on_panic().backoff(Duration::ZERO)));
    for (tasks, length) in [(1, 10), (2, 17 << 20)] {
        assert!(matches!(tried.apply(fail, (length,)), Err(SubmitError::Task(TaskError::Panicked { .. }))));
        let statistics = pool.statistics();
        assert_eq!((statistics.tasks(), statistics.retried()), (tasks, 3 * tasks), "{length}");
    }
}

fn restarts_are_counted() {
    fn die(_: u32) {
        std::process::abort();
    }
    let pool = new_pool(1).unwrap();
    assert!(matches!(pool.apply(die, (0,)), Err(SubmitError::Task(TaskError::WorkerDied { .. }))));
    assert_eq!(pool.apply(|x: u32| x, (3,)).unwrap(), 3);
    let statistics = pool.statistics();
    let worker = &statistics.workers[0];
    assert_eq!((worker.index, worker.tasks, worker.restarts), (0, 1, 1));
    assert_eq!(worker.name, "PoolWorker-2");

    let pool = builder().processes(1).max_tasks_per_child(1).build().unwrap();
    (0..5).for_each(|x| assert_eq!(pool.apply(|x: u32| x, (x,)).unwrap(), x));
    let statistics = pool.statistics();
    assert!(statistics.tasks() == 5 && (4..=5).contains(&statistics.restarts()), "{statistics:?}");
}

/// Computes until it has used that much.
fn use_time(millis: u64) {
    let used = || {
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap()
    };
    let until = used() + Duration::from_millis(millis);
    while used() < until {
        std::hint::spin_loop();
    }
}

fn time_is_the_workers_own() {
    let pool = new_pool(2).unwrap();
    pool.apply(use_time, (30,)).unwrap();
    let times: Vec<Duration> = pool.statistics().workers.iter().map(|worker| worker.cpu_time).collect();
    assert!(times.iter().any(|time| *time >= Duration::from_millis(30)), "{times:?}");
    pool.terminate();
    pool.join().unwrap();
    let ended = pool.statistics();
    assert!(ended.workers.iter().all(|worker| worker.pid.is_none() && worker.cpu_time.is_zero()));
    assert_eq!(ended.tasks(), 1);
}
