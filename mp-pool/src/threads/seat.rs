//! A seat: one thread of a pool, and what the threads in it have done.

use crate::place::set_thread;
use crate::statistics::WorkerStatistics;
use mp_core::sys::clock::thread_cpu_time;
use mp_core::sys::process::gettid;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

pub(super) struct Seat {
    index: usize,
    name: String,
    /// Items that have ended.
    items: AtomicU64,
    /// The kernel's number of the thread; 0: there is none.
    thread: AtomicU32,
    /// Threads that were started.
    starts: AtomicU64,
}

impl Seat {
    pub(super) fn new(index: usize, name: &str) -> Seat {
        let name = format!("{name}-{}", index + 1);
        Seat { index, name, items: AtomicU64::new(0), thread: AtomicU32::new(0), starts: AtomicU64::new(0) }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The calling thread takes it.
    pub(super) fn take(&self) {
        set_thread(self.index);
        // ORDERING: Relaxed, in this file: each is a number by itself.
        self.thread.store(gettid(), Ordering::Relaxed);
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Its thread; 0: there is none.
    pub(super) fn thread(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// Its thread ends.
    pub(super) fn leave(&self) {
        self.thread.store(0, Ordering::Relaxed);
    }

    /// So many items have ended.
    pub(super) fn did(&self, items: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn statistics(&self) -> WorkerStatistics {
        let thread = self.thread.load(Ordering::Relaxed);
        let alive = thread != 0;
        WorkerStatistics {
            index: self.index,
            name: self.name.clone(),
            pid: alive.then(std::process::id),
            tasks: self.items.load(Ordering::Relaxed),
            retried: 0,
            restarts: self.starts.load(Ordering::Relaxed).saturating_sub(1),
            bytes_in: 0,
            bytes_out: 0,
            cpu_time: if alive { thread_cpu_time(thread).unwrap_or_default() } else { Duration::ZERO },
        }
    }
}
