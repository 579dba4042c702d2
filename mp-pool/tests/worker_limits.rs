//! How much memory a worker may have, and when it is replaced between two tasks.

use mp_core::mem::SharedRef;
use mp_core::sys::process::Ended;
use mp_pool::{NewPoolError, Pool, PoolBuilder, Retry, SubmitError, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::kill;
use std::collections::HashSet;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        deaths_of_want_of_memory_never_break_the_pool,
        a_limit_of_nothing_is_refused,
        what_is_reserved_or_shared_does_not_count,
    ],
    every_method: [
        a_task_that_takes_too_much_memory_ends_alone,
        a_kill_from_outside_is_told_from_a_want_of_memory,
        a_worker_is_replaced_between_tasks_when_it_is_large,
        a_worker_is_replaced_between_tasks_when_it_is_old,
    ]
}

const MIB: u64 = 1 << 20;

fn builder() -> PoolBuilder {
    Pool::builder().processes(2)
}

fn square(x: u64) -> u64 {
    x * x
}

/// Takes so much, and is there until it is killed for that.
fn take(mib: u64) {
    let bytes = vec![7_u8; (mib * MIB) as usize];
    std::thread::sleep(Duration::from_secs(3600));
    drop(black_box(bytes));
}

fn wait_for(begun: Queue<u32>, go: Queue<u64>) -> u64 {
    begun.put(std::process::id()).unwrap();
    go.get().unwrap()
}

fn a_task_that_takes_too_much_memory_ends_alone() {
    let pool = builder().memory_limit(64 * MIB).build().unwrap();
    let (begun, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let other = pool.apply_async(wait_for, (begun.clone(), go.clone())).unwrap();
    let busy = begun.get().unwrap();
    for _ in 0..3 {
        let error = pool.apply_async(take, (100,)).unwrap().get().unwrap_err();
        let TaskError::OutOfMemory { limit, used, ref worker, pid } = error else { panic!("{error:?}") };
        assert!(limit == 64 * MIB && used > limit && worker.starts_with("PoolWorker-") && pid != busy);
        assert!(
            error.to_string().starts_with("the task needed more memory than its worker may have, "),
            "{error}"
        );
        assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    }
    go.put(5).unwrap();
    assert_eq!(other.get(), Ok(5));
}

fn a_kill_from_outside_is_told_from_a_want_of_memory() {
    let pool = builder().memory_limit(64 * MIB).build().unwrap();
    let (begun, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let killed = pool.apply_async(wait_for, (begun.clone(), go.clone())).unwrap();
    kill(begun.get().unwrap());
    assert!(matches!(killed.get(), Err(TaskError::WorkerDied { how: Some(Ended::Signaled(9)), .. })));
}

/// And it can be tried again, in another worker.
fn deaths_of_want_of_memory_never_break_the_pool() {
    let pool = Pool::builder().processes(1).memory_limit(32 * MIB).build().unwrap();
    for _ in 0..12 {
        let ended = pool.apply(take, (40,));
        assert!(matches!(ended, Err(SubmitError::Task(TaskError::OutOfMemory { .. }))), "{ended:?}");
    }
    let begun: SharedRef<AtomicU64> = SharedRef::create("mp-test-memory").unwrap();
    let again = pool.with(TaskOptions::new().retry(Retry::new(1)));
    let taken = again.apply(
        |begun: SharedRef<AtomicU64>| {
            // ORDERING: Relaxed: one process after the other.
            if begun.fetch_add(1, Ordering::Relaxed) == 0 {
                take(40);
            }
            7
        },
        (begun,),
    );
    assert_eq!(taken.unwrap(), 7);
}

fn leak(mib: u64) -> u32 {
    Vec::leak(vec![7_u8; (mib * MIB) as usize]);
    std::process::id()
}

fn a_worker_is_replaced_between_tasks_when_it_is_large() {
    let pool = Pool::builder().processes(1).max_memory_per_child(50 * MIB).build().unwrap();
    let pids: Vec<u32> = (0..8).map(|_| pool.apply(leak, (20,)).unwrap()).collect();
    let (all, workers) = (pids.len(), pids.iter().collect::<HashSet<_>>().len());
    assert!(workers > 1 && workers < all, "{pids:?}");
    assert_eq!(pool.map(leak, [0; 20]).unwrap().len(), 20);
}

fn a_worker_is_replaced_between_tasks_when_it_is_old() {
    let pool = Pool::builder().processes(1).max_age_per_child(Duration::ZERO).build().unwrap();
    let pids: HashSet<u32> = (0..5).map(|_| pool.apply(std::process::id, ()).unwrap()).collect();
    assert!(pids.len() > 1, "{pids:?}");
    assert_eq!(pool.map(square, 0..40).unwrap(), (0..40).map(square).collect::<Vec<_>>());
    let pool = Pool::builder().processes(1).max_age_per_child(Duration::MAX).build().unwrap();
    let pids: HashSet<u32> = (0..5).map(|_| pool.apply(std::process::id, ()).unwrap()).collect();
    assert_eq!(pids.len(), 1);
}

fn a_limit_of_nothing_is_refused() {
    for builder in [builder().memory_limit(0), builder().max_memory_per_child(0)] {
        assert!(matches!(builder.build(), Err(NewPoolError::NoMemory)));
    }
}

fn reserve(mib: u64, go: Queue<u64>) -> u64 {
    let bytes: Vec<u8> = Vec::with_capacity((mib * MIB) as usize);
    let value = go.get().unwrap();
    drop(black_box(bytes));
    value
}

/// Another task beside it is killed meanwhile, so the watcher has looked.
fn what_is_reserved_or_shared_does_not_count() {
    let pool = builder().memory_limit(64 * MIB).build().unwrap();
    let go = Queue::new().unwrap();
    let reserved = pool.apply_async(reserve, (1000, go.clone())).unwrap();
    let ended = pool.apply(take, (100,));
    assert!(matches!(ended, Err(SubmitError::Task(TaskError::OutOfMemory { .. }))), "{ended:?}");
    go.put(5).unwrap();
    assert_eq!(reserved.get(), Ok(5));
}
