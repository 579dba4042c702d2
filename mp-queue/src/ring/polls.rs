//! Those who wait for the queue and other things together, by a descriptor that can be read while there may be an item.
//!
//! ```text
//!  poller:  polled = 1 ─ fence ─ look ─ sleep in poll(2)
//!              ─ readable, and no item there: clear ─ signalled = 0 ─ fence ─ look ─ an item? signalled = 1, set
//!  write_side:  commit ─ fence ─ polled? ─ signalled 0 to 1? ─ set
//! ```
//!
//! | word        | means                                                                               |
//! |-------------|-------------------------------------------------------------------------------------|
//! | `polled`    | somebody waits like that, or did once: never goes back                              |
//! | `signalled` | the descriptor can be read: a producer need not make it so once more                  |
//!
//! It falls after the descriptor is cleared, and the look comes after that: a producer who still saw it up has committed
//! before, and is seen. A queue that was never polled costs its producers one load.
//!
//! # Orderings
//! Between the two accesses of each side stands a fence: the poller's last look sees the item, or the producer sees
//! `polled`, or `signalled` as it fell.
//! # When a process dies
//! Between `signalled` and the descriptor, either way: those who wait look by themselves every quarter of a second, and
//! who finds an item so, unsignalled, settles it.
//! # Tested by
//! ring/model/polls.rs, tests/polling.rs

use super::{Memory, Ring, WordOf};
use mp_core::word::{Ordering, Word};

impl<M: Memory> Ring<M> {
    /// After a commit and the fence of its wake.
    #[inline]
    pub(crate) fn tell_pollers(&self, set: impl FnOnce()) {
        // ORDERING: Relaxed: the fence orders it after the commit.
        if self.layout().polls.polled.load(Ordering::Relaxed) != 0 {
            self.signal(set);
        }
    }

    #[cold]
    fn signal(&self, set: impl FnOnce()) {
        let signalled = &self.layout().polls.signalled;
        // ORDERING: Relaxed: as above; what counts is who raises it.
        if signalled.load(Ordering::Relaxed) == 0 && signalled.swap(1, Ordering::Relaxed) == 0 {
            set();
        }
    }

    /// From now on producers tell: before a look that decides whether to sleep.
    pub(crate) fn be_polled(&self) {
        // ORDERING: Relaxed: the fence orders it before the look.
        self.layout().polls.polled.store(1, Ordering::Relaxed);
        <WordOf<M>>::fence();
    }

    /// The descriptor and the queue do not agree: has them agree.
    pub(crate) fn settle_polls(
        &self,
        clear: impl FnOnce(),
        is_ready: impl FnOnce() -> bool,
        set: impl FnOnce(),
    ) {
        let signalled = &self.layout().polls.signalled;
        clear();
        // ORDERING: Relaxed: the fence orders it before the look; a system call comes before.
        signalled.store(0, Ordering::Relaxed);
        <WordOf<M>>::fence();
        // Another poller may not have come to his sleep yet.
        if is_ready() {
            self.signal(set);
        }
    }
}
