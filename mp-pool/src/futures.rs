//! Executors and futures. Python: `concurrent.futures`.

pub use crate::executor::{Pending, ProcessPoolExecutor};
pub use crate::future::Future;
pub use crate::threads::ThreadPoolExecutor;

use crate::error::TaskError;
use crate::supervisor::Shared;
use crate::watch::Watch;
use mp_core::word::Deadline;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What [`wait`] waits for.
///
/// Python: the constants of `concurrent.futures`, the argument `return_when`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "return_when")]
pub enum ReturnWhen {
    /// One of them has ended.
    #[doc(alias = "FIRST_COMPLETED")]
    FirstCompleted,
    /// One of them has failed or was cancelled, or all have ended. A task whose function returned `Err` has not failed.
    #[doc(alias = "FIRST_EXCEPTION")]
    FirstException,
    /// All have ended.
    #[doc(alias = "ALL_COMPLETED")]
    AllCompleted,
}

/// The futures that [`wait`] was given, each once, in the order in which they were given.
///
/// Python: `DoneAndNotDoneFutures`.
#[derive(Debug)]
#[doc(alias = "DoneAndNotDoneFutures")]
pub struct DoneAndNotDone<R> {
    /// Those that have ended, well or not.
    pub done: Vec<Future<R>>,
    /// Those that have not.
    pub not_done: Vec<Future<R>>,
}

/// Waits until some or all of the futures have ended. They may be of several executors. A future that is given twice
/// counts once.
///
/// ```no_run
/// use mp_pool::futures::{ReturnWhen, wait};
/// use mp_pool::ProcessPoolExecutor;
///
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// let executor = ProcessPoolExecutor::new(4)?;
/// let futures = (0..10).map(|x| executor.submit(square, (x,))).collect::<Result<Vec<_>, _>>()?;
/// let first = wait(&futures, ReturnWhen::FirstCompleted);
/// println!("{} of {} are done", first.done.len(), futures.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `concurrent.futures.wait`.
pub fn wait<R>(futures: &[Future<R>], return_when: ReturnWhen) -> DoneAndNotDone<R> {
    wait_until(futures, return_when, None)
}

/// Looks which of the futures have ended, without waiting. Python: `concurrent.futures.wait(timeout=0)`.
pub fn try_wait<R>(futures: &[Future<R>]) -> DoneAndNotDone<R> {
    let (done, not_done) = each_once(futures).partition(Future::done);
    DoneAndNotDone { done, not_done }
}

/// Is [`wait`] for at most `timeout`. That the time was over is no error: what has not ended then is in
/// [`not_done`](DoneAndNotDone::not_done).
///
/// Python: `concurrent.futures.wait(timeout)`.
pub fn wait_timeout<R>(
    futures: &[Future<R>],
    return_when: ReturnWhen,
    timeout: Duration,
) -> DoneAndNotDone<R> {
    wait_until(futures, return_when, Deadline::after(timeout))
}

fn wait_until<R>(
    futures: &[Future<R>],
    return_when: ReturnWhen,
    until: Option<Deadline>,
) -> DoneAndNotDone<R> {
    let mut watched = Watched::new(each_once(futures));
    while let Some(future) = watched.next(until) {
        let enough = match return_when {
            ReturnWhen::FirstCompleted => true,
            ReturnWhen::FirstException => future.task().error().is_some(),
            ReturnWhen::AllCompleted => false,
        };
        if enough {
            break;
        }
    }
    try_wait(futures)
}

/// The futures as they end: those that have ended first. They may be of several executors. A future that is given twice
/// is given back once.
///
/// ```no_run
/// use mp_pool::ProcessPoolExecutor;
/// use mp_pool::futures::as_completed;
///
/// fn square(x: u64) -> u64 {
///     x * x
/// }
///
/// let executor = ProcessPoolExecutor::new(4)?;
/// let futures = (0..10).map(|x| executor.submit(square, (x,))).collect::<Result<Vec<_>, _>>()?;
/// for future in as_completed(futures) {
///     println!("{}", future.result()?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `concurrent.futures.as_completed`.
pub fn as_completed<R>(futures: impl IntoIterator<Item = Future<R>>) -> AsCompleted<R> {
    let futures: Vec<Future<R>> = futures.into_iter().collect();
    AsCompleted { watched: Watched::new(each_once(&futures)) }
}

/// The iterator of [`as_completed`].
#[must_use = "an iterator waits when it is asked"]
pub struct AsCompleted<R> {
    watched: Watched<R>,
}

impl<R> AsCompleted<R> {
    /// Waits for the next future that ends, at most `timeout`. Python: `as_completed(timeout)`, which counts from its
    /// call.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if none has ended by then. Ask again.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Future<R>, TaskError>> {
        self.next_until(timeout, TaskError::Timeout)
    }

    /// The next future that has ended, without waiting.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if no other one has ended. Ask again.
    pub fn try_next(&mut self) -> Option<Result<Future<R>, TaskError>> {
        self.next_until(Duration::ZERO, TaskError::WouldBlock)
    }

    fn next_until(&mut self, timeout: Duration, late: TaskError) -> Option<Result<Future<R>, TaskError>> {
        if self.watched.left == 0 {
            return None;
        }
        Some(self.watched.next(Deadline::after(timeout)).ok_or(late))
    }
}

impl<R> Iterator for AsCompleted<R> {
    type Item = Future<R>;

    fn next(&mut self) -> Option<Future<R>> {
        self.watched.next(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.watched.left, Some(self.watched.left))
    }
}

impl<R> ExactSizeIterator for AsCompleted<R> {}
impl<R> std::iter::FusedIterator for AsCompleted<R> {}

impl<R> fmt::Debug for AsCompleted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.watched.left).finish_non_exhaustive()
    }
}

fn each_once<R>(futures: &[Future<R>]) -> impl Iterator<Item = Future<R>> {
    let mut seen = HashSet::new();
    futures.iter().filter(move |future| seen.insert(*future)).cloned()
}

/// Futures, each of which says when it is done.
struct Watched<R> {
    watch: Arc<Watch>,
    futures: Vec<Future<R>>,
    /// The one pool of processes that all are of.
    pool: Option<Arc<Shared>>,
    left: usize,
}

impl<R> Watched<R> {
    fn new(futures: impl Iterator<Item = Future<R>>) -> Watched<R> {
        let futures: Vec<Future<R>> = futures.collect();
        let watch = Arc::new(Watch::default());
        for (number, future) in futures.iter().enumerate() {
            future.task().watch(&watch, number);
        }
        let first = futures.first().and_then(|future| future.task().pool()).cloned();
        let is_its = |future: &Future<R>| {
            future.task().pool().zip(first.as_ref()).is_some_and(|(pool, first)| Arc::ptr_eq(pool, first))
        };
        let pool = if futures.iter().all(is_its) { first } else { None };
        Watched { watch, left: futures.len(), futures, pool }
    }

    /// The next one that is done; `None`: none is left, or the deadline.
    fn next(&mut self, until: Option<Deadline>) -> Option<Future<R>> {
        if self.left == 0 {
            return None;
        }
        let number = match &self.pool {
            // This thread collects the results of the one pool itself.
            Some(pool) => {
                drop(pool.wait_until(None, until, |_| self.watch.has_next()));
                self.watch.try_next()
            }
            None => self.watch.next(until, || {
                for future in self.futures.iter().filter(|future| future.task().pool().is_some()) {
                    future.done();
                }
            }),
        }?;
        self.left -= 1;
        Some(self.futures[number].clone())
    }
}
