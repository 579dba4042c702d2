//! A pool that grows and shrinks while it works.

mod at_work;

use at_work::{Said, at_work, say_index_and_wait, wait_until_there_are};
use mp_mock::{builder, new_pool};
use mp_pool::{NewPoolError, ResizeError};
use mp_queue::Queue;
use std::collections::HashSet;

mp_testing::cases! {
    plain: [wrong_numbers_are_refused],
    every_method: [
        new_workers_take_what_waits,
        no_task_is_lost_by_shrinking,
        a_task_that_runs_is_finished,
        a_dismissed_worker_has_no_successor,
        to_and_fro_breaks_nothing,
    ],
    mock: [
        to_and_fro_breaks_nothing,
    ],
}

fn new_workers_take_what_waits() {
    let pool = builder().processes(1).most_processes(4).build().unwrap();
    let (said, gate) = (Said::new().unwrap(), Queue::new().unwrap());
    let begin = |_| pool.apply_async(say_index_and_wait, (said.clone(), gate.clone())).unwrap();
    // One runs, and three wait.
    let tasks: Vec<_> = (0..4).map(begin).collect();
    assert_eq!(said.get().unwrap(), Some(0));
    pool.resize(4).unwrap();
    let others: HashSet<_> = (0..3).filter_map(|_| said.get().unwrap()).collect();
    assert_eq!(others, HashSet::from([1, 2, 3]));
    tasks.iter().for_each(|_| gate.put(()).unwrap());
    tasks.iter().for_each(|task| task.get().unwrap());
    assert_eq!((pool.processes(), pool.worker_pids().len()), (4, 4));
}

fn no_task_is_lost_by_shrinking() {
    let pool = new_pool(4).unwrap();
    let squares: Vec<u64> = (0..20_000).map(|x| x * x).collect();
    for workers in [1, 4, 2, 3] {
        let result = pool.map_in_chunks(|x: u64| x * x, 0..20_000, Some(3)).unwrap();
        pool.resize(workers).unwrap();
        assert_eq!(result.get().unwrap(), squares);
        wait_until_there_are(&pool, workers);
        assert_eq!(at_work(&pool, workers), (0..workers).collect());
    }
    pool.close();
    pool.join().unwrap();
}

fn a_task_that_runs_is_finished() {
    let pool = new_pool(2).unwrap();
    let (said, gate) = (Said::new().unwrap(), Queue::new().unwrap());
    let begin = |_| pool.apply_async(say_index_and_wait, (said.clone(), gate.clone())).unwrap();
    let tasks: Vec<_> = (0..2).map(begin).collect();
    (0..2).for_each(|_| _ = said.get().unwrap());
    pool.resize(1).unwrap();
    assert_eq!(pool.worker_pids().len(), 2);
    (0..2).for_each(|_| gate.put(()).unwrap());
    tasks.iter().for_each(|task| task.get().unwrap());
    wait_until_there_are(&pool, 1);
    assert_eq!(at_work(&pool, 1), HashSet::from([0]));
}

fn a_dismissed_worker_has_no_successor() {
    let pool = new_pool(3).unwrap();
    pool.resize(2).unwrap();
    wait_until_there_are(&pool, 2);
    // One that is wanted has one.
    pool.worker_pids().into_iter().for_each(mp_testing::kill);
    assert_eq!(at_work(&pool, 2), HashSet::from([0, 1]));
    wait_until_there_are(&pool, 2);
    pool.resize(3).unwrap();
    assert_eq!(at_work(&pool, 3), HashSet::from([0, 1, 2]));
    let statistics = pool.statistics();
    assert_eq!((statistics.tasks(), statistics.workers.len()), (5, 3));
}

/// More often than workers may fail to start in a row.
fn to_and_fro_breaks_nothing() {
    let executor = builder().processes(1).most_processes(3).build_executor().unwrap();
    for _ in 0..20 {
        executor.resize(3).unwrap();
        executor.resize(1).unwrap();
    }
    executor.resize(3).unwrap();
    assert_eq!(executor.submit(|x: u32| x + 1, (1,)).unwrap().result().unwrap(), 2);
    assert_eq!(executor.max_workers(), 3);
    while executor.worker_pids().len() != 3 {
        std::thread::yield_now();
    }
}

fn wrong_numbers_are_refused() {
    let refused = builder().processes(2).most_processes(1).build();
    assert!(matches!(refused, Err(NewPoolError::MostProcesses { most: 1, processes: 2 })));
    let refused = builder().processes(2).most_processes(1025).build();
    assert!(matches!(refused, Err(NewPoolError::Workers)));
    let pool = builder().processes(1).most_processes(2).build().unwrap();
    for wrong in [0, 3, usize::MAX] {
        assert!(matches!(pool.resize(wrong), Err(ResizeError::Places { most: 2 })), "{wrong}");
    }
    assert_eq!(pool.processes(), 1);
    pool.close();
    assert!(matches!(pool.resize(2), Err(ResizeError::Closed)));
    pool.join().unwrap();
}
