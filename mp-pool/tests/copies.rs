//! Forked copies that the program's own code makes: of the process that has a pool, and of a worker within a task.

use mp_pool::futures::Pending;
use mp_pool::{
    AsyncResult, Buffer, Generated, JoinPoolError, Pool, SubmitError, TaskError, ThreadPool,
    ThreadPoolExecutor, YieldError, Yielder,
};
use mp_queue::Queue;
use mp_testing::{exit_code_of, fork_copy, fork_in_two};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        copies_are_made_while_other_threads_use_the_pool,
        a_copy_has_no_part_in_its_originals_threads,
        copies_are_made_while_threads_of_a_pool_work,
        a_copy_gives_back_no_buffers_memory,
    ],
    every_method: [
        a_copy_has_no_part_in_its_originals_pool,
        a_copy_of_a_worker_answers_nothing,
        a_copy_of_a_generator_yields_nothing,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

fn after_a_word(gate: Queue<u64>) -> u64 {
    gate.get().unwrap()
}

fn is_refused<T>(submitted: Result<T, SubmitError>) -> bool {
    matches!(submitted, Err(SubmitError::Broken(reason)) if reason.contains("forked copy"))
}

fn is_lost(result: &AsyncResult<u64>) -> bool {
    matches!(result.get(), Err(TaskError::Broken(reason)) if reason.contains("forked copy"))
}

fn a_copy_has_no_part_in_its_originals_pool() {
    let (pool, gate) = (Pool::new(2).unwrap(), Queue::new().unwrap());
    let waiting = pool.apply_async(after_a_word, (gate.clone(),)).unwrap();
    let mut stream = pool.imap(square, 0..).unwrap();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    let before = pool.map_async(square, 0..100).unwrap();
    let copy = fork_copy(|| {
        assert!(is_refused(pool.apply(square, (2,))));
        assert!(is_refused(pool.map(square, 0..3)));
        assert!(is_refused(pool.imap(square, 0..3)));
        assert!(is_lost(&waiting) && waiting.ready());
        assert!(matches!(stream.next(), Some(Err(TaskError::Broken(_)))));
        assert!(stream.next().is_none());
        waiting.cancel();
        pool.close();
        pool.terminate();
        assert_eq!(pool.join(), Err(JoinPoolError::StillRunning));
        assert!(pool.worker_pids().is_empty());
        drop(std::mem::replace(&mut stream, Pool::new(1).unwrap().imap(square, 0..).unwrap()));
    });
    assert_eq!(exit_code_of(copy), 0);
    gate.put(7).unwrap();
    assert_eq!(waiting.get().unwrap(), 7);
    assert_eq!(before.get().unwrap().len(), 100);
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    assert_eq!(pool.map(square, 0..1000).unwrap()[999], 999 * 999);
}

fn is_lost_to_copy<T>(end: &Result<T, TaskError>) -> bool {
    matches!(end, Err(TaskError::Broken(reason)) if reason.contains("forked copy"))
}

fn a_copy_has_no_part_in_its_originals_threads() {
    let (pool, (open, gate)) = (ThreadPool::new(2).unwrap(), channel());
    let executor = ThreadPoolExecutor::new(1).unwrap();
    let done = pool.apply_async(square, (3,)).unwrap();
    done.wait();
    let waiting = pool.apply_async(move || gate.recv().unwrap(), ()).unwrap();
    let future = executor.submit(|| 4_u64, ()).unwrap();
    future.wait();
    let mut stream = pool.imap(square, 0..).unwrap();
    let mut unordered = pool.imap_unordered(square, 0..).unwrap();
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    unordered.next().unwrap().unwrap();
    let yields = |to: u64, results: Yielder<u64>| (0..to).try_for_each(|x| results.yield_(x));
    let mut generate = pool.generate(yields, [1_000_000]).unwrap();
    assert!(matches!(generate.next(), Some(Generated::Value { value: 0, .. })));
    let copy = fork_copy(|| {
        assert!(is_refused(pool.apply(square, (2,))) && is_refused(pool.map(square, 0..3)));
        assert!(is_refused(pool.imap(square, 0..3)) && is_refused(executor.submit(square, (3,))));
        assert_eq!((done.get(), future.result()), (Ok(9), Ok(4)));
        assert!(waiting.ready() && waiting.wait_timeout(Duration::ZERO));
        waiting.cancel();
        assert!(is_lost_to_copy(&waiting.get()));
        // What was done when the copy was made is there, and nothing else comes.
        let of = |end: Result<u64, TaskError>| assert!(end.is_ok() || is_lost_to_copy(&end), "{end:?}");
        stream.by_ref().for_each(of);
        unordered.by_ref().for_each(of);
        let last = generate.by_ref().last();
        assert!(matches!(last, Some(Generated::End { outcome, .. }) if is_lost_to_copy(&outcome)));
        pool.close();
        pool.terminate();
        assert_eq!(pool.join(), Err(JoinPoolError::StillRunning));
        assert!(pool.resize(3).is_err() && pool.statistics().workers.is_empty());
        executor.shutdown(Pending::Cancel);
        let here = ThreadPool::new(2).unwrap();
        assert_eq!(here.map(square, 0..3).unwrap(), [0, 1, 4]);
        drop(std::mem::replace(&mut generate, here.generate(yields, [1]).unwrap()));
    });
    assert_eq!(exit_code_of(copy), 0);
    open.send(7).unwrap();
    assert_eq!(waiting.get(), Ok(7));
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    assert!(matches!(generate.next(), Some(Generated::Value { value: 1, .. })));
    assert_eq!(pool.map(square, 0..1000).unwrap()[999], 999 * 999);
}

/// The locks of a copy are as the threads had them.
fn copies_are_made_while_threads_of_a_pool_work() {
    let pool = ThreadPool::new(3).unwrap();
    for _ in 0..50 {
        let each: Vec<_> = (0..20).map(|x| pool.apply_async(square, (x,)).unwrap()).collect();
        let mut stream = pool.imap_unordered(square, 0..100).unwrap();
        let copy = fork_copy(|| {
            for (x, result) in (0..).zip(&each) {
                let end = result.get();
                assert!(end == Ok(square(x)) || is_lost_to_copy(&end), "{end:?}");
            }
            stream.by_ref().for_each(drop);
            assert!(is_refused(pool.apply(square, (2,))));
        });
        assert_eq!(exit_code_of(copy), 0);
        assert!((0..).zip(&each).all(|(x, result)| result.get() == Ok(square(x))));
        assert_eq!(stream.by_ref().count(), 100);
    }
}

fn same(argument: Buffer<u8>) -> Buffer<u8> {
    argument
}

fn a_copy_gives_back_no_buffers_memory() {
    const LEN: usize = 100_000;
    let (pool, over) = (Pool::new(1).unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            // ORDERING: SeqCst, both: a test's.
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    drop(pool.buffer::<u8>(LEN).unwrap())
                }
            });
        }
        for _ in 0..200 {
            let argument = pool.buffer::<u8>(LEN).unwrap().freeze();
            let unread = pool.apply_async(same, (argument.clone(),)).unwrap();
            unread.wait();
            let mut handles = Some(argument);
            let copy = fork_copy(|| {
                assert!(matches!(unread.get(), Err(TaskError::Value(_) | TaskError::Broken(_))));
                drop(handles.take());
            });
            assert_eq!(exit_code_of(copy), 0);
            assert_eq!(unread.get().unwrap().len(), LEN);
        }
        over.store(true, Ordering::SeqCst);
    });
}

/// What a copy inherits is locked, where another thread had it locked.
fn copies_are_made_while_other_threads_use_the_pool() {
    let (pool, over) = (Pool::new(2).unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // ORDERING: SeqCst, both: a test's.
                while !over.load(Ordering::SeqCst) {
                    assert_eq!(pool.map(square, 0..20).unwrap()[19], 361);
                }
            });
        }
        for _ in 0..50 {
            let waiting = pool.apply_async(square, (3,)).unwrap();
            let copy = fork_copy(|| {
                assert!(matches!(waiting.get(), Ok(9) | Err(TaskError::Broken(_))));
                assert!(is_refused(pool.apply(square, (2,))));
            });
            assert_eq!(exit_code_of(copy), 0);
            assert_eq!(waiting.get().unwrap(), 9);
        }
        over.store(true, Ordering::SeqCst);
    });
}

/// Comes back twice, in two processes.
fn copied(x: u64) -> u64 {
    fork_in_two();
    x + 1
}

fn a_copy_of_a_worker_answers_nothing() {
    let pool = Pool::new(2).unwrap();
    // Small ones: a copy that went on would fork again in each item that is left.
    for chunk_size in [1, 2, 4] {
        let copied = pool.map_in_chunks(copied, 0..20, Some(chunk_size)).unwrap();
        assert_eq!(copied.get().unwrap(), (1..21).collect::<Vec<_>>());
        assert_eq!(pool.map(square, 0..2000).unwrap()[1999], 1999 * 1999);
    }
    let tasks = pool.statistics();
    assert_eq!((tasks.tasks(), tasks.restarts()), (3 * 2020, 0));
}

fn yields_in_two(count: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    fork_in_two();
    (0..count).try_for_each(|number| results.yield_(number))
}

fn a_copy_of_a_generator_yields_nothing() {
    let pool = Pool::new(1).unwrap();
    let events = pool.generate(yields_in_two, [50, 50]).unwrap();
    assert_eq!(events.count(), 102);
    assert_eq!(pool.apply(square, (5,)).unwrap(), 25);
}
