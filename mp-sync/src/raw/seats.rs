//! Permits that have owners: those of the dead come back.
//!
//! ```text
//!   FREE ──── acquire ────► TAKEN by tid ──── release: notify one ────► FREE
//!                               │
//!                               └── the holder dies ──► DIED ── acquire ──► TAKEN by another
//! ```
//!
//! | word              | means                                                                             |
//! |-------------------|-----------------------------------------------------------------------------------|
//! | `monitor`         | whoever takes or gives back a seat is inside; those wait there who found none     |
//! | `count`           | how many seats there are                                                          |
//! | a seat            | its holder, see holder.rs                                                         |
//!
//! A seat is a word that the kernel knows, as a lock's is, so there is nothing to count and nothing to reconcile: a
//! permit is had by whose id is in it. It is slower than the semaphore's one exchange, by two turns of a lock.
//!
//! # Orderings
//! The lock orders all of it. A question asked without it (`value`) promises nothing about anything else.
//! # When a process dies
//! With a seat: whoever comes next has it, and whoever waits, by his next look, half a second at most. Anywhere else: as
//! the lock and the condition say; seats are taken and given back by one store each, so they are whole. One that is
//! *stopped* with the lock, some hundred instructions, holds up those who come back from a wait.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: seats_*

use super::holder::{free, give_back, has_died, is_free, is_mine, take};
use super::monitor::RawMonitor;
use mp_core::word::{Deadline, Ordering, Owned, Word};
use std::time::Duration;

/// How long one who will not wait for a seat waits to look for one.
const MOMENT: Duration = Duration::from_millis(10);

/// How it works is said at the top of its file. All zeros is a room without seats: call [`init`](RawSeats::init) first.
/// Up to `SEATS` have permits, and up to `WAITING` threads wait for one and are told at once.
#[repr(C)]
#[derive(Debug)]
pub struct RawSeats<O: Owned, const SEATS: usize, const WAITING: usize> {
    monitor: RawMonitor<O, WAITING>,
    count: O::Word,
    seats: [O; SEATS],
}

impl<O: Owned + Default, const SEATS: usize, const WAITING: usize> Default for RawSeats<O, SEATS, WAITING>
where
    O::Word: Default,
{
    fn default() -> Self {
        RawSeats {
            monitor: RawMonitor::default(),
            count: O::Word::default(),
            seats: std::array::from_fn(|_| O::default()),
        }
    }
}

impl<O: Owned, const SEATS: usize, const WAITING: usize> RawSeats<O, SEATS, WAITING> {
    /// Says how many seats there are, at most `SEATS`. Once, before other processes see it.
    pub fn init(&self, count: u32) {
        // ORDERING: Relaxed: nobody else has it yet.
        self.count.store(count.min(SEATS as u32), Ordering::Relaxed);
    }

    /// Takes a seat, and waits for it until the deadline; gives its number. `None`: the deadline passed first.
    pub fn acquire(&self, until: Option<Deadline>) -> Option<usize> {
        self.inside(until, || {
            let found = self.monitor.wait_for(until, || free(self.seats()).is_some());
            if found { take(self.seats()) } else { None }
        })
    }

    /// Takes a seat if one is free now.
    pub fn try_acquire(&self) -> Option<usize> {
        // Others are inside for a moment only, but for one who was stopped there.
        self.inside(Deadline::after(MOMENT), || take(self.seats()))
    }

    /// Gives back a seat, and wakes one who waits. `false`, and nothing is changed: the calling thread does not hold it.
    pub fn release(&self, seat: usize) -> bool {
        let Some(who) = self.seats().get(seat).filter(|who| is_mine(*who)) else { return false };
        self.monitor.enter(None);
        give_back(who);
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

    /// Seats that are free now, those of the dead among them.
    pub fn value(&self) -> u32 {
        self.seats().iter().filter(|who| is_free(*who) || has_died(*who)).count() as u32
    }

    /// How many seats there are.
    pub fn count(&self) -> u32 {
        self.seats().len() as u32
    }

    fn seats(&self) -> &[O] {
        // ORDERING: Relaxed: it does not change after `init`.
        &self.seats[..(self.count.load(Ordering::Relaxed) as usize).min(SEATS)]
    }
}
