//! A lock that many may hold to read, or one to write.
//!
//! ```text
//!            write: claim              the last reader leaves             release
//!   OPEN ─────────────────► CLAIMED ──────────────────────────► WRITING ─────────► OPEN
//!    │ ▲                       │ ▲                                 │
//!    │ └── readers come and go │ └── time is up, or killed: OPEN   └── killed: OPEN, and DAMAGED until cleared
//!    └──────────► readers in   └── readers leave, none comes in
//! ```
//!
//! | word        | means                                                                                   |
//! |-------------|-----------------------------------------------------------------------------------------|
//! | `monitor`   | whoever changes the others is inside; all wait there                                    |
//! | `writer`    | who writes, or will when the readers have left                                          |
//! | `readers`   | who reads: a place for each                                                             |
//! | `writing`   | 1 from the writer's beginning to his end                                                |
//! | `damaged`   | 1: a writer died between the two, and nobody has cleared that                           |
//!
//! A writer who waits keeps new readers out, so that readers who come and go cannot keep him out. So a thread that reads
//! twice at a time can wait for itself, as with std's.
//!
//! # Orderings
//! The monitor's lock orders all of it: who comes in has been inside after those who left.
//! # When a process dies
//! Reading: its place is free. Waiting to write: the claim is free. Writing: the same, and who comes next is told. Each
//! is found by the next who comes at once, and by those who wait at their timed look, half a second later at most. One that
//! is *stopped* inside the monitor, some hundred instructions, holds up who comes back from a wait.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: rwlock_*

use super::holder::{clear, free, give_back, has_died, is_free, is_mine, take};
use super::lock::Acquired;
use super::monitor::RawMonitor;
use mp_core::word::{Deadline, Ordering, Owned, Word};

/// How it works is said at the top of its file. All zeros is a lock that nobody holds. `READERS` threads can read at a
/// time, and as many wait and be told at once.
#[repr(C)]
#[derive(Debug)]
pub struct RawRwLock<O: Owned, const READERS: usize> {
    monitor: RawMonitor<O, READERS>,
    writer: [O; 1],
    readers: [O; READERS],
    writing: O::Word,
    damaged: O::Word,
}

impl<O: Owned + Default, const READERS: usize> Default for RawRwLock<O, READERS>
where
    O::Word: Default,
{
    fn default() -> Self {
        RawRwLock {
            monitor: RawMonitor::default(),
            writer: [O::default()],
            readers: std::array::from_fn(|_| O::default()),
            writing: O::Word::default(),
            damaged: O::Word::default(),
        }
    }
}

impl<O: Owned, const READERS: usize> RawRwLock<O, READERS> {
    /// Comes in to read, and waits for it until the deadline; gives the place to leave. `None`: the deadline passed
    /// first.
    pub fn read(&self, until: Option<Deadline>) -> Option<(usize, Acquired)> {
        if !self.monitor.enter(until) {
            return None;
        }
        let open = || free(&self.writer).is_some() && free(&self.readers).is_some();
        let place = self.monitor.wait_for(until, open).then(|| {
            self.bury_writer();
            take(&self.readers)
        });
        let found = self.found();
        self.monitor.leave();
        Some((place.flatten()?, found))
    }

    /// Leaves the place that [`read`](RawRwLock::read) gave. `false`, and nothing is changed: the calling thread is not
    /// there.
    pub fn leave(&self, place: usize) -> bool {
        let Some(reader) = self.readers.get(place).filter(|reader| is_mine(*reader)) else { return false };
        self.monitor.enter(None);
        give_back(reader);
        self.monitor.notify(u32::MAX);
        self.monitor.leave();
        true
    }

    /// Comes in to write, and waits for it until the deadline; `None`: the deadline passed first.
    pub fn write(&self, until: Option<Deadline>) -> Option<Acquired> {
        if !self.monitor.enter(until) {
            return None;
        }
        let claimed = self.monitor.wait_for(until, || free(&self.writer).is_some());
        let alone = claimed && {
            self.bury_writer();
            take(&self.writer);
            let alone = self.monitor.wait_for(until, || self.readers.iter().all(gone));
            if alone {
                write(&self.writing, 1);
            } else {
                give_back(&self.writer[0]);
                self.monitor.notify(u32::MAX);
            }
            alone
        };
        let found = self.found();
        self.monitor.leave();
        alone.then_some(found)
    }

    /// Ends what [`write`](RawRwLock::write) began. `false`, and nothing is changed: the calling thread does not write.
    pub fn release(&self) -> bool {
        if !self.written_by_me() {
            return false;
        }
        self.monitor.enter(None);
        write(&self.writing, 0);
        give_back(&self.writer[0]);
        self.monitor.notify(u32::MAX);
        self.monitor.leave();
        true
    }

    /// Whether the calling thread writes.
    pub fn written_by_me(&self) -> bool {
        is_mine(&self.writer[0])
    }

    /// Whether the calling thread reads, in this place.
    pub fn read_by_me(&self, place: usize) -> bool {
        self.readers.get(place).is_some_and(is_mine)
    }

    /// As [`RawLock::set_died`](super::RawLock::set_died), for the writer.
    pub fn set_died(&self) {
        if self.written_by_me() {
            write(&self.damaged, 1);
        }
    }

    /// As [`RawLock::clear_died`](super::RawLock::clear_died), for the writer.
    pub fn clear_died(&self) {
        if self.written_by_me() {
            write(&self.damaged, 0);
        }
    }

    /// If the writer died, he is none; and if he was writing, that is remembered.
    fn bury_writer(&self) {
        if has_died(&self.writer[0]) {
            // The damage first: one who dies here leaves it to be found.
            if read(&self.writing) == 1 {
                write(&self.damaged, 1);
                write(&self.writing, 0);
            }
            clear(&self.writer[0]);
        }
    }

    fn found(&self) -> Acquired {
        if read(&self.damaged) == 0 { Acquired::Clean } else { Acquired::OwnerDied }
    }
}

fn gone<O: Owned>(reader: &O) -> bool {
    is_free(reader) || has_died(reader)
}

fn read<W: Word>(word: &W) -> u32 {
    // ORDERING: Relaxed: the monitor's lock orders it.
    word.load(Ordering::Relaxed)
}

fn write<W: Word>(word: &W, value: u32) {
    // ORDERING: Relaxed: the monitor's lock orders it.
    word.store(value, Ordering::Relaxed);
}
