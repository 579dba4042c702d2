//! Polling: processes that wait for the queue together with other objects, by a descriptor that is readable
//! while there may be an item.
//!
//! ```text
//!  poller:    polled = 1 ─ fence ─ look ─ sleep in poll(2)
//!               ─ readable, but no item: clear ─ signalled = 0 ─ fence ─ look ─ an item? signalled = 1, set
//!  producer:  commit ─ fence ─ polled? ─ signalled 0 to 1? ─ set
//! ```
//!
//! | word        | meaning                                                                         |
//! |-------------|---------------------------------------------------------------------------------|
//! | `polled`    | a process polls, or did so once: never goes back to 0                           |
//! | `signalled` | the descriptor is readable: a producer need not signal it again                 |
//!
//! `signalled` falls after the descriptor is cleared, and the poller looks at the queue after that. So a
//! producer that still saw it set has committed before, and its item is seen. A queue that was never polled
//! costs its producers one load.
//!
//! # Orderings
//! A fence stands between the two accesses of each side. So the poller's last look sees the item, or the
//! producer sees `polled` set or `signalled` cleared.
//!
//! # When a process dies
//! Between `signalled` and the descriptor, in either direction: the pollers look by themselves every quarter
//! of a second, and one that finds an item without a signal corrects the two.
//!
//! # Tested by
//! ring/model/polls.rs, tests/polling.rs

use mp_core::word::{Ordering, Word};

/// State of the processes that wait for the queue together with other objects.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Polls<W> {
    polled: W,
    signalled: W,
}

impl<W: Word> Polls<W> {
    /// Signals the pollers, after a commit and the fence of its wake.
    #[inline]
    pub(crate) fn tell(&self, set: impl FnOnce()) {
        // ORDERING: Relaxed: the fence orders it after the commit.
        if self.polled.load(Ordering::Relaxed) != 0 {
            self.signal(set);
        }
    }

    #[cold]
    fn signal(&self, set: impl FnOnce()) {
        let signalled = &self.signalled;
        // ORDERING: Relaxed: as above; the swap only decides which producer signals.
        if signalled.load(Ordering::Relaxed) == 0 && signalled.swap(1, Ordering::Relaxed) == 0 {
            set();
        }
    }

    /// Makes producers signal from now on. Called before the look that decides whether to sleep.
    pub(crate) fn begin(&self) {
        // ORDERING: Relaxed: the fence orders it before the look.
        self.polled.store(1, Ordering::Relaxed);
        W::fence();
    }

    /// Makes the descriptor and the queue agree, after a signal without an item or an item without a signal.
    pub(crate) fn reset(&self, clear: impl FnOnce(), is_ready: impl FnOnce() -> bool, set: impl FnOnce()) {
        // In this order: a producer that signals after `signalled` is 0 finds the descriptor cleared, and
        // sets it. The other way round its signal would be cleared with it.
        clear();
        // ORDERING: Relaxed: the fence orders it before the look; a system call comes before.
        self.signalled.store(0, Ordering::Relaxed);
        W::fence();
        // An item is there: signal it, since another poller may be about to sleep.
        if is_ready() {
            self.signal(set);
        }
    }
}
