//! Waits by force, for the bench: wakes that are dearer than here, for machines that are not at hand; and waits that
//! always spin or never do, to compare the policy with.

use super::futex::FutexWord;
use crate::word::{Machine, Ordering};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

static DELAY: AtomicU64 = AtomicU64::new(0);

/// A cost that is forced, and one more; 0: none is.
static COST: AtomicU32 = AtomicU32::new(0);

/// What each wait of this process does before it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spin {
    /// What the policy says.
    Learned,
    /// Nothing: it sleeps at once.
    Never,
    /// It spins, for seconds.
    Always,
}

/// Each wait of this process spins so, from now on.
pub fn force_spin(spin: Spin) {
    let cost = match spin {
        Spin::Learned => 0,
        Spin::Never => 1,
        Spin::Always => u32::MAX,
    };
    // ORDERING: Relaxed: a number.
    COST.store(cost, Ordering::Relaxed);
}

static NAPS: AtomicBool = AtomicBool::new(false);

/// Each wait of this process naps for a moment before it sleeps, from now on: for the kill sweep.
pub fn force_naps() {
    // ORDERING: Relaxed: a flag of one process.
    NAPS.store(true, Ordering::Relaxed);
}

#[inline]
pub(super) fn naps() -> bool {
    // ORDERING: Relaxed: a flag.
    NAPS.load(Ordering::Relaxed)
}

/// Each call of this process that wakes takes so long more, from now on.
pub fn delay_wakes(by: Duration) {
    // ORDERING: Relaxed: a number.
    DELAY.store(by.as_nanos() as u64, Ordering::Relaxed);
}

/// What a sleep and a wake are to cost, and so how long a wait may spin.
#[inline]
pub(super) fn sleep_cost() -> Option<u32> {
    // ORDERING: Relaxed: a number.
    COST.load(Ordering::Relaxed).checked_sub(1)
}

pub(super) fn delay() {
    // ORDERING: Relaxed: a number.
    let delay = DELAY.load(Ordering::Relaxed);
    if delay != 0 {
        let end = FutexWord::now() + delay;
        while FutexWord::now() < end {}
    }
}
