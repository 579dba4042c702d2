//! This process, as one that takes tasks.

use crate::ring::Worker;
use mp_core::sys::identity::{Identity, Liveness};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Tasks that a process without a slot takes from one look at the others to the next. A look asks the
/// system about each slot, under the get lock: most of a millisecond, where a task takes a tenth of a microsecond.
const BETWEEN_LOOKS: u32 = 1000;

/// Which slot it had last, and its looks.
#[derive(Debug, Default)]
pub(crate) struct ThisProcess {
    slot: AtomicUsize,
    /// Who looked: a fork has its parent's count, and looks for itself.
    looked: AtomicU64,
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

    fn is_dead(&self, who: u64) -> bool {
        Identity::unpack(who).liveness() == Liveness::Dead
    }

    fn may_look(&self) -> bool {
        let me = self.me();
        // ORDERING: Relaxed, all of them: it is about time, and no more.
        if self.looked.swap(me, Ordering::Relaxed) != me {
            self.since.store(0, Ordering::Relaxed);
        }
        self.since.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN_LOOKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_slot_looks_at_once_and_then_now_and_then() {
        let worker = ThisProcess::default();
        let looks = |worker: &ThisProcess, tasks: u32| (0..tasks).filter(|_| worker.may_look()).count();
        assert_eq!(looks(&worker, 1), 1);
        assert_eq!(looks(&worker, BETWEEN_LOOKS - 1), 0);
        assert_eq!(looks(&worker, 5 * BETWEEN_LOOKS), 5);
        // As in a fork of the one who looked.
        worker.looked.store(worker.me() + 1, Ordering::Relaxed);
        assert_eq!(looks(&worker, BETWEEN_LOOKS), 1);
    }
}
