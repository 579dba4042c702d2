//! Tasks that go to the workers one by one and share slots: a slow one, a failed one and one that kills its worker cost
//! no other one.

use mp_pool::{ImapOptions, Pool, TaskError};
use mp_queue::Queue;
use std::sync::OnceLock;

mp_testing::cases! {
    plain: [results_of_all_lengths_come_one_by_one],
    every_method: [
        a_slow_item_holds_up_no_other,
        an_item_that_kills_its_worker_costs_itself,
        a_cancelled_map_begins_nothing_more,
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
