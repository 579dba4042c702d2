//! TaskOptions: what a pool does about tasks beside calling their function.

use crate::error::TaskError;
use std::time::Duration;

/// What [`Pool::with`](crate::Pool::with) does about the tasks that are submitted with it.
///
/// ```no_run
/// use mp_pool::{Pool, TaskError, TaskOptions};
/// use std::time::Duration;
///
/// fn parse(path: String) -> u64 {
///     std::fs::read(path).map_or(0, |bytes| bytes.len() as u64)
/// }
///
/// let pool = Pool::new(4)?;
/// let options = TaskOptions::new().deadline(Duration::from_secs(5));
/// for (path, length) in std::env::args().zip(pool.with(options).map_each(parse, std::env::args())?) {
///     match length {
///         Err(TaskError::DeadlineExceeded { .. }) => println!("{path}: took too long"),
///         length => println!("{path}: {}", length?),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An option that is not set costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "options are an argument of Pool::with"]
pub struct TaskOptions {
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) priority: i32,
}

/// 24 days in milliseconds: 20 hours less than what differences of the low bits of the clock can tell, so that a look
/// which comes late finds it over all the same.
pub(crate) const LONGEST: u32 = 24 * 24 * 3600 * 1000;

impl TaskOptions {
    /// No option: tasks as [`Pool::apply`](crate::Pool::apply) and the others submit them.
    pub const fn new() -> TaskOptions {
        TaskOptions { deadline: None, retry: None, priority: 0 }
    }

    /// Each task may run at most so long, counted from when a worker begins it. Default: without limit.
    ///
    /// A task that runs longer ends as [`TaskError::DeadlineExceeded`](crate::TaskError::DeadlineExceeded). Its worker
    /// is killed within a few milliseconds, and replaced. A task that is done just before keeps its value: no worker is
    /// killed that is no longer at that task, so no other task is lost. Such deaths never break the pool. The time that
    /// a task waits for a worker does not count, nor that for its result: for that,
    /// [`AsyncResult::get_timeout`](crate::AsyncResult::get_timeout).
    ///
    /// The deadline is each item's by itself, so the items of a `map` go to the workers one by one. It is kept to a
    /// millisecond (with a [backend](crate::PoolBuilder::backend) to about 10 ms and the time that a packet takes),
    /// never early. A worker that is stopped counts as one that runs. A worker that this process may not
    /// signal ends after the task instead. One of more than 24 days is none.
    ///
    /// Not in Python's `multiprocessing`. Celery: `time_limit`; pebble: `timeout` of `schedule`.
    #[doc(alias = "time_limit")]
    pub const fn deadline(mut self, deadline: Duration) -> TaskOptions {
        self.deadline = Some(deadline);
        self
    }

    /// Each task is tried again as `retry` says: for tasks that may run twice. Default: none is.
    ///
    /// Not in Python's `multiprocessing`. Celery: `autoretry_for`, `max_retries`; Ray: `max_retries`.
    pub const fn retry(mut self, retry: Retry) -> TaskOptions {
        self.retry = Some(retry);
        self
    }

    /// A worker that becomes free takes a task of the highest priority that waits; of equal ones, the one that was
    /// submitted first. Default: 0, for all calls without options; lower than that is after them.
    ///
    /// A task that runs is not interrupted. One of a low priority waits as long as there are others. While tasks of
    /// different priorities wait, fewer of them are handed out ahead, so very short ones go slower; if all have the
    /// same one, it costs nothing. The calls that wait for room do not wait for tasks of a lower priority.
    ///
    /// Not in Python. Celery: `priority`.
    pub const fn priority(mut self, priority: i32) -> TaskOptions {
        self.priority = priority;
        self
    }

    /// Milliseconds that a task may run, rounded up.
    pub(crate) fn limit(self) -> Option<u32> {
        let millis = self.deadline?.as_nanos().div_ceil(1_000_000);
        u32::try_from(millis).ok().filter(|millis| *millis <= LONGEST)
    }

    /// Whether the items go to the workers one by one.
    pub(crate) fn is_one_by_one(self) -> bool {
        self.deadline.is_some() || self.retry.is_some()
    }
}

/// When a task is tried again, how often, and after which wait: an argument of [`TaskOptions::retry`].
///
/// ```no_run
/// use mp_pool::{Pool, Retry, TaskOptions};
/// use std::time::Duration;
///
/// fn fetch(url: String) -> usize {
///     url.len() // a library in C that crashes now and then
/// }
///
/// let pool = Pool::new(4)?;
/// let retry = Retry::new(3).backoff(Duration::from_millis(100)).on_panic();
/// let lengths = pool.with(TaskOptions::new().retry(retry)).map(fetch, std::env::args())?;
/// # drop(lengths);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A task is tried again when its worker dies while it runs, also if it had too much memory. So it may be begun several
/// times, and what it did outside of its process was done in part: only the program knows whether that does harm. The
/// last error is the task's; after the last try a task that kills its workers (a *poison* task) ends as
/// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied) with the number of workers that it has cost, and never takes
/// one again.
///
/// While a task waits to be tried again, it takes no worker. It can be cancelled, [`Pool::close`](crate::Pool::close)
/// lets it be tried, and [`Pool::join`](crate::Pool::join) waits for it. Arguments are kept until the task ends,
/// handles among them too.
///
/// A `Result::Err` that the function returns is a value, and is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is an argument of TaskOptions::retry"]
pub struct Retry {
    pub(crate) times: u32,
    backoff: Duration,
    pub(crate) on_panic: bool,
    on_deadline: bool,
}

impl Retry {
    /// At most so many times after the first one, at once, when its worker dies.
    pub const fn new(times: u32) -> Retry {
        Retry { times, backoff: Duration::ZERO, on_panic: false, on_deadline: false }
    }

    /// The wait before the task is tried again: so long the first time, twice as long each time after, an hour at most.
    ///
    /// Celery: `retry_backoff`.
    #[doc(alias = "retry_backoff")]
    pub const fn backoff(mut self, first: Duration) -> Retry {
        self.backoff = first;
        self
    }

    /// Also when the task panics.
    pub const fn on_panic(mut self) -> Retry {
        self.on_panic = true;
        self
    }

    /// Also when the task runs longer than its [deadline](TaskOptions::deadline), which counts anew each time.
    pub const fn on_deadline(mut self) -> Retry {
        self.on_deadline = true;
        self
    }

    /// Whether a task that ended so is tried again.
    pub(crate) fn is_for(self, error: &TaskError) -> bool {
        match error {
            TaskError::WorkerDied { .. } | TaskError::OutOfMemory { .. } => true,
            TaskError::Panicked { .. } => self.on_panic,
            TaskError::DeadlineExceeded { .. } => self.on_deadline,
            _ => false,
        }
    }

    /// The wait before a task is tried again that was so many times.
    pub(crate) fn wait(self, retries: u32) -> Duration {
        const MOST: Duration = Duration::from_secs(3600);
        self.backoff.saturating_mul(2_u32.saturating_pow(retries)).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_to_milliseconds() {
        let limit = |deadline| TaskOptions::new().deadline(deadline).limit();
        assert_eq!(limit(Duration::ZERO), Some(0));
        assert_eq!(limit(Duration::from_nanos(1)), Some(1));
        assert_eq!(limit(Duration::from_millis(7)), Some(7));
        assert_eq!(limit(Duration::from_micros(7001)), Some(8));
    }

    #[test]
    fn waits_double_and_are_bounded() {
        let retry = Retry::new(9).backoff(Duration::from_millis(20));
        assert_eq!([0, 1, 2, 3].map(|retries| retry.wait(retries).as_millis()), [20, 40, 80, 160]);
        assert_eq!([30, 31, 32, u32::MAX].map(|retries| retry.wait(retries).as_secs()), [3600; 4]);
        assert_eq!(Retry::new(9).wait(7), Duration::ZERO);
        assert_eq!(Retry::new(9).backoff(Duration::MAX).wait(1).as_secs(), 3600);
    }

    #[test]
    fn one_that_is_too_long_for_the_clock_is_none() {
        let limit = |deadline| TaskOptions::new().deadline(deadline).limit();
        let longest = Duration::from_secs(24 * 24 * 3600);
        assert_eq!(limit(longest), Some(LONGEST));
        assert_eq!(limit(longest + Duration::from_nanos(1)), None);
        assert_eq!(limit(Duration::MAX), None);
        assert_eq!(TaskOptions::new().limit(), None);
    }
}
