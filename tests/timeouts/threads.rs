//! The calls of pools of threads.

use super::{Scene, Stays, has_come, until_set};
use mp::futures::{Future, Pending};
use mp::{
    Event, MapError, TaskError, TaskOptions, ThreadMapResult, ThreadPool, ThreadPoolExecutor, ThreadResult,
    Yielder,
};
use std::sync::Mutex;
use std::time::Duration;

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

/// A scene of what `submit` gives, for a task that waits until the event is set.
fn of_pool<T: Send + Sync + 'static>(
    submit: impl Fn(&ThreadPool, Event) -> T,
    wait: impl Fn(&T, Duration) -> bool + Send + Sync + 'static,
) -> Scene {
    let (pool, event) = (ThreadPool::new(1).unwrap(), Event::new().unwrap());
    let result = submit(&pool, event.clone());
    let pool = InOrder { _opened: Opened(event.clone()), last: pool };
    let wait = move |timeout| {
        let _pool = &pool;
        wait(&result, timeout)
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn next() -> Scene {
    of_pool(
        |pool, event| Mutex::new(pool.imap(until_set, [event]).unwrap()),
        |results, timeout| has_come(results.lock().unwrap().next_timeout(timeout)),
    )
}

pub(crate) fn generated() -> Scene {
    let yield_when_set = |event: Event, results: Yielder<()>| {
        event.wait();
        results.yield_(())
    };
    of_pool(
        move |pool, event| Mutex::new(pool.generate(yield_when_set, [event]).unwrap()),
        |results, timeout| has_come(results.lock().unwrap().next_timeout(timeout)),
    )
}

pub(crate) fn apply_wait() -> Scene {
    let submit = |pool: &ThreadPool, event| pool.apply_async(until_set, (event,)).unwrap();
    of_pool(submit, ThreadResult::wait_timeout)
}

pub(crate) fn apply_get() -> Scene {
    let submit = |pool: &ThreadPool, event| pool.apply_async(until_set, (event,)).unwrap();
    of_pool(submit, |result, timeout| result.get_timeout(timeout) != Err(TaskError::Timeout))
}

pub(crate) fn map_wait() -> Scene {
    of_pool(|pool, event| pool.map_async(until_set, [event]).unwrap(), ThreadMapResult::wait_timeout)
}

pub(crate) fn map_get() -> Scene {
    let submit = |pool: &ThreadPool, event| pool.map_async(until_set, [event]).unwrap();
    of_pool(submit, |results, timeout| results.get_timeout(timeout) != Err(MapError::Timeout))
}

pub(crate) fn submit() -> Scene {
    submit_by(|executor, timeout| executor.submit_timeout(|| (), (), timeout).is_ok())
}

pub(crate) fn submit_with_options() -> Scene {
    let last = TaskOptions::new().priority(-1);
    submit_by(move |executor, timeout| executor.with(last).submit_timeout(|| (), (), timeout).is_ok())
}

fn submit_by(submit: impl Fn(&ThreadPoolExecutor, Duration) -> bool + Send + Sync + 'static) -> Scene {
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
        submit(&executor.last, timeout)
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
