//! The calls of pools of threads.

use super::{Scene, Stays, until_set};
use mp::futures::{Future, Pending};
use mp::{Event, TaskError, ThreadPool, ThreadPoolExecutor};
use std::sync::Mutex;

/// A task that waits until the event is set. A thread cannot be killed, so the event is set at the end of its scene.
fn waiting() -> (ThreadPoolExecutor, Future<()>, Opened) {
    let (executor, event) = (ThreadPoolExecutor::new(1).unwrap(), Event::new().unwrap());
    let future = executor.submit(until_set, (event.clone(),)).unwrap();
    (executor, future, Opened(event))
}

/// Dropped, it is set.
struct Opened(Event);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Fields are dropped in their order: the event is set before the executor waits for its task.
struct InOrder<T> {
    _opened: Opened,
    last: T,
}

pub(crate) fn join() -> Scene {
    let (pool, event) = (ThreadPool::new(1).unwrap(), Event::new().unwrap());
    pool.apply_async(until_set, (event.clone(),)).unwrap();
    pool.close();
    let pool = InOrder { _opened: Opened(event.clone()), last: pool };
    let wait = move |timeout| {
        let pool = &pool;
        pool.last.join_timeout(timeout).is_ok()
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

/// The iterator borrows its pool, which is kept for good.
pub(crate) fn next() -> Scene {
    let event = Event::new().unwrap();
    let pool: &ThreadPool = Box::leak(Box::new(ThreadPool::new(1).unwrap()));
    let results = Mutex::new(pool.imap(until_set, [event.clone()]).unwrap());
    let wait = move |timeout| {
        let next = results.lock().unwrap().next_timeout(timeout);
        !matches!(next, Some(Err(TaskError::Timeout)))
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn submit() -> Scene {
    let (executor, future, event) = waiting();
    // It makes room when a thread takes it.
    while !future.running() {
        std::thread::yield_now();
    }
    while executor.try_submit(|| (), ()).is_ok() {}
    let come = event.0.clone();
    let executor = InOrder { _opened: event, last: executor };
    let wait = move |timeout| {
        let executor = &executor;
        executor.last.submit_timeout(|| (), (), timeout).is_ok()
    };
    Scene::new(wait, move || come.set()).stays(Stays::No)
}

pub(crate) fn shutdown() -> Scene {
    let (executor, _future, event) = waiting();
    let come = event.0.clone();
    let executor = InOrder { _opened: event, last: executor };
    let wait = move |timeout| {
        let executor = &executor;
        executor.last.shutdown_timeout(Pending::Finish, timeout).is_ok()
    };
    Scene::new(wait, move || come.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn result() -> Scene {
    let (executor, future, event) = waiting();
    let come = event.0.clone();
    let executor = InOrder { _opened: event, last: executor };
    let wait = move |timeout| {
        let _executor = &executor;
        future.result_timeout(timeout) != Err(TaskError::Timeout)
    };
    Scene::new(wait, move || come.set()).stays(Stays::OnceWaitedFor)
}
