//! Tasks that go to the workers one by one and share slots: a slow one, a failed one and one that kills its worker cost
//! no other one.

use mp_pool::{ImapOptions, Pool, TaskError};
use mp_queue::Queue;
use mp_testing::kill_if_it_lives;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::OnceLock;

mp_testing::cases! {
    plain: [results_of_all_lengths_come_one_by_one, no_task_waits_for_a_worker_that_was_killed_or_is_stopped],
    every_method: [
        a_slow_item_holds_up_no_other,
        an_item_that_kills_its_worker_costs_itself,
        a_cancelled_map_begins_nothing_more,
        tasks_that_wait_run_side_by_side_on_any_number_of_cpus,
    ]
}

const ITEMS: u32 = 3000;

/// What a slow item waits for: this worker's view.
static GO: OnceLock<Queue<u32>> = OnceLock::new();

fn remember(go: Queue<u32>) {
    assert!(GO.set(go).is_ok(), "once in each worker");
}

fn is_slow(x: u32) -> bool {
    x == ITEMS / 2
}

fn waits_if_slow(x: u32) -> u32 {
    if is_slow(x) {
        GO.get().expect("the initializer has set it").get().unwrap();
    }
    x
}

/// The results of all others come, of those before it in its slot and of those behind it.
fn a_slow_item_holds_up_no_other() {
    let go = Queue::new().unwrap();
    let pool = Pool::builder().processes(2).initializer(remember, (go.clone(),)).build().unwrap();
    let options = ImapOptions::new().look_ahead(ITEMS as usize / 6);
    for _ in 0..3 {
        let mut results = pool.imap_unordered_with(waits_if_slow, 0..ITEMS, options).unwrap();
        let mut others: Vec<u32> = results.by_ref().take(ITEMS as usize - 1).map(Result::unwrap).collect();
        others.sort_unstable();
        assert!(others.into_iter().eq((0..ITEMS).filter(|x| !is_slow(*x))));
        go.put(1).unwrap();
        assert!(is_slow(results.next().unwrap().unwrap()) && results.next().is_none());
    }
}

fn kills(x: u32) -> bool {
    x % 600 == 300
}

fn ends_badly(x: u32) -> u32 {
    if kills(x) {
        std::process::abort();
    }
    assert!(x % 7 != 5, "no {x}");
    x
}

fn an_item_that_kills_its_worker_costs_itself() {
    let pool = Pool::new(3).unwrap();
    let each = pool.map_in_chunks(ends_badly, 0..ITEMS, Some(1)).unwrap().get_each();
    assert_eq!(each.len(), ITEMS as usize);
    for (x, outcome) in (0..).zip(each) {
        match outcome {
            Ok(value) => assert!(value == x && !kills(x) && x % 7 != 5, "{x}: {value}"),
            Err(TaskError::Panicked { message, .. }) => assert!(message == format!("no {x}") && !kills(x)),
            Err(TaskError::WorkerDied { .. }) => assert!(kills(x), "{x} died with another item"),
            Err(other) => panic!("{x}: {other:?}"),
        }
    }
}

/// Those that a worker was at when the rest was given up are done.
fn a_cancelled_map_begins_nothing_more() {
    let go = Queue::new().unwrap();
    let pool = Pool::builder().processes(2).initializer(remember, (go.clone(),)).build().unwrap();
    let options = ImapOptions::new().look_ahead(ITEMS as usize);
    let mut results = pool.imap_with(waits_if_slow, 0..ITEMS, options).unwrap();
    assert_eq!(results.next().unwrap(), Ok(0));
    drop(results);
    // A worker may be at the slow one.
    go.put(1).unwrap();
    assert_eq!(pool.map(waits_if_slow, 0..10).unwrap(), (0..10).collect::<Vec<_>>());
    pool.close();
    pool.join().unwrap();
}

/// Lengths that no guess from those before fits.
fn of_any_length(x: u32) -> Vec<u32> {
    let lengths = [0, 1, 3, 0, 7, 2, 90, 0, 1, 40, 5, 700];
    vec![x; lengths[x as usize % lengths.len()]]
}

fn results_of_all_lengths_come_one_by_one() {
    let pool = Pool::new(2).unwrap();
    for _ in 0..3 {
        let values = pool.map_in_chunks(of_any_length, 0..ITEMS, Some(1)).unwrap().get().unwrap();
        assert!((0..).zip(values).all(|(x, value)| value == of_any_length(x)));
    }
}

/// Far more than there are CPUs, most often.
const CROWD: u32 = 24;

type Crossing = (Queue<u32>, Queue<u32>);

/// What a task of a crowd says, and what it waits for then: this worker's view.
static CROSSING: OnceLock<Crossing> = OnceLock::new();

fn remember_both(came: Queue<u32>, go: Queue<u32>) {
    assert!(CROSSING.set((came, go)).is_ok(), "once in each worker");
}

fn meets(x: u32) -> u32 {
    let (came, go) = CROSSING.get().expect("the initializer has set it");
    came.put(x).unwrap();
    go.get().unwrap();
    x
}

fn crowd() -> (Pool, Crossing) {
    let (came, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let pool =
        Pool::builder().processes(CROWD as usize).initializer(remember_both, (came.clone(), go.clone()));
    (pool.build().unwrap(), (came, go))
}

/// All tasks of numbers below `count` are under way; then they end.
fn all_meet((came, go): &Crossing, count: u32) {
    let mut all: Vec<u32> = (0..count).map(|_| came.get().unwrap()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..count));
    (0..count).for_each(|x| go.put(x).unwrap());
}

/// Each waits until all have begun: a task that a worker took only when another one is done would never begin.
fn tasks_that_wait_run_side_by_side_on_any_number_of_cpus() {
    let (pool, crossing) = crowd();
    for round in 0..20 {
        let mapped = pool.map_in_chunks(meets, 0..CROWD, Some(1)).unwrap();
        all_meet(&crossing, CROWD);
        assert!(mapped.get().unwrap().into_iter().eq(0..CROWD));
        // One after the other, the workers asleep, and just awake.
        let each: Vec<_> = (0..CROWD).map(|x| pool.apply_async(meets, (x,)).unwrap()).collect();
        all_meet(&crossing, CROWD);
        assert!(each.iter().map(|result| result.get().unwrap()).eq(0..CROWD), "round {round}");
        // Short tasks between: the sentinel is at its looks, or has just ended.
        let short = pool.map_in_chunks(same, 0..ITEMS, Some(1)).unwrap();
        assert!(short.get().unwrap().into_iter().eq(0..ITEMS));
    }
}

fn same(x: u32) -> u32 {
    x
}

/// Any worker may be the one that looks for the others whether tasks wait.
fn no_task_waits_for_a_worker_that_was_killed_or_is_stopped() {
    let (pool, crossing) = crowd();
    for round in 0..CROWD as usize {
        let short = pool.map_in_chunks(same, 0..ITEMS, Some(1)).unwrap();
        if let Some(pid) = pool.worker_pids().get(round) {
            kill_if_it_lives(*pid);
        }
        let died = |value: &Result<u32, TaskError>| matches!(value, Err(TaskError::WorkerDied { .. }));
        let each = short.get_each();
        assert!(each.iter().all(|value| value.is_ok() || died(value)), "round {round}");
        assert!(each.iter().filter(|value| died(value)).count() <= 1, "round {round}");
    }
    let stopped = Pid::from_raw(pool.worker_pids()[0] as i32);
    kill(stopped, Signal::SIGSTOP).unwrap();
    let each: Vec<_> = (0..CROWD - 2).map(|x| pool.apply_async(meets, (x,)).unwrap()).collect();
    // It may have been stopped with one of them taken.
    let (came, go) = &crossing;
    for _ in 0..CROWD - 3 {
        came.get().unwrap();
    }
    kill(stopped, Signal::SIGCONT).unwrap();
    came.get().unwrap();
    (0..CROWD - 2).for_each(|x| go.put(x).unwrap());
    assert!(each.iter().map(|result| result.get().unwrap()).eq(0..CROWD - 2));
}
