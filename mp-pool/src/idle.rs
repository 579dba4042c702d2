//! A pool that shrinks while it has nothing to do.
//!
//! ```text
//!   worker:   asleep for as long as it may be idle ─► it says that it leaves ─► a last look ─► ends (board/sleep.rs)
//!   watcher:  sees its end ─ tasks wait? ─ start it again             (dispatch/idle.rs)
//!   caller:   submits ─ more than the workers that are there? ─ wakes the watcher, which starts others
//! ```
//!
//! The workers of the first indices stay, the others leave: a sleeper of a low index is woken first, so those that stay
//! are those that work. No timer runs but the worker's own, while it sleeps.
//!
//! # When a process dies
//! A worker that has said that it leaves has taken nothing: how it ends makes no difference. One that is killed while
//! it is idle has a successor, which leaves after its time.

use crate::builder::PoolBuilder;
use crate::supervisor::Shared;
use std::time::Duration;

/// Which workers leave, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Idle {
    pub(crate) timeout: Option<Duration>,
    /// The workers that stay: those of the first indices.
    pub(crate) least: usize,
}

impl Idle {
    /// How long the worker of this index may be idle.
    pub(crate) fn of(self, index: u32) -> Option<Duration> {
        self.timeout.filter(|_| index as usize >= self.least)
    }
}

impl PoolBuilder {
    /// A worker that has had nothing to do for so long ends. It is started again when tasks wait for a worker. Default:
    /// workers stay.
    ///
    /// All leave but the [`least_processes`](PoolBuilder::least_processes). The pool begins with all its workers, and a
    /// task that comes when none is there waits until one has been started, which takes as long as at first, with its
    /// initializer. No task is lost, whenever it comes. A pool without workers uses no CPU and keeps no process.
    ///
    /// ```no_run
    /// use mp_pool::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder()
    ///     .processes(16)
    ///     .idle_timeout(Duration::from_secs(10))
    ///     .least_processes(1)
    ///     .build()?;
    /// let squares = pool.map(|x: u64| x * x, 0..1_000_000)?; // by 16 workers
    /// // Ten seconds later one is left.
    /// # drop(squares);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Pool::processes`](crate::Pool::processes) stays what it is. [`resize`](crate::Pool::resize) changes how many
    /// there may be, and starts those that have left.
    ///
    /// Python has no counterpart; loky: `get_reusable_executor(timeout)`; Java: `keepAliveTime`.
    #[doc(alias = "timeout")]
    #[doc(alias = "keep_alive")]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle.timeout = Some(timeout);
        self
    }

    /// How many workers stay, however long they have nothing to do: with
    /// [`idle_timeout`](PoolBuilder::idle_timeout). At most as many as the pool [has](PoolBuilder::processes).
    /// Default: 0.
    ///
    /// Python has no counterpart; Java: `corePoolSize`.
    pub fn least_processes(mut self, count: usize) -> Self {
        self.idle.least = count;
        self
    }
}

impl Shared {
    /// Watcher: the workers that are to be started again, since tasks wait.
    pub(crate) fn wanted_again(&self) -> Vec<u32> {
        let mut dispatch = self.dispatch();
        let wanted = dispatch.take_wanted();
        let settled = dispatch.settled;
        self.tell(&mut dispatch);
        drop(dispatch);
        // The thread that leads may wait for what was collected.
        if settled {
            self.board.wake_caller();
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_stay() {
        let idle = Idle { timeout: Some(Duration::from_secs(1)), least: 2 };
        assert_eq!([0, 1, 2, 9].map(|index| idle.of(index).is_some()), [false, false, true, true]);
        assert_eq!(Idle { timeout: None, least: 2 }.of(9), None);
    }
}
