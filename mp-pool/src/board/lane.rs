//! Lanes: hints which slots are ready. Each worker has one of its own, shared with others where there are more workers
//! than CPUs, or than eight; one that finds nothing to begin in its lane steals from the other lanes.
//!
//! ```text
//!   caller: hint at tail ─ tail + 1            worker: hint at head ─ take the slot ─ head + 1, if it is still there
//!                                                                     (taken already: head + 1 all the same, next one)
//! ```
//!
//! A hint names a slot, and says whether its items are taken one by one (`run.rs`): such a hint stays at the head until
//! a worker finds none to begin. A hint is no claim: the slot's word decides. A worker that has looked at a hint helps
//! the head past it, whether it won the slot or not, so no worker waits for another one to do that. A worker that comes
//! late, after the lane has gone round, has read an old hint or a new one; it takes what is ready there, and its help
//! fails.
//!
//! A worker begins a run that no other one has begun, at the head of a lane or behind that: two that took the items of
//! one run by turns would wait for each other's cache lines at each item, and the caller would settle each by itself.
//! Only where there is no such run does it take items from the end of one that others are at.
//!
//! One thread of the caller's at a time deals ([`deal`](Board::deal)). Where a lane is full, it passes old hints itself
//! ([`pass_old`](Board::pass_old)): a worker that passes them finishes nothing, and so does not have the caller deal
//! again.
//!
//! # Orderings
//! The tail is stored with Release and read with Acquire: a hint below it is there. The head only counts.
//! # When a process dies
//! A worker between taking and helping: the next one helps. One that has read a hint and not taken: nothing happened.
//! # Tested by
//! model/lanes.rs

use super::{Board, Taken};
use mp_core::word::{Ordering, Word};
use std::collections::HashSet;
use std::ops::Deref;

/// Of a hint: the items of the slot are taken one by one.
const RUN: u32 = 1 << 31;

/// How many hints at the head of a lane are looked at for a run that no worker has begun.
const SEEN: u32 = 8;

/// Which items of a run a worker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Items {
    /// From the first one on, if no other worker has begun that.
    First,
    /// From the last one that is ready.
    Last,
}

/// What a look at a lane gave.
enum Look {
    Taken(Taken),
    /// The run at the head was begun by another worker and has items left; no other one that was seen can be begun.
    OthersAreAtIt,
    Nothing,
}

/// The hint to a slot whose items are taken one by one.
pub(crate) fn hint_of_run(slot: u32) -> u32 {
    slot | RUN
}

/// The slot of a hint.
pub(crate) fn slot_of(hint: u32) -> u32 {
    hint & !RUN
}

/// Whether it is a run's.
pub(crate) fn is_of_run(hint: u32) -> bool {
    hint & RUN != 0
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    /// Caller: enters hints to ready slots into a lane. Gives how many there was room for.
    pub(crate) fn deal(&self, lane: u32, hints: &[u32]) -> usize {
        self.deal_knowing(lane, hints, &mut self.head(lane))
    }

    /// As [`deal`](Board::deal), for a caller that knows where the head was. It is read anew only where there is no
    /// room behind that: the workers write it, and its cache line is theirs.
    pub(crate) fn deal_knowing(&self, lane: u32, hints: &[u32], head: &mut u32) -> usize {
        let tail_word = self.word(self.places.tail(lane));
        // ORDERING: Relaxed: one thread deals.
        let tail = tail_word.load(Ordering::Relaxed);
        let room = |head| self.places.shape.hints.saturating_sub(tail.wrapping_sub(head)) as usize;
        if room(*head) < hints.len() {
            *head = self.head(lane);
        }
        let dealt = hints.len().min(room(*head));
        for (number, hint) in (0..).zip(&hints[..dealt]) {
            let at = self.places.hint(lane, tail.wrapping_add(number));
            // ORDERING: Relaxed: published by the tail.
            self.word(at).store(*hint, Ordering::Relaxed);
        }
        // ORDERING: Release, pairs with the Acquire in `take_from`.
        tail_word.store(tail.wrapping_add(dealt as u32), Ordering::Release);
        dealt
    }

    /// Caller: about where the head of a lane is.
    fn head(&self, lane: u32) -> u32 {
        // ORDERING: Relaxed: a head that is behind errs on the safe side.
        self.word(self.places.head(lane)).load(Ordering::Relaxed)
    }

    /// Worker: takes a slot, or an item of one, from its own lane or another's. `soon` is told of slots that it may
    /// have next.
    #[inline]
    pub(crate) fn take(&self, me: u32, soon: impl Fn(u32)) -> Option<Taken> {
        let mut shares = false;
        let taken =
            self.lanes_from(me).find_map(|lane| match self.take_from(lane, me, Items::First, &soon) {
                Look::Taken(taken) => Some(taken),
                Look::OthersAreAtIt => {
                    shares = true;
                    None
                }
                Look::Nothing => None,
            });
        if taken.is_none() && shares { self.share(me, &soon) } else { taken }
    }

    /// Takes an item of a run that others are at, or whatever is there by now.
    #[cold]
    fn share(&self, me: u32, soon: &impl Fn(u32)) -> Option<Taken> {
        self.lanes_from(me).find_map(|lane| match self.take_from(lane, me, Items::Last, soon) {
            Look::Taken(taken) => Some(taken),
            Look::OthersAreAtIt | Look::Nothing => None,
        })
    }

    /// All lanes, from its own one on.
    #[inline]
    fn lanes_from(&self, me: u32) -> impl Iterator<Item = u32> + use<W, V> {
        let lanes = self.places.shape.lanes;
        let own = me % lanes;
        (own..lanes).chain(0..own)
    }

    #[inline]
    fn take_from(&self, lane: u32, me: u32, which: Items, soon: &impl Fn(u32)) -> Look {
        let head_word = self.word(self.places.head(lane));
        loop {
            // ORDERING: Relaxed: a head that is behind costs a look at an old hint.
            let head = head_word.load(Ordering::Relaxed);
            // ORDERING: Acquire, pairs with the Release in `deal`: the hint is there.
            let tail = self.word(self.places.tail(lane)).load(Ordering::Acquire);
            let left = tail.wrapping_sub(head) as i32;
            if left <= 0 {
                return Look::Nothing;
            }
            // ORDERING: Relaxed: the slot's word decides.
            let hint = self.word(self.places.hint(lane, head)).load(Ordering::Relaxed);
            let slot = slot_of(hint);
            // What comes from another CPU is on its way while the exchange waits for the slot, and while this task is
            // done.
            soon(slot);
            if left > 1 {
                // ORDERING: Relaxed: a guess.
                let next = self.word(self.places.hint(lane, head.wrapping_add(1))).load(Ordering::Relaxed);
                if slot_of(next) < self.places.shape.slots {
                    self.prefetch_slot(slot_of(next));
                    soon(slot_of(next));
                }
            }
            let (is_there, is_run) = (slot < self.places.shape.slots, is_of_run(hint));
            if is_there && is_run {
                match which {
                    Items::First => {
                        if let Some(taken) = self.begin_first(slot, me) {
                            return Look::Taken(taken);
                        }
                        if self.has_ready(slot) {
                            return self.take_behind(lane, head, left as u32, me);
                        }
                    }
                    Items::Last => {
                        if let Some(taken) = self.begin_last(slot, me) {
                            return Look::Taken(taken);
                        }
                    }
                }
            }
            let won = is_there && !is_run && self.take_slot(slot, me);
            self.help_on(lane, head);
            if won {
                return Look::Taken(Taken { slot, item: None });
            }
        }
    }

    /// Others are at the run at the head of a lane: begins a run behind it. Its hint stays until it is the first.
    #[cold]
    fn take_behind(&self, lane: u32, head: u32, left: u32, me: u32) -> Look {
        let begin = |number| {
            // ORDERING: Relaxed: the words of the slot's items decide.
            let hint = self.word(self.places.hint(lane, head.wrapping_add(number))).load(Ordering::Relaxed);
            let is_run = is_of_run(hint) && slot_of(hint) < self.places.shape.slots;
            if is_run { self.begin_first(slot_of(hint), me) } else { None }
        };
        (1..left.min(SEEN)).find_map(begin).map_or(Look::OthersAreAtIt, Look::Taken)
    }

    fn help_on(&self, lane: u32, head: u32) {
        // ORDERING: Relaxed: it only counts.
        let _ = self.word(self.places.head(lane)).compare_exchange(
            head,
            head.wrapping_add(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Worker: it has begun all that it may in a run. Where that is the first of its own lane, and nothing is left to
    /// begin, the next hint is the first: a caller that waits until the lanes are empty is told by the last item.
    #[inline]
    pub(crate) fn leave(&self, slot: u32, me: u32) {
        let lane = me % self.places.shape.lanes;
        // ORDERING: Relaxed, both, and Acquire, as in `take_from`.
        let head = self.word(self.places.head(lane)).load(Ordering::Relaxed);
        let tail = self.word(self.places.tail(lane)).load(Ordering::Acquire);
        let hint = self.word(self.places.hint(lane, head)).load(Ordering::Relaxed);
        // Looked at after the hint was read: it may be one to the next run in this slot.
        if tail.wrapping_sub(head) as i32 > 0 && hint == hint_of_run(slot) && !self.has_ready(slot) {
            self.help_on(lane, head);
        }
    }

    /// Caller: passes the hints at the heads of the lanes that stand for nothing, as a worker does. Whether there were
    /// any. None becomes a hint to a task meanwhile: the caller alone posts.
    pub(crate) fn pass_old(&self) -> bool {
        let mut passed = false;
        for lane in 0..self.places.shape.lanes {
            while let Some(head) = self.old_head(lane) {
                self.help_on(lane, head);
                passed = true;
            }
        }
        passed
    }

    /// The head of a lane, if the hint there stands for nothing.
    fn old_head(&self, lane: u32) -> Option<u32> {
        // ORDERING: Relaxed, all: the caller alone writes hints and tails, and `help_on` checks the head.
        let head = self.word(self.places.head(lane)).load(Ordering::Relaxed);
        let tail = self.word(self.places.tail(lane)).load(Ordering::Relaxed);
        let hint = self.word(self.places.hint(lane, head)).load(Ordering::Relaxed);
        let slot = slot_of(hint);
        let is_ready = |slot| if is_of_run(hint) { self.has_ready(slot) } else { self.is_ready(slot) };
        let stands = slot < self.places.shape.slots && is_ready(slot);
        (tail.wrapping_sub(head) as i32 > 0 && !stands).then_some(head)
    }

    /// Caller: where the lanes end.
    pub(crate) fn tails(&self) -> Vec<u32> {
        // ORDERING: Relaxed: the caller alone writes them.
        (0..self.places.shape.lanes)
            .map(|lane| self.word(self.places.tail(lane)).load(Ordering::Relaxed))
            .collect()
    }

    /// Caller: whether no worker will look at a hint that was there when the lanes ended here.
    pub(crate) fn has_passed(&self, tails: &[u32]) -> bool {
        (0..).zip(tails).all(|(lane, tail)| {
            // ORDERING: Relaxed: a head that is behind errs on the safe side.
            let head = self.word(self.places.head(lane)).load(Ordering::Relaxed);
            tail.wrapping_sub(head) as i32 <= 0
        })
    }

    /// Caller: the slots of all hints that no worker has looked at, and perhaps of others.
    pub(crate) fn hinted(&self) -> HashSet<u32> {
        let of = |lane| {
            // ORDERING: Relaxed, all: the caller alone writes hints and tails; a head that is behind gives more.
            let tail = self.word(self.places.tail(lane)).load(Ordering::Relaxed);
            let head = self.word(self.places.head(lane)).load(Ordering::Relaxed);
            let left = (tail.wrapping_sub(head) as i32).max(0) as u32;
            (0..left).map(move |at| {
                let hint = self.places.hint(lane, head.wrapping_add(at));
                // ORDERING: as above.
                slot_of(self.word(hint).load(Ordering::Relaxed))
            })
        };
        (0..self.places.shape.lanes).flat_map(of).collect()
    }

    /// About how many hints no worker has looked at.
    pub(crate) fn backlog(&self) -> u32 {
        let of = |lane| {
            // ORDERING: Relaxed, both: a guess. Those that rest on it have a fence before it.
            let tail = self.word(self.places.tail(lane)).load(Ordering::Relaxed);
            let head = self.word(self.places.head(lane)).load(Ordering::Relaxed);
            (tail.wrapping_sub(head) as i32).max(0) as u32
        };
        (0..self.places.shape.lanes).map(of).sum()
    }
}
