//! TaskOptions: what a pool does about tasks beside calling their function.

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
}

impl TaskOptions {
    /// No option: tasks as [`Pool::apply`](crate::Pool::apply) and the others submit them.
    pub const fn new() -> TaskOptions {
        TaskOptions { deadline: None }
    }

    /// Each task may run at most so long, counted from when a worker begins it. Default: without limit.
    ///
    /// A task that runs longer ends as [`TaskError::DeadlineExceeded`](crate::TaskError::DeadlineExceeded). Its worker is killed
    /// within a few milliseconds, and replaced. A task that is done just before keeps its value: no worker is killed that is
    /// no longer at that task, so no other task is lost. Such deaths never break the pool. The time that a task waits for a
    /// worker does not count, nor that for its result: for that, [`AsyncResult::get_timeout`](crate::AsyncResult::get_timeout).
    ///
    /// The deadline is each item's by itself, so the items of a `map` go to the workers one by one. It is kept to a
    /// millisecond, never early. A worker that is stopped counts as one that runs. A worker that this process may not signal
    /// ends after the task instead. One of more than 24 days is none.
    ///
    /// Not in Python's `multiprocessing`. Celery: `time_limit`; pebble: `timeout` of `schedule`.
    #[doc(alias = "time_limit")]
    pub const fn deadline(mut self, deadline: Duration) -> TaskOptions {
        self.deadline = Some(deadline);
        self
    }

    /// Milliseconds that a task may run, rounded up.
    pub(crate) fn limit(self) -> Option<u32> {
        let millis = self.deadline?.as_nanos().div_ceil(1_000_000);
        // Longer ones cannot be told from shorter ones by the low bits of the clock.
        u32::try_from(millis).ok().filter(|millis| *millis < 1 << 31)
    }

    /// Whether the items go to the workers one by one.
    pub(crate) fn is_one_by_one(self) -> bool {
        self.deadline.is_some()
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
    fn one_that_is_too_long_for_the_clock_is_none() {
        let limit = |deadline| TaskOptions::new().deadline(deadline).limit();
        assert_eq!(limit(Duration::from_millis((1 << 31) - 1)), Some((1 << 31) - 1));
        assert_eq!(limit(Duration::from_millis(1 << 31)), None);
        assert_eq!(limit(Duration::MAX), None);
        assert_eq!(TaskOptions::new().limit(), None);
    }
}
