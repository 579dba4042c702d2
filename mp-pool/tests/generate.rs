//! Tasks that yield many results.

use mp_core::active_children;
use mp_core::mem::SharedRef;
use mp_pool::futures::Pending;
use mp_pool::{
    Generate, GenerateOptions, Generated, JoinPoolError, Pool, ProcessPoolExecutor, Retry, SubmitError,
    TaskError, TaskOptions, YieldError, Yielder, with_state,
};
use mp_queue::Queue;
use mp_testing::while_killing;
use serde::{Deserialize, Deserializer, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_generator_is_not_tried_again,
        bounds_of_zero_are_refused,
        a_yielder_is_its_tasks,
        an_endless_input_and_endless_tasks,
        a_call_whose_results_are_not_taken_holds_up_no_other,
        a_join_beside_values_that_its_own_thread_holds_is_an_error,
        a_join_waits_for_another_thread_that_takes_values,
        a_shutdown_beside_values_that_its_own_thread_holds_ends_their_tasks,
        a_task_that_has_not_yielded_yet_is_told_that_its_values_are_not_wanted,
        many_short_tasks_each_have_their_values_and_an_end,
        an_input_that_panics_ends_behind_its_results,
        a_pool_that_is_terminated_ends_them,
        each_value_arrives_once_whichever_worker_is_killed,
    ],
    every_method: [
        values_come_in_their_order_and_before_their_end,
        a_generator_waits_for_its_consumer,
        a_consumer_that_goes_ends_its_generators,
        values_of_any_length_keep_their_order,
        each_end_is_told,
        a_killed_worker_loses_no_value,
        a_deadline_ends_a_generator,
        cancelled_generators_end,
        long_values_and_handles_arrive,
        a_value_that_cannot_be_decoded_ends_its_task,
        a_generator_has_its_workers_state,
    ]
}

/// Without it the join would wait for ever.
fn a_join_beside_values_that_its_own_thread_holds_is_an_error() {
    let pool = Pool::new(2).unwrap();
    let values = pool.generate(count, [100, 3, 100]).unwrap();
    pool.close();
    assert_eq!(pool.join(), Err(JoinPoolError::Untaken));
    assert_eq!(pool.join(), Err(JoinPoolError::Untaken), "the pool is as it was");
    let all = collect(values);
    assert_eq!(all.values().map(|(values, _)| values.len()).collect::<Vec<_>>(), [100, 3, 100]);
    assert!(all.values().all(|(_, outcome)| outcome.is_ok()));
    pool.join().unwrap();

    let pool = Pool::new(2).unwrap();
    let values = pool.generate(count, [100]).unwrap();
    pool.close();
    assert_eq!(pool.join(), Err(JoinPoolError::Untaken), "one worker is idle");
    drop(values);
    pool.join().unwrap();
}

/// However long that takes.
fn a_join_waits_for_another_thread_that_takes_values() {
    let pool = Pool::new(2).unwrap();
    let mut values = pool.generate(count, [100, 100]).unwrap();
    pool.close();
    let ((has_taken, is_taken), (go_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    std::thread::scope(|threads| {
        threads.spawn(move || {
            assert!(matches!(values.next(), Some(Generated::Value { .. })));
            has_taken.send(()).unwrap();
            may_go_on.recv().unwrap();
            assert_eq!(
                values.filter(|event| matches!(event, Generated::End { outcome: Ok(()), .. })).count(),
                2
            );
        });
        is_taken.recv().unwrap();
        assert_eq!(pool.join_timeout(Duration::from_millis(1600)), Err(JoinPoolError::Timeout));
        go_on.send(()).unwrap();
        pool.join().unwrap();
    });
}

fn a_shutdown_beside_values_that_its_own_thread_holds_ends_their_tasks() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let tasks = executor.with(TaskOptions::new());
    let values = tasks.generate(count, [100, 3], GenerateOptions::new()).unwrap();
    executor.shutdown(Pending::Finish);
    let ends: Vec<Result<(), TaskError>> = values
        .filter_map(|event| match event {
            Generated::End { outcome, .. } => Some(outcome),
            Generated::Value { .. } => None,
        })
        .collect();
    assert!(
        ends.contains(&Ok(())) && ends.contains(&Err(TaskError::Cancelled)) && ends.len() == 2,
        "{ends:?}"
    );
}

/// The values of each item and its end, of which there is one.
fn collect<I, T>(results: Generate<I, T>) -> BTreeMap<u64, (Vec<T>, Result<(), TaskError>)>
where
    I: Iterator<Item: Serialize + serde::de::DeserializeOwned>,
    T: serde::de::DeserializeOwned,
{
    let (mut running, mut ended) = (BTreeMap::<u64, Vec<T>>::new(), BTreeMap::new());
    for event in results {
        match event {
            Generated::Value { item, value } => {
                assert!(!ended.contains_key(&item), "{item}: a value behind the end");
                running.entry(item).or_default().push(value);
            }
            Generated::End { item, values, outcome } => {
                let all = running.remove(&item).unwrap_or_default();
                assert_eq!(all.len() as u64, values, "{item}");
                assert!(ended.insert(item, (all, outcome)).is_none(), "{item}: two ends");
            }
        }
    }
    assert!(running.is_empty(), "values without an end");
    ended
}

fn count(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..to).try_for_each(|x| results.yield_(1000 * to + x))
}

fn counted(to: u64) -> Vec<u64> {
    (0..to).map(|x| 1000 * to + x).collect()
}

fn values_come_in_their_order_and_before_their_end() {
    let pool = Pool::new(3).unwrap();
    for ahead in [1, 2, 3, 16, 1000] {
        let options = GenerateOptions::new().ahead(ahead);
        let all = collect(pool.generate_with(count, (0..60).chain([300]), options).unwrap());
        assert_eq!(all.len(), 61);
        for (item, to) in (0..60).chain([300]).enumerate() {
            assert_eq!(all[&(item as u64)], (counted(to), Ok(())), "{ahead}");
        }
    }
    let all = collect(pool.generate(count, 0..5).unwrap());
    assert_eq!(all[&4], (counted(4), Ok(())));
    assert_eq!(pool.apply(|x: u64| x + 1, (1,)).unwrap(), 2);
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}

type Counter = SharedRef<[AtomicU32; 1]>;

static COUNTER: OnceLock<Counter> = OnceLock::new();

fn remember(counter: Counter) {
    COUNTER.set(counter).expect("once in each worker");
}

fn count_for_ever(_: u64, results: Yielder<u32>) -> Result<(), YieldError> {
    for x in 0.. {
        results.yield_(x)?;
        // ORDERING: Relaxed: a number by itself.
        COUNTER.get().unwrap()[0].fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn a_generator_waits_for_its_consumer() {
    let counter = Counter::create("mp-test-yielded").unwrap();
    let pool = Pool::builder().processes(1).initializer(remember, (counter.clone(),)).build().unwrap();
    let options = GenerateOptions::new().ahead(4);
    let mut results = pool.generate_with(count_for_ever, [0], options).unwrap();
    let yielded = || counter[0].load(Ordering::Relaxed);
    let mut taken = 0;
    for _ in 0..5 {
        while yielded() < taken + 4 - 1 {
            std::thread::yield_now();
        }
        // It may be that it is told only of every second value.
        std::thread::sleep(Duration::from_millis(50));
        assert!(yielded() <= taken + 4, "{} of {taken}", yielded());
        for _ in 0..7 {
            assert_eq!(results.next(), Some(Generated::Value { item: 0, value: taken }));
            taken += 1;
        }
    }
    drop(results);
    assert_eq!(pool.apply(|x: u64| x + 1, (1,)).unwrap(), 2);
}

fn say_how_it_ended(said: Queue<YieldError>, results: Yielder<u64>) -> Result<(), YieldError> {
    let ended = (0..).try_for_each(|x| results.yield_(x));
    said.put(ended.clone().unwrap_err()).unwrap();
    ended
}

fn a_consumer_that_goes_ends_its_generators() {
    let pool = Pool::new(2).unwrap();
    let said = Queue::new().unwrap();
    for taken in [0, 1, 100] {
        // Some are at work, others wait.
        let mut results = pool.generate(say_how_it_ended, vec![said.clone(); 5]).unwrap();
        (0..taken).for_each(|_| drop(results.next().unwrap()));
        let begun = taken > 0;
        drop(results);
        if begun {
            assert_eq!(said.get().unwrap(), YieldError::Stopped);
        }
        assert_eq!(pool.map(|x: u64| x, 0..100).unwrap().len(), 100);
    }
    pool.close();
    pool.join().unwrap();
}

fn wait_and_yield(
    (may_go_on, said): (Queue<()>, Queue<u64>),
    results: Yielder<u64>,
) -> Result<(), YieldError> {
    said.put(0).unwrap();
    may_go_on.get().unwrap();
    let ended = (1..).map(|x| results.yield_(x)).take_while(Result::is_ok).count();
    said.put(ended as u64).unwrap();
    Ok(())
}

/// With its first value, though the caller had seen none.
fn a_task_that_has_not_yielded_yet_is_told_that_its_values_are_not_wanted() {
    let pool = Pool::new(1).unwrap();
    let (may_go_on, said) = (Queue::new().unwrap(), Queue::new().unwrap());
    let results = pool.generate(wait_and_yield, [(may_go_on.clone(), said.clone())]).unwrap();
    assert_eq!(said.get().unwrap(), 0);
    drop(results);
    may_go_on.put(()).unwrap();
    assert_eq!(said.get().unwrap(), 0, "values that were yielded");
}

/// Bytes, all of which are the value's number: few, or more than there is room for in memory, or with a handle.
fn yield_lengths(lengths: Vec<usize>, results: Yielder<Large>) -> Result<(), YieldError> {
    for (number, length) in lengths.into_iter().enumerate() {
        if length % 7 == 6 {
            let queue = Queue::new().map_err(|error| YieldError::Failed(error.to_string()))?;
            queue.put(number as u64).unwrap();
            results.yield_(Large::Queue(queue))?;
        } else {
            results.yield_(Large::Bytes(vec![number as u8; length]))?;
        }
    }
    if dies_behind_its_values() {
        mp_testing::kill(std::process::id());
    }
    Ok(())
}

/// Whether the worker is one that dies behind its values: every second process id.
fn dies_behind_its_values() -> bool {
    std::process::id() % 2 == 1
}

fn values_of_any_length_keep_their_order() {
    let pool = Pool::new(2).unwrap();
    let chance = |at: usize| (at * 7919 + 13) % 101;
    let length = |at: usize| match chance(at) {
        0..10 => 20_000 + at,
        10..30 => 3_000 + at,
        other => other,
    };
    for ahead in [1, 2, 5, 16, 300] {
        let tasks = (0..6).map(|task| (0..200).map(|at| length(at + 31 * task)).collect::<Vec<_>>());
        let all = collect(
            pool.generate_with(yield_lengths, tasks.clone(), GenerateOptions::new().ahead(ahead)).unwrap(),
        );
        for (task, lengths) in tasks.enumerate() {
            let (values, end) = &all[&(task as u64)];
            assert!(matches!(end, Ok(()) | Err(TaskError::WorkerDied { .. })), "{ahead}: {end:?}");
            assert_eq!(values.len(), lengths.len(), "{ahead}: {end:?}");
            for (number, (value, length)) in values.iter().zip(lengths).enumerate() {
                match value {
                    Large::Bytes(bytes) => {
                        let is_right =
                            bytes.len() == length && bytes.iter().all(|byte| *byte == number as u8);
                        assert!(is_right, "{ahead}: value {number} of task {task}");
                    }
                    Large::Queue(queue) => assert_eq!(queue.get().unwrap(), number as u64),
                }
            }
        }
    }
}

fn yield_few(x: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..x % 4).try_for_each(|number| results.yield_(10 * x + number))?;
    if x % 5 == 4 { Err(YieldError::Failed("x".repeat(x as usize % 300))) } else { Ok(()) }
}

/// Of some the end does not fit into memory.
fn many_short_tasks_each_have_their_values_and_an_end() {
    let pool = Pool::new(3).unwrap();
    let all = collect(pool.generate(yield_few, 0..3000).unwrap());
    assert_eq!(all.len(), 3000);
    for (x, (values, end)) in all {
        assert_eq!(values, (0..x % 4).map(|number| 10 * x + number).collect::<Vec<_>>());
        assert_eq!(matches!(end, Err(TaskError::Failed(_))), x % 5 == 4, "{x}: {end:?}");
    }
}

fn end_somehow(x: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    results.yield_(x)?;
    match x {
        1 => panic!("no ones"),
        2 => Err(YieldError::Stopped),
        3 => Err(YieldError::Failed("it is so".to_owned())),
        4 => std::process::exit(4),
        _ => results.yield_(x),
    }
}

fn each_end_is_told() {
    let pool = Pool::new(2).unwrap();
    let all = collect(pool.generate(end_somehow, 0..6).unwrap());
    assert_eq!(all[&0], (vec![0, 0], Ok(())));
    assert_eq!(all[&5], (vec![5, 5], Ok(())));
    assert!((1..5).all(|x| all[&x].0 == [x]));
    assert!(matches!(&all[&1].1, Err(TaskError::Panicked { message, .. }) if message == "no ones"));
    assert!(matches!(&all[&2].1, Err(TaskError::Cancelled)));
    assert!(matches!(&all[&3].1, Err(TaskError::Failed(reason)) if reason == "it is so"));
    assert!(matches!(&all[&4].1, Err(TaskError::WorkerDied { .. })), "{:?}", all[&4]);
}

fn count_and_die(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    count(to, results)?;
    if to % 4 == 3 {
        mp_testing::kill(std::process::id());
    }
    Ok(())
}

fn a_killed_worker_loses_no_value() {
    let pool = Pool::new(2).unwrap();
    let options = GenerateOptions::new().ahead(40);
    for (item, (values, end)) in collect(pool.generate_with(count_and_die, 0..24, options).unwrap()) {
        assert_eq!(values, counted(item));
        assert_eq!(matches!(end, Err(TaskError::WorkerDied { .. })), item % 4 == 3, "{item}: {end:?}");
    }
}

fn yield_and_sleep(x: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    results.yield_(x)?;
    results.yield_(x)?;
    if x == 1 {
        std::thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}

fn a_deadline_ends_a_generator() {
    let pool = Pool::new(2).unwrap();
    let bounded = pool.with(TaskOptions::new().deadline(Duration::from_millis(300)));
    let all = collect(bounded.generate(yield_and_sleep, 0..3, GenerateOptions::new()).unwrap());
    assert!(matches!(all[&1].1, Err(TaskError::DeadlineExceeded { .. })), "{:?}", all[&1]);
    assert!((0..3).all(|x| all[&x].0 == [x, x]));
    assert!(all[&0].1.is_ok() && all[&2].1.is_ok());
}

fn cancelled_generators_end() {
    let pool = Pool::new(2).unwrap();
    let mut results = pool.generate(yield_and_sleep, [1; 6]).unwrap();
    assert!(matches!(results.next(), Some(Generated::Value { value: 1, .. })));
    results.cancel();
    let ends = results.filter(|event| match event {
        Generated::End { outcome, .. } => *outcome == Err(TaskError::Cancelled),
        Generated::Value { .. } => false,
    });
    assert_eq!(ends.count(), 6);
    assert_eq!(pool.apply(|x: u64| x + 1, (1,)).unwrap(), 2);
}

#[derive(Serialize, Deserialize)]
enum Large {
    Bytes(Vec<u8>),
    Queue(Queue<u64>),
}

fn give_large(length: usize, results: Yielder<Large>) -> Result<(), YieldError> {
    for x in 0..5_u8 {
        results.yield_(Large::Bytes(vec![x; length]))?;
        let queue = Queue::new().map_err(|error| YieldError::Failed(error.to_string()))?;
        queue.put(x.into()).unwrap();
        results.yield_(Large::Queue(queue))?;
    }
    Ok(())
}

fn long_values_and_handles_arrive() {
    let pool = Pool::new(2).unwrap();
    let lengths = [10, 5_000, 100_000, 3 << 20];
    let all = collect(pool.generate(give_large, lengths).unwrap());
    for (item, length) in lengths.into_iter().enumerate() {
        let (values, end) = &all[&(item as u64)];
        assert_eq!((values.len(), end), (10, &Ok(())));
        for (x, value) in values.iter().enumerate() {
            let number = (x / 2) as u8;
            match value {
                Large::Bytes(bytes) => {
                    assert!(bytes.len() == length && bytes.iter().all(|byte| *byte == number))
                }
                Large::Queue(queue) => assert_eq!(queue.get().unwrap(), u64::from(number)),
            }
        }
    }
}

#[derive(Debug, Serialize)]
struct Unwilling(u64);

impl<'de> Deserialize<'de> for Unwilling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            3 => Err(serde::de::Error::custom("no threes")),
            x => Ok(Unwilling(x)),
        }
    }
}

fn count_unwilling(_: u64, results: Yielder<Unwilling>) -> Result<(), YieldError> {
    (0..).try_for_each(|x| results.yield_(Unwilling(x)))
}

fn a_value_that_cannot_be_decoded_ends_its_task() {
    let pool = Pool::new(1).unwrap();
    let pids = pool.worker_pids();
    let all = collect(pool.generate(count_unwilling, 0..3).unwrap());
    for (_, (values, end)) in all {
        assert_eq!(values.iter().map(|value| value.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(matches!(&end, Err(TaskError::Value(reason)) if reason.contains("no threes")), "{end:?}");
    }
    assert_eq!(pool.worker_pids(), pids);
}

fn add_up(sum: &mut u64, to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..to).try_for_each(|x| {
        *sum += x;
        results.yield_(*sum)
    })
}

fn a_generator_has_its_workers_state() {
    let pool = Pool::builder().processes(1).initializer_value(|| 100_u64, ()).build().unwrap();
    let all = collect(pool.generate(with_state(add_up), [3, 2]).unwrap());
    assert_eq!((&all[&0].0, &all[&1].0), (&vec![100, 101, 103], &vec![103, 104]));
    assert!(Pool::new(1).unwrap().generate(with_state(add_up), [1_u64]).is_err());
}

fn a_generator_is_not_tried_again() {
    let pool = Pool::new(1).unwrap();
    let options = TaskOptions::new().retry(Retry::new(1));
    let refused = pool.with(options).generate(count, [1], GenerateOptions::new());
    assert!(matches!(refused, Err(SubmitError::Generator(_))));
}

fn bounds_of_zero_are_refused() {
    let pool = Pool::new(1).unwrap();
    for options in [GenerateOptions::new().ahead(0), GenerateOptions::new().look_ahead(0)] {
        assert!(matches!(pool.generate_with(count, [1], options), Err(SubmitError::ChunkSize)));
    }
}

thread_local! {
    static KEPT: RefCell<Option<Yielder<u64>>> = const { RefCell::new(None) };
}

fn keep_it(_: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    let kept = KEPT.take();
    let ended = kept.map(|kept| kept.yield_(7));
    let refused = ended.is_none_or(|ended| ended == Err(YieldError::Stopped));
    results.yield_(u64::from(refused))?;
    KEPT.set(Some(results));
    Ok(())
}

fn a_yielder_is_its_tasks() {
    let pool = Pool::new(1).unwrap();
    let all = collect(pool.generate(keep_it, 0..3).unwrap());
    assert!(all.values().all(|(values, end)| values == &[1] && end.is_ok()), "{all:?}");
    assert!(pool.apply(|| KEPT.take().is_some_and(|kept| kept.yield_(7).is_err()), ()).unwrap());
}

fn an_endless_input_and_endless_tasks() {
    let pool = Pool::new(3).unwrap();
    let to = |x: u64| if x % 5 == 4 { 0 } else { x % 7 };
    let results = pool.generate(count, (0..).map(to)).unwrap();
    let ends = results.filter(|event| matches!(event, Generated::End { outcome: Ok(()), .. }));
    assert_eq!(ends.take(1000).count(), 1000);
    let again = pool.generate(|_: u64, results: Yielder<u64>| (0..).try_for_each(|x| results.yield_(x)), 0..);
    assert_eq!(again.unwrap().take(5000).count(), 5000);
    assert_eq!(pool.map(|x: u64| x, 0..100).unwrap().len(), 100);
}

/// Neither one that has ended nor one that waits.
fn a_call_whose_results_are_not_taken_holds_up_no_other() {
    let pool = Pool::new(1).unwrap();
    let ended = pool.generate(count, [16]).unwrap();
    assert_eq!(collect(pool.generate(count, [100]).unwrap())[&0], (counted(100), Ok(())));
    pool.resize(1).unwrap();
    assert_eq!(collect(ended)[&0], (counted(16), Ok(())));
    let pool = Pool::new(2).unwrap();
    let waits = pool.generate(count, [1000]).unwrap();
    assert_eq!(collect(pool.generate(count, [100, 200]).unwrap())[&1], (counted(200), Ok(())));
    assert_eq!(collect(waits)[&0], (counted(1000), Ok(())));
}

fn an_input_that_panics_ends_behind_its_results() {
    std::panic::set_hook(Box::new(|_| ()));
    let pool = Pool::new(2).unwrap();
    let items = (0..).inspect(|x| assert_ne!(*x, 4, "no fours"));
    let mut results = pool.generate(count, items).unwrap();
    let mut ends = 0;
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        for event in results.by_ref() {
            ends += usize::from(matches!(event, Generated::End { .. }));
        }
    }));
    assert_eq!(ends, 4);
    assert!(ended.is_err_and(|payload| payload.downcast_ref::<String>().unwrap().contains("no fours")));
}

fn a_pool_that_is_terminated_ends_them() {
    let pool = Pool::new(2).unwrap();
    let for_ever = |_: u64, results: Yielder<u64>| (0..).try_for_each(|x| results.yield_(x));
    let results = pool.generate(for_ever, 5..9).unwrap();
    pool.terminate();
    pool.join().unwrap();
    let ends = collect(results);
    assert_eq!(ends.len(), 4);
    assert!(ends.values().all(|(_, end)| *end == Err(TaskError::Terminated)));
}

const ITEMS: usize = 200;
const VALUES: u32 = 40;

type Counts = SharedRef<[AtomicU32; ITEMS]>;

/// How many values each item has yielded: this worker's view.
static YIELDED: OnceLock<Counts> = OnceLock::new();

fn remember_all(counts: Counts) {
    YIELDED.set(counts).expect("once in each worker");
}

fn yield_and_count(x: usize, results: Yielder<(usize, u32, Vec<u8>)>) -> Result<(), YieldError> {
    for number in 0..VALUES {
        let length = if number % 13 == 12 { 40_000 } else { 7 * number as usize };
        results.yield_((x, number, vec![number as u8; length]))?;
        // ORDERING: Relaxed: read when its end is known.
        YIELDED.get().unwrap()[x].fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// `MP_KILLS=5000` sets the number; the default fits the gate.
fn each_value_arrives_once_whichever_worker_is_killed() {
    let (kills, moment) = (mp_testing::kills(60) as usize, Duration::from_millis(3));
    let counts: Counts = SharedRef::create("mp-test-yields").unwrap();
    let pool = Pool::builder().processes(4).initializer(remember_all, (counts.clone(),)).build().unwrap();
    let (mut done, mut died, mut values) = (0, 0, 0);
    while_killing(
        kills,
        moment,
        || pool.worker_pids(),
        || {
            counts.iter().for_each(|count| count.store(0, Ordering::Relaxed));
            let all = collect(pool.generate(yield_and_count, 0..ITEMS).unwrap());
            assert_eq!(all.len(), ITEMS);
            for (item, (arrived, end)) in all {
                let acknowledged = counts[item as usize].load(Ordering::Relaxed) as usize;
                values += arrived.len();
                assert!(acknowledged <= arrived.len(), "{item}: a value is lost");
                for (number, (x, sent, bytes)) in arrived.iter().enumerate() {
                    assert_eq!((*x as u64, *sent as usize), (item, number), "{item}: not the next value");
                    assert!(bytes.iter().all(|byte| *byte == number as u8));
                }
                match end {
                    Ok(()) => {
                        assert_eq!(arrived.len(), VALUES as usize);
                        done += 1;
                    }
                    Err(TaskError::WorkerDied { .. }) => died += 1,
                    Err(other) => panic!("{item}: {other:?}"),
                }
            }
        },
    );
    println!("killed {kills}: {done} done, {died} died, {values} values");
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}
