//! Mirrors CPython's `_TestPool` for `ThreadPool`, and `test_concurrent_futures` for `ThreadPoolExecutor`.

mod begun;

use begun::begun;
use mp_pool::futures::{Future, Pending, ReturnWhen, as_completed, wait};
use mp_pool::{
    GenerateOptions, Generated, ImapOptions, JoinPoolError, MapError, SubmitError, TaskError, ThreadPool,
    ThreadPoolExecutor, YieldError, Yielder,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock, mpsc};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        calls_give_values_in_order,
        closures_capture_and_values_need_not_be_serialisable,
        a_panic_is_one_items_error,
        streams_are_bounded_and_ordered,
        an_input_that_panics_gives_the_items_before_it_first,
        results_come_as_they_are_done,
        a_dropped_stream_begins_nothing_more,
        a_late_result_is_not_lost,
        closing_joining_and_terminating,
        so_many_threads_as_were_asked_for,
        a_panicking_initializer_breaks_the_pool,
        futures_are_cancelled_before_they_begin,
        a_full_executor_holds_back_what_is_submitted,
        shutting_down_finishes_or_cancels,
        callbacks_are_called_and_may_panic,
        futures_of_threads_and_processes_are_waited_for_together,
        a_future_is_awaited,
        dropped_it_does_what_it_has,
        a_task_may_be_the_last_to_hold_its_pool,
        panics_of_several_threads_at_once_have_their_place,
        tasks_may_wait_for_the_end_of_their_pool_at_once,
        tasks_may_shut_their_executor_down_at_once,
        a_state_may_wait_for_the_end_of_its_pool_when_it_is_dropped,
        a_task_that_waits_for_the_end_hides_no_values_that_are_not_taken,
        a_task_may_submit_more_than_its_executor_holds,
    ],
}

const HOUR: Duration = Duration::from_secs(3600);

fn square(x: u64) -> u64 {
    x * x
}

fn calls_give_values_in_order() {
    let pool = ThreadPool::new(4).unwrap();
    let squares: Vec<u64> = (0..100).map(square).collect();
    assert_eq!(pool.map(square, 0..100).unwrap(), squares);
    assert_eq!(pool.map(square, []).unwrap(), []);
    assert_eq!(pool.map_async(square, 0..100).unwrap().get().unwrap(), squares);
    let add = |a: u64, b: u64| a + b;
    assert_eq!(pool.starmap(add, (0..50).map(|x| (x, 2 * x))).unwrap()[49], 147);
    assert_eq!(pool.starmap_async(add, [(1, 2)]).unwrap().get(), Ok(vec![3]));
    assert_eq!((pool.apply(square, (5,)).unwrap(), pool.apply(|| 7, ()).unwrap()), (25, 7));
    assert_eq!(pool.apply_async(add, (2, 3)).unwrap().get(), Ok(5));
    assert_eq!(pool.threads(), 4);
    for threads in [0, 5000] {
        assert!(ThreadPool::new(threads).is_err() && ThreadPoolExecutor::new(threads).is_err());
    }
}

/// No serde anywhere.
struct Plain(String);

fn closures_capture_and_values_need_not_be_serialisable() {
    let pool = ThreadPool::new(2).unwrap();
    let texts = Arc::new(vec!["a".to_owned(), "bc".to_owned()]);
    let shared = Arc::clone(&texts);
    let plain = pool.map(move |at: usize| Plain(shared[at].repeat(2)), 0..2).unwrap();
    assert_eq!(plain.into_iter().map(|plain| plain.0).collect::<Vec<_>>(), ["aa", "bcbc"]);
    // One that is called once may give away what it captured.
    let moved = texts[1].clone();
    assert_eq!(pool.apply(move || moved, ()).unwrap(), "bc");
}

fn a_panic_is_one_items_error() {
    let pool = ThreadPool::builder().threads(2).name("Weaver").build().unwrap();
    let fails = |x: u32| {
        assert_ne!(x, 37, "no {x}");
        x
    };
    let each = pool.map_each(fails, 0..100).unwrap();
    assert_eq!(each.len(), 100);
    for (x, outcome) in (0..).zip(each) {
        match outcome {
            Err(TaskError::Panicked { message, location, worker }) => {
                assert!(
                    x == 37 && message.contains("no 37") && worker.starts_with("Weaver-"),
                    "{x} {message}"
                );
                assert!(location.starts_with("mp-pool/tests/threads.rs:"), "{location}");
            }
            outcome => assert_eq!(outcome, Ok(x)),
        }
    }
    match pool.map(fails, 0..100) {
        Err(SubmitError::Map(MapError::Item { index, .. })) => assert_eq!(index, 37),
        other => panic!("{other:?}"),
    }
    let stream: Vec<_> = pool.imap(fails, 30..40).unwrap().collect();
    assert_eq!(stream.iter().position(Result::is_err), Some(7));
    let future = pool.apply_async(|| panic!("a deliberate panic"), ()).unwrap();
    for _ in 0..2 {
        assert!(matches!(future.get(), Err(TaskError::Panicked { .. })));
    }
    // The threads live.
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
}

fn streams_are_bounded_and_ordered() {
    let pool = ThreadPool::new(3).unwrap();
    for (chunk_size, look_ahead) in [(1, 1), (1, 10), (4, 10), (64, 640), (10, 4)] {
        let options = ImapOptions::new().chunk_size(chunk_size).look_ahead(look_ahead);
        let read = Cell::new(0);
        let mut stream =
            pool.imap_with(square, (0..).inspect(|_| read.set(read.get() + 1)), options).unwrap();
        for x in 0..2000 {
            assert_eq!(stream.next(), Some(Ok(square(x))));
            assert!(read.get() <= x + 1 + look_ahead as u64);
        }
        let unordered = pool.imap_unordered_with(square, 0..1000, options).unwrap();
        let mut each: Vec<u64> = unordered.map(Result::unwrap).collect();
        each.sort_unstable();
        assert!(each.into_iter().eq((0..1000).map(square)));
    }
    let zero = ImapOptions::new().look_ahead(0);
    assert!(matches!(pool.imap_with(square, 0..3, zero), Err(SubmitError::ChunkSize)));
}

fn an_input_that_panics_gives_the_items_before_it_first() {
    let pool = ThreadPool::new(2).unwrap();
    let input = (0..).inspect(|x| assert!(*x < 300, "the input ends badly"));
    let options = ImapOptions::new().chunk_size(7);
    let (mut stream, mut given) = (pool.imap_with(square, input, options).unwrap(), Vec::new());
    let panicked = catch_unwind(AssertUnwindSafe(|| given.extend(stream.by_ref().map(Result::unwrap))));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"the input ends badly"));
    assert!(given.into_iter().eq((0..300).map(square)));
    assert_eq!(stream.next(), None);
}

/// The first one waits until all others were given.
fn results_come_as_they_are_done() {
    let pool = ThreadPool::new(2).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let wait_at_0 = move |x: u64| {
        if x == 0 {
            gate.lock().unwrap().recv().unwrap();
        }
        x
    };
    let mut stream = pool.imap_unordered(wait_at_0, 0..500).unwrap();
    let others: u64 = stream.by_ref().take(499).map(Result::unwrap).sum();
    open.send(()).unwrap();
    assert_eq!((others, stream.next(), stream.next()), ((1..500).sum(), Some(Ok(0)), None));
}

fn a_dropped_stream_begins_nothing_more() {
    let pool = ThreadPool::new(1).unwrap();
    let (begun, counted) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(2)));
    let (count, meet) = (Arc::clone(&begun), Arc::clone(&counted));
    let stream = pool.imap(
        move |_: u64| {
            count.fetch_add(1, Ordering::SeqCst);
            meet.wait();
            meet.wait();
        },
        0..,
    );
    counted.wait();
    drop(stream);
    counted.wait();
    pool.apply(|| (), ()).unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

fn a_late_result_is_not_lost() {
    let pool = ThreadPool::new(1).unwrap();
    for unordered in [false, true] {
        let (open, gate) = mpsc::channel::<()>();
        let gate = std::sync::Mutex::new(gate);
        let function = move |x: u64| {
            gate.lock().unwrap().recv().unwrap();
            x
        };
        let mut stream =
            if unordered { pool.imap_unordered(function, 0..3) } else { pool.imap(function, 0..3) }.unwrap();
        for x in 0..3 {
            assert_eq!(stream.try_next(), Some(Err(TaskError::WouldBlock)));
            assert_eq!(stream.next_timeout(Duration::from_millis(2)), Some(Err(TaskError::Timeout)));
            open.send(()).unwrap();
            assert_eq!(stream.next_timeout(HOUR), Some(Ok(x)));
        }
        assert_eq!((stream.try_next(), stream.next_timeout(HOUR)), (None, None));
    }
}

fn closing_joining_and_terminating() {
    let pool = ThreadPool::new(2).unwrap();
    assert_eq!(pool.join(), Err(JoinPoolError::StillRunning));
    let results: Vec<_> = (0..100).map(|x| pool.apply_async(square, (x,)).unwrap()).collect();
    let mut stream = pool.imap_with(square, 0.., ImapOptions::new().look_ahead(10)).unwrap();
    pool.close();
    assert!(matches!(pool.map(square, 0..3), Err(SubmitError::Closed)));
    pool.join().unwrap();
    assert_eq!((pool.join(), pool.try_join()), (Ok(()), Ok(())));
    assert!((0..).zip(results).all(|(x, result)| result.try_get() == Ok(square(x))));
    assert_eq!(stream.find_map(Result::err), Some(TaskError::Closed));

    let pool = ThreadPool::new(1).unwrap();
    let (open, gate) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<()>();
    let wait = move || {
        tell.send(()).unwrap();
        gate.recv().unwrap();
    };
    let running = pool.apply_async(wait, ()).unwrap();
    told.recv().unwrap();
    let waiting = pool.apply_async(square, (3,)).unwrap();
    pool.terminate();
    assert_eq!(waiting.get(), Err(TaskError::Terminated));
    assert_eq!(pool.join_timeout(Duration::from_millis(2)), Err(JoinPoolError::Timeout));
    assert_eq!(pool.try_join(), Err(JoinPoolError::WouldBlock));
    open.send(()).unwrap();
    pool.join_timeout(HOUR).unwrap();
    assert_eq!(running.try_get(), Ok(()));
}

/// All meet.
fn so_many_threads_as_were_asked_for() {
    let (all, started) = (Arc::new(Barrier::new(8)), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&started);
    let initializer = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let pool = ThreadPool::builder().threads(8).initializer(initializer, ()).build().unwrap();
    let meet = move |_: u32| {
        all.wait();
    };
    assert_eq!(pool.imap(meet, 0..8).unwrap().filter(Result::is_ok).count(), 8);
    assert_eq!(started.load(Ordering::SeqCst), 8);
}

fn a_panicking_initializer_breaks_the_pool() {
    let builder = ThreadPool::builder().threads(2).initializer(|| panic!("a deliberate panic"), ());
    let pool = builder.build().unwrap();
    let reason = match pool.apply_async(square, (2,)).map(|result| result.get()) {
        Ok(Err(TaskError::Broken(reason))) | Err(SubmitError::Broken(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason.contains("a deliberate panic"), "{reason}");
    pool.join().unwrap();
}

fn futures_are_cancelled_before_they_begin() {
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (running, open) = begun(&executor);
    let pending: Vec<_> = (0..5).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    assert!(!running.cancel() && !running.done() && !running.cancelled());
    running.kill();
    assert!(pending.iter().all(Future::cancel) && pending.iter().all(Future::cancelled));
    assert_eq!(pending[0].result(), Err(TaskError::Cancelled));
    open.send(()).unwrap();
    assert_eq!((running.result(), running.result()), (Ok(()), Err(TaskError::Taken)));
    assert_eq!(executor.submit(square, (4,)).unwrap().result_timeout(HOUR), Ok(16));
}

fn a_full_executor_holds_back_what_is_submitted() {
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (_running, open) = begun(&executor);
    let mut futures = Vec::new();
    let refused = loop {
        match executor.try_submit(square, (futures.len() as u64,)) {
            Ok(future) => futures.push(future),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::WouldBlock) && futures.len() == 1024, "{refused:?}");
    let late = executor.submit_timeout(square, (1,), Duration::from_millis(2));
    assert!(matches!(late, Err(SubmitError::Timeout)));
    std::thread::scope(|scope| {
        let held_back = scope.spawn(|| executor.submit(square, (11,)).unwrap().result());
        open.send(()).unwrap();
        assert_eq!(held_back.join().unwrap(), Ok(121));
    });
    assert!((0..).zip(futures).all(|(x, future)| future.result() == Ok(square(x))));
}

fn shutting_down_finishes_or_cancels() {
    let executor = ThreadPoolExecutor::new(2).unwrap();
    let futures: Vec<_> = (0..100).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    executor.shutdown(Pending::Finish);
    assert!((0..).zip(futures).all(|(x, future)| future.try_result() == Ok(square(x))));
    assert!(matches!(executor.submit(square, (2,)), Err(SubmitError::Closed)));
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (running, open) = begun(&executor);
    let pending: Vec<_> = (0..20).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    let late = executor.shutdown_timeout(Pending::Finish, Duration::from_millis(2));
    assert_eq!(late, Err(JoinPoolError::Timeout));
    executor.begin_shutdown(Pending::Cancel);
    assert!(pending.iter().all(Future::cancelled));
    open.send(()).unwrap();
    executor.shutdown(Pending::Cancel);
    assert_eq!(running.try_result(), Ok(()));
}

fn callbacks_are_called_and_may_panic() {
    let executor = ThreadPoolExecutor::new(2).unwrap();
    let (tell, told) = mpsc::channel();
    for x in 0..100_u64 {
        let tell = tell.clone();
        executor.submit(square, (x,)).unwrap().add_done_callback(move |future| {
            tell.send(future.result().unwrap()).unwrap();
            assert!(x % 10 != 3, "a deliberate panic");
        });
    }
    executor.shutdown(Pending::Finish);
    assert_eq!(told.try_iter().sum::<u64>(), (0..100).map(square).sum());
}

fn futures_of_threads_and_processes_are_waited_for_together() {
    let threads = ThreadPoolExecutor::new(2).unwrap();
    let processes = mp_pool::ProcessPoolExecutor::new(2).unwrap();
    let futures: Vec<_> = (0..200)
        .map(|x| {
            if x % 2 == 0 { threads.submit(square, (x,)) } else { processes.submit(square, (x,)) }.unwrap()
        })
        .collect();
    let first = wait(&futures, ReturnWhen::FirstCompleted);
    assert!(!first.done.is_empty() && first.done.len() + first.not_done.len() == 200);
    let sum: u64 = as_completed(futures).map(|future| future.result().unwrap()).sum();
    assert_eq!(sum, (0..200).map(square).sum());
}

fn a_future_is_awaited() {
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let (running, open) = begun(&executor);
    let mut future = std::pin::pin!(async move {
        open.send(()).unwrap();
        running.await?;
        executor.submit(square, (9,)).unwrap().await
    });
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let value = loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => break value,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(value, Ok(81));
}

fn dropped_it_does_what_it_has() {
    let executor = ThreadPoolExecutor::new(2).unwrap();
    let futures: Vec<_> = (0..100).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    drop(executor);
    assert!((0..).zip(futures).all(|(x, future)| future.try_result() == Ok(square(x))));
    let left = {
        let executor = ThreadPoolExecutor::new(1).unwrap();
        let (running, open) = begun(&executor);
        let left = executor.submit(square, (3,)).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _executor = executor;
            open.send(()).unwrap();
            panic!("a deliberate panic");
        }));
        assert!(panicked.is_err() && running.done());
        left
    };
    assert!(left.done());
}

/// What it is then: the task ends, and the threads with it.
fn a_task_may_be_the_last_to_hold_its_pool() {
    let held = [ThreadPool::new(2).map(Arc::new).unwrap(), ThreadPool::new(1).map(Arc::new).unwrap()];
    for pool in held {
        let ((open, gate), (tell, told), inner) = (mpsc::channel(), mpsc::channel(), Arc::clone(&pool));
        pool.apply_async(
            move || {
                gate.recv().unwrap();
                drop(inner);
                tell.send(()).unwrap();
            },
            (),
        )
        .unwrap();
        drop(pool);
        open.send(()).unwrap();
        told.recv().unwrap();
    }
    let executor = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let (inner, (tell, told)) = (Arc::clone(&executor), mpsc::channel());
    let future = executor.submit(square, (3,)).unwrap();
    // Called by the thread of the executor, or here.
    future.add_done_callback(move |_| {
        inner.shutdown(Pending::Finish);
        tell.send(()).unwrap();
    });
    told.recv().unwrap();
}

/// Calls of other threads begin and end while one unwinds.
fn panics_of_several_threads_at_once_have_their_place() {
    std::panic::set_hook(Box::new(|_| ()));
    let pool = ThreadPool::new(8).unwrap();
    let odd_ones_panic = |x: u32| assert!(x.is_multiple_of(2), "{x} is odd");
    let each = pool.map_in_chunks(odd_ones_panic, 0..2000, Some(1)).unwrap().get_each();
    for (x, outcome) in (0..).zip(each) {
        match outcome {
            Ok(()) => assert!(x % 2 == 0),
            Err(TaskError::Panicked { message, location, .. }) => {
                assert!(
                    message == format!("{x} is odd") && location.contains("threads.rs:"),
                    "{x}: {location}"
                );
            }
            other => panic!("{x}: {other:?}"),
        }
    }
}

/// And another thread with them.
fn tasks_may_wait_for_the_end_of_their_pool_at_once() {
    for terminated in [false, true] {
        let (pool, all_run) = (Arc::new(ThreadPool::new(3).unwrap()), Arc::new(Barrier::new(4)));
        let join = || {
            let (inner, all_run) = (Arc::clone(&pool), Arc::clone(&all_run));
            let join = move || {
                all_run.wait();
                if terminated {
                    inner.terminate()
                } else {
                    inner.close()
                };
                inner.join()
            };
            pool.apply_async(join, ()).unwrap()
        };
        let joins = [join(), join(), join()];
        all_run.wait();
        pool.close();
        pool.join().unwrap();
        assert!(joins.iter().all(|join| join.get() == Ok(Ok(()))));
    }
}

/// In tasks, and in their callbacks.
fn tasks_may_shut_their_executor_down_at_once() {
    let (executor, all_run) = (Arc::new(ThreadPoolExecutor::new(4).unwrap()), Arc::new(Barrier::new(4)));
    let futures: Vec<_> = (0..4)
        .map(|x| {
            let (inner, all_run) = (Arc::clone(&executor), Arc::clone(&all_run));
            let shut_down = move || {
                all_run.wait();
                inner.shutdown(Pending::Finish);
            };
            if x % 2 == 0 {
                return executor.submit(shut_down, ()).unwrap();
            }
            // It ends when it has its callback, which is called in its thread then.
            let (open, gate) = mpsc::channel::<()>();
            let future = executor.submit(move || gate.recv().unwrap(), ()).unwrap();
            future.add_done_callback(move |_| shut_down());
            open.send(()).unwrap();
            future
        })
        .collect();
    executor.shutdown(Pending::Finish);
    assert!(futures.iter().all(|future| future.result() == Ok(())));
}

struct JoinsAtItsEnd(mpsc::Sender<Result<(), JoinPoolError>>);

static POOL: OnceLock<ThreadPool> = OnceLock::new();

impl Drop for JoinsAtItsEnd {
    fn drop(&mut self) {
        self.0.send(POOL.get().unwrap().join()).unwrap();
    }
}

/// When no thread of the pool is in its seat any more.
fn a_state_may_wait_for_the_end_of_its_pool_when_it_is_dropped() {
    let (tell, told) = mpsc::channel();
    let builder = ThreadPool::builder().threads(3).initializer_value(JoinsAtItsEnd, (tell,));
    let pool = POOL.get_or_init(|| builder.build().unwrap());
    let joined = pool.apply_async(
        || {
            let pool = POOL.get().unwrap();
            pool.close();
            pool.join()
        },
        (),
    );
    assert_eq!(joined.unwrap().get(), Ok(Ok(())));
    pool.join().unwrap();
    assert!((0..3).all(|_| told.recv().unwrap() == Ok(())));
}

fn count_for_ever(_: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..).try_for_each(|x| results.yield_(x))
}

fn a_task_that_waits_for_the_end_hides_no_values_that_are_not_taken() {
    let (pool, (tell, told)) = (Arc::new(ThreadPool::new(2).unwrap()), mpsc::channel());
    let mut values = pool.generate_with(count_for_ever, [0], GenerateOptions::new()).unwrap();
    assert!(matches!(values.next(), Some(Generated::Value { item: 0, value: 0 })));
    let inner = Arc::clone(&pool);
    let join = move || {
        inner.close();
        tell.send(()).unwrap();
        inner.join()
    };
    let joined = pool.apply_async(join, ()).unwrap();
    told.recv().unwrap();
    assert_eq!(pool.join(), Err(JoinPoolError::Untaken));
    drop(values);
    pool.join().unwrap();
    assert_eq!(joined.get(), Ok(Ok(())));
}

/// It is the thread that would make room.
fn a_task_may_submit_more_than_its_executor_holds() {
    let executor = Arc::new(ThreadPoolExecutor::new(1).unwrap());
    let inner = Arc::clone(&executor);
    let submit = move || (0..1500).map(|x| inner.submit(square, (x,)).unwrap()).collect::<Vec<_>>();
    let futures = executor.submit(submit, ()).unwrap().result().unwrap();
    assert!((0..).zip(futures).all(|(x, future)| future.result() == Ok(square(x))));
}
