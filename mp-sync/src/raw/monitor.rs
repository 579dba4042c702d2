//! Monitor: a lock and a condition in one, for threads that wait until the data beside it satisfies a test.
//!
//! ```text
//!   enter ──► wait_for(is_so) ──► changes something ──► notify ──► leave
//!                 │    ▲
//!                 └────┘ released: notified, or the deadline passed, or is_so holds when the thread wakes by itself
//! ```
//!
//! # Orderings
//! Those of the lock and of the condition.
//!
//! # When a process dies
//! Inside, or before it notified: a waiter wakes by itself and tests `is_so`, at most half a second later.
//! The data beside the monitor must be whole after each single store: no thread is told of a death.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: permits_*, rwlock_*

use super::condition::RawCondition;
use super::lock::RawLock;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};

/// The monitor of this module. All zeros is a free one. `WAITING` threads can wait at a time and be notified;
/// further ones wake by themselves.
#[repr(C)]
#[derive(Debug)]
pub(super) struct RawMonitor<O: Owned, const WAITING: usize> {
    lock: RawLock<O>,
    changed: RawCondition<O, WAITING>,
    /// Never changes: a word to sleep on for threads that cannot be notified.
    still: O::Word,
}

impl<O: Owned + Default, const WAITING: usize> Default for RawMonitor<O, WAITING>
where
    O::Word: Default,
{
    fn default() -> Self {
        RawMonitor { lock: RawLock::default(), changed: RawCondition::default(), still: O::Word::default() }
    }
}

impl<O: Owned, const WAITING: usize> RawMonitor<O, WAITING> {
    /// Enters, also after a death inside. `false`: the deadline passed first.
    pub(super) fn enter(&self, until: Option<Deadline>) -> bool {
        loop {
            if self.lock.acquire(until).is_some() {
                return true;
            }
            if until.is_some() {
                return false;
            }
        }
    }

    /// Leaves.
    pub(super) fn leave(&self) {
        self.lock.release();
    }

    /// Waits inside, with others let in meanwhile, until `is_so`. `false`: the deadline passed first.
    pub(super) fn wait_for(&self, until: Option<Deadline>, is_so: impl Fn() -> bool) -> bool {
        let mut late = false;
        while !is_so() {
            if late {
                return false;
            }
            match self.changed.wait_unless(&self.lock, until, &is_so) {
                // The deadline counts also after a notification: others that entered first, again and again,
                // must not keep this thread waiting.
                Ok(waited) => {
                    late = (!waited.notified || until.is_some_and(Deadline::passed)) && !is_so();
                }
                Err(_) => {
                    self.lock.release();
                    // ORDERING: Relaxed: it never changes.
                    let seen = self.still.load(Ordering::Relaxed);
                    late = self.still.wait(seen, until) == Wake::TimedOut;
                    self.enter(None);
                }
            }
        }
        true
    }

    /// Notifies `count` of the waiters.
    pub(super) fn notify(&self, count: u32) {
        self.changed.notify(count);
    }
}
