//! Mirrors CPython's `test_concurrent_futures` for `wait` and `as_completed`; and futures that are awaited.

use mp_pool::futures::{Future, ReturnWhen, as_completed, try_wait, wait, wait_timeout};
use mp_pool::{ProcessPoolExecutor, TaskError, ThreadPoolExecutor};
use mp_queue::Queue;
use mp_testing::kill_if_it_lives;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        futures_of_several_executors,
        a_callback_may_wait_for_futures,
        many_are_given_as_they_end,
        a_future_that_is_given_twice_counts_once,
        a_future_is_the_key_of_its_task,
        thousands_are_awaited_at_once,
        a_waker_that_changes_is_the_one_that_is_woken,
    ],
    every_method: [
        the_first_that_ends,
        the_first_that_fails,
        all_of_them,
        futures_come_as_they_end,
        an_end_by_a_kill_is_an_end,
        a_future_is_awaited,
    ]
}

const HOUR: Duration = Duration::from_secs(3600);

fn square(x: u64) -> u64 {
    x * x
}

fn gated(x: u64, gate: Queue<()>) -> u64 {
    gate.get().unwrap();
    x
}

/// A task that waits, and what opens it.
fn closed(executor: &ProcessPoolExecutor, x: u64) -> (Future<u64>, Queue<()>) {
    let gate = Queue::new().unwrap();
    (executor.submit(gated, (x, gate.clone())).unwrap(), gate)
}

fn the_first_that_ends() {
    let executor = ProcessPoolExecutor::new(3).unwrap();
    let (slow, gate) = closed(&executor, 1);
    let (other, other_gate) = closed(&executor, 2);
    let futures = [slow, other];
    assert!(try_wait(&futures).done.is_empty());
    let late = wait_timeout(&futures, ReturnWhen::FirstCompleted, Duration::from_millis(2));
    assert_eq!((late.done.len(), late.not_done.len()), (0, 2));
    other_gate.put(()).unwrap();
    let first = wait(&futures, ReturnWhen::FirstCompleted);
    assert_eq!((first.done.len(), first.not_done.len()), (1, 1));
    assert_eq!(first.done[0].result(), Ok(2));
    gate.put(()).unwrap();
    assert_eq!(wait_timeout(&first.not_done, ReturnWhen::FirstCompleted, HOUR).done[0].result(), Ok(1));
    // What has ended before is enough.
    assert_eq!(wait(&futures, ReturnWhen::FirstCompleted).done.len(), 2);
    let none = wait::<u64>(&[], ReturnWhen::AllCompleted);
    assert!(none.done.is_empty() && none.not_done.is_empty());
}

fn the_first_that_fails() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let (slow, gate) = closed(&executor, 1);
    let good = executor.submit(square, (3,)).unwrap();
    good.wait();
    let bad = executor.submit(|x: u64| if x > 0 { panic!("a deliberate panic") } else { x }, (1,)).unwrap();
    let futures = [slow, good, bad];
    let first = wait(&futures, ReturnWhen::FirstException);
    assert_eq!((first.done.len(), first.not_done.len()), (2, 1));
    gate.put(()).unwrap();
    // A cancelled one has failed; without a failure, all are waited for.
    assert_eq!(wait(&futures[..2], ReturnWhen::FirstException).done.len(), 2);
}

fn all_of_them() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let mut futures: Vec<_> = (0..50).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    let (slow, gate) = closed(&executor, 1);
    futures.push(slow);
    let late = wait_timeout(&futures, ReturnWhen::AllCompleted, Duration::from_millis(2));
    assert_eq!(late.done.len() + late.not_done.len(), 51);
    gate.put(()).unwrap();
    let all = wait(&futures, ReturnWhen::AllCompleted);
    assert_eq!((all.done.len(), all.not_done.len()), (51, 0));
    // In the order in which they were given.
    assert!((0..50).zip(all.done).all(|(x, future)| future.try_result() == Ok(square(x))));
}

fn futures_come_as_they_end() {
    let executor = ProcessPoolExecutor::new(3).unwrap();
    let (futures, gates): (Vec<_>, Vec<_>) = (0..3).map(|x| closed(&executor, x)).unzip();
    let mut ended = as_completed(futures);
    assert_eq!(ended.len(), 3);
    assert!(matches!(ended.try_next(), Some(Err(TaskError::WouldBlock))));
    for x in [2, 0, 1] {
        assert!(matches!(ended.next_timeout(Duration::from_millis(2)), Some(Err(TaskError::Timeout))));
        gates[x as usize].put(()).unwrap();
        assert_eq!(ended.next_timeout(HOUR).unwrap().unwrap().result(), Ok(x));
    }
    assert!(ended.next().is_none() && ended.try_next().is_none() && ended.next_timeout(HOUR).is_none());
}

fn an_end_by_a_kill_is_an_end() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let pids = Queue::new().unwrap();
    let stay = |pids: Queue<u32>| -> u64 {
        pids.put(std::process::id()).unwrap();
        loop {
            std::thread::park();
        }
    };
    let futures = [(); 2].map(|()| executor.submit(stay, (pids.clone(),)).unwrap());
    for _ in 0..2 {
        kill_if_it_lives(pids.get().unwrap());
    }
    for future in as_completed(futures.clone()) {
        assert!(matches!(future.result(), Err(TaskError::WorkerDied { .. })));
    }
    assert_eq!(wait(&futures, ReturnWhen::AllCompleted).done.len(), 2);
    assert!(matches!(block_on(futures[0].clone()), Err(TaskError::WorkerDied { .. })));
}

fn futures_of_several_executors() {
    let executors = [1, 2, 3].map(|workers| ProcessPoolExecutor::new(workers).unwrap());
    let submit = |x: u64| executors[x as usize % 3].submit(square, (x,)).unwrap();
    let mut futures: Vec<_> = (0..300).map(submit).collect();
    let (slow, gate) = closed(&executors[0], 1);
    let mut values: Vec<u64> = as_completed(futures.clone()).map(|future| future.result().unwrap()).collect();
    values.sort_unstable();
    assert!(values.into_iter().eq((0..300).map(square)));
    futures.push(slow);
    let late = wait_timeout(&futures, ReturnWhen::AllCompleted, Duration::from_millis(2));
    assert_eq!((late.done.len(), late.not_done.len()), (300, 1));
    gate.put(()).unwrap();
    assert_eq!(wait(&futures, ReturnWhen::AllCompleted).done.len(), 301);
}

/// It is the thread that would be told.
fn a_callback_may_wait_for_futures() {
    let (executor, other) = (ProcessPoolExecutor::new(2).unwrap(), ProcessPoolExecutor::new(1).unwrap());
    let (tell, told) = mpsc::channel();
    let more: Vec<_> = (0..20).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    let (slow, gate) = closed(&executor, 1);
    let (slow_too, other_gate) = closed(&other, 1);
    executor.submit(square, (1,)).unwrap().add_done_callback(move |_| {
        gate.put(()).unwrap();
        assert_eq!(as_completed(more.into_iter().chain([slow.clone()])).count(), 21);
        other_gate.put(()).unwrap();
        assert_eq!(wait(&[slow, slow_too], ReturnWhen::AllCompleted).done.len(), 2);
        tell.send(()).unwrap();
    });
    told.recv().unwrap();
}

fn many_are_given_as_they_end() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let futures: Vec<_> = (0..5000).map(|x| executor.submit(square, (x,)).unwrap()).collect();
    let sum: u64 = as_completed(futures).map(|future| future.result().unwrap()).sum();
    assert_eq!(sum, (0..5000).map(square).sum());
}

/// CPython's documentation: `{executor.submit(load, url): url for url in urls}`.
fn a_future_is_the_key_of_its_task() {
    let processes = ProcessPoolExecutor::new(2).unwrap();
    let threads = ThreadPoolExecutor::new(2).unwrap();
    let on_processes = (0..4).map(|x| (processes.submit(square, (x,)).unwrap(), x));
    let on_threads = (4..8).map(|x| (threads.submit(square, (x,)).unwrap(), x));
    let of: HashMap<Future<u64>, u64> = on_processes.chain(on_threads).collect();
    assert_eq!(of.len(), 8);
    for future in as_completed(of.keys().cloned()) {
        assert_eq!(future.result(), Ok(of[&future] * of[&future]));
    }
    let (one, other) = (processes.submit(square, (3,)).unwrap(), processes.submit(square, (3,)).unwrap());
    assert!(one == one.clone() && one != other && !of.contains_key(&one));
}

fn a_future_that_is_given_twice_counts_once() {
    let executor = ProcessPoolExecutor::new(1).unwrap();
    let future = executor.submit(square, (2,)).unwrap();
    let twice = [future.clone(), future.clone(), executor.submit(square, (3,)).unwrap(), future];
    assert_eq!(as_completed(twice.clone()).count(), 2);
    let all = wait(&twice, ReturnWhen::AllCompleted);
    assert_eq!((all.done.len(), all.not_done.len()), (2, 0));
}

/// As small as a runtime can be.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn a_future_is_awaited() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    assert_eq!(block_on(executor.submit(square, (7,)).unwrap()), Ok(49));
    let (slow, gate) = closed(&executor, 5);
    let awaited = block_on(async {
        gate.put(()).unwrap();
        let first = slow.await?;
        let futures = (0..10).map(|x| executor.submit(square, (x,)).unwrap());
        let mut sum = first;
        for future in futures {
            sum += future.await?;
        }
        Ok::<u64, TaskError>(sum)
    });
    assert_eq!(awaited, Ok(290));
    let cancelled = executor.submit(square, (7,)).unwrap();
    cancelled.wait();
    let mut done = cancelled.clone();
    assert_eq!((block_on(&mut done), block_on(&mut done)), (Ok(49), Err(TaskError::Taken)));
}

/// No thread of the program's waits at the pool.
fn thousands_are_awaited_at_once() {
    let executor = ProcessPoolExecutor::new(2).unwrap();
    let mut futures: Vec<_> =
        (0..3000_u64).map(|x| Some(Box::pin(executor.submit(square, (x,)).unwrap()))).collect();
    let sum = block_on(std::future::poll_fn(|context| {
        let mut sum = 0;
        for future in &mut futures {
            let Some(pending) = future else { continue };
            if let Poll::Ready(value) = std::future::Future::poll(pending.as_mut(), context) {
                sum += value.unwrap();
                *future = None;
            }
        }
        TOTAL.fetch_add(sum, std::sync::atomic::Ordering::Relaxed);
        if futures.iter().all(Option::is_none) {
            Poll::Ready(TOTAL.load(std::sync::atomic::Ordering::Relaxed))
        } else {
            Poll::Pending
        }
    }));
    assert_eq!(sum, (0..3000).map(square).sum());
}

static TOTAL: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Tells the channel which future it belongs to.
struct Tell(mpsc::Sender<u32>, u32);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.0.send(self.1).unwrap();
    }
}

fn a_waker_that_changes_is_the_one_that_is_woken() {
    let executor = ProcessPoolExecutor::new(1).unwrap();
    let (mut slow, gate) = closed(&executor, 5);
    let (tell, told) = mpsc::channel();
    for number in 0..3 {
        let waker = Waker::from(Arc::new(Tell(tell.clone(), number)));
        assert!(std::future::Future::poll(pin!(&mut slow), &mut Context::from_waker(&waker)).is_pending());
    }
    gate.put(()).unwrap();
    assert_eq!(told.recv().unwrap(), 2);
    assert_eq!(block_on(slow), Ok(5));
    assert!(told.try_recv().is_err());
}
