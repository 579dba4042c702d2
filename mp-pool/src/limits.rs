//! When a worker has had enough: it is replaced between two tasks, or killed in one that takes too much memory.
//!
//! ```text
//!   worker:   a chunk is done ─ older than it may get, or larger? ─ it ends, and is replaced
//!   watcher:  looks at each worker's memory, the sooner the less is left ─ too much, and a task? ─ condemn, kill
//! ```
//!
//! A limit of the kernel's (`RLIMIT_AS`, `RLIMIT_DATA`) would end the worker by the allocator's abort, which is not
//! told from an abort of the task's own, and it counts what is reserved and never touched.

use mp_core::sys::usage::private_memory;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// When a worker ends by itself, between two tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recycling {
    pub(crate) age: Option<Duration>,
    pub(crate) memory: Option<u64>,
}

impl Recycling {
    /// Whether this process, which began then, is to end.
    pub(crate) fn is_due(self, began: Instant) -> bool {
        self.age.is_some_and(|age| began.elapsed() >= age)
            || self
                .memory
                .is_some_and(|most| private_memory(std::process::id()).is_some_and(|own| own > most))
    }
}

/// How fast a process can grow, in bytes a second: one that writes to new pages and does nothing else.
const GROWTH: u64 = 2 << 30;
/// Between two looks.
const LEAST: Duration = Duration::from_millis(5);
const MOST: Duration = Duration::from_secs(1);

/// What the watcher knows of the workers' memory.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    limit: u64,
    due: Instant,
}

impl MemoryWatch {
    pub(crate) fn new(limit: u64) -> MemoryWatch {
        MemoryWatch { limit, due: Instant::now() }
    }

    /// Looks at the workers, if it is time: gives each that is over the limit to `over`, by its index, with what it has
    /// and may have. Gives how long until one may be.
    pub(crate) fn look(
        &mut self,
        workers: impl FnOnce() -> Vec<(u32, u32)>,
        mut over: impl FnMut(u32, u64, u64),
    ) -> Duration {
        if self.due <= Instant::now() {
            let mut largest = 0;
            for (index, pid) in workers() {
                let used = private_memory(pid).unwrap_or_default();
                if used > self.limit {
                    over(index, used, self.limit);
                }
                largest = largest.max(used);
            }
            self.due = Instant::now() + self.pause(largest);
        }
        self.due.saturating_duration_since(Instant::now())
    }

    /// As long as the largest one takes to grow so much.
    fn pause(&self, largest: u64) -> Duration {
        let left = self.limit.saturating_sub(largest);
        Duration::from_millis(left / (GROWTH / 1000)).clamp(LEAST, MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_is_left_the_sooner_is_the_next_look() {
        let watch = MemoryWatch::new(1 << 30);
        let pauses =
            [0, 1 << 29, (1 << 30) - 1, 1 << 30, u64::MAX].map(|largest| watch.pause(largest).as_millis());
        assert_eq!(pauses, [500, 250, 5, 5, 5]);
        assert_eq!(MemoryWatch::new(u64::MAX).pause(0), MOST);
    }

    #[test]
    fn an_age_and_a_size_are_reached() {
        let began = Instant::now();
        let due = |age, memory| Recycling { age, memory }.is_due(began);
        assert!(!due(None, None) && !due(Some(Duration::MAX), Some(u64::MAX)));
        assert!(due(Some(Duration::ZERO), None) && due(None, Some(1)));
    }
}
