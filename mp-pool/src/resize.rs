//! A pool that grows and shrinks while it works.
//!
//! ```text
//!   grow:    wanted = n ─► recall: the bits of the new indices down ─► start what is not there
//!   shrink:  wanted = n ─► dismiss: a bit for each index beyond ─► each ends after its chunk, and is not replaced
//! ```
//!
//! Which workers are wanted is decided under the dispatch's lock, where the watcher decides whether one that has ended
//! is replaced. So a worker is started by one of the two, and by none twice.

use crate::builder::PoolBuilder;
use crate::dispatch::Phase;
use crate::error::NewPoolError;
use crate::executor::ProcessPoolExecutor;
use crate::pool::Pool;
use std::sync::atomic::Ordering;

/// The error of [`Pool::resize`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// Zero workers, or more than the pool has places for. Nothing was changed.
    #[error(
        "the pool has places for 1 to {most} workers: ask for as many, or, up to 1,024, make it with more places by \
         most_processes"
    )]
    Places {
        /// The most workers that it can have.
        most: usize,
    },
    /// The pool takes no more tasks, or belongs to the process that this one is a copy of. Nothing was changed.
    #[error("the pool is closed, broken, or another process's: make another one")]
    Closed,
    /// A worker could not be started. Those that were started stay; the pool tries again where a worker ends.
    #[error(transparent)]
    Start(#[from] NewPoolError),
}

impl PoolBuilder {
    /// For how many workers the pool has places, at most 1,024: as far as [`resize`](Pool::resize) may go. A place
    /// costs some shared memory. Default: as many as it [begins with](PoolBuilder::processes).
    ///
    /// Python has no counterpart; loky: `get_reusable_executor(max_workers)` makes a pool anew.
    pub fn most_processes(mut self, count: usize) -> Self {
        self.places = Some(count);
        self
    }
}

impl Pool {
    /// Has the pool grow or shrink to so many workers. New ones are started, and begin with what waits. Of those that
    /// are too many each ends after the chunk that it has begun, idle ones at once: no task is lost, and this call does
    /// not wait for them.
    ///
    /// ```no_run
    /// let pool = mp_pool::Pool::builder().processes(2).most_processes(16).build()?;
    /// pool.resize(16)?;
    /// let squares = pool.map(|x: u64| x * x, 0..1_000_000)?;
    /// pool.resize(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ResizeError`].
    ///
    /// Python has no counterpart; celery: `pool_grow`, `pool_shrink`.
    #[doc(alias = "grow")]
    #[doc(alias = "shrink")]
    pub fn resize(&self, processes: usize) -> Result<(), ResizeError> {
        let shared = self.shared();
        let most = shared.board.shape().workers as usize;
        if !(1..=most).contains(&processes) {
            return Err(ResizeError::Places { most });
        }
        if !self.is_owned() {
            return Err(ResizeError::Closed);
        }
        let missing: Vec<u32> = {
            let mut dispatch = shared.dispatch();
            if dispatch.phase != Phase::Running {
                return Err(ResizeError::Closed);
            }
            // ORDERING: Relaxed: written under the lock; what reads it without takes either number.
            shared.wanted.store(processes, Ordering::Relaxed);
            let (kept, gone) = (0..processes as u32, processes as u32..most as u32);
            for index in gone {
                dispatch.dismissed[index as usize] = true;
                dispatch.has_not_left(index);
                shared.board.dismiss(index);
            }
            kept.clone().for_each(|index| shared.board.recall(index));
            kept.filter(|index| dispatch.is_vacant(*index)).collect()
        };
        missing.into_iter().try_for_each(|index| shared.start_worker(index))?;
        Ok(())
    }
}

impl ProcessPoolExecutor {
    /// Has the executor grow or shrink to so many workers: see [`Pool::resize`].
    ///
    /// # Errors
    /// [`ResizeError`].
    pub fn resize(&self, max_workers: usize) -> Result<(), ResizeError> {
        self.pool().resize(max_workers)
    }
}
