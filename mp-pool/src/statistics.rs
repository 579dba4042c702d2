//! Statistics: what each worker of a pool has done so far.
//!
//! What is counted, and when: `dispatch/counts.rs`.

use crate::dispatch::Counts;
use crate::executor::ProcessPoolExecutor;
use crate::pool::Pool;
use std::time::Duration;

/// What a pool has done so far, from [`Pool::statistics`].
///
/// ```no_run
/// let pool = mp_pool::Pool::new(4)?;
/// pool.map(|x: u64| x * x, 0..1000)?;
/// let statistics = pool.statistics();
/// assert_eq!(statistics.tasks(), 1000);
/// for worker in &statistics.workers {
///     println!("{}: {} tasks, {:?}", worker.name, worker.tasks, worker.cpu_time);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python has no counterpart; mpire calls it worker insights.
#[doc(alias = "insights")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// One entry for each [index](crate::worker_index) that a worker has had.
    pub workers: Vec<WorkerStatistics>,
}

impl Statistics {
    /// Tasks that have ended in workers, all together.
    pub fn tasks(&self) -> u64 {
        self.workers.iter().map(|worker| worker.tasks).sum()
    }

    /// Tries that were followed by another one, all together.
    pub fn retried(&self) -> u64 {
        self.workers.iter().map(|worker| worker.retried).sum()
    }

    /// Workers that were started in the place of others, all together.
    pub fn restarts(&self) -> u64 {
        self.workers.iter().map(|worker| worker.restarts).sum()
    }
}

/// What the worker of one index has done, and the workers that had the index before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatistics {
    /// Its [index](crate::worker_index).
    pub index: usize,
    /// The name of the last worker that was started, as errors and process lists show it.
    pub name: String,
    /// Its process id; `None` while there is no live worker of this index.
    pub pid: Option<u32>,
    /// Tasks that have ended, with a value, a failure or a panic, and whose end was collected: by a thread that waits
    /// for results, or between two submissions. A task whose worker died is none of them. A task that was tried several
    /// times counts once, where its last try was.
    pub tasks: u64,
    /// Tries that ended with a panic and were followed by another one ([`Retry::on_panic`](crate::Retry::on_panic)).
    /// One whose worker died is none of them.
    pub retried: u64,
    /// Workers that were started after the first one: it had died, had done the tasks that it was allowed, or had left
    /// for want of work.
    pub restarts: u64,
    /// Bytes of packed arguments that went to it, for the tasks above.
    pub bytes_in: u64,
    /// Bytes of packed results that came back.
    pub bytes_out: u64,
    /// CPU time of the live worker, its start, its waits before it sleeps, and its threads included; zero if there is
    /// none, and of one on another host.
    pub cpu_time: Duration,
}

impl Pool {
    /// What each worker has done so far.
    ///
    /// Python has no counterpart; mpire: `get_insights`.
    #[doc(alias = "get_insights")]
    pub fn statistics(&self) -> Statistics {
        if !self.is_owned() {
            return Statistics { workers: Vec::new() };
        }
        let dispatch = self.shared().dispatch();
        let of = |(index, counts): (usize, &Counts)| {
            let child = dispatch.workers[index].as_ref().map(|worker| &worker.child);
            WorkerStatistics {
                index,
                name: dispatch.latest[index].1.to_string(),
                pid: child.and_then(|child| child.pid()),
                tasks: counts.tasks,
                retried: counts.retried,
                restarts: counts.starts.saturating_sub(1),
                bytes_in: counts.bytes_in,
                bytes_out: counts.bytes_out,
                cpu_time: child.and_then(|child| child.cpu_time()).unwrap_or_default(),
            }
        };
        let used = |(_, counts): &(usize, &Counts)| counts.starts > 0;
        Statistics { workers: dispatch.counts.iter().enumerate().filter(used).map(of).collect() }
    }
}

impl ProcessPoolExecutor {
    /// What each worker has done so far: see [`Pool::statistics`].
    pub fn statistics(&self) -> Statistics {
        self.pool().statistics()
    }
}
