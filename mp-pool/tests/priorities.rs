//! A task of a higher priority is taken before one of a lower priority, wherever the lower one waits.

use mp_mock::{fewer, new_executor, new_pool};
use mp_pool::{AsyncResult, ImapOptions, Pool, SubmitError, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::{kills, while_killing};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        those_that_the_board_does_not_hold_are_ranked_too,
        a_call_does_not_wait_for_room_behind_lower_ones,
        cancelled_ones_leave_the_order_as_it_is,
        nothing_is_lost_whichever_worker_is_killed,
        long_arguments_are_ranked_too,
    ],
    every_method: [
        the_highest_is_taken_first,
        many_of_all_priorities_are_all_done,
    ],
    mock: [
        nothing_is_lost_whichever_worker_is_killed,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

fn hold(begun: Queue<u32>, go: Queue<()>) {
    begun.put(std::process::id()).unwrap();
    go.get().unwrap();
}

fn log(x: i32, order: Queue<i32>) -> i32 {
    order.put(x).unwrap();
    x
}

/// A pool whose one worker is held up, and what it does afterwards.
struct Held {
    pool: Pool,
    holder: AsyncResult<()>,
    go: Queue<()>,
    order: Queue<i32>,
    tasks: Vec<AsyncResult<i32>>,
}

impl Held {
    fn new() -> Held {
        let pool = new_pool(1).unwrap();
        let (begun, go) = (Queue::new().unwrap(), Queue::new().unwrap());
        let holder = pool.apply_async(hold, (begun.clone(), go.clone())).unwrap();
        begun.get().unwrap();
        Held { pool, holder, go, order: Queue::new().unwrap(), tasks: Vec::new() }
    }

    fn submit(&mut self, priority: i32, x: i32) {
        let tasks = self.pool.with(TaskOptions::new().priority(priority));
        self.tasks.push(tasks.apply_async(log, (x, self.order.clone())).unwrap());
    }

    /// In which order they are done, once the worker goes on.
    fn go(self) -> Vec<i32> {
        self.go.put(()).unwrap();
        self.holder.get().unwrap();
        let done = self.tasks.iter().filter(|task| task.get().is_ok()).count();
        (0..done).map(|_| self.order.get().unwrap()).collect()
    }
}

fn the_highest_is_taken_first() {
    let mut held = Held::new();
    for (x, priority) in
        [(0, 0), (1, 0), (2, 5), (3, -5), (4, 0), (5, 5), (6, 7), (7, i32::MIN), (8, i32::MAX), (9, -5)]
    {
        held.submit(priority, x);
    }
    assert_eq!(held.go(), [8, 6, 2, 5, 0, 1, 4, 3, 9, 7]);
}

/// Equals are taken in the order in which they were submitted.
fn those_that_the_board_does_not_hold_are_ranked_too() {
    let mut held = Held::new();
    (0..3000).for_each(|x| held.submit(0, x));
    (3000..3100).for_each(|x| held.submit(1, x));
    (3100..3200).for_each(|x| held.submit(x % 3 - 1, x));
    let mut expected: Vec<(i32, i32)> = (0..3200)
        .map(|x| {
            (
                if x < 3000 {
                    0
                } else if x < 3100 {
                    1
                } else {
                    x % 3 - 1
                },
                x,
            )
        })
        .collect();
    expected.sort_by_key(|(priority, x)| (-priority, *x));
    assert_eq!(held.go(), expected.into_iter().map(|(_, x)| x).collect::<Vec<_>>());
}

fn cancelled_ones_leave_the_order_as_it_is() {
    let mut held = Held::new();
    (0..200).for_each(|x| held.submit(x % 4, x));
    for round in 0..20 {
        let at = 1 + round * 7;
        held.tasks[at as usize].cancel();
        held.submit(9, 1000 + round);
    }
    let cancelled: Vec<i32> = (0..20).map(|round| 1 + round * 7).collect();
    let mut expected: Vec<i32> = (0..200).filter(|x| !cancelled.contains(x)).collect();
    expected.sort_by_key(|x| (-(x % 4), *x));
    let highest: Vec<i32> = (1000..1020).collect();
    assert_eq!(held.go(), [highest, expected].concat());
}

fn a_call_does_not_wait_for_room_behind_lower_ones() {
    let executor = new_executor(1).unwrap();
    let (begun, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    executor.submit(hold, (begun.clone(), go.clone())).unwrap();
    begun.get().unwrap();
    let mut futures = Vec::new();
    let high = TaskOptions::new().priority(1);
    let refused = loop {
        match executor.try_submit(square, (3,)) {
            Ok(future) => futures.push(future),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::WouldBlock));
    // One in front of them is taken, until there are too many of its own.
    futures.push(executor.with(high).try_submit(square, (3,)).unwrap());
    let refused = loop {
        match executor.with(high).try_submit(square, (3,)) {
            Ok(future) => futures.push(future),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::WouldBlock));
    futures.push(executor.with(high.priority(2)).try_submit(square, (3,)).unwrap());
    go.put(()).unwrap();
    assert!(futures.into_iter().all(|future| future.result() == Ok(9)));
}

/// Also in streams and calls that wait, and with the pool's threads alone.
fn many_of_all_priorities_are_all_done() {
    let pool = new_pool(3).unwrap();
    let with = |priority| pool.with(TaskOptions::new().priority(priority));
    for round in 0..3 {
        let low = with(-1).map_async(square, 0..5000).unwrap();
        let singles: Vec<_> =
            (0..500).map(|x| with(x % 7 - 3).apply_async(square, (x as u64,)).unwrap()).collect();
        let stream = with(1).imap(square, 0..700, ImapOptions::new()).unwrap();
        assert_eq!(with(3).map(square, 0..2000).unwrap(), (0..2000).map(square).collect::<Vec<_>>());
        assert!((0..).zip(stream).all(|(x, value)| value == Ok(square(x))), "{round}");
        assert!((0..).zip(singles).all(|(x, single)| single.get() == Ok(square(x))), "{round}");
        assert_eq!(low.get().unwrap(), (0..5000).map(square).collect::<Vec<_>>());
        // Without priorities again.
        assert_eq!(pool.map(square, 0..2000).unwrap().len(), 2000);
    }
}

fn length(bytes: Vec<u8>, x: i32, order: Queue<i32>) -> usize {
    order.put(x).unwrap();
    bytes.len()
}

fn long_arguments_are_ranked_too() {
    let held = Held::new();
    let submit = |priority: i32, bytes: usize| {
        let arguments = (vec![7_u8; bytes], priority, held.order.clone());
        held.pool.with(TaskOptions::new().priority(priority)).apply_async(length, arguments).unwrap()
    };
    // In blocks of the arena, and more than it holds.
    let tasks: Vec<_> = (0..40).map(|x| submit(x, if x % 2 == 0 { 4 << 20 } else { 10 })).collect();
    held.go.put(()).unwrap();
    assert!((0..).zip(tasks).all(|(x, task)| task.get() == Ok(if x % 2 == 0 { 4 << 20 } else { 10 })));
    let order: Vec<i32> = (0..40).map(|_| held.order.get().unwrap()).collect();
    assert_eq!(order, (0..40).rev().collect::<Vec<_>>());
}

/// `MP_KILLS=5000` sets the number.
fn nothing_is_lost_whichever_worker_is_killed() {
    let wanted = kills(fewer(50) as u32) as usize;
    let pool = new_pool(4).unwrap();
    let (mut done, mut died) = (0, 0);
    while_killing(
        wanted,
        Duration::from_micros(3000),
        || pool.worker_pids(),
        || {
            let tasks: Vec<_> = (0..600_u64)
                .map(|x| {
                    let options = TaskOptions::new().priority((x * 7 % 5) as i32 - 2);
                    pool.with(options).apply_async(square, (x,)).unwrap()
                })
                .collect();
            for (x, task) in (0..).zip(tasks) {
                match task.get() {
                    Ok(value) => {
                        assert_eq!(value, square(x));
                        done += 1;
                    }
                    Err(TaskError::WorkerDied { .. }) => died += 1,
                    Err(other) => panic!("{x}: {other:?}"),
                }
            }
        },
    );
    println!("killed {wanted}: {done} done, {died} died");
}
