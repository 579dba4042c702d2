//! RwLock: a lock that many threads may hold to read, or one to write.
//!
//! ```text
//!            write: claim              the last reader leaves             release
//!   OPEN ─────────────────► CLAIMED ──────────────────────────► WRITING ─────────► OPEN
//!    │ ▲                       │ ▲                                 │
//!    │ └── readers come and go │ └── timeout, or killed: OPEN      └── killed: OPEN, and DAMAGED until cleared
//!    └──────────► readers in   └── readers leave, none comes in
//! ```
//!
//! | word        | meaning                                                                              |
//! |-------------|--------------------------------------------------------------------------------------|
//! | `monitor`   | entered by each thread that changes the others; all wait there                       |
//! | `writer`    | the thread that writes, or will when the readers have left                           |
//! | `readers`   | the threads that read: a slot for each                                               |
//! | `writing`   | 1 from the writer's beginning to its end                                             |
//! | `damaged`   | 1: a writer died between the two, and that was not cleared                           |
//!
//! A waiting writer keeps new readers out, so that readers that come and go cannot keep it waiting for ever.
//! So a thread that reads twice at a time can deadlock with itself, as with std's lock.
//!
//! # Orderings
//! The monitor's lock orders all of it: a thread that comes in has entered the monitor after those that left.
//!
//! # When a process dies
//! Reading: its slot is free. Waiting to write: its claim is free. Writing: the same, and the next thread
//! gets OwnerDied. Each is found at once by the next thread that comes, and within half a second by waiters,
//! which wake by themselves. A thread that is *stopped* inside the monitor, some hundred instructions, holds
//! up threads that return from a wait.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: rwlock_*

use super::holder::{clear, free, give_back, has_died, is_free, is_mine, take};
use super::lock::Acquired;
use super::monitor::RawMonitor;
use mp_core::word::{Deadline, Ordering, Owned, Word};

/// The lock of this module. All zeros is a free lock. `READERS` threads can read at a time, and as many can
/// wait and be notified at once.
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
    /// Acquires the lock to read, and waits for it until the deadline. Returns the slot for
    /// [`leave`](RawRwLock::leave). `None`: the deadline passed first.
    pub fn read(&self, until: Option<Deadline>) -> Option<(usize, Acquired)> {
        if !self.monitor.enter(until) {
            return None;
        }
        let open = || free(&self.writer).is_some() && free(&self.readers).is_some();
        let slot = self.monitor.wait_for(until, open).then(|| {
            self.remove_dead_writer();
            take(&self.readers)
        });
        let found = self.found();
        self.monitor.leave();
        Some((slot.flatten()?, found))
    }

    /// Leaves the slot that [`read`](RawRwLock::read) returned. `false`: the calling thread does not have it,
    /// and nothing is changed.
    pub fn leave(&self, slot: usize) -> bool {
        let Some(reader) = self.readers.get(slot).filter(|reader| is_mine(*reader)) else { return false };
        self.monitor.enter(None);
        give_back(reader);
        self.monitor.notify(u32::MAX);
        self.monitor.leave();
        true
    }

    /// Acquires the lock to write, and waits for it until the deadline. `None`: the deadline passed first.
    pub fn write(&self, until: Option<Deadline>) -> Option<Acquired> {
        if !self.monitor.enter(until) {
            return None;
        }
        let claimed = self.monitor.wait_for(until, || free(&self.writer).is_some());
        let alone = claimed && {
            self.remove_dead_writer();
            take(&self.writer);
            // The claim is set before the wait: from now on no new reader comes in.
            let alone = self.monitor.wait_for(until, || self.readers.iter().all(is_free_or_dead));
            if alone {
                write(&self.writing, 1);
            } else {
                // Too late: without this the claim would keep all readers out.
                give_back(&self.writer[0]);
                self.monitor.notify(u32::MAX);
            }
            alone
        };
        let found = self.found();
        self.monitor.leave();
        alone.then_some(found)
    }

    /// Ends [`write`](RawRwLock::write). `false`: the calling thread does not write, and nothing is changed.
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

    /// Whether the calling thread reads, in this slot.
    pub fn read_by_me(&self, slot: usize) -> bool {
        self.readers.get(slot).is_some_and(is_mine)
    }

    /// Marks the data as damaged, for the writer: see [`RawLock::set_died`](super::RawLock::set_died).
    pub fn set_died(&self) {
        if self.written_by_me() {
            write(&self.damaged, 1);
        }
    }

    /// Clears the mark, for the writer: see [`RawLock::clear_died`](super::RawLock::clear_died).
    pub fn clear_died(&self) {
        if self.written_by_me() {
            write(&self.damaged, 0);
        }
    }

    /// Frees the claim of a dead writer, and marks the data as damaged if it was writing.
    fn remove_dead_writer(&self) {
        if has_died(&self.writer[0]) {
            // The damage first: a death after the next store would lose it.
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

fn is_free_or_dead<O: Owned>(reader: &O) -> bool {
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
