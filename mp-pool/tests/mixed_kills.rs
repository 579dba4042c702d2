//! Kills at random moments of workers that do streams, futures, tasks with retries, deadlines and priorities, all at
//! once.
//!
//! Each task ends as exactly one thing, which it may end as: its value, or the error that its options allow. None is
//! begun more often than it may be. Prints the counts. `MP_KILLS=5000` sets the number of kills; the default fits the
//! gate.

use mp_core::active_children;
use mp_core::mem::SharedRef;
use mp_pool::futures::Future;
use mp_pool::{AsyncResult, ImapOptions, PoolBuilder, ProcessPoolExecutor, Retry, TaskError, TaskOptions};
use mp_testing::{kills, while_killing};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

mp_testing::cases! {
    plain: [every_task_ends_as_one_thing]
}

/// Up to this long from one kill to the next.
const MOMENT: Duration = Duration::from_micros(4000);
const HOUR: Duration = Duration::from_secs(3600);
const RETRIES: u32 = 3;

// The tasks of a round, one range for each kind.
const STREAMED: u32 = 0;
const UNORDERED: u32 = 1000;
const MAPPED: u32 = 2000;
const AWAITED: u32 = 3000;
const RETRIED: u32 = 4000;
const LATE: u32 = 5000;
const KINDS: [(u32, &str); 6] = [
    (STREAMED, "stream"),
    (UNORDERED, "unordered stream"),
    (MAPPED, "map"),
    (AWAITED, "future"),
    (RETRIED, "with retries"),
    (LATE, "with deadline"),
];
const ITEMS: usize = 6000;

type Counts = SharedRef<[AtomicU32; ITEMS]>;

/// How often each task was begun: this worker's view.
static BEGUN: OnceLock<Counts> = OnceLock::new();

fn remember(counts: Counts) {
    BEGUN.set(counts).expect("once in each worker");
}

fn begin(x: u32) {
    // ORDERING: Relaxed, here and below: read when all are done.
    BEGUN.get().expect("the initializer has set it")[x as usize].fetch_add(1, Ordering::Relaxed);
}

fn value_of(x: u32) -> Vec<u8> {
    vec![x as u8; if x % 331 == 330 { 200 << 10 } else { x as usize % 300 }]
}

/// Every fourth task takes a while.
fn compute(x: u32) -> Vec<u8> {
    begin(x);
    if x.is_multiple_of(4) {
        std::thread::sleep(Duration::from_micros(200));
    }
    value_of(x)
}

/// Some for ever.
fn compute_or_hang(x: u32) -> Vec<u8> {
    begin(x);
    if x.is_multiple_of(5) {
        std::thread::sleep(HOUR);
    }
    value_of(x)
}

/// How many tasks of each kind ended as what.
type Tally = BTreeMap<(&'static str, &'static str), u32>;

struct Round<'a> {
    counts: &'a Counts,
    tally: &'a mut Tally,
}

impl Round<'_> {
    /// A task has ended. It was begun at most so often.
    fn ended(&mut self, x: u32, outcome: Result<Vec<u8>, TaskError>, most: u32) {
        let begun = self.counts[x as usize].load(Ordering::Relaxed);
        assert!(begun <= most, "{x} was begun {begun} times of {most}");
        let what = match outcome {
            Ok(value) => {
                assert!(begun > 0 && value == value_of(x), "{x} has a wrong value");
                "done"
            }
            Err(TaskError::WorkerDied { deaths, .. }) => {
                assert!(deaths >= most, "{x} was given up after {deaths} deaths");
                "died"
            }
            Err(TaskError::DeadlineExceeded { .. }) => {
                assert!(x >= LATE, "{x} has no deadline");
                "late"
            }
            Err(TaskError::Cancelled) => {
                assert!((AWAITED..LATE).contains(&x) && x.is_multiple_of(7), "{x} was not cancelled");
                "cancelled"
            }
            Err(other) => panic!("{x}: {other:?}"),
        };
        let kind = KINDS.iter().rev().find(|(first, _)| x >= *first).expect("each has one").1;
        *self.tally.entry((kind, what)).or_default() += 1;
    }
}

fn every_task_ends_as_one_thing() {
    let wanted = kills(100) as usize;
    let counts: Counts = SharedRef::create("mp-test-mixed").unwrap();
    let builder: PoolBuilder = ProcessPoolExecutor::builder().processes(4);
    let executor = builder.initializer(remember, (counts.clone(),)).build_executor().unwrap();
    let mut tally = Tally::new();
    while_killing(
        wanted,
        MOMENT,
        || executor.worker_pids(),
        || {
            one_round(&executor, &mut Round { counts: &counts, tally: &mut tally });
        },
    );
    println!("killed {wanted}:");
    tally.iter().for_each(|((kind, what), count)| println!("  {kind:<18} {what:<10} {count}"));
    for (kind, _) in KINDS.map(|(_, kind)| (kind, ())) {
        assert!(tally.contains_key(&(kind, "done")), "no {kind} was done");
    }
    for seen in [("with deadline", "late"), ("future", "cancelled")] {
        assert!(tally.contains_key(&seen), "none {seen:?}");
    }
    drop(executor);
    assert!(active_children().is_empty());
}

fn one_round(executor: &ProcessPoolExecutor, round: &mut Round<'_>) {
    round.counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    let with = |priority| executor.with(TaskOptions::new().priority(priority));
    let retry = TaskOptions::new().retry(Retry::new(RETRIES).backoff(Duration::from_micros(500)));
    let short = TaskOptions::new().deadline(Duration::from_millis(3));
    // All at once.
    let late: Vec<AsyncResult<Vec<u8>>> = (LATE..LATE + 20)
        .map(|x| executor.with(short.priority((x % 3) as i32)).apply_async(compute_or_hang, (x,)).unwrap())
        .collect();
    let (tell, told) = mpsc::channel();
    let submit = |x: u32, options: TaskOptions| {
        let future = executor.with(options.priority((x % 5) as i32 - 2)).submit(compute, (x,)).unwrap();
        let tell = tell.clone();
        future.add_done_callback(move |_| tell.send(x).unwrap());
        // Some are cancelled, whether they wait, run or are done.
        if x.is_multiple_of(14) {
            future.kill();
        } else if x.is_multiple_of(7) {
            future.cancel();
        }
        future
    };
    let futures: Vec<(u32, Future<Vec<u8>>)> = (AWAITED..AWAITED + 300)
        .map(|x| (x, submit(x, TaskOptions::new())))
        .chain((RETRIED..RETRIED + 200).map(|x| (x, submit(x, retry))))
        .collect();
    let mapped = with(0).map_async(compute, MAPPED..MAPPED + 500).unwrap();
    let streamed = with(1).imap(compute, STREAMED..STREAMED + 300, ImapOptions::new().chunk_size(3)).unwrap();
    let unordered = with(-1).imap_unordered(compute, UNORDERED..UNORDERED + 300, ImapOptions::new()).unwrap();
    let (mut given, mut streams) = (0, 0);
    for (x, outcome) in (STREAMED..).zip(streamed) {
        round.ended(x, outcome, 1);
        streams += 1;
    }
    // Values say whose they are by no more than their length and last byte: errors and values are counted.
    for outcome in unordered {
        given += 1;
        match outcome {
            Ok(_) => *round.tally.entry(("unordered stream", "done")).or_default() += 1,
            Err(TaskError::WorkerDied { .. }) => {
                *round.tally.entry(("unordered stream", "died")).or_default() += 1
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((streams, given), (300, 300));
    for x in UNORDERED..UNORDERED + 300 {
        assert!(round.counts[x as usize].load(Ordering::Relaxed) <= 1, "{x} was begun twice");
    }
    let each = mapped.get_each();
    assert_eq!(each.len(), 500);
    (MAPPED..).zip(each).for_each(|(x, outcome)| round.ended(x, outcome, 1));
    (LATE..).zip(late).for_each(|(x, task)| round.ended(x, task.get(), 1));
    let mut called: Vec<u32> = (0..futures.len()).map(|_| told.recv().unwrap()).collect();
    called.sort_unstable();
    assert!(called.iter().eq(futures.iter().map(|(x, _)| x)), "each is told once");
    for (x, future) in futures {
        let most = if x >= RETRIED { RETRIES + 1 } else { 1 };
        round.ended(x, future.result(), most);
    }
    assert!(told.try_recv().is_err(), "one is told twice");
}
