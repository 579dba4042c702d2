//! Whatever a task, a worker or an input does, every item has one end, and nothing hangs. For values: `values.rs`.

use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::Ended;
use mp_mock::{builder, fewer, new_pool};
use mp_pool::{AsyncResult, JoinPoolError, MapError, TaskError, with_state};
use mp_queue::Queue;
use mp_testing::{go_on_process, kill_if_it_lives, stop_process};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        two_hundred_of_two_thousand_tasks_abort,
        more_than_the_board_holds_is_fed_while_no_thread_waits,
        results_longer_than_was_guessed,
        chunks_where_files_may_not_be_long,
        an_input_of_unknown_length,
        what_waits_is_cancelled_and_not_begun,
        a_callback_may_drop_the_pool,
        results_are_asked_without_waiting,
    ],
    every_method: [
        results_that_are_never_read_hold_up_nothing,
        threads_submit_and_wait_at_once,
        an_input_that_panics,
        callbacks_are_called_and_may_panic,
        an_overflow_of_the_stack_is_the_tasks_end,
        long_values_go_by_message,
        handles_in_arguments_and_results,
        a_pool_in_a_pools_worker,
        a_stopped_worker_holds_up_its_own_task_alone,
        a_running_task_is_cancelled,
        workers_out_of_reach_are_not_waited_for,
        workers_out_of_reach_begin_nothing_more,
    ],
    mock: [
        results_longer_than_was_guessed,
        an_input_of_unknown_length,
        a_callback_may_drop_the_pool,
        results_that_are_never_read_hold_up_nothing,
        threads_submit_and_wait_at_once,
        an_input_that_panics,
        callbacks_are_called_and_may_panic,
        an_overflow_of_the_stack_is_the_tasks_end,
        a_pool_in_a_pools_worker,
    ],
}

fn square(x: u64) -> u64 {
    x * x
}

fn every_tenth_aborts(x: u64) -> u64 {
    if x % 10 == 3 {
        std::process::abort();
    }
    x * x
}

fn two_hundred_of_two_thousand_tasks_abort() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [Some(1), None] {
        let each = pool.map_in_chunks(every_tenth_aborts, 0..2000, chunk_size).unwrap().get_each();
        let mut pids = Vec::new();
        for (x, outcome) in (0..).zip(each) {
            match outcome {
                Ok(value) => assert!(value == x * x && x % 10 != 3),
                Err(TaskError::WorkerDied { pid, how: Some(Ended::Signaled(6)), .. }) => {
                    assert_eq!(x % 10, 3, "{x} was not the one");
                    pids.push(pid);
                }
                Err(other) => panic!("{x}: {other:?}"),
            }
        }
        assert_eq!(pids.len(), 200);
    }
}

/// The threads of the program's are elsewhere all the time.
fn more_than_the_board_holds_is_fed_while_no_thread_waits() {
    let pool = new_pool(2).unwrap();
    let done = Queue::new().unwrap();
    let results: Vec<AsyncResult<u64>> = (0..5000_u64)
        .map(|x| {
            pool.apply_async(
                |x: u64, done: Option<Queue<u64>>| {
                    if let Some(done) = done {
                        done.put(x).unwrap();
                    }
                    x * x
                },
                (x, (x == 4999).then(|| done.clone())),
            )
            .unwrap()
        })
        .collect();
    // Not by a wait for results, which would feed the board itself.
    assert_eq!(done.get().unwrap(), 4999);
    assert!((0..).zip(&results).all(|(x, result)| result.get() == Ok(x * x)));
}

fn results_that_are_never_read_hold_up_nothing() {
    let pool = new_pool(2).unwrap();
    for _ in 0..200 {
        drop(pool.apply_async(|| vec![7_u8; 100_000], ()).unwrap());
        drop(pool.map_async(square, 0..100).unwrap());
    }
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    pool.close();
    pool.join().unwrap();
}

/// Now and then one that is as long as a thousand others.
fn long_at_times(x: usize) -> Vec<u8> {
    vec![x as u8; if x % 97 == 5 { 300_000 + x } else { x % 50 }]
}

fn results_longer_than_was_guessed() {
    let pool = new_pool(2).unwrap();
    for chunk_size in [Some(1), Some(64), None] {
        let values = pool.map_in_chunks(long_at_times, 0..700, chunk_size).unwrap().get().unwrap();
        assert!((0..).zip(values).all(|(x, value)| value == long_at_times(x)));
    }
}

/// The limit leaves no arena, or a small one: items go one by one where a chunk does not fit.
fn chunks_where_files_may_not_be_long() {
    for limit in [1 << 20, 800 << 10, 400 << 10, 200 << 10] {
        setrlimit(Resource::RLIMIT_FSIZE, limit, RLIM_INFINITY).unwrap();
        let pool = new_pool(2).unwrap();
        assert!(pool.map(square, 0..700).unwrap().into_iter().eq((0..700).map(square)));
        let texts: Vec<Vec<u8>> = (0..200_usize).map(|x| vec![x as u8; 10 * x]).collect();
        assert!(pool.map_in_chunks(same, texts.clone(), Some(50)).unwrap().get().unwrap() == texts);
    }
}

fn an_input_of_unknown_length() {
    let pool = new_pool(2).unwrap();
    let even = || (0..20_000_u64).filter(|x| x % 2 == 0);
    assert!(pool.map(square, even()).unwrap().into_iter().eq(even().map(square)));
    assert!(pool.map_async(square, even()).unwrap().get().unwrap().into_iter().eq(even().map(square)));
}

fn threads_submit_and_wait_at_once() {
    let pool = new_pool(2).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..fewer(30) {
                    let x = 100 * thread + round;
                    assert_eq!(pool.apply(square, (x,)).unwrap(), x * x);
                    let later = pool.map_in_chunks(square, x..x + 300, Some(1)).unwrap();
                    assert_eq!(pool.apply(square, (x + 1,)).unwrap(), (x + 1) * (x + 1));
                    assert!(later.get().unwrap().into_iter().zip(x..).all(|(value, x)| value == x * x));
                }
            });
        }
    });
}

fn an_input_that_panics() {
    let pool = new_pool(2).unwrap();
    let input = || (0..1000).inspect(|x| assert_ne!(*x, 700, "a deliberate panic"));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.map(square, input()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| pool.map_async(square, input()).is_ok())).is_err());
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    pool.close();
    pool.join().unwrap();
}

fn deep(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 64]);
    if depth == 0 { here[0] } else { deep(depth - 1) + here[1] }
}

fn an_overflow_of_the_stack_is_the_tasks_end() {
    let pool = new_pool(2).unwrap();
    let each = pool.map_each(deep, [1, 1 << 40, 2]).unwrap();
    assert!(each[0].is_ok() && each[2].is_ok());
    assert!(
        matches!(each[1], Err(TaskError::WorkerDied { how: Some(Ended::Signaled(_)), .. })),
        "{:?}",
        each[1]
    );
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// Longer than a block of shared memory may be; `MP_LONG` MiB.
fn long_values_go_by_message() {
    let mebibytes = std::env::var("MP_LONG").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let pool = new_pool(2).unwrap();
    let long = vec![7_u8; mebibytes << 20];
    let under_way = pool.apply_async(same, (long.clone(),)).unwrap();
    assert_eq!(pool.map(square, 0..100).unwrap().len(), 100);
    assert!(under_way.get().unwrap() == long);
    // And one that becomes long only there.
    let length = pool.apply(|length: usize| vec![7_u8; length], (long.len(),)).unwrap().len();
    assert_eq!(length, long.len());
}

fn pass_on(queue: Queue<u32>, number: u32) -> (Queue<u32>, u32) {
    queue.put(number).unwrap();
    (queue, number)
}

fn handles_in_arguments_and_results() {
    let pool = new_pool(2).unwrap();
    let queue = Queue::new().unwrap();
    let results = pool.starmap(pass_on, (0..40).map(|number| (queue.clone(), number))).unwrap();
    for (expected, (returned, number)) in (0..).zip(results) {
        assert_eq!(number, expected);
        returned.put(100).unwrap();
    }
    let mut all: Vec<u32> = (0..80).map(|_| queue.get().unwrap()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq((0..40).chain([100; 40])));
}

fn by_a_pool_of_its_own(up_to: u64) -> Vec<u64> {
    new_pool(2).unwrap().map(square, 0..up_to).unwrap()
}

fn a_pool_in_a_pools_worker() {
    let pool = new_pool(2).unwrap();
    let values = pool.map(by_a_pool_of_its_own, [3, 4]).unwrap();
    assert_eq!(values, [vec![0, 1, 4], vec![0, 1, 4, 9]]);
}

fn say_pid_and_wait(pids: Queue<u32>, go: Queue<u32>) -> u32 {
    pids.put(std::process::id()).unwrap();
    go.get().unwrap()
}

/// At work, and asleep.
fn a_stopped_worker_holds_up_its_own_task_alone() {
    let pool = new_pool(3).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let held_up = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
    let busy = pids.get().unwrap();
    let idle = pool.worker_pids().into_iter().find(|pid| *pid != busy).unwrap();
    let pidfds = [busy, idle].map(|pid| (pid, pidfd_open(pid).unwrap()));
    pidfds.iter().for_each(|(pid, pidfd)| assert!(stop_process(*pid, pidfd.as_fd())));
    go.put(5).unwrap();
    for _ in 0..20 {
        assert_eq!(pool.map_in_chunks(square, 0..50, Some(1)).unwrap().get().unwrap().len(), 50);
        assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    }
    assert!(!held_up.ready());
    pidfds.iter().for_each(|(_, pidfd)| go_on_process(pidfd.as_fd()));
    assert_eq!(held_up.get(), Ok(5));
}

fn a_running_task_is_cancelled() {
    let pool = new_pool(2).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    for _ in 0..3 {
        let running = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
        let other = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
        let (_, _) = (pids.get().unwrap(), pids.get().unwrap());
        running.cancel();
        assert_eq!(running.get(), Err(TaskError::Cancelled));
        // The other one's worker goes on; the dead one's place is taken.
        go.put(5).unwrap();
        assert_eq!(other.get(), Ok(5));
    }
    let done = pool.apply_async(square, (3,)).unwrap();
    assert_eq!(done.get(), Ok(9));
    done.cancel();
    assert_eq!(done.get(), Ok(9));
}

fn what_waits_is_cancelled_and_not_begun() {
    let pool = new_pool(1).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let first = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
    let worker = pids.get().unwrap();
    // On the board, and behind it.
    let waiting: Vec<_> =
        (0..1500).map(|_| pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap()).collect();
    waiting.iter().for_each(AsyncResult::cancel);
    assert!(waiting.iter().all(|result| result.get() == Err(TaskError::Cancelled)));
    go.put(5).unwrap();
    assert_eq!(first.get(), Ok(5));
    assert!(pids.try_get().is_err(), "none of them was begun");
    assert_eq!(pool.apply(std::process::id, ()).unwrap(), worker);
    kill_if_it_lives(worker);
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

/// Also while no thread waits for results, and before the pool is joined.
fn callbacks_are_called_and_may_panic() {
    let pool = new_pool(2).unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    let say = || said.clone();
    let (one, two, three) = (say(), say(), say());
    let result = pool.apply_async(square, (3,)).unwrap();
    result.call_back(|_| panic!("a deliberate panic"));
    result.call_back(move |value| one.send(format!("{value:?}")).unwrap());
    assert_eq!(heard.recv().unwrap(), "Ok(9)");
    let failing = pool.map_async(every_tenth_aborts, 0..10).unwrap();
    failing.call_back(move |values| two.send(values.unwrap_err().to_string()).unwrap());
    assert!(heard.recv().unwrap().starts_with("item 3: worker PoolWorker-"));
    // One that has ended already, and one that ends when the pool is joined.
    result.call_back(move |value| three.send(format!("again {value:?}")).unwrap());
    assert_eq!(heard.recv().unwrap(), "again Ok(9)");
    let last = say();
    pool.map_async(square, 0..2000)
        .unwrap()
        .call_back(move |values| last.send(format!("{}", values.unwrap().len())).unwrap());
    pool.close();
    pool.join().unwrap();
    assert_eq!(heard.try_recv().unwrap(), "2000");
    // The pool has no thread any more.
    let late = say();
    result.call_back(move |value| late.send(format!("late {value:?}")).unwrap());
    assert_eq!(heard.recv().unwrap(), "late Ok(9)");
    result.call_back(|_| panic!("a deliberate panic"));
}

fn a_callback_may_drop_the_pool() {
    let pool = new_pool(2).unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    let result = pool.apply_async(square, (3,)).unwrap();
    result.call_back(move |value| {
        drop(pool);
        said.send(value).unwrap();
    });
    assert_eq!(heard.recv().unwrap(), Ok(9));
}

fn results_are_asked_without_waiting() {
    let pool = new_pool(2).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let result = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
    pids.get().unwrap();
    assert_eq!(
        (result.try_get(), result.successful(), result.ready()),
        (Err(TaskError::WouldBlock), None, false)
    );
    assert_eq!(result.get_timeout(Duration::from_millis(1)), Err(TaskError::Timeout));
    let waiting = pool.starmap_async(say_pid_and_wait, [(pids.clone(), go.clone())]).unwrap();
    pids.get().unwrap();
    assert_eq!((waiting.try_get(), waiting.successful()), (Err(MapError::WouldBlock), None));
    assert_eq!(waiting.get_timeout(Duration::from_millis(1)), Err(MapError::Timeout));
    pool.close();
    assert_eq!(pool.try_join(), Err(JoinPoolError::WouldBlock));
    assert_eq!(pool.join_timeout(Duration::from_millis(1)), Err(JoinPoolError::Timeout));
    go.put_many([5, 5]).unwrap();
    result.wait();
    assert_eq!((result.try_get(), result.successful()), (Ok(5), Some(true)));
    assert_eq!(waiting.get_timeout(Duration::from_secs(60)), Ok(vec![5]));
    assert_eq!(waiting.try_get(), Ok(vec![5]));
    pool.join_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(pool.try_join(), Ok(()));
    let pool = new_pool(2).unwrap();
    let many = pool.map_async(every_tenth_aborts, 0..10).unwrap();
    many.wait();
    assert_eq!(many.successful(), Some(false));
}

/// A process that has given up its rights may not signal the workers that it started before.
fn give_up_rights() {
    let user = nix::unistd::Uid::from_raw(65534);
    if nix::unistd::setresuid(user, user, user).is_err() {
        mp_testing::not_here("only root can give up its rights");
    }
}

fn queues(pids: Queue<u32>, go: Queue<u32>) -> (Queue<u32>, Queue<u32>) {
    (pids, go)
}

/// Its arguments are in shared memory.
fn say_and_wait((pids, go): &mut (Queue<u32>, Queue<u32>), x: u32) -> u32 {
    pids.put(x).unwrap();
    go.get().unwrap()
}

fn workers_out_of_reach_begin_nothing_more() {
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let builder = builder().processes(1);
    let pool = builder.initializer_value(queues, (pids.clone(), go.clone())).build().unwrap();
    let [stays, waits] = [0, 1].map(|x| pool.apply_async(with_state(say_and_wait), (x,)).unwrap());
    pids.get().unwrap();
    give_up_rights();
    pool.terminate();
    assert!(matches!(stays.get(), Err(TaskError::Terminated)));
    assert!(matches!(waits.get(), Err(TaskError::Terminated)));
    // It ends after its task, and begins no other one.
    go.put_many([5, 5]).unwrap();
    while !pool.worker_pids().is_empty() {
        std::thread::yield_now();
    }
    assert!(pids.try_get().is_err());
    pool.join().unwrap();
}

fn workers_out_of_reach_are_not_waited_for() {
    let pool = new_pool(2).unwrap();
    let (pids, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let stays = pool.apply_async(say_pid_and_wait, (pids.clone(), go.clone())).unwrap();
    pids.get().unwrap();
    give_up_rights();
    pool.terminate();
    assert!(matches!(stays.get(), Err(TaskError::Terminated)));
    pool.join().unwrap();
}
