//! Counts: what is counted for each worker, for `statistics.rs`.
//!
//! The thread that collects results counts them, by slot: no clock is read, and no worker counts.

/// What is counted for one index.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) tasks: u64,
    pub(crate) retried: u64,
    pub(crate) starts: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Counts {
    /// One more worker has the index.
    pub(crate) fn started(&mut self) {
        self.starts += 1;
    }

    /// That one could not be started.
    pub(crate) fn not_started(&mut self) {
        self.starts -= 1;
    }

    /// What came back as a task was a try of one that is tried again.
    pub(crate) fn retried(&mut self) {
        self.tasks -= 1;
        self.retried += 1;
    }

    /// A chunk has come back: items that are done, bytes of their arguments and results.
    #[inline]
    pub(crate) fn came_back(&mut self, done: u32, bytes_in: usize, bytes_out: usize) {
        self.tasks += u64::from(done);
        self.bytes_in += bytes_in as u64;
        self.bytes_out += bytes_out as u64;
    }
}
