//! The calls of executors and futures.

use super::{Scene, Stays, until_set};
use mp::futures::{Future, Pending, ReturnWhen, as_completed, wait_timeout};
use mp::{Event, ProcessPoolExecutor, TaskError, TaskOptions};
use std::sync::Mutex;

/// An executor whose end waits for no task.
struct Killed(ProcessPoolExecutor);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill_workers();
    }
}

impl std::ops::Deref for Killed {
    type Target = ProcessPoolExecutor;

    fn deref(&self) -> &ProcessPoolExecutor {
        &self.0
    }
}

/// A task that waits until the event is set.
fn waiting() -> (Killed, Future<()>, Event) {
    let (executor, event) = (Killed(ProcessPoolExecutor::new(1).unwrap()), Event::new().unwrap());
    let future = executor.submit(until_set, (event.clone(),)).unwrap();
    (executor, future, event)
}

pub(crate) fn wait() -> Scene {
    let (executor, future, event) = waiting();
    let wait = move |timeout| {
        let _executor = &executor;
        future.wait_timeout(timeout)
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn result() -> Scene {
    let (executor, future, event) = waiting();
    let wait = move |timeout| {
        let _executor = &executor;
        future.result_timeout(timeout) != Err(TaskError::Timeout)
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn wait_many() -> Scene {
    let (executor, future, event) = waiting();
    let wait = move |timeout| {
        let _executor = &executor;
        let futures = std::slice::from_ref(&future);
        !wait_timeout(futures, ReturnWhen::AllCompleted, timeout).done.is_empty()
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

pub(crate) fn next() -> Scene {
    let (executor, future, event) = waiting();
    let ended = Mutex::new(as_completed([future]));
    let wait = move |timeout| {
        let _executor = &executor;
        !matches!(ended.lock().unwrap().next_timeout(timeout), Some(Err(_)))
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

/// For room, which each one that submits takes.
pub(crate) fn submit() -> Scene {
    let (executor, _future, event) = waiting();
    while executor.try_submit(|| (), ()).is_ok() {}
    let wait = move |timeout| executor.submit_timeout(|| (), (), timeout).is_ok();
    Scene::new(wait, move || event.set()).stays(Stays::No)
}

pub(crate) fn submit_with_options() -> Scene {
    let options = TaskOptions::new();
    let (executor, _future, event) = waiting();
    while executor.with(options).try_submit(|| (), ()).is_ok() {}
    let wait = move |timeout| executor.with(options).submit_timeout(|| (), (), timeout).is_ok();
    Scene::new(wait, move || event.set()).stays(Stays::No)
}

pub(crate) fn shutdown() -> Scene {
    let (executor, _future, event) = waiting();
    let wait = move |timeout| executor.shutdown_timeout(Pending::Finish, timeout).is_ok();
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}
