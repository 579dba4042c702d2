//! This process as a worker: the slot of its tasks.

use crate::ring::Worker;
use mp_core::sys::identity::{Identity, Liveness};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Tasks that a process without a slot takes between two scans for dead processes. A scan asks the system
/// about each slot, under the get lock: most of a millisecond, while a task takes a tenth of a microsecond.
const BETWEEN_SCANS: u32 = 1000;

/// The slot that this process had last, and its scans.
#[derive(Debug, Default)]
pub(crate) struct ThisProcess {
    slot: AtomicUsize,
    /// The process that scanned last: a fork has its parent's count, and scans for itself.
    scanned_by: AtomicU64,
    since: AtomicU32,
}

impl Worker for ThisProcess {
    #[inline]
    fn me(&self) -> u64 {
        Identity::me().packed()
    }

    #[inline]
    fn hint(&self) -> usize {
        // ORDERING: Relaxed: a hint, which is checked.
        self.slot.load(Ordering::Relaxed)
    }

    fn keep(&self, slot: usize) {
        // ORDERING: as above.
        self.slot.store(slot, Ordering::Relaxed);
    }

    fn is_dead(&self, process: u64) -> bool {
        Identity::unpack(process).liveness() == Liveness::Dead
    }

    fn may_scan(&self) -> bool {
        let me = self.me();
        // ORDERING: Relaxed, all of them: they only set the time of a scan.
        if self.scanned_by.swap(me, Ordering::Relaxed) != me {
            self.since.store(0, Ordering::Relaxed);
        }
        self.since.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_SCANS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_slot_scans_at_once_and_then_rarely() {
        let worker = ThisProcess::default();
        let scans = |worker: &ThisProcess, tasks: u32| (0..tasks).filter(|_| worker.may_scan()).count();
        assert_eq!(scans(&worker, 1), 1);
        assert_eq!(scans(&worker, BETWEEN_SCANS - 1), 0);
        assert_eq!(scans(&worker, 5 * BETWEEN_SCANS), 5);
        // As in a fork of the process that scanned.
        worker.scanned_by.store(worker.me() + 1, Ordering::Relaxed);
        assert_eq!(scans(&worker, BETWEEN_SCANS), 1);
    }
}
