//! A lock and a condition in one: for those who wait until what is beside them says something.
//!
//! ```text
//!   enter ──► wait_for(is_so) ──► changes something ──► notify ──► leave
//!                 │    ▲
//!                 └────┘ lent out: notified, or the time is up, or is_so says yes at a timed look
//! ```
//!
//! # Orderings
//! The lock's and the condition's.
//! # When a process dies
//! Inside, or before it notified: whoever waits sees at his timed look that `is_so`, half a second later at most. What is
//! beside must be whole after each single store: nobody is told of a death.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: seats_*, rwlock_*

use super::condition::RawCondition;
use super::lock::RawLock;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};

/// How it works is said at the top of its file. All zeros is one that nobody is in. `WAITING` threads can wait at a time
/// and be notified; further ones find out by themselves.
#[repr(C)]
#[derive(Debug)]
pub(super) struct RawMonitor<O: Owned, const WAITING: usize> {
    lock: RawLock<O>,
    changed: RawCondition<O, WAITING>,
    /// Never changes: for those to sleep on who cannot be notified.
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
    /// Goes in, whoever died inside; `false`: the deadline passed first.
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

    /// Goes out.
    pub(super) fn leave(&self) {
        self.lock.release();
    }

    /// Waits inside, with others let in meanwhile, until `is_so`; `false`: the deadline passed first.
    pub(super) fn wait_for(&self, until: Option<Deadline>, is_so: impl Fn() -> bool) -> bool {
        let mut late = false;
        while !is_so() {
            if late {
                return false;
            }
            match self.changed.wait_unless(&self.lock, until, &is_so) {
                // Notified, it may be too late all the same: others who came before it, over and over, must not
                // keep it.
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

    /// Tells `count` of those who wait that something has changed.
    pub(super) fn notify(&self, count: u32) {
        self.changed.notify(count);
    }
}
