//! The stack of finished slots: workers push, the caller takes all at once.
//!
//! ```text
//!   worker:  slot DONE ─ slot.next = top ─ top = slot, if top has not changed
//!   caller:  top = empty ─ walk what was there
//! ```
//!
//! No slot is taken from the middle or the top alone, so a slot cannot come back below a worker that still pushes: it is
//! freed only after it was pushed, or when its worker is dead.
//!
//! # Orderings
//! A push is a Release, and continues the release sequence of the pushes below it; the swap that takes all is an Acquire,
//! and so sees every link.
//! # When a process dies
//! A worker between DONE and its push: the caller, told of its death, first takes all that was pushed, and then looks at
//! every slot for the dead worker's.
//! # Tested by
//! model/slots.rs

use super::Board;
use super::slot::NEXT;
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    /// Worker: the slot is done.
    #[inline]
    pub(crate) fn push_finished(&self, slot: u32) {
        let top = self.word(self.places.finished());
        // ORDERING: Relaxed: a guess; the exchange checks it.
        let mut below = top.load(Ordering::Relaxed);
        loop {
            // ORDERING: Relaxed: published by the exchange.
            self.of_slot(slot, NEXT).store(below, Ordering::Relaxed);
            // ORDERING: Release, pairs with the Acquire in `take_finished`.
            match top.compare_exchange(below, slot + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => below = now,
            }
        }
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_finished(&self) -> bool {
        // ORDERING: Relaxed: the take looks again.
        self.word(self.places.finished()).load(Ordering::Relaxed) != 0
    }

    /// Caller: takes all finished slots, the first one first. `soon` is told of each as soon as it is known.
    pub(crate) fn take_finished(&self, into: &mut Vec<u32>, soon: impl Fn(u32)) {
        into.clear();
        if !self.has_finished() {
            return;
        }
        // ORDERING: Acquire, pairs with the Release in `push_finished`.
        let mut at = self.word(self.places.finished()).swap(0, Ordering::Acquire);
        // Words that a wild write has hit lead nowhere, or in a circle.
        while at != 0 && at <= self.places.shape.slots && into.len() < self.places.shape.slots as usize {
            into.push(at - 1);
            soon(at - 1);
            // ORDERING: Relaxed: after the swap.
            at = self.of_slot(at - 1, NEXT).load(Ordering::Relaxed);
        }
        into.reverse();
    }
}
