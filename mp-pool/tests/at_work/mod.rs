//! Tasks that say which worker does them, and wait.

use mp_pool::{Pool, worker_index};
use mp_queue::Queue;
use std::collections::HashSet;

pub(crate) type Said = Queue<Option<usize>>;

pub(crate) fn say_index_and_wait(said: Said, gate: Queue<()>) {
    said.put(worker_index()).unwrap();
    gate.get().unwrap();
}

/// The indices of so many workers that are at work at once.
pub(crate) fn at_work(pool: &Pool, count: usize) -> HashSet<usize> {
    let (said, gate) = (Said::new().unwrap(), Queue::new().unwrap());
    let begin = |_| pool.apply_async(say_index_and_wait, (said.clone(), gate.clone())).unwrap();
    let tasks: Vec<_> = (0..count).map(begin).collect();
    let indices = (0..count).filter_map(|_| said.get().unwrap()).collect();
    tasks.iter().for_each(|_| gate.put(()).unwrap());
    tasks.iter().for_each(|task| task.get().unwrap());
    indices
}

/// The harness's deadline ends a wait that does not end.
pub(crate) fn wait_until_there_are(pool: &Pool, workers: usize) {
    while pool.worker_pids().len() != workers {
        std::thread::yield_now();
    }
}
