//! Tasks that may run for a time: what runs longer ends as `DeadlineExceeded`, and takes nothing along.

use mp_mock::{new_executor, new_pool};
use mp_pool::futures::Future;
use mp_pool::{ImapOptions, SubmitError, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::{go_on_process, stop_process};
use std::collections::HashSet;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        tasks_that_end_at_about_their_deadline_have_one_end,
        deaths_by_deadline_never_break_the_pool,
        a_deadline_beyond_the_clock_is_none,
        arguments_that_go_by_message_are_timed,
    ],
    every_method: [
        what_runs_too_long_ends_alone,
        a_deadline_that_is_not_reached_changes_nothing,
        a_wait_that_is_too_long_is_told_from_a_task_that_is,
        each_item_of_a_map_has_a_deadline_of_its_own,
        items_with_a_deadline_go_to_the_workers_one_by_one,
        streams_and_futures_have_deadlines,
        a_stopped_worker_is_at_its_task,
    ],
    mock: [
        tasks_that_end_at_about_their_deadline_have_one_end,
        a_deadline_beyond_the_clock_is_none,
        a_deadline_that_is_not_reached_changes_nothing,
        each_item_of_a_map_has_a_deadline_of_its_own,
        streams_and_futures_have_deadlines,
    ],
}

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(5);

fn within(deadline: Duration) -> TaskOptions {
    TaskOptions::new().deadline(deadline)
}

fn square(x: u64) -> u64 {
    x * x
}

fn square_or_hang(x: u64) -> u64 {
    if x % 10 == 3 {
        std::thread::sleep(HOUR);
    }
    x * x
}

fn hang() {
    std::thread::sleep(HOUR);
}

fn say_pid_and_wait(pids: Queue<u32>, go: Queue<u64>) -> u64 {
    pids.put(std::process::id()).unwrap();
    go.get().unwrap()
}

fn is_late(error: &TaskError, of: Duration) -> bool {
    matches!(error, TaskError::DeadlineExceeded { deadline, .. } if *deadline == of)
}

/// Beside tasks that run all the time: 30 tasks too long, 30 killed, 0 others.
fn what_runs_too_long_ends_alone() {
    let pool = new_pool(3).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let others: Vec<_> =
        (0..2).map(|_| pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap()).collect();
    let busy: HashSet<u32> = (0..2).map(|_| pids.get().unwrap()).collect();
    let mut dead = HashSet::new();
    for _ in 0..30 {
        let begun = Instant::now();
        let error = pool.with(within(SHORT)).apply_async(hang, ()).unwrap().get().unwrap_err();
        assert!(begun.elapsed() >= SHORT, "too early");
        let TaskError::DeadlineExceeded { deadline, worker, pid } = error else { panic!("{error:?}") };
        assert!(deadline == SHORT && worker.starts_with("PoolWorker-") && !busy.contains(&pid));
        dead.insert(pid);
        assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    }
    assert!(dead.len() > 1);
    go.put(5).unwrap();
    go.put(5).unwrap();
    assert!(others.into_iter().all(|other| other.get() == Ok(5)));
    let text = TaskError::DeadlineExceeded { deadline: SHORT, worker: "W".to_owned(), pid: 7 }.to_string();
    assert!(
        text.starts_with("the task ran longer than its deadline of 5ms, so worker W (pid 7) was killed"),
        "{text}"
    );
}

fn a_deadline_that_is_not_reached_changes_nothing() {
    let pool = new_pool(1).unwrap();
    let worker = pool.apply(std::process::id, ()).unwrap();
    let timed = pool.with(within(HOUR));
    assert_eq!(timed.apply(std::process::id, ()).unwrap(), worker);
    assert_eq!(timed.map(square, 0..500).unwrap(), (0..500).map(square).collect::<Vec<_>>());
    assert_eq!(timed.starmap(square, (0..50).map(|x| (x,))).unwrap().len(), 50);
    assert_eq!(timed.map_async(square, 0..50).unwrap().get().unwrap().len(), 50);
    assert_eq!(pool.apply(std::process::id, ()).unwrap(), worker);
}

/// A few items of many, in the midst of others.
fn each_item_of_a_map_has_a_deadline_of_its_own() {
    let pool = new_pool(2).unwrap();
    let each = pool.with(within(SHORT * 20)).map_each(square_or_hang, 0..40).unwrap();
    assert_eq!(each.len(), 40);
    for (x, outcome) in (0..).zip(each) {
        match outcome {
            Ok(value) => assert!(value == x * x && x % 10 != 3),
            Err(error) => assert!(is_late(&error, SHORT * 20), "{x}: {error:?}"),
        }
    }
    let failed = pool.with(within(SHORT)).map(square_or_hang, [13, 3]);
    assert!(matches!(failed, Err(SubmitError::Map(_))), "{failed:?}");
}

fn pass_on(x: u64, baton: Queue<u64>) -> u64 {
    if x == 0 { baton.get().unwrap() } else { baton.put(x).map_or(0, |()| x) }
}

/// The first of two waits for the second.
fn items_with_a_deadline_go_to_the_workers_one_by_one() {
    let pool = new_pool(2).unwrap();
    let baton = Queue::new().unwrap();
    let items = || (0..2).map(|x| (x, baton.clone()));
    assert_eq!(pool.with(within(HOUR)).starmap(pass_on, items()).unwrap(), [1, 1]);
    let numbers = (0..20).map(|x| x % 2);
    let chunks = ImapOptions::new().chunk_size(20);
    let stream = pool.with(within(HOUR)).imap_unordered(square, numbers, chunks).unwrap();
    assert_eq!(stream.map(Result::unwrap).sum::<u64>(), 10);
}

fn streams_and_futures_have_deadlines() {
    let executor = new_executor(2).unwrap();
    let timed = executor.with(within(SHORT));
    let futures: Vec<Future<()>> = (0..5).map(|_| timed.submit(hang, ()).unwrap()).collect();
    for future in futures {
        assert!(is_late(&future.result().unwrap_err(), SHORT) && future.done() && !future.cancelled());
    }
    assert_eq!(executor.with(within(HOUR)).try_submit(square, (3,)).unwrap().result(), Ok(9));
    assert_eq!(executor.with(within(HOUR)).submit_timeout(square, (3,), HOUR).unwrap().result(), Ok(9));
    let pool = new_pool(2).unwrap();
    // An endless input. A chunk size has no meaning here.
    let stream =
        pool.with(within(SHORT * 20)).imap(square_or_hang, 0.., ImapOptions::new().chunk_size(7)).unwrap();
    for (x, outcome) in (0..25).zip(stream) {
        assert_eq!(outcome.is_ok(), outcome == Ok(square(x)), "{x}");
        assert!(x % 10 != 3 || is_late(&outcome.unwrap_err(), SHORT * 20));
    }
    let unordered = pool.with(within(HOUR)).imap_unordered(square, 0..100, ImapOptions::new()).unwrap();
    assert_eq!(unordered.map(Result::unwrap).sum::<u64>(), (0..100).map(square).sum());
}

fn a_wait_that_is_too_long_is_told_from_a_task_that_is() {
    let pool = new_pool(1).unwrap();
    let task = pool.with(within(SHORT * 20)).apply_async(hang, ()).unwrap();
    assert_eq!(task.try_get(), Err(TaskError::WouldBlock));
    assert_eq!(task.get_timeout(Duration::ZERO), Err(TaskError::Timeout));
    assert!(is_late(&task.get().unwrap_err(), SHORT * 20));
    // It stays so.
    task.cancel();
    assert!(is_late(&task.try_get().unwrap_err(), SHORT * 20));
    // And one that is cancelled first is cancelled.
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let task = pool.with(within(HOUR)).apply_async(say_pid_and_wait, (pids.clone(), go)).unwrap();
    pids.get().unwrap();
    task.cancel();
    assert_eq!(task.get(), Err(TaskError::Cancelled));
}

/// Each runs as long as it may, or a little shorter or longer. Beside them others, which are done all. Over the mock
/// ten times as long: a wish of the pool is on its way for up to ten milliseconds there, and a result that comes first
/// stands.
fn tasks_that_end_at_about_their_deadline_have_one_end() {
    let pool = new_pool(4).unwrap();
    let times = if mp_mock::is_chosen() { 10 } else { 1 };
    let deadline = Duration::from_millis(2 * times);
    let (mut done, mut late) = (0, 0);
    while done < 30 || late < 30 {
        let timed = pool.with(within(deadline));
        let tasks: Vec<_> = (0..40)
            .map(|x| {
                let wait = |micros: u64| std::thread::sleep(Duration::from_micros(micros));
                (
                    timed.apply_async(wait, (x * 100 * times,)).unwrap(),
                    pool.apply_async(square, (x,)).unwrap(),
                )
            })
            .collect();
        for (x, (task, other)) in (0..).zip(tasks) {
            match task.get() {
                Ok(()) => done += 1,
                Err(error) if is_late(&error, deadline) => late += 1,
                Err(error) => panic!("{x}: {error:?}"),
            }
            assert_eq!(other.get(), Ok(x * x));
        }
    }
    println!("{done} done, {late} late");
}

/// One worker that is killed again and again, for tasks that it begins.
fn deaths_by_deadline_never_break_the_pool() {
    let pool = new_pool(1).unwrap();
    for _ in 0..40 {
        let late = pool.with(within(Duration::ZERO)).apply(hang, ());
        assert!(matches!(late, Err(SubmitError::Task(TaskError::DeadlineExceeded { .. }))), "{late:?}");
    }
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

fn a_stopped_worker_is_at_its_task() {
    let pool = new_pool(1).unwrap();
    let worker = pool.apply(std::process::id, ()).unwrap();
    let pidfd = mp_core::sys::poll::pidfd_open(worker).unwrap();
    assert!(stop_process(worker, pidfd.as_fd()));
    // It takes nothing until it goes on. What waits is not timed.
    let task = pool.with(within(SHORT)).apply_async(hang, ()).unwrap();
    assert_eq!(task.get_timeout(SHORT), Err(TaskError::Timeout));
    go_on_process(pidfd.as_fd());
    assert!(is_late(&task.get().unwrap_err(), SHORT));
    // And one that is stopped in the midst of it.
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let timed = pool.with(within(SHORT * 100));
    let task = || timed.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
    let (mut running, mut said) = (task(), None);
    while said.is_none() {
        // On a busy machine it may be over before it says anything.
        if running.ready() {
            running = task();
        }
        said = pids.get_timeout(SHORT).ok();
    }
    let worker = said.unwrap();
    if let Ok(pidfd) = mp_core::sys::poll::pidfd_open(worker) {
        stop_process(worker, pidfd.as_fd());
    }
    assert!(is_late(&running.get().unwrap_err(), SHORT * 100));
    assert_ne!(pool.apply(std::process::id, ()).unwrap(), worker);
}

fn a_deadline_beyond_the_clock_is_none() {
    let pool = new_pool(1).unwrap();
    for deadline in [Duration::MAX, Duration::from_secs(30 * 24 * 3600)] {
        assert_eq!(pool.with(within(deadline)).apply(square, (3,)).unwrap(), 9);
    }
}

fn hang_over(_bytes: Vec<u8>, handles: Vec<mp_core::transfer::Handle>) {
    hang();
    drop(handles);
}

fn arguments_that_go_by_message_are_timed() {
    let pool = new_pool(1).unwrap();
    let (end, _other) = mp_core::sys::fd::pipe().unwrap();
    let handles = vec![mp_core::transfer::Handle::new(end)];
    for handles in [handles, Vec::new()] {
        let bytes = vec![7; 20 << 20];
        let late = pool.with(within(SHORT * 20)).apply_async(hang_over, (bytes, handles)).unwrap().get();
        assert!(is_late(&late.unwrap_err(), SHORT * 20));
    }
}
