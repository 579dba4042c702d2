//! ThreadResult and ThreadMapResult: what will come of a call, with the calls of AsyncResult and MapResult.

use super::call::{Chunk, all_of};
use crate::error::{MapError, SubmitError, TaskError};
use crate::future::Future;
use crate::hook::call_settled;
use crate::lead::ASK;
use mp_core::word::Deadline;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The value that a task of a pool of threads will give, with the calls of an [`AsyncResult`](crate::AsyncResult).
/// Dropping it lets the task go on, unread.
///
/// The value is given once, since it need not be one that can be copied: after that it is [`TaskError::Taken`]. An
/// error is given to each that asks.
///
/// Python: `multiprocessing.pool.AsyncResult`, of a `ThreadPool`.
pub struct ThreadResult<R> {
    future: Future<R>,
}

impl<R> ThreadResult<R> {
    pub(super) fn of(future: Future<R>) -> Self {
        ThreadResult { future }
    }

    /// Whether the task has ended, well or not. Python: `AsyncResult.ready`.
    #[doc(alias = "done")]
    pub fn ready(&self) -> bool {
        self.future.done()
    }

    /// Gives the task up: if it has not begun it never will, and ends as [`TaskError::Cancelled`]. One that has begun
    /// goes on: a thread cannot be killed.
    pub fn cancel(&self) {
        self.future.cancel();
    }

    /// Waits until it has. Python: `AsyncResult.wait()`.
    pub fn wait(&self) {
        self.future.wait();
    }

    /// Waits until it has, at most `timeout`; whether it has. Python: `AsyncResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.future.wait_timeout(timeout)
    }

    /// Whether the task gave a value; `None`: it has not ended. Python: `AsyncResult.successful`, which raises
    /// `ValueError` then.
    pub fn successful(&self) -> Option<bool> {
        self.ready().then(|| self.future.exception().is_none())
    }

    /// Waits for the task's value, and takes it. Python: `AsyncResult.get`.
    ///
    /// # Errors
    /// What became of the task; [`TaskError::Taken`] if the value was given before.
    #[doc(alias = "result")]
    #[doc(alias = "exception")]
    pub fn get(&self) -> Result<R, TaskError> {
        self.future.result()
    }

    /// Takes the task's value, without waiting. Python: `AsyncResult.get(0)`.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if the task has not ended; else as [`get`](ThreadResult::get).
    pub fn try_get(&self) -> Result<R, TaskError> {
        self.future.try_result()
    }

    /// Waits for the task's value, at most `timeout`, and takes it. Python: `AsyncResult.get(timeout)`.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if the task has not ended by then: it goes on; else as [`get`](ThreadResult::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        self.future.result_timeout(timeout)
    }

    /// Is [`get`](ThreadResult::get), and gives up within 50 ms after `interrupted` has become true.
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; what became of the task, as [`SubmitError::Task`].
    pub fn get_interruptible(&self, interrupted: impl FnMut() -> bool) -> Result<R, SubmitError> {
        wait_unless(&self.future, interrupted)?;
        Ok(self.future.result()?)
    }

    /// Has `callback` called with what comes of the task, in the thread that ends it: at once, if it has ended. So one
    /// is to be quick. One that panics is told by the panic hook, and harms nothing else.
    ///
    /// Python: `apply_async(callback, error_callback)`.
    #[doc(alias = "callback")]
    #[doc(alias = "error_callback")]
    #[doc(alias = "add_done_callback")]
    pub fn call_back(&self, callback: impl FnOnce(Result<R, TaskError>) + Send + 'static)
    where
        R: 'static,
    {
        self.future.add_done_callback(|future| callback(future.result()));
    }
}

fn wait_unless<R>(future: &Future<R>, mut interrupted: impl FnMut() -> bool) -> Result<(), SubmitError> {
    while !future.done() {
        if interrupted() {
            return Err(SubmitError::Interrupted);
        }
        future.wait_timeout(ASK);
    }
    Ok(())
}

/// The values that the tasks of a `map_async` of a pool of threads will give, in the order of the input, with the calls
/// of a [`MapResult`](crate::MapResult). Dropping it lets the tasks go on, unread.
///
/// Each value is given once, since it need not be one that can be copied: after that it is [`TaskError::Taken`].
///
/// Python: `multiprocessing.pool.MapResult`, of a `ThreadPool`.
pub struct ThreadMapResult<R> {
    chunks: Arc<[Chunk<R>]>,
}

impl<R: Send + 'static> ThreadMapResult<R> {
    pub(super) fn of(chunks: Vec<Chunk<R>>) -> Self {
        ThreadMapResult { chunks: chunks.into() }
    }

    /// Whether every task has ended. Python: `MapResult.ready`.
    pub fn ready(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.results.done())
    }

    /// Waits until every task has ended. Python: `MapResult.wait()`.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until every task has ended, at most `timeout`; whether they have. Python: `MapResult.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, until: Option<Deadline>) -> bool {
        self.chunks.iter().all(|chunk| chunk.results.task().wait(until))
    }

    /// Waits for all values, and takes them. Python: `MapResult.get`.
    ///
    /// # Errors
    /// The first item, in the order of the input, that failed. The others were done all the same.
    pub fn get(&self) -> Result<Vec<R>, MapError> {
        all_of(&self.chunks)
    }

    /// Takes all values, without waiting. Python: `MapResult.get(0)`.
    ///
    /// # Errors
    /// [`MapError::WouldBlock`] if not every task has ended; else as [`get`](ThreadMapResult::get).
    pub fn try_get(&self) -> Result<Vec<R>, MapError> {
        if self.ready() { self.get() } else { Err(MapError::WouldBlock) }
    }

    /// Waits for all values, at most `timeout`, and takes them. Python: `MapResult.get(timeout)`.
    ///
    /// # Errors
    /// [`MapError::Timeout`] if not every task has ended by then: they go on; else as [`get`](ThreadMapResult::get).
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<R>, MapError> {
        if self.wait_timeout(timeout) { self.get() } else { Err(MapError::Timeout) }
    }

    /// Is [`get`](ThreadMapResult::get), and gives up within 50 ms after `interrupted` has become true.
    ///
    /// # Errors
    /// [`SubmitError::Interrupted`]; the first item that failed, as [`SubmitError::Map`].
    pub fn get_interruptible(&self, mut interrupted: impl FnMut() -> bool) -> Result<Vec<R>, SubmitError> {
        self.chunks.iter().try_for_each(|chunk| wait_unless(&chunk.results, &mut interrupted))?;
        Ok(self.get()?)
    }

    /// Waits for all tasks, and takes the value or the error of each, in the order of the input.
    pub fn get_each(&self) -> Vec<Result<R, TaskError>> {
        self.chunks.iter().flat_map(Chunk::take).collect()
    }

    /// Whether each task gave a value, as far as none was taken; `None`: not all have ended. Python:
    /// `MapResult.successful`, which raises `ValueError` then.
    pub fn successful(&self) -> Option<bool> {
        self.ready().then(|| self.chunks.iter().all(Chunk::is_successful))
    }

    /// Has `callback` called with all values, or the first failure, in the thread that ends the last task: see
    /// [`ThreadResult::call_back`].
    ///
    /// Python: `map_async(callback, error_callback)`.
    #[doc(alias = "callback")]
    #[doc(alias = "error_callback")]
    pub fn call_back(&self, callback: impl FnOnce(Result<Vec<R>, MapError>) + Send + 'static) {
        if self.chunks.is_empty() {
            return call_settled(Some(Box::new(|| callback(Ok(Vec::new())))));
        }
        let (chunks, left) = (Arc::clone(&self.chunks), AtomicUsize::new(self.chunks.len()));
        let callback = Mutex::new(Some(callback));
        let one_ended = Arc::new(move || {
            // ORDERING: AcqRel, pairs with itself: the last one to count sees what the others have done.
            if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                let callback = callback.lock().unwrap_or_else(PoisonError::into_inner).take();
                callback.into_iter().for_each(|callback| callback(all_of(&chunks)));
            }
        });
        for chunk in self.chunks.iter() {
            let one_ended = Arc::clone(&one_ended);
            chunk.results.task().call_back(Box::new(move || one_ended()));
        }
    }
}

/// What is known of the task: nothing is waited for.
impl<R> fmt::Debug for ThreadResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadResult").field("ready", &self.future.task().is_known_done()).finish()
    }
}

/// What is known of the tasks: nothing is waited for.
impl<R> fmt::Debug for ThreadMapResult<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = self.chunks.iter().all(|chunk| chunk.results.task().is_known_done());
        f.debug_struct("ThreadMapResult").field("ready", &ready).finish()
    }
}
