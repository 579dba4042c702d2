//! Tally: counts in shared memory that need no lock and survive every process.

use mp_core::mem::SharedRef;
use std::sync::atomic::{AtomicU32, Ordering};

const COUNTS: usize = 64;

/// A few counts that all processes of a scene share, and that begin at 0.
pub(super) struct Tally(SharedRef<[AtomicU32; COUNTS]>);

impl Tally {
    pub(super) fn new() -> Tally {
        Tally(SharedRef::create("mp-sweep-tally").expect("a sweep needs shared memory"))
    }

    pub(super) fn add(&self, which: usize) {
        // ORDERING: SeqCst, here and below: one needs no thought, and nothing here is to be fast.
        self.0[which].fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn set(&self, which: usize, value: u32) {
        // ORDERING: as above.
        self.0[which].store(value, Ordering::SeqCst);
    }

    pub(super) fn get(&self, which: usize) -> u32 {
        // ORDERING: as above.
        self.0[which].load(Ordering::SeqCst)
    }
}
