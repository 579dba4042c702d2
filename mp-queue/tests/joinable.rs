//! Mirrors CPython's tests of `JoinableQueue`; and processes that die with a task.

use mp_core::{Child, Process};
use mp_queue::{GetError, JoinableQueue, Queue, TasksError};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        done_too_often_is_an_error,
        a_task_is_done_when_dropped,
        what_is_put_by_a_task_is_waited_for,
        a_join_wakes_when_all_is_done,
        another_one_may_say_that_it_is_done,
        what_cannot_be_decoded_is_done,
        more_living_workers_than_slots_are_counted,
    ],
    every_method: [
        all_is_done_when_joined,
        tasks_of_the_dead_are_told_of,
        many_more_workers_than_slots_are_counted,
    ]
}

fn done_too_often_is_an_error() {
    let queue = JoinableQueue::new().unwrap();
    assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
    queue.join().unwrap();
    queue.put_many([1, 2, 3]).unwrap();
    // Not got yet.
    assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
    assert_eq!(queue.join_timeout(Duration::ZERO), Err(TasksError::Timeout));
    assert_eq!(queue.get_many(2).unwrap().len(), 2);
    queue.task_done().unwrap();
    assert_eq!(queue.get().unwrap(), 3);
    queue.task_done().unwrap();
    assert_eq!(queue.join_timeout(Duration::from_millis(20)), Err(TasksError::Timeout));
    queue.task_done().unwrap();
    assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
    queue.join().unwrap();
}

fn a_task_is_done_when_dropped() {
    let queue = JoinableQueue::bounded(4).unwrap();
    queue.put(5).unwrap();
    let mut task = queue.get_task().unwrap();
    *task += 1;
    assert_eq!((*task, queue.join_timeout(Duration::ZERO)), (6, Err(TasksError::Timeout)));
    drop(task);
    queue.join().unwrap();
    assert!(matches!(queue.try_get_task(), Err(GetError::Empty)));
    assert!(matches!(queue.get_task_timeout(Duration::from_millis(10)), Err(GetError::Timeout)));
    queue.put(7).unwrap();
    let panics = std::panic::catch_unwind(|| {
        let _task = queue.get_task().unwrap();
        panic!("on purpose");
    });
    assert!(panics.is_err());
    queue.join().unwrap();
}

/// Says it is a number and is none, once it is read back.
#[derive(Serialize, Debug, PartialEq)]
struct Picky(u8);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if number == 13 { Err(D::Error::custom("not that one")) } else { Ok(Picky(number)) }
    }
}

fn what_cannot_be_decoded_is_done() {
    let queue = JoinableQueue::new().unwrap();
    queue.put_many([Picky(13), Picky(3), Picky(13), Picky(13), Picky(4), Picky(13)]).unwrap();
    assert!(matches!(queue.get_task(), Err(GetError::Decode(_))));
    assert_eq!(*queue.get_task().unwrap(), Picky(3));
    assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    let three: Vec<_> = queue.get_many(3).unwrap().collect();
    assert!(matches!(&three[..], [Err(_), Ok(Picky(4)), Err(_)]), "{three:?}");
    assert_eq!(queue.join_timeout(Duration::ZERO), Err(TasksError::Timeout));
    queue.task_done().unwrap();
    queue.join().unwrap();
    assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
}

fn what_is_put_by_a_task_is_waited_for() {
    let queue = JoinableQueue::new().unwrap();
    queue.put(300_u32).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Ok(task) = queue.get_task() {
                    if *task > 0 {
                        queue.put(*task - 1).unwrap();
                    }
                }
            });
        }
        queue.join().unwrap();
        assert!(queue.empty());
        assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
        queue.shutdown();
    });
}

fn a_join_wakes_when_all_is_done() {
    let queue = JoinableQueue::new().unwrap();
    for round in 0..300 {
        queue.put(round).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.join().unwrap());
            drop(queue.get_task().unwrap());
        });
    }
}

fn another_one_may_say_that_it_is_done() {
    fn get(queue: JoinableQueue<u32>, done: Queue<u32>) {
        done.put(queue.get().unwrap()).unwrap();
        queue.join().unwrap();
    }
    let (queue, got) = (JoinableQueue::new().unwrap(), Queue::new().unwrap());
    queue.put(3).unwrap();
    let child = Process::new(get, (queue.clone(), got.clone())).start().unwrap();
    assert_eq!(got.get().unwrap(), 3);
    queue.task_done().unwrap();
    queue.join().unwrap();
    child.join().unwrap();
}

fn work(queue: JoinableQueue<u64>, sums: Queue<u64>) {
    let mut sum = 0;
    while let Ok(task) = queue.get_task() {
        sum += *task;
    }
    sums.put(sum).unwrap();
}

fn all_is_done_when_joined() {
    let (queue, sums) = (JoinableQueue::bounded(10).unwrap(), Queue::new().unwrap());
    let start = |_| Process::new(work, (queue.clone(), sums.clone())).start().unwrap();
    let workers: Vec<Child<()>> = (0..3).map(start).collect();
    queue.put_many(0..3_000).unwrap();
    queue.join().unwrap();
    assert!(queue.empty());
    queue.shutdown();
    workers.iter().for_each(|worker| worker.join().unwrap());
    assert_eq!((0..3).map(|_| sums.get().unwrap()).sum::<u64>(), (0..3_000).sum());
}

fn take_and_stay(queue: JoinableQueue<u64>, taken: Queue<u64>, tasks: usize) {
    let batch = queue.get_many(tasks).unwrap();
    taken.put(batch.len() as u64).unwrap();
    loop {
        std::thread::park();
    }
}

fn tasks_of_the_dead_are_told_of() {
    let (queue, taken) = (JoinableQueue::new().unwrap(), Queue::new().unwrap());
    for round in 0..3_u32 {
        queue.put_many(0..5).unwrap();
        let child = Process::new(take_and_stay, (queue.clone(), taken.clone(), 3)).start().unwrap();
        assert_eq!(taken.get().unwrap(), 3);
        assert_eq!(queue.join_timeout(Duration::ZERO), Err(TasksError::Timeout));
        // The remaining ones are done while a join waits already; then the process that has three dies.
        std::thread::scope(|scope| {
            let joined = scope.spawn(|| queue.join());
            drop(queue.get_task().unwrap());
            drop(queue.get_task().unwrap());
            child.kill().unwrap();
            assert_eq!(joined.join().unwrap(), Err(TasksError::Lost { items: 3 }), "round {round}");
        });
        let _ = child.join();
        // Told once; and nothing is left of it.
        queue.join().unwrap();
        assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
    }
}

fn take_one(queue: JoinableQueue<u64>) {
    drop(queue.get_task().unwrap());
}

/// Lost tasks of 127 processes are known; those of further ones must be done by another process.
fn more_living_workers_than_slots_are_counted() {
    const SLOTS: u32 = 127;
    const ALL: u32 = SLOTS + 5;
    let (queue, taken) = (JoinableQueue::new().unwrap(), Queue::new().unwrap());
    queue.put_many(0..u64::from(ALL) + 1).unwrap();
    let children: Vec<_> = (0..ALL)
        .map(|_| {
            let (queue, taken) = (queue.clone(), taken.clone());
            Process::fork(move || take_and_stay(queue, taken, 1)).start().unwrap()
        })
        .collect();
    (0..ALL).for_each(|_| assert_eq!(taken.get().unwrap(), 1));
    children.iter().for_each(|child| child.kill().unwrap());
    children.iter().for_each(|child| assert!(child.join().is_err()));
    // A slot is free now for the next process.
    drop(queue.get_task().unwrap());
    assert_eq!(queue.join_timeout(Duration::from_millis(1)), Err(TasksError::Timeout));
    (SLOTS..ALL).for_each(|_| queue.task_done().unwrap());
    assert_eq!(queue.join(), Err(TasksError::Lost { items: SLOTS }));
    assert_eq!(queue.task_done(), Err(TasksError::TooManyDone));
    queue.join().unwrap();
}

/// Slots of processes that ended are used again.
fn many_more_workers_than_slots_are_counted() {
    let queue = JoinableQueue::new().unwrap();
    for _ in 0..140 {
        queue.put(1).unwrap();
        let child = Process::new(take_one, (queue.clone(),)).start().unwrap();
        queue.join().unwrap();
        child.join().unwrap();
    }
    queue.put(2).unwrap();
    let task = queue.get_task().unwrap();
    assert_eq!(queue.join_timeout(Duration::ZERO), Err(TasksError::Timeout));
    drop(task);
    queue.join().unwrap();
}
