//! This process, as one that takes tasks.

use crate::ring::Worker;
use mp_core::sys::identity::Identity;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which slot it had last.
#[derive(Debug, Default)]
pub(crate) struct ThisProcess(AtomicUsize);

impl Worker for ThisProcess {
    #[inline]
    fn me(&self) -> u64 {
        Identity::me().packed()
    }

    #[inline]
    fn hint(&self) -> usize {
        // ORDERING: Relaxed: a hint, which is checked.
        self.0.load(Ordering::Relaxed)
    }

    fn keep(&self, slot: usize) {
        // ORDERING: as above.
        self.0.store(slot, Ordering::Relaxed);
    }

    fn lives(&self, who: u64) -> bool {
        Identity::unpack(who).lives()
    }
}
