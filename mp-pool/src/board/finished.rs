//! What is finished: a slot that is finished alone is named by the top of a stack. Where there are more, each worker
//! marks its slots in bits of its own, and the stack holds the workers that have marked some.
//!
//! ```text
//!   worker:  DONE ─ the stack is empty, or holds this slot alone? ─ yes: top = the slot, if top has not changed
//!                       │ no, or it has
//!                       └ its bit for the slot, among bits that were 0? ─ listed was 0? ─ link = top ─ top = itself,
//!                                                                                         if top has not changed
//!   caller:  top = empty ─ each worker that was there: listed = 0 ─ its bits, which are 0 then ─ the slot, if there
//! ```
//!
//! The caller of one task finds its slot in the word that it watches. Of many tasks, a worker writes to cache lines of
//! its own for most: the top changes only when the caller has looked since. A bit is a hint, as in a lane, and so is a
//! slot in the stack: the slot's words decide. One that is old costs a look.
//!
//! A slot is pushed onto an empty stack only, so it is the last one of it, and needs no link. A caller that has one
//! task only looks at the words of its slot, and leaves the slot in the stack: the next task, in the same slot, finds
//! it there, and no cache line has to change its CPU for that.
//!
//! No worker is taken from the middle or the top alone, and each pushes itself, once until the caller has taken it off:
//! so none comes back below one that still pushes, and one that stops here holds up its own results alone.
//!
//! # Orderings
//! The bit is set before `listed` is exchanged, and read after: of the two exchanges the later one sees what was before
//! the other. A push is a Release, and continues the release sequence of the pushes below it; the swap that takes all
//! is an Acquire, and so sees every link.
//! # When a process dies
//! A worker between DONE and its push: the caller, told of its death, first takes all that is there, then looks at
//! every slot for the dead worker's, and clears its marks ([`forget`](Board::forget)) before its successor starts.
//! # Tested by
//! model/slots.rs, model/runs.rs

use super::{Board, Shape};
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

/// Of the top, or of a link: it is a slot, and no worker.
const SLOT: u32 = 1 << 31;

/// The words of a worker's marks: whether it is in the stack, the one below it plus 1, and a bit for each slot.
const LISTED: usize = 0;
const LINK: usize = 1;
const BITS: usize = 2;

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    fn mark(&self, worker: u32, what: usize) -> &W {
        self.word(self.places.marks(worker) + what)
    }

    /// Worker: the slot, or an item of it, is done.
    #[inline]
    pub(crate) fn push_finished(&self, me: u32, slot: u32) {
        let (top, this) = (self.word(self.places.finished()), SLOT | slot);
        // ORDERING: Relaxed: a guess, which the exchange checks.
        let now = top.load(Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `take_finished`: what was done is there. So it is exchanged also
        // where the slot stands there already.
        if (now == 0 || now == this)
            && top.compare_exchange(now, this, Ordering::Release, Ordering::Relaxed).is_ok()
        {
            return;
        }
        let bits = self.mark(me, BITS + slot as usize / 32);
        // ORDERING: Release, pairs with the Acquire in `take_marks`: what was done is there.
        if bits.fetch_or(1 << (slot % 32), Ordering::Release) != 0 {
            // The caller has not taken these bits since the worker listed itself for one of them: it will.
            return;
        }
        // ORDERING: AcqRel: see above.
        if self.mark(me, LISTED).swap(1, Ordering::AcqRel) == 0 {
            self.list(me);
        }
    }

    fn list(&self, me: u32) {
        let top = self.word(self.places.finished());
        // ORDERING: Relaxed: a guess; the exchange checks it.
        let mut below = top.load(Ordering::Relaxed);
        loop {
            // ORDERING: Relaxed: published by the exchange.
            self.mark(me, LINK).store(below, Ordering::Relaxed);
            // ORDERING: Release, pairs with the Acquire in `take_finished`.
            match top.compare_exchange(below, me + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => below = now,
            }
        }
    }

    /// Whether there is something to take.
    #[inline]
    pub(crate) fn has_finished(&self) -> bool {
        self.finished() != 0
    }

    /// A number that changes when something is pushed, unless the same stands there already.
    #[inline]
    pub(crate) fn finished(&self) -> u32 {
        // ORDERING: Relaxed: the take looks again.
        self.word(self.places.finished()).load(Ordering::Relaxed)
    }

    /// Caller: takes all finished slots. `soon` is told of each as soon as it is known.
    pub(crate) fn take_finished(&self, into: &mut Vec<u32>, soon: impl Fn(u32)) {
        into.clear();
        if !self.has_finished() {
            return;
        }
        // ORDERING: Acquire, pairs with the Release in `push_finished` and `list`.
        let mut at = self.word(self.places.finished()).swap(0, Ordering::Acquire);
        let Shape { workers, slots, .. } = self.places.shape;
        // Words that a wild write has hit lead nowhere, or in a circle.
        for _ in 0..=workers {
            if at & SLOT != 0 {
                let slot = Some(at & !SLOT).filter(|slot| *slot < slots);
                into.extend(slot.inspect(|slot| soon(*slot)));
                return;
            }
            let Some(worker) = at.checked_sub(1).filter(|worker| *worker < workers) else { return };
            // ORDERING: Relaxed: after the swap.
            at = self.mark(worker, LINK).load(Ordering::Relaxed);
            // ORDERING: AcqRel: see above. It may be pushed again from here on.
            self.mark(worker, LISTED).swap(0, Ordering::AcqRel);
            self.take_marks(worker, |slot| {
                soon(slot);
                into.push(slot);
            });
        }
    }

    fn take_marks(&self, worker: u32, mut each: impl FnMut(u32)) {
        for at in 0..self.places.shape.slots.div_ceil(32) {
            let bits = self.mark(worker, BITS + at as usize);
            // ORDERING: Relaxed: a look.
            if bits.load(Ordering::Relaxed) == 0 {
                continue;
            }
            // ORDERING: Acquire, pairs with the Release in `push_finished`.
            let mut left = bits.swap(0, Ordering::Acquire);
            while left != 0 {
                let slot = 32 * at + left.trailing_zeros();
                if slot < self.places.shape.slots {
                    each(slot);
                }
                left &= left - 1;
            }
        }
    }

    /// Caller: clears what a worker that is dead had marked, after all was [taken](Board::take_finished).
    pub(crate) fn forget(&self, worker: u32) {
        self.take_marks(worker, |_| ());
        // ORDERING: Relaxed: the successor is started after it.
        self.mark(worker, LISTED).store(0, Ordering::Relaxed);
        self.enlist(worker, false);
        self.relieve(worker);
    }
}
