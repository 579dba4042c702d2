//! Kills at random moments of workers that are at work. Prints how many it tried.
//!
//! Tasks, one by one and in chunks, with values of all sizes and with short ones alone, count in shared memory how
//! often each was begun. Each is done, once, with the right value, or it is attributed to one death; what was begun
//! twice, lost or attributed to a death that was none is told. Nothing is left. And tasks that are cancelled while
//! their worker is started.
//!
//! `MP_KILLS=20000` sets the number; the default fits the gate.

use mp_core::active_children;
use mp_core::mem::SharedRef;
use mp_pool::{Pool, TaskError};
use mp_testing::{kill_if_it_lives, wait_a_random_moment, while_killing};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mp_testing::cases! {
    plain: [every_item_has_one_end_whichever_worker_is_killed, a_task_is_cancelled_whenever_its_worker_was_started]
}

const ITEMS: usize = 4000;
/// Up to this long from one kill to the next.
const MOMENT: Duration = Duration::from_micros(3000);

type Counts = SharedRef<[AtomicU32; ITEMS]>;

/// How often each item was begun: this worker's view.
static BEGUN: OnceLock<Counts> = OnceLock::new();

fn remember(counts: Counts) {
    BEGUN.set(counts).expect("once in each worker");
}

/// Now and then a long one.
fn value_of(x: u32) -> Vec<u8> {
    let length = if x % 509 == 508 { 300 << 10 } else { x as usize * 7 % 700 };
    vec![x as u8; length]
}

fn count_and_give(x: u32, _argument: Vec<u8>) -> Vec<u8> {
    // ORDERING: Relaxed, here and below: read when all are done.
    BEGUN.get().expect("the initializer has set it")[x as usize].fetch_add(1, Ordering::Relaxed);
    value_of(x)
}

/// So short that several tasks share a slot.
fn count_and_give_back(x: u32) -> u32 {
    // ORDERING: as above.
    BEGUN.get().expect("the initializer has set it")[x as usize].fetch_add(1, Ordering::Relaxed);
    x
}

#[derive(Default, Debug)]
struct Tally {
    done: usize,
    died: usize,
    twice: usize,
    lost: usize,
    wrong: usize,
}

fn every_item_has_one_end_whichever_worker_is_killed() {
    let wanted = mp_testing::kills(300) as usize;
    let counts: Counts = SharedRef::create("mp-test-begun").unwrap();
    let pool = Pool::builder().processes(4).initializer(remember, (counts.clone(),)).build().unwrap();
    let mut tally = Tally::default();
    let pids = || pool.worker_pids();
    while_killing(wanted, MOMENT, pids, || {
        for chunk in [1, 7, ITEMS / 8] {
            one_round(&counts, &mut tally, value_of, || {
                let items = (0..ITEMS as u32).map(|x| (x, value_of(x)));
                pool.starmap_in_chunks(count_and_give, items, Some(chunk)).unwrap().get_each()
            });
        }
        one_round(
            &counts,
            &mut tally,
            |x| x,
            || pool.map_in_chunks(count_and_give_back, 0..ITEMS as u32, Some(1)).unwrap().get_each(),
        );
    });
    println!("killed {wanted}: {tally:?}");
    assert_eq!((tally.twice, tally.lost, tally.wrong), (0, 0, 0));
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}

fn one_round<R: PartialEq>(
    counts: &Counts,
    tally: &mut Tally,
    value_of: fn(u32) -> R,
    map: impl FnOnce() -> Vec<Result<R, TaskError>>,
) {
    counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    let each = map();
    assert_eq!(each.len(), ITEMS);
    for (x, outcome) in (0..).zip(each) {
        let begun = counts[x as usize].load(Ordering::Relaxed);
        tally.twice += usize::from(begun > 1);
        match outcome {
            Ok(value) => {
                tally.done += 1;
                tally.lost += usize::from(begun == 0);
                tally.wrong += usize::from(value != value_of(x));
            }
            Err(TaskError::WorkerDied { .. }) => tally.died += 1,
            Err(other) => panic!("{x}: {other:?}"),
        }
    }
}

fn sleep_long() {
    std::thread::sleep(Duration::from_secs(600));
}

/// Before it is known which process the worker is, too.
fn a_task_is_cancelled_whenever_its_worker_was_started() {
    let pool = Pool::new(1).unwrap();
    for _ in 0..200 {
        pool.worker_pids().into_iter().for_each(|pid| {
            kill_if_it_lives(pid);
        });
        let task = pool.apply_async(sleep_long, ()).unwrap();
        wait_a_random_moment(MOMENT);
        task.cancel();
        let ended = task.get_timeout(Duration::from_secs(60));
        assert!(matches!(ended, Err(TaskError::Cancelled | TaskError::WorkerDied { .. })), "{ended:?}");
    }
}
