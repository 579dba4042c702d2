//! The same of a manager's objects. A call is a round trip, so a thread that sleeps may not wait for the object yet.

use super::{Scene, Stays, kept};
use mp::{AsyncResultProxy, EventProxy, Manager, ManagerError, PoolProxy};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn manager() -> &'static Manager {
    kept(Manager::start().unwrap())
}

pub(super) fn lock() -> Scene {
    let lock = kept(manager().lock().unwrap());
    let guard = lock.acquire().unwrap();
    Scene::new(|timeout| lock.acquire_timeout(timeout).is_ok(), || drop(guard))
}

pub(super) fn semaphore() -> Scene {
    let semaphore = kept(manager().semaphore(0).unwrap());
    Scene::new(
        |timeout| semaphore.acquire_timeout(timeout).map(|permit| permit.keep()).is_ok(),
        || semaphore.release().unwrap(),
    )
}

pub(super) fn event() -> Scene {
    let event = kept(manager().event().unwrap());
    Scene::new(|timeout| event.wait_timeout(timeout).is_ok(), || event.set().unwrap())
}

pub(super) fn barrier() -> Scene {
    let barrier = kept(manager().barrier(2).unwrap());
    let come = || {
        barrier.wait().unwrap();
    };
    Scene::new(|timeout| barrier.wait_timeout(timeout).is_ok(), come).stays(Stays::No)
}

pub(super) fn condition_acquire() -> Scene {
    let condition = kept(manager().condition().unwrap());
    let guard = condition.acquire().unwrap();
    Scene::new(|timeout| condition.acquire_timeout(timeout).is_ok(), || drop(guard))
}

pub(super) fn condition_wait() -> Scene {
    let condition = kept(manager().condition().unwrap());
    let over = Arc::new(AtomicBool::new(false));
    let (waits, comes) = (Arc::clone(&over), over);
    let wait = move |timeout| {
        let waited = condition.acquire().unwrap().wait_timeout(timeout).is_ok();
        // ORDERING: Relaxed, twice: it only ends a loop.
        waits.store(true, Ordering::Relaxed);
        waited
    };
    // Until it was asleep for one of them.
    let come = move || {
        while !comes.load(Ordering::Relaxed) {
            condition.acquire().unwrap().notify_one().unwrap();
        }
    };
    Scene::new(wait, come).stays(Stays::No)
}

pub(super) fn condition_wait_for() -> Scene {
    let condition = kept(manager().condition().unwrap());
    let there = kept(AtomicBool::new(false));
    // ORDERING: Relaxed, twice: read and written with the condition's lock held.
    let is_so = || there.load(Ordering::Relaxed);
    let wait = move |timeout| condition.acquire().unwrap().wait_for_timeout(is_so, timeout).is_ok();
    let come = || {
        let guard = condition.acquire().unwrap();
        there.store(true, Ordering::Relaxed);
        guard.notify_all().unwrap();
    };
    Scene::new(wait, come)
}

pub(super) fn queue_get() -> Scene {
    let queue = kept(manager().queue().unwrap());
    Scene::new(|timeout| queue.get_timeout(timeout).is_ok(), || queue.put(7_u8).unwrap())
}

pub(super) fn queue_put() -> Scene {
    let queue = kept(manager().bounded_queue(1).unwrap());
    queue.put(1_u8).unwrap();
    let come = || {
        queue.get().unwrap();
    };
    Scene::new(|timeout| queue.put_timeout(2, timeout).is_ok(), come)
}

pub(super) fn queue_join() -> Scene {
    let queue = kept(manager().queue().unwrap());
    queue.put(1_u8).unwrap();
    Scene::new(|timeout| queue.join_timeout(timeout).is_ok(), || queue.task_done().unwrap())
}

fn until_set(event: EventProxy) {
    event.wait().unwrap();
}

/// What a task of a managed pool gives, which waits for the event.
fn of_pool(wait: impl Fn(&PoolOfOne, Duration) -> bool + Send + Sync + 'static) -> Scene {
    let manager = manager();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let pool = PoolOfOne { result: pool.apply_async(until_set, (event.clone(),)).unwrap(), pool };
    Scene::new(move |timeout| wait(&pool, timeout), move || event.set().unwrap()).stays(Stays::OnceWaitedFor)
}

struct PoolOfOne {
    result: AsyncResultProxy<()>,
    pool: PoolProxy,
}

pub(super) fn result_get() -> Scene {
    of_pool(|pool, timeout| pool.result.get_timeout(timeout).is_ok())
}

pub(super) fn result_wait() -> Scene {
    of_pool(|pool, timeout| pool.result.wait_timeout(timeout).is_ok())
}

pub(super) fn pool_join() -> Scene {
    of_pool(|pool, timeout| {
        pool.pool.close().unwrap();
        pool.pool.join_timeout(timeout).is_ok()
    })
}

pub(super) fn iterator_next() -> Scene {
    let manager = manager();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let results = pool.imap(until_set, [event.clone()]).unwrap();
    let wait = move |timeout| {
        let _pool = &pool;
        !matches!(results.next_timeout(timeout), Err(ManagerError::Timeout))
    };
    Scene::new(wait, move || event.set().unwrap()).stays(Stays::OnceWaitedFor)
}
