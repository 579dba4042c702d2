//! What tasks of threads have besides their function: priorities, progress, values that they yield; and pools of
//! threads that grow and shrink.

mod begun;

use begun::begun;
use mp_pool::futures::Pending;
use mp_pool::progress::{Progress, Task, What};
use mp_pool::{
    GenerateOptions, Generated, ImapOptions, MapError, ResizeError, Retry, SubmitError, TaskError,
    TaskOptions, ThreadGenerate, ThreadPool, ThreadPoolExecutor, YieldError, Yielder,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        the_highest_priority_goes_first,
        one_that_goes_first_has_room,
        a_deadline_and_a_retry_are_refused,
        each_item_is_told_when_it_has_ended,
        what_is_not_begun_is_told,
        a_task_is_not_told_twice,
        a_generator_waits_for_its_consumer,
        a_consumer_that_goes_ends_its_generators,
        values_need_not_be_serialisable,
        a_yielder_is_its_tasks,
        a_pool_that_is_terminated_ends_its_generators,
        an_input_that_panics_ends_behind_its_results,
        new_threads_take_what_waits,
        a_thread_that_is_too_many_finishes_its_task,
        to_and_fro_loses_no_task,
        time_is_the_threads_own,
        a_value_is_given_once,
        a_callback_that_panics_harms_nothing_else,
        waits_end_when_they_are_interrupted,
    ],
}

const HOUR: Duration = Duration::from_secs(3600);

fn square(x: u64) -> u64 {
    x * x
}

fn the_highest_priority_goes_first() {
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (_running, open) = begun(&executor);
    let order = Arc::new(Mutex::new(Vec::new()));
    for (at, priority) in [0, -5, 7, 0, 7, i32::MAX].into_iter().enumerate() {
        let order = Arc::clone(&order);
        executor
            .with(TaskOptions::new().priority(priority))
            .submit(move || order.lock().unwrap().push(at), ())
            .unwrap();
    }
    open.send(()).unwrap();
    executor.shutdown(Pending::Finish);
    assert_eq!(*order.lock().unwrap(), [5, 2, 4, 0, 3, 1]);
}

fn one_that_goes_first_has_room() {
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (_running, open) = begun(&executor);
    while executor.try_submit(square, (1,)).is_ok() {}
    let high = executor.with(TaskOptions::new().priority(1));
    let first = high.try_submit(square, (2,)).unwrap();
    let low = executor.with(TaskOptions::new().priority(-1));
    assert!(matches!(low.try_submit(square, (3,)), Err(SubmitError::WouldBlock)));
    open.send(()).unwrap();
    assert_eq!((first.result(), low.submit(square, (3,)).unwrap().result()), (Ok(4), Ok(9)));
}

fn a_deadline_and_a_retry_are_refused() {
    let (pool, executor) = (ThreadPool::new(1).unwrap(), ThreadPoolExecutor::new(1).unwrap());
    let deadline = TaskOptions::new().deadline(HOUR);
    let retry = TaskOptions::new().retry(Retry::new(1).on_panic());
    let generator = |_: u64, _: Yielder<u64>| Ok(());
    for options in [deadline, retry] {
        let tasks = pool.with(options);
        let refusals = [
            tasks.map(square, 0..3).unwrap_err(),
            tasks.apply(square, (3,)).unwrap_err(),
            tasks.imap(square, 0..3, ImapOptions::new()).unwrap_err(),
            tasks.generate(generator, 0..3, GenerateOptions::new()).unwrap_err(),
            executor.with(options).submit(square, (3,)).unwrap_err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, SubmitError::NeedsProcesses(_)), "{refusal:?}");
            assert!(refusal.to_string().ends_with("use a pool of processes"), "{refusal}");
        }
    }
}

/// The item after it waits until it was told.
fn each_item_is_told_when_it_has_ended() {
    let (pool, progress) = (ThreadPool::new(1).unwrap(), Progress::new());
    let (mut events, (tell, told)) = (progress.events(), mpsc::channel::<()>());
    let told = Mutex::new(told);
    let wait = move |x: u64| {
        told.lock().unwrap().recv().unwrap();
        assert_ne!(x, 2, "a deliberate panic");
    };
    let results = pool.report_to(&progress).starmap_async(wait, (0..4).map(|x| (x,))).unwrap();
    for x in 0..4 {
        tell.send(()).unwrap();
        let event = events.next_timeout(HOUR).unwrap().unwrap();
        assert_eq!(event.task, Task::Items { first: x, count: 1 });
        assert_eq!(matches!(event.what, What::Failed(_)), x == 2);
    }
    assert_eq!(results.get_each().len(), 4);
    assert_eq!(progress.tally().to_string(), "4/4, 1 failed");
}

fn what_is_not_begun_is_told() {
    let (executor, progress) = (ThreadPoolExecutor::new(1).unwrap(), Progress::new());
    let (running, open) = begun(&executor);
    let future = executor.report_to(&progress).submit(square, (1,)).unwrap();
    let all = executor.report_to(&progress).map_async(square, 0..100).unwrap();
    assert!(future.cancel() && future.cancelled());
    assert_eq!(progress.tally().cancelled, 1);
    executor.begin_shutdown(Pending::Cancel);
    let refused = all.get();
    assert!(matches!(refused, Err(MapError::Item { index: 0, error: TaskError::Cancelled })), "{refused:?}");
    let tally = progress.tally();
    assert_eq!((tally.submitted, tally.total, tally.ended()), (101, Some(101), 101));
    // What is refused was not submitted.
    assert!(executor.report_to(&progress).submit(square, (1,)).is_err());
    assert_eq!(progress.tally(), tally);
    open.send(()).unwrap();
    running.result().unwrap();
}

/// A stream that is dropped, and one whose input ends early, have no more tasks than were submitted.
fn a_task_is_not_told_twice() {
    let pool = ThreadPool::new(2).unwrap();
    for (chunk, taken) in [(1, 3), (7, 0), (7, 50)] {
        let progress = Progress::new();
        let mut events = progress.events();
        let options = ImapOptions::new().chunk_size(chunk);
        let stream = pool.report_to(&progress).imap(square, 0..1000, options).unwrap();
        assert_eq!(stream.take(taken).filter(Result::is_ok).count(), taken);
        pool.map(square, 0..10).unwrap();
        drop(progress);
        let (mut seen, mut tally) = (vec![0; 1000], None);
        while let Some(event) = events.next_timeout(HOUR) {
            let event = event.unwrap();
            if let Task::Items { first, count } = event.task {
                (first..first + count).for_each(|at| seen[at as usize] += 1);
            }
            tally = Some(event.tally);
        }
        assert!(seen.iter().all(|times| *times <= 1));
        let tally = tally.unwrap();
        assert_eq!(tally.ended(), tally.submitted);
    }
}

type Counter = Arc<AtomicU64>;

/// Yields for ever, and counts.
fn endless(
    counter: &Counter,
) -> impl Fn(u64, Yielder<u64>) -> Result<(), YieldError> + Send + Sync + 'static {
    let counter = Arc::clone(counter);
    move |_, results| {
        for x in 0.. {
            results.yield_(x)?;
            // ORDERING: Relaxed: a number by itself.
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn a_generator_waits_for_its_consumer() {
    let (pool, counter) = (ThreadPool::new(1).unwrap(), Counter::default());
    for ahead in [1, 2, 5] {
        counter.store(0, Ordering::Relaxed);
        let options = GenerateOptions::new().ahead(ahead);
        let mut results = pool.generate_with(endless(&counter), [0], options).unwrap();
        let yielded = || counter.load(Ordering::Relaxed);
        for taken in 0..50 {
            // It is told of each half of what it may be ahead.
            while yielded() < taken + (ahead as u64).div_ceil(2) {
                std::thread::yield_now();
            }
            assert!(yielded() <= taken + ahead as u64, "{} of {taken}, {ahead}", yielded());
            assert_eq!(results.next(), Some(Generated::Value { item: 0, value: taken }));
        }
        drop(results);
        // The thread is free again.
        assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    }
    let none = pool.generate_with(endless(&counter), [0], GenerateOptions::new().ahead(0));
    assert!(matches!(none, Err(SubmitError::ChunkSize)));
}

/// The ends of what is left, after the values that have come.
fn ends<I, F, T>(results: ThreadGenerate<I, F, T>) -> Vec<Result<(), TaskError>>
where
    I: Iterator<Item: Send + 'static>,
    F: mp_pool::ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
    T: Send + 'static,
{
    results
        .filter_map(|event| match event {
            Generated::End { outcome, .. } => Some(outcome),
            Generated::Value { .. } => None,
        })
        .collect()
}

fn a_consumer_that_goes_ends_its_generators() {
    let (pool, counter) = (ThreadPool::new(2).unwrap(), Counter::default());
    for taken in [0, 1, 100] {
        let mut results = pool.generate(endless(&counter), 0..).unwrap();
        assert_eq!(results.by_ref().take(taken).count(), taken);
        drop(results);
        assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    }
    let mut results = pool.generate(endless(&counter), 0..).unwrap();
    assert!(matches!(results.next_timeout(HOUR), Some(Ok(Generated::Value { .. }))));
    results.cancel();
    let ends = ends(results);
    // Of each item that was read: one for each thread, at least.
    assert!(ends.len() >= 2 && ends.iter().all(|end| *end == Err(TaskError::Cancelled)), "{ends:?}");
}

/// No serde anywhere.
#[derive(Debug, PartialEq)]
struct Plain(String);

fn values_need_not_be_serialisable() {
    let (pool, words) = (ThreadPool::new(1).unwrap(), Arc::new(["a", "b"]));
    let generator = move |item: Plain, results: Yielder<Plain>| {
        words.iter().try_for_each(|word| results.yield_(Plain(format!("{}{word}", item.0))))
    };
    let mut results = pool.generate(generator, [Plain("x".to_owned())]).unwrap();
    for text in ["xa", "xb"] {
        assert_eq!(results.next(), Some(Generated::Value { item: 0, value: Plain(text.to_owned()) }));
    }
    assert_eq!(results.next(), Some(Generated::End { item: 0, values: 2, outcome: Ok(()) }));
    assert_eq!((results.next(), results.try_next()), (None, None));
}

thread_local! {
    static KEPT: std::cell::RefCell<Option<Yielder<u64>>> = const { std::cell::RefCell::new(None) };
}

fn a_yielder_is_its_tasks() {
    let pool = ThreadPool::new(1).unwrap();
    let keep = |_: u64, results: Yielder<u64>| {
        results.yield_(1)?;
        KEPT.set(Some(results));
        Ok(())
    };
    let mut results = pool.generate(keep, [0]).unwrap();
    assert_eq!(results.by_ref().count(), 2);
    let late = pool.apply(|| KEPT.with_borrow(|kept| kept.as_ref().unwrap().yield_(2)), ()).unwrap();
    assert_eq!((late, results.try_next()), (Err(YieldError::Stopped), None));
}

fn a_pool_that_is_terminated_ends_its_generators() {
    let (pool, counter) = (ThreadPool::new(2).unwrap(), Counter::default());
    let mut results = pool.generate(endless(&counter), 0..5).unwrap();
    assert!(matches!(results.next(), Some(Generated::Value { .. })));
    pool.terminate();
    pool.join().unwrap();
    assert_eq!(ends(results), vec![Err(TaskError::Terminated); 5]);
    assert!(matches!(pool.generate(endless(&counter), 0..5), Err(SubmitError::Closed)));
}

fn an_input_that_panics_ends_behind_its_results() {
    let pool = ThreadPool::new(2).unwrap();
    let input = (0..).inspect(|x| assert!(*x < 30, "the input ends badly"));
    let yield_it = |x: u64, results: Yielder<u64>| results.yield_(x);
    let (mut results, mut sum) = (pool.generate(yield_it, input).unwrap(), 0);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        for event in results.by_ref() {
            if let Generated::Value { item, value } = event {
                assert_eq!(item, value);
                sum += value;
            }
        }
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"the input ends badly"));
    assert_eq!((sum, results.next()), ((0..30).sum(), None));
}

fn new_threads_take_what_waits() {
    let (pool, all_there) = (ThreadPool::new(1).unwrap(), Arc::new(Barrier::new(4)));
    let meet = move |_: u64| {
        all_there.wait();
    };
    let results = pool.map_in_chunks(meet, 0..4, Some(1)).unwrap();
    pool.resize(4).unwrap();
    results.get().unwrap();
    assert_eq!((pool.threads(), pool.statistics().workers.len()), (4, 4));
    for wrong in [0, 1025] {
        assert!(matches!(pool.resize(wrong), Err(ResizeError::Places { most: 1024 })));
    }
    pool.close();
    assert!(matches!(pool.resize(2), Err(ResizeError::Closed)));
    pool.join().unwrap();
    assert!(pool.statistics().workers.iter().all(|worker| worker.pid.is_none()));
}

fn a_thread_that_is_too_many_finishes_its_task() {
    let executor = ThreadPoolExecutor::new(2).unwrap();
    let running = [begun(&executor), begun(&executor)];
    executor.resize(1).unwrap();
    let waiting = executor.submit(square, (4,)).unwrap();
    for (future, open) in running {
        open.send(()).unwrap();
        future.result().unwrap();
    }
    assert_eq!((waiting.result(), executor.max_workers()), (Ok(16), 1));
    // The second one leaves.
    let alive = || executor.statistics().workers.iter().filter(|worker| worker.pid.is_some()).count();
    while alive() > 1 {
        std::thread::yield_now();
    }
    executor.resize(2).unwrap();
    let again = [begun(&executor), begun(&executor)];
    again.iter().for_each(|(_, open)| open.send(()).unwrap());
    executor.shutdown(Pending::Finish);
    assert_eq!(executor.statistics().restarts(), 1);
}

fn to_and_fro_loses_no_task() {
    let pool = ThreadPool::new(4).unwrap();
    let mut stream = pool.imap(square, 0..20_000).unwrap();
    for x in 0..20_000_u64 {
        if x.is_multiple_of(100) {
            pool.resize([1, 7, 2, 4][x as usize / 100 % 4]).unwrap();
        }
        assert_eq!(stream.next(), Some(Ok(square(x))));
    }
    assert_eq!(pool.statistics().tasks(), 20_000);
}

fn time_is_the_threads_own() {
    let pool = ThreadPool::new(2).unwrap();
    let used = || {
        let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
        nix::time::clock_gettime(clock).map(Duration::from).unwrap()
    };
    pool.apply(
        move || {
            let until = used() + Duration::from_millis(30);
            while used() < until {
                std::hint::spin_loop();
            }
        },
        (),
    )
    .unwrap();
    let times: Vec<Duration> = pool.statistics().workers.iter().map(|worker| worker.cpu_time).collect();
    let long = times.iter().filter(|time| **time >= Duration::from_millis(30)).count();
    assert_eq!(long, 1, "{times:?}");
}

fn a_value_is_given_once() {
    let pool = ThreadPool::new(2).unwrap();
    let result = pool.apply_async(square, (3,)).unwrap();
    assert_eq!((result.get_timeout(HOUR), result.get()), (Ok(9), Err(TaskError::Taken)));
    let results = pool.map_async(square, 0..10).unwrap();
    assert_eq!(results.get_timeout(HOUR).unwrap().len(), 10);
    assert!(results.get_each().iter().all(|value| *value == Err(TaskError::Taken)));
    let none = pool.map_async(square, []).unwrap();
    let (tell, told) = mpsc::channel();
    none.call_back(move |values| tell.send(values).unwrap());
    assert_eq!((none.successful(), told.recv().unwrap()), (Some(true), Ok(vec![])));
    assert!(matches!(pool.map_in_chunks(square, 0..3, Some(0)), Err(SubmitError::ChunkSize)));
}

/// Wherever it is called: here, of what has ended and of a map of nothing, or in a thread of the pool.
fn a_callback_that_panics_harms_nothing_else() {
    let pool = ThreadPool::new(1).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let running = pool.apply_async(move || gate.recv().unwrap(), ()).unwrap();
    let all = pool.map_async(square, 0..10).unwrap();
    running.call_back(|_| panic!("a deliberate panic"));
    all.call_back(|_| panic!("a deliberate panic"));
    open.send(()).unwrap();
    running.wait();
    all.wait();
    running.call_back(|_| panic!("a deliberate panic"));
    all.call_back(|_| panic!("a deliberate panic"));
    pool.map_async(square, []).unwrap().call_back(|_| panic!("a deliberate panic"));
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

fn waits_end_when_they_are_interrupted() {
    let pool = ThreadPool::new(1).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let running = pool.apply_async(move || gate.recv().unwrap(), ()).unwrap();
    assert!(matches!(running.get_interruptible(|| true), Err(SubmitError::Interrupted)));
    assert!(matches!(pool.map_interruptible(square, 0..3, || true), Err(SubmitError::Interrupted)));
    let waiting = pool.map_async(square, 0..3).unwrap();
    assert!(!waiting.ready() && waiting.successful().is_none() && running.successful().is_none());
    assert_eq!(waiting.try_get(), Err(MapError::WouldBlock));
    assert_eq!(waiting.get_timeout(Duration::from_millis(2)), Err(MapError::Timeout));
    assert_eq!(running.try_get(), Err(TaskError::WouldBlock));
    let given_up = pool.apply_async(square, (3,)).unwrap();
    given_up.cancel();
    assert_eq!(given_up.get(), Err(TaskError::Cancelled));
    open.send(()).unwrap();
    assert_eq!((running.get(), waiting.get().unwrap().len()), (Ok(()), 3));
}
