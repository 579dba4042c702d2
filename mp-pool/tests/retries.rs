//! Tasks that may run twice: tried again when their worker dies, and when they panic or are late, if that is asked.

use mp_core::mem::SharedRef;
use mp_core::transfer::Handle;
use mp_pool::{
    AsyncResult, ImapOptions, JoinPoolError, Pool, ProcessPoolExecutor, Retry, TaskError, TaskOptions,
};
use mp_testing::kill_if_it_lives;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        a_poison_task_is_set_aside,
        a_long_panic_is_retried_too,
        retries_wait_longer_each_time,
        what_waits_to_be_tried_again_can_be_cancelled,
        a_closed_pool_tries_again_and_then_ends,
        a_terminated_pool_tries_nothing_again,
        workers_that_are_terminated_try_nothing_again,
    ],
    every_method: [
        a_task_whose_worker_dies_is_tried_again,
        panics_and_deadlines_are_retried_if_that_is_asked,
        arguments_with_handles_are_sent_again,
        streams_and_futures_are_retried,
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

/// How often each task was begun.
type Counts = SharedRef<[AtomicU32; 64]>;

fn counts() -> Counts {
    SharedRef::create("mp-test-retries").unwrap()
}

fn retry(retry: Retry) -> TaskOptions {
    TaskOptions::new().retry(retry)
}

/// Begins a task; how often it has begun, this time included.
fn begin(counts: &Counts, x: u32) -> u32 {
    // ORDERING: Relaxed, here and below: read when the task has ended.
    counts[x as usize].fetch_add(1, Ordering::Relaxed) + 1
}

fn begun(counts: &Counts, x: u32) -> u32 {
    counts[x as usize].load(Ordering::Relaxed)
}

/// The first times its worker is killed.
fn die_the_first_times(x: u32, times: u32, counts: Counts) -> u32 {
    if begin(&counts, x) <= times {
        kill_if_it_lives(std::process::id());
    }
    x * x
}

fn panic_the_first_times(x: u32, times: u32, length: usize, counts: Counts) -> u32 {
    assert!(begin(&counts, x) > times, "a deliberate panic {}", "x".repeat(length));
    x * x
}

fn hang_the_first_times(x: u32, times: u32, counts: Counts) -> u32 {
    if begin(&counts, x) <= times {
        std::thread::sleep(HOUR);
    }
    x * x
}

fn a_task_whose_worker_dies_is_tried_again() {
    let (pool, counts) = (Pool::new(2).unwrap(), counts());
    // Every third one costs two workers.
    let items = (0..12).map(|x| (x, if x % 3 == 0 { 2 } else { 0 }, counts.clone()));
    let squares = pool.with(retry(Retry::new(2))).starmap(die_the_first_times, items).unwrap();
    assert_eq!(squares, (0..12).map(|x| x * x).collect::<Vec<_>>());
    for x in 0..12 {
        assert_eq!(begun(&counts, x), if x % 3 == 0 { 3 } else { 1 }, "{x}");
    }
    // Without retries it is not begun again.
    let died = pool.apply_async(die_the_first_times, (20, 1, counts.clone())).unwrap().get();
    assert!(matches!(died, Err(TaskError::WorkerDied { deaths: 1, .. })), "{died:?}");
    assert_eq!(begun(&counts, 20), 1);
}

fn a_poison_task_is_set_aside() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let arguments = (1, 99, counts.clone());
    let poison = pool.with(retry(Retry::new(3))).apply_async(die_the_first_times, arguments).unwrap();
    let error = poison.get().unwrap_err();
    assert!(matches!(error, TaskError::WorkerDied { deaths: 4, .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.ends_with("during the task, which has cost 4 workers and is not tried again"), "{told}");
    // It never takes a worker again.
    let worker = pool.apply(std::process::id, ()).unwrap();
    assert_eq!(pool.apply(std::process::id, ()).unwrap(), worker);
    assert_eq!(begun(&counts, 1), 4);
}

fn panics_and_deadlines_are_retried_if_that_is_asked() {
    let (pool, counts) = (Pool::new(2).unwrap(), counts());
    let once = pool.with(retry(Retry::new(5)));
    let panicked = once.apply_async(panic_the_first_times, (0, 1, 0, counts.clone())).unwrap().get();
    assert!(matches!(panicked, Err(TaskError::Panicked { .. })) && begun(&counts, 0) == 1);
    let again = pool.with(retry(Retry::new(5).on_panic()));
    assert_eq!(again.apply(panic_the_first_times, (3, 5, 0, counts.clone())).unwrap(), 9);
    assert_eq!(begun(&counts, 3), 6);
    let panicked = again.apply_async(panic_the_first_times, (4, 6, 0, counts.clone())).unwrap().get();
    assert!(matches!(panicked, Err(TaskError::Panicked { .. })) && begun(&counts, 4) == 6);
    let short = Duration::from_millis(50);
    let late = pool.with(retry(Retry::new(5)).deadline(short));
    let late = late.apply_async(hang_the_first_times, (5, 9, counts.clone())).unwrap().get();
    assert!(matches!(late, Err(TaskError::DeadlineExceeded { .. })) && begun(&counts, 5) <= 1);
    let late = pool.with(retry(Retry::new(2).on_deadline()).deadline(short));
    let late = late.apply_async(hang_the_first_times, (6, 9, counts.clone())).unwrap().get();
    assert!(matches!(late, Err(TaskError::DeadlineExceeded { .. })), "{late:?}");
    // On a busy machine one may be late before it counts.
    assert!((2..=3).contains(&begun(&counts, 6)), "{}", begun(&counts, 6));
}

/// The text of the panic goes by message.
fn a_long_panic_is_retried_too() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let again = pool.with(retry(Retry::new(2).on_panic()));
    for (x, times) in [(3, 2), (5, 3)] {
        let ended =
            again.apply_async(panic_the_first_times, (x, times, 100_000, counts.clone())).unwrap().get();
        match ended {
            Ok(value) => assert_eq!((value, times), (9, 2)),
            Err(TaskError::Panicked { message, .. }) => assert!(message.len() > 100_000 && times == 3),
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(begun(&counts, x), 3);
    }
}

fn retries_wait_longer_each_time() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let options = retry(Retry::new(3).on_panic().backoff(Duration::from_millis(20)));
    let begin = Instant::now();
    assert_eq!(pool.with(options).apply(panic_the_first_times, (3, 3, 0, counts.clone())).unwrap(), 9);
    assert!(begin.elapsed() >= Duration::from_millis(20 + 40 + 80));
    // Meanwhile others have the worker.
    let waiting = waiting(&pool, &counts, 4);
    assert_eq!(pool.apply(panic_the_first_times, (5, 0, 0, counts)).unwrap(), 25);
    assert!(!waiting.ready());
}

/// A task that has failed in the one worker of the pool, and waits for an hour.
fn waiting(pool: &Pool, counts: &Counts, x: u32) -> AsyncResult<u32> {
    let options = retry(Retry::new(1).on_panic().backoff(HOUR));
    let task = pool.with(options).apply_async(panic_the_first_times, (x, 1, 0, counts.clone())).unwrap();
    // The worker takes this one after that one.
    pool.apply(std::process::id, ()).unwrap();
    assert_eq!((task.ready(), begun(counts, x)), (false, 1));
    task
}

fn what_waits_to_be_tried_again_can_be_cancelled() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let task = waiting(&pool, &counts, 3);
    task.cancel();
    assert_eq!(task.get(), Err(TaskError::Cancelled));
    assert_eq!(begun(&counts, 3), 1);
    pool.close();
    pool.join().unwrap();
}

fn a_closed_pool_tries_again_and_then_ends() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let options = retry(Retry::new(2).backoff(Duration::from_millis(30)));
    let task = pool.with(options).apply_async(die_the_first_times, (3, 2, counts.clone())).unwrap();
    pool.close();
    pool.join().unwrap();
    assert_eq!(task.try_get(), Ok(9));
    // One that waits for an hour is waited for.
    let pool = Pool::new(1).unwrap();
    let task = waiting(&pool, &counts, 4);
    pool.close();
    assert_eq!(pool.join_timeout(Duration::from_millis(5)), Err(JoinPoolError::Timeout));
    task.cancel();
    pool.join().unwrap();
}

fn a_terminated_pool_tries_nothing_again() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let task = waiting(&pool, &counts, 3);
    pool.terminate();
    pool.join().unwrap();
    assert_eq!(task.get(), Err(TaskError::Terminated));
}

fn workers_that_are_terminated_try_nothing_again() {
    let (executor, counts) = (ProcessPoolExecutor::new(1).unwrap(), counts());
    let options = retry(Retry::new(9));
    let running = executor.with(options).submit(hang_the_first_times, (3, 9, counts.clone())).unwrap();
    while begun(&counts, 3) == 0 {
        std::thread::yield_now();
    }
    executor.terminate_workers();
    assert!(matches!(running.result(), Err(TaskError::WorkerDied { .. })));
    assert_eq!(begun(&counts, 3), 1);
}

fn count_handles(x: u32, times: u32, handles: Vec<Handle>, counts: Counts) -> usize {
    die_the_first_times(x, times, counts);
    handles.len()
}

fn arguments_with_handles_are_sent_again() {
    let (pool, counts) = (Pool::new(1).unwrap(), counts());
    let (end, _other) = mp_core::sys::fd::pipe().unwrap();
    let arguments = (3, 2, vec![Handle::new(end)], counts.clone());
    assert_eq!(pool.with(retry(Retry::new(2))).apply(count_handles, arguments).unwrap(), 1);
    assert_eq!(begun(&counts, 3), 3);
}

fn die_once_if_fifth(item: (u32, Counts)) -> u32 {
    die_the_first_times(item.0, u32::from(item.0.is_multiple_of(5)), item.1)
}

fn streams_and_futures_are_retried() {
    let (pool, counts) = (Pool::new(2).unwrap(), counts());
    let items = (0..20).map(|x| (x, counts.clone()));
    let stream = pool.with(retry(Retry::new(1))).imap(die_once_if_fifth, items, ImapOptions::new()).unwrap();
    assert_eq!(stream.map(Result::unwrap).collect::<Vec<_>>(), (0..20).map(|x| x * x).collect::<Vec<_>>());
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let options = retry(Retry::new(2).on_panic());
    let future = executor.with(options).submit(panic_the_first_times, (30, 2, 0, counts.clone())).unwrap();
    assert_eq!(future.result(), Ok(900));
    executor.with(options).submit(panic_the_first_times, (31, 2, 0, counts.clone())).unwrap();
    drop(executor);
    assert_eq!(begun(&counts, 31), 3);
}
