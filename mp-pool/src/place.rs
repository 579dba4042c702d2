//! Where a worker runs, and which one it is: its index, its CPU, its niceness.

use mp_core::sys::fork_handler::ForkHandler;
use mp_core::sys::state;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a worker takes on before its initializer runs.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The one CPU that it runs on.
    pub(crate) cpu: Option<usize>,
    /// How much is added to the niceness that it inherits.
    pub(crate) nice: u32,
}

impl Place {
    /// Takes it on, in the worker.
    pub(crate) fn take(self) -> Result<(), String> {
        if let Some(cpu) = self.cpu {
            state::pin_to(cpu).map_err(|error| format!("a worker cannot be bound to CPU {cpu}: {error}"))?;
        }
        if self.nice > 0 {
            let failed = |error| format!("the niceness of a worker cannot be raised: {error}");
            state::be_nicer(self.nice).map_err(failed)?;
        }
        Ok(())
    }
}

/// How many CPUs workers in these places may use all together. The CPUs of the calling thread are those of a worker
/// that is bound to none.
pub(crate) fn cpus_of(places: &[Place]) -> u32 {
    let bound: Option<HashSet<usize>> = places.iter().map(|place| place.cpu).collect();
    let cpus = bound.filter(|cpus| !cpus.is_empty()).map_or_else(state::usable_cpus, |cpus| cpus.len());
    u32::try_from(cpus).unwrap_or(u32::MAX)
}

/// The worker that this process is, plus 1; 0: it is none.
static PROCESS: AtomicUsize = AtomicUsize::new(0);

/// A copy of a worker is no worker.
extern "C" fn after_fork() {
    // ORDERING: Relaxed: one thread only, just after fork.
    PROCESS.store(0, Ordering::Relaxed);
}

thread_local! {
    /// The worker of a pool of threads that this thread is.
    static THREAD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Which worker of its pool calls this, from 0 to one less than the number of workers; `None` outside a worker. A
/// worker that is replaced leaves its index to its successor, so no two live workers of a pool have one index: it may
/// stand for a GPU, a port or a directory of its own.
///
/// In a worker process any thread may ask; of a pool of threads, the worker's own thread. A child process of a worker
/// is no worker.
///
/// Python has no counterpart; mpire passes it as `worker_id`.
#[doc(alias = "worker_id")]
pub fn worker_index() -> Option<usize> {
    // ORDERING: Relaxed: set before the process has a second thread of the program's.
    THREAD.get().or_else(|| PROCESS.load(Ordering::Relaxed).checked_sub(1))
}

/// This process is the worker of this index.
pub(crate) fn set_process(index: usize) {
    static AT_FORK: ForkHandler = ForkHandler::new(after_fork);
    AT_FORK.register();
    // ORDERING: Relaxed: see `worker_index`.
    PROCESS.store(index + 1, Ordering::Relaxed);
}

/// This thread is the worker of this index.
pub(crate) fn set_thread(index: usize) {
    THREAD.set(Some(index));
}
