//! Mirrors CPython's `test_concurrent_futures` for `ProcessPoolExecutor`: submit, map, shutdown, cancel; and what
//! breaks that executor: workers that are killed.

use mp_core::active_children;
use mp_core::sys::process::Ended;
use mp_mock::{builder, fewer, new_executor};
use mp_pool::futures::{Future, Pending};
use mp_pool::{ImapOptions, JoinPoolError, ProcessPoolExecutor, SubmitError, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::{kill_if_it_lives, while_killing};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        wrong_numbers_are_refused,
        a_full_executor_holds_back_what_is_submitted,
        threads_submit_to_one_executor,
        dropped_it_does_what_it_has,
        a_panic_kills_the_workers,
        a_cancelled_running_task_harms_no_other,
        every_future_has_one_end_whichever_worker_is_killed,
        tasks_after_many_cancelled_ones_are_done,
    ],
    every_method: [
        futures_give_values_and_errors,
        a_killed_worker_costs_one_future,
        what_has_not_begun_is_cancelled,
        a_running_task_is_killed_alone,
        map_gives_the_values_in_order,
        shutting_down_finishes_or_cancels,
        workers_are_terminated,
        workers_are_killed,
        callbacks_are_called_before_the_end_of_a_shutdown,
    ],
    mock: [
        threads_submit_to_one_executor,
        dropped_it_does_what_it_has,
        every_future_has_one_end_whichever_worker_is_killed,
        map_gives_the_values_in_order,
        callbacks_are_called_before_the_end_of_a_shutdown,
    ],
}

const HOUR: Duration = Duration::from_secs(3600);

fn square(x: u64) -> u64 {
    x * x
}

/// Says its worker, and waits.
fn say_and_wait(said: Queue<u32>, gate: Queue<()>) -> u32 {
    said.put(std::process::id()).unwrap();
    gate.get().unwrap();
    7
}

struct Gate {
    said: Queue<u32>,
    gate: Queue<()>,
}

impl Gate {
    fn new() -> Gate {
        Gate { said: Queue::new().unwrap(), gate: Queue::new().unwrap() }
    }

    fn submit(&self, executor: &ProcessPoolExecutor) -> Future<u32> {
        executor.submit(say_and_wait, (self.said.clone(), self.gate.clone())).unwrap()
    }

    /// The worker of a task that has begun.
    fn begun(&self) -> u32 {
        self.said.get().unwrap()
    }

    fn open(&self) {
        self.gate.put(()).unwrap();
    }
}

fn wrong_numbers_are_refused() {
    assert!(new_executor(0).is_err());
    assert!(builder().max_tasks_per_child(0).build_executor().is_err());
}

fn futures_give_values_and_errors() {
    let executor = new_executor(2).unwrap();
    let future = executor.submit(square, (12,)).unwrap();
    let other = future.clone();
    assert_eq!(other.exception(), None);
    assert_eq!(future.result(), Ok(144));
    assert!(future.done() && !future.running() && !future.cancelled() && !future.cancel());
    // The value is given once, and an error to each that asks.
    assert_eq!((other.result(), other.try_result()), (Err(TaskError::Taken), Err(TaskError::Taken)));
    let failed = executor.submit(|| assert_eq!(1, 2, "a deliberate panic"), ()).unwrap();
    for _ in 0..2 {
        assert!(matches!(failed.result(), Err(TaskError::Panicked { .. })));
        assert!(matches!(failed.exception(), Some(TaskError::Panicked { .. })));
    }
    let gate = Gate::new();
    let waiting = gate.submit(&executor);
    gate.begun();
    assert!(waiting.running() && !waiting.done() && !waiting.cancelled());
    assert_eq!(waiting.try_result(), Err(TaskError::WouldBlock));
    assert_eq!(waiting.result_timeout(Duration::from_millis(2)), Err(TaskError::Timeout));
    assert!(!waiting.wait_timeout(Duration::from_millis(2)));
    gate.open();
    assert!(waiting.wait_timeout(HOUR));
    assert_eq!(waiting.result_timeout(HOUR), Ok(7));
    assert_eq!(executor.max_workers(), 2);
}

/// In CPython the others fail too, and the executor is broken.
fn a_killed_worker_costs_one_future() {
    let executor = new_executor(2).unwrap();
    let (doomed, safe) = (Gate::new(), Gate::new());
    for _ in 0..3 {
        let killed = doomed.submit(&executor);
        let pid = doomed.begun();
        let running = safe.submit(&executor);
        safe.begun();
        let waiting: Vec<_> = (0..20).map(|x| executor.submit(square, (x,)).unwrap()).collect();
        kill_if_it_lives(pid);
        match killed.result() {
            Err(TaskError::WorkerDied { how: Some(Ended::Signaled(9)), pid: died, .. }) => {
                assert_eq!(died, pid)
            }
            other => panic!("{other:?}"),
        }
        safe.open();
        assert_eq!(running.result(), Ok(7));
        for (x, future) in (0..).zip(waiting) {
            assert_eq!(future.result(), Ok(x * x));
        }
    }
}

fn what_has_not_begun_is_cancelled() {
    let executor = new_executor(1).unwrap();
    let gate = Gate::new();
    let running = gate.submit(&executor);
    gate.begun();
    let pending: Vec<_> = (0..5).map(|_| gate.submit(&executor)).collect();
    assert!(pending.iter().all(|future| !future.running() && !future.done()));
    assert!(pending.iter().all(Future::cancel) && pending.iter().all(Future::cancel));
    assert!(pending.iter().all(|future| future.cancelled() && future.done() && !future.running()));
    assert_eq!(pending[0].result(), Err(TaskError::Cancelled));
    assert_eq!(pending[1].exception(), Some(TaskError::Cancelled));
    // One that runs is not.
    assert!(!running.cancel() && running.running());
    gate.open();
    assert_eq!(running.result(), Ok(7));
    assert_eq!(executor.submit(square, (3,)).unwrap().result(), Ok(9));
    assert!(gate.said.try_get().is_err(), "a cancelled task was begun");
}

fn a_running_task_is_killed_alone() {
    let executor = new_executor(2).unwrap();
    let (doomed, safe) = (Gate::new(), Gate::new());
    let (killed, running) = (doomed.submit(&executor), safe.submit(&executor));
    let (pid, other) = (doomed.begun(), safe.begun());
    let pending = doomed.submit(&executor);
    pending.kill();
    killed.kill();
    assert_eq!((killed.result(), pending.result()), (Err(TaskError::Cancelled), Err(TaskError::Cancelled)));
    assert!(killed.cancelled());
    safe.open();
    assert_eq!(running.result(), Ok(7));
    // The next one does not run in the process that was killed.
    let next = safe.submit(&executor);
    let worker = safe.begun();
    assert!(worker == other || worker != pid);
    // One that is done stays done.
    safe.open();
    next.wait();
    next.kill();
    assert_eq!(next.result(), Ok(7));
}

/// 200 cancellations of running tasks: 200 ended so, and 0 of the others.
fn a_cancelled_running_task_harms_no_other() {
    let executor = new_executor(4).unwrap();
    let gate = Gate::new();
    for _ in 0..200 {
        let doomed = gate.submit(&executor);
        gate.begun();
        let others: Vec<_> = (0..8).map(|x| executor.submit(square, (x,)).unwrap()).collect();
        doomed.kill();
        assert_eq!(doomed.result(), Err(TaskError::Cancelled));
        for (x, other) in (0..).zip(others) {
            assert_eq!(other.result(), Ok(square(x)));
        }
    }
}

fn map_gives_the_values_in_order() {
    let executor = new_executor(2).unwrap();
    let squares: Vec<u64> = (0..100).map(square).collect();
    assert!(executor.map(square, 0..100).unwrap().map(Result::unwrap).eq(squares.iter().copied()));
    let options = ImapOptions::new().chunk_size(7).look_ahead(20);
    assert!(executor.map_with(square, 0..100, options).unwrap().map(Result::unwrap).eq(squares));
    let options = ImapOptions::new().chunk_size(0);
    assert!(matches!(executor.map_with(square, 0..100, options), Err(SubmitError::ChunkSize)));
}

/// The tasks of one worker wait, and more than its memory holds.
fn a_full_executor_holds_back_what_is_submitted() {
    let executor = new_executor(1).unwrap();
    let gate = Gate::new();
    let first = gate.submit(&executor);
    gate.begun();
    let mut futures = Vec::new();
    let refused = loop {
        match executor.try_submit(square, (futures.len() as u64,)) {
            Ok(future) => futures.push(future),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::WouldBlock), "{refused:?}");
    assert!((1000..1100).contains(&futures.len()), "{}", futures.len());
    let late = executor.submit_timeout(square, (3,), Duration::from_millis(2));
    assert!(matches!(late, Err(SubmitError::Timeout)));
    std::thread::scope(|scope| {
        let held_back = scope.spawn(|| executor.submit(square, (11,)).unwrap().result());
        gate.open();
        assert_eq!(held_back.join().unwrap(), Ok(121));
    });
    assert_eq!(first.result(), Ok(7));
    for (x, future) in (0..).zip(futures) {
        assert_eq!(future.result(), Ok(square(x)));
    }
    assert_eq!(executor.submit_timeout(square, (3,), HOUR).unwrap().result(), Ok(9));
}

fn threads_submit_to_one_executor() {
    let executor = new_executor(3).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let executor = &executor;
            scope.spawn(move || {
                for round in 0..fewer(20) {
                    let items = (0..100).map(|x| thread * 10_000 + round * 100 + x);
                    let futures: Vec<_> =
                        items.clone().map(|x| executor.submit(square, (x,)).unwrap()).collect();
                    for (x, future) in items.zip(futures) {
                        assert_eq!(future.result(), Ok(square(x)));
                    }
                }
            });
        }
    });
}

fn shutting_down_finishes_or_cancels() {
    let executor = new_executor(2).unwrap();
    let futures: Vec<_> = (0..300).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    executor.shutdown(Pending::Finish);
    assert!(active_children().is_empty());
    for (x, future) in (0..).zip(&futures) {
        assert_eq!(future.try_result(), Ok(x * x));
    }
    assert!(matches!(executor.submit(square, (2,)), Err(SubmitError::Closed)));
    assert!(matches!(executor.map(square, 0..2), Err(SubmitError::Closed)));
    executor.shutdown(Pending::Cancel);

    let executor = new_executor(1).unwrap();
    let gate = Gate::new();
    let running = gate.submit(&executor);
    gate.begun();
    let pending: Vec<_> = (0..50).map(|_| gate.submit(&executor)).collect();
    assert_eq!(
        executor.shutdown_timeout(Pending::Finish, Duration::from_millis(2)),
        Err(JoinPoolError::Timeout)
    );
    executor.begin_shutdown(Pending::Cancel);
    assert!(pending.iter().all(Future::cancelled));
    assert!(running.running());
    gate.open();
    executor.shutdown_timeout(Pending::Cancel, HOUR).unwrap();
    assert_eq!(running.try_result(), Ok(7));
    assert!(active_children().is_empty());
}

/// Two workers at work, and twenty tasks that have not begun.
fn busy(gate: &Gate) -> (ProcessPoolExecutor, [Future<u32>; 2], Vec<Future<u32>>) {
    let executor = new_executor(2).unwrap();
    let running = [gate.submit(&executor), gate.submit(&executor)];
    gate.begun();
    gate.begun();
    let pending = (0..20).map(|_| gate.submit(&executor)).collect();
    (executor, running, pending)
}

/// Whatever their worker was at: the task that ran dies by SIGTERM, and no other one begins.
fn workers_are_terminated() {
    let gate = Gate::new();
    let (executor, running, pending) = busy(&gate);
    executor.terminate_workers();
    assert!(matches!(executor.submit(square, (2,)), Err(SubmitError::Closed)));
    for future in running {
        let ended = future.result();
        assert!(
            matches!(ended, Err(TaskError::WorkerDied { how: Some(Ended::Signaled(15)), .. })),
            "{ended:?}"
        );
    }
    assert!(pending.iter().all(Future::cancelled));
    executor.shutdown(Pending::Finish);
    assert!(active_children().is_empty() && gate.said.try_get().is_err());
}

fn workers_are_killed() {
    let gate = Gate::new();
    let (executor, running, pending) = busy(&gate);
    executor.kill_workers();
    assert!(running.iter().all(|future| future.try_result() == Err(TaskError::Terminated)));
    assert!(pending.iter().all(Future::cancelled));
    executor.shutdown(Pending::Finish);
    assert!(active_children().is_empty() && gate.said.try_get().is_err());
}

fn callbacks_are_called_before_the_end_of_a_shutdown() {
    let executor = new_executor(2).unwrap();
    let (tell, told) = mpsc::channel();
    let futures: Vec<_> = (0..200).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    for (x, future) in (0_u64..).zip(&futures) {
        let tell = tell.clone();
        future.add_done_callback(move |future| {
            assert!(future.done());
            tell.send((x, future.result())).unwrap();
            assert!(x % 50 != 7, "a deliberate panic");
        });
    }
    executor.shutdown(Pending::Finish);
    let mut each: Vec<_> = told.try_iter().collect();
    each.sort_unstable_by_key(|(x, _)| *x);
    assert!(each.into_iter().eq((0..200).map(|x| (x, Ok(square(x))))));
    // One that comes late is called, too, by the thread of an executor that lives.
    let executor = new_executor(1).unwrap();
    let future = executor.submit(square, (5,)).unwrap();
    future.wait();
    future.add_done_callback(move |future| tell.send((0, future.result())).unwrap());
    assert_eq!(told.recv().unwrap(), (0, Ok(25)));
}

fn dropped_it_does_what_it_has() {
    let executor = new_executor(2).unwrap();
    let futures: Vec<_> = (0..100).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    drop(executor);
    assert!((0..).zip(futures).all(|(x, future)| future.try_result() == Ok(square(x))));
    assert!(active_children().is_empty());
}

fn a_panic_kills_the_workers() {
    let mut left = None;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let executor = new_executor(1).unwrap();
        let gate = Gate::new();
        left = Some(gate.submit(&executor));
        gate.begun();
        panic!("a deliberate panic");
    }));
    assert!(panicked.is_err() && active_children().is_empty());
    assert_eq!(left.unwrap().try_result(), Err(TaskError::Terminated));
}

/// Futures that are waited for, awaited by callbacks, cancelled and killed, while workers die. `MP_KILLS=5000` sets the
/// number.
fn every_future_has_one_end_whichever_worker_is_killed() {
    let wanted = mp_testing::kills(fewer(200) as u32) as usize;
    let executor = new_executor(4).unwrap();
    let (mut done, mut died, mut cancelled) = (0, 0, 0);
    let pids = || executor.worker_pids();
    while_killing(wanted, Duration::from_micros(3000), pids, || {
        let (tell, told) = mpsc::channel();
        let futures: Vec<_> = (0..500).map(|x| executor.submit(square, (x,)).unwrap()).collect();
        for future in &futures {
            let tell = tell.clone();
            future.add_done_callback(move |_| tell.send(()).unwrap());
        }
        for (x, future) in (0..).zip(&futures) {
            match x % 5 {
                0 => drop(future.cancel()),
                1 if x % 4 == 0 => future.kill(),
                _ => {}
            }
        }
        for (x, future) in (0..).zip(futures) {
            match future.result() {
                Ok(value) => assert_eq!(value, square(x)),
                Err(TaskError::Cancelled) => assert!(x % 5 < 2, "{x}"),
                Err(TaskError::WorkerDied { .. }) => died += 1,
                Err(other) => panic!("{x}: {other:?}"),
            }
            cancelled += usize::from(future.cancelled());
            done += 1;
        }
        (0..500).for_each(|_| told.recv().unwrap());
    });
    println!("killed {wanted}: {done} futures, {died} died, {cancelled} cancelled");
}

fn wait_at(gate: Queue<()>) {
    gate.get().unwrap();
}

/// The lane is full of hints to them, and the worker that passes these finishes nothing.
fn tasks_after_many_cancelled_ones_are_done() {
    for priority in [0, 1] {
        let gate = Queue::new().unwrap();
        let builder = builder().processes(1).initializer(wait_at, (gate.clone(),));
        let executor = builder.build_executor().unwrap();
        let tasks = executor.with(TaskOptions::new().priority(priority));
        for x in 0..5000 {
            assert!(tasks.submit(square, (x,)).unwrap().cancel());
        }
        let future = tasks.submit(square, (7,)).unwrap();
        gate.put(()).unwrap();
        assert_eq!(future.result().unwrap(), 49);
    }
}
