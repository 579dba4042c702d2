//! OwnedSemaphore: permits that have owners. Permits of dead owners are free again.
//!
//! ```text
//!   FREE ──── acquire ────► TAKEN by tid ──── release: notify one ────► FREE
//!                               │
//!                               └── the owner dies ──► DIED ── acquire ──► TAKEN by another
//! ```
//!
//! | word              | meaning                                                                         |
//! |-------------------|---------------------------------------------------------------------------------|
//! | `monitor`         | entered by each thread that takes or releases a permit; waiters wait there      |
//! | `count`           | the number of permits                                                           |
//! | a permit          | its owner, see holder.rs                                                        |
//!
//! A permit is a word that the kernel knows, like a lock's. So there is no count to reconcile: a permit
//! belongs to the thread whose id is in it. It is slower than the semaphore's one exchange, by two turns of a
//! lock.
//!
//! # Orderings
//! The lock orders all of it. A query without it (`value`) promises nothing about anything else.
//!
//! # When a process dies
//! With a permit: the next thread that comes takes it, and a waiter takes it when it wakes by itself, within
//! half a second. Anywhere else: as for the lock and the condition; each permit is taken and released by one
//! store, so it is whole. A thread that is *stopped* with the lock, some hundred instructions, holds up
//! threads that return from a wait.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: permits_*

use super::holder::{free, give_back, has_died, is_free, is_mine, take};
use super::monitor::RawMonitor;
use mp_core::word::{Deadline, Ordering, Owned, Word};
use std::time::Duration;

/// The longest time that `try_acquire` waits for the monitor.
const MOMENT: Duration = Duration::from_millis(10);

/// The semaphore of this module. All zeros is one without permits: call [`init`](RawOwnedSemaphore::init)
/// first. It has up to `PERMITS` permits; up to `WAITING` threads can wait for one and be notified at once.
#[repr(C)]
#[derive(Debug)]
pub struct RawOwnedSemaphore<O: Owned, const PERMITS: usize, const WAITING: usize> {
    monitor: RawMonitor<O, WAITING>,
    count: O::Word,
    permits: [O; PERMITS],
}

impl<O: Owned + Default, const PERMITS: usize, const WAITING: usize> Default
    for RawOwnedSemaphore<O, PERMITS, WAITING>
where
    O::Word: Default,
{
    fn default() -> Self {
        RawOwnedSemaphore {
            monitor: RawMonitor::default(),
            count: O::Word::default(),
            permits: std::array::from_fn(|_| O::default()),
        }
    }
}

impl<O: Owned, const PERMITS: usize, const WAITING: usize> RawOwnedSemaphore<O, PERMITS, WAITING> {
    /// Sets the number of permits, at most `PERMITS`. Once, before other processes see it.
    pub fn init(&self, count: u32) {
        // ORDERING: Relaxed: it is not shared yet.
        self.count.store(count.min(PERMITS as u32), Ordering::Relaxed);
    }

    /// Takes a permit, and waits for it until the deadline; returns its index. `None`: the deadline passed
    /// first.
    pub fn acquire(&self, until: Option<Deadline>) -> Option<usize> {
        self.inside(until, || {
            let found = self.monitor.wait_for(until, || free(self.permits()).is_some());
            if found { take(self.permits()) } else { None }
        })
    }

    /// Takes a permit if one is free now.
    pub fn try_acquire(&self) -> Option<usize> {
        // Others are inside only briefly, unless one was stopped there.
        self.inside(Deadline::after(MOMENT), || take(self.permits()))
    }

    /// Releases a permit, and wakes one waiter. `false`: the calling thread does not own it, and nothing is
    /// changed.
    pub fn release(&self, permit: usize) -> bool {
        let Some(owner) = self.permits().get(permit).filter(|owner| is_mine(*owner)) else { return false };
        self.monitor.enter(None);
        give_back(owner);
        self.monitor.notify(1);
        self.monitor.leave();
        true
    }

    fn inside(&self, until: Option<Deadline>, take: impl Fn() -> Option<usize>) -> Option<usize> {
        if !self.monitor.enter(until) {
            return None;
        }
        let taken = take();
        self.monitor.leave();
        taken
    }

    /// The number of free permits, including those of dead owners.
    pub fn value(&self) -> u32 {
        self.permits().iter().filter(|owner| is_free(*owner) || has_died(*owner)).count() as u32
    }

    /// The number of permits.
    pub fn count(&self) -> u32 {
        self.permits().len() as u32
    }

    fn permits(&self) -> &[O] {
        // ORDERING: Relaxed: it does not change after `init`.
        &self.permits[..(self.count.load(Ordering::Relaxed) as usize).min(PERMITS)]
    }
}
