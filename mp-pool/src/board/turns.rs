//! Turns: how far ahead of its consumer a worker may be with a task that yields many results.
//!
//! ```text
//!   worker:  sent < ahead + taken, in this turn? ─ yes: send, sent + 1
//!            no: seen = count ─ look again ─ waits = this turn ─ sleep while count == seen
//!   caller:  another turn: taken = 0, turn = that one ─ taken = n ─ count + 1 ─ wake
//!            stopped = that turn ─ count + 1 ─ wake
//! ```
//!
//! A turn is one task of one worker, which numbers them, so it grows with each. A worker begins one by itself: it may
//! send as many values as it may be ahead, and only then looks what the caller says. The caller speaks of the turn
//! whose values it has; of an earlier one it says nothing more once it has spoken of a later one. `waits` says that the
//! worker is about to sleep: the caller wakes it only then. It is also a hint for a caller that joins the pool: this
//! worker goes on only if values are taken.
//!
//! Two words of the slot, of those that a run has for its items, say up to where the ring of values is written
//! (`generate/ring.rs`), and that no more values are wanted: of a task whose turn the caller does not know yet. Neither
//! is ever READY, which a worker that comes late might look for there.
//!
//! ```text
//!   worker:  value ─ yielded = end of the ring ─ push, fence ─ stopped? ─ the next value
//!   caller:  stopped ─ fence ─ yielded: values? ─ stop that turn
//! ```
//!
//! # Orderings
//! Release on the turn and on what was taken, Acquire where they are read, turn first: a worker that sees its turn sees
//! no count that is of an earlier one, and writes over no value that is still read. A fence stands between `waits` and
//! the worker's last look, and between what was taken and the look at `waits`: one of the two sees the other. So it
//! does between a value that is told of and the look at `stopped`, and between that and the look for values. Release on
//! `yielded`, Acquire where it is read: the values are there.
//! # When a process dies
//! The worker: the caller clears all four words before its successor starts ([`forget_turns`](Board::forget_turns)),
//! and then says nothing more of the dead one's turns. The caller: its workers die with it.
//! # Tested by
//! model/turns.rs

use super::Board;
use mp_core::word::{Ordering, Pace, Waiting, Word};
use std::ops::Deref;

const TURN: usize = 2;
const TAKEN: usize = 3;
const STOPPED: usize = 4;
const WAITS: usize = 5;
/// Words of one worker: its event count, its life, these, and whether it [keeps](Board::keeps) something.
pub(super) const WORKER: usize = 7;

/// Of a slot's words for items.
const YIELDED: u32 = 0;
const UNWANTED: u32 = 1;
/// What `UNWANTED` is then.
const SO: u32 = 8;

/// A turn of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) worker: u32,
    /// Not 0.
    pub(crate) number: u32,
}

/// Whether a worker may send one more value.
enum Leave {
    /// So many were taken.
    Taken(u32),
    Not,
    /// It is not wanted.
    Unwanted,
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    #[inline]
    fn of_turn(&self, worker: u32, what: usize) -> &W {
        self.word(self.places.worker(worker) + what)
    }

    /// Caller: a task that yields is put into a slot that no worker has.
    pub(in crate::board) fn begin_yields(&self, slot: u32) {
        for what in [YIELDED, UNWANTED] {
            // ORDERING: Relaxed: published by the state of the slot.
            self.word(self.places.item(slot, what)).store(0, Ordering::Relaxed);
        }
    }

    /// Worker: the ring of the task in this slot is written up to here, a multiple of 8.
    #[inline]
    pub(crate) fn say_yielded(&self, slot: u32, end: u32) {
        // ORDERING: Release, pairs with the Acquire in `yielded`: the values are there.
        self.word(self.places.item(slot, YIELDED)).store(end, Ordering::Release);
    }

    /// Caller: up to where the ring of the task in this slot is written.
    #[inline]
    pub(crate) fn yielded(&self, slot: u32) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `say_yielded`.
        self.word(self.places.item(slot, YIELDED)).load(Ordering::Acquire)
    }

    /// Caller: no values are wanted of the task in this slot. What it has yielded is looked at after this, and its turn
    /// [stopped](Board::stop): it may wait already.
    pub(crate) fn stop_slot(&self, slot: u32) {
        // ORDERING: Relaxed: the fence orders it before the look at what was yielded.
        self.word(self.places.item(slot, UNWANTED)).store(SO, Ordering::Relaxed);
        W::fence();
    }

    /// Worker: waits until it may send one more value in a turn in which it has sent so many. Gives how many were taken
    /// so far; `None`: they are not wanted any more.
    #[inline]
    pub(crate) fn may_send(&self, turn: Turn, slot: u32, sent: u32, ahead: u32) -> Option<u32> {
        match self.leave_to_send(turn, slot, sent, ahead) {
            Leave::Not => self.wait_for_leave(turn, slot, sent, ahead),
            Leave::Unwanted => None,
            Leave::Taken(taken) => Some(taken),
        }
    }

    #[inline]
    fn leave_to_send(&self, turn: Turn, slot: u32, sent: u32, ahead: u32) -> Leave {
        // ORDERING: Relaxed, both: by themselves.
        if self.of_turn(turn.worker, STOPPED).load(Ordering::Relaxed) == turn.number
            || self.word(self.places.item(slot, UNWANTED)).load(Ordering::Relaxed) == SO
        {
            return Leave::Unwanted;
        }
        let taken = self.taken(turn);
        // Both wrap.
        if (sent.wrapping_sub(taken) as i32) < ahead as i32 { Leave::Taken(taken) } else { Leave::Not }
    }

    #[cold]
    fn wait_for_leave(&self, turn: Turn, slot: u32, sent: u32, ahead: u32) -> Option<u32> {
        let event = self.word(self.places.worker(turn.worker));
        let says_so = self.of_turn(turn.worker, WAITS);
        let (mut waiting, mut waits) = (Waiting::new(self.of_turn(turn.worker, TAKEN), Pace::Dense), false);
        let taken = loop {
            // ORDERING: Acquire, pairs with the Release in `wake_sleeper`: what is read below is no older.
            let seen = event.load(Ordering::Acquire);
            match self.leave_to_send(turn, slot, sent, ahead) {
                Leave::Unwanted => break None,
                Leave::Taken(taken) => break Some(taken),
                Leave::Not if !waits && waiting.pause() => {}
                Leave::Not if !waits => {
                    waits = true;
                    // ORDERING: Relaxed: the fence orders it before the last look.
                    says_so.store(turn.number, Ordering::Relaxed);
                    W::fence();
                }
                Leave::Not => {
                    event.wait(seen, None);
                }
            }
        };
        if waits {
            // ORDERING: Relaxed: a caller that sees it up wakes once too often.
            says_so.store(0, Ordering::Relaxed);
        }
        waiting.found();
        taken
    }

    /// Caller: whether a worker waits for values of this turn to be taken, or has just ceased to.
    pub(crate) fn waits(&self, turn: Turn) -> bool {
        // ORDERING: Relaxed: in `grant` a fence stands before it; else a hint.
        self.of_turn(turn.worker, WAITS).load(Ordering::Relaxed) == turn.number
    }

    /// Worker: how many values the caller has taken of a turn, as far as it has said so.
    #[inline]
    fn taken(&self, turn: Turn) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `grant`: the count is not an earlier turn's.
        if self.of_turn(turn.worker, TURN).load(Ordering::Acquire) != turn.number {
            return 0;
        }
        // ORDERING: Acquire, pairs with the Release in `grant`: what was taken is not read any more.
        self.of_turn(turn.worker, TAKEN).load(Ordering::Acquire)
    }

    /// Caller: it has taken so many values of a turn.
    pub(crate) fn grant(&self, turn: Turn, taken: u32) {
        let said = self.of_turn(turn.worker, TURN);
        // ORDERING: Relaxed: the caller alone writes it.
        let last = said.load(Ordering::Relaxed);
        if last != 0 && (turn.number.wrapping_sub(last) as i32) < 0 {
            return;
        }
        if last != turn.number {
            // ORDERING: Relaxed: published by the turn.
            self.of_turn(turn.worker, TAKEN).store(0, Ordering::Relaxed);
            // ORDERING: Release, pairs with the Acquire in `taken`.
            said.store(turn.number, Ordering::Release);
        }
        // ORDERING: Release, pairs with the Acquire in `taken`: what was taken was read.
        self.of_turn(turn.worker, TAKEN).store(taken, Ordering::Release);
        W::fence();
        if self.waits(turn) {
            Self::wake_sleeper(self.word(self.places.worker(turn.worker)));
        }
    }

    /// Caller: the values of a turn are not wanted any more.
    pub(crate) fn stop(&self, turn: Turn) {
        let stopped = self.of_turn(turn.worker, STOPPED);
        // ORDERING: Relaxed, both: the caller alone writes it; the event count publishes it.
        let last = stopped.load(Ordering::Relaxed);
        if last == 0 || (turn.number.wrapping_sub(last) as i32) > 0 {
            stopped.store(turn.number, Ordering::Relaxed);
            Self::wake_sleeper(self.word(self.places.worker(turn.worker)));
        }
    }

    /// Caller: the worker of this index is dead, or is not started.
    pub(crate) fn forget_turns(&self, worker: u32) {
        for what in [TURN, TAKEN, STOPPED, WAITS] {
            // ORDERING: Relaxed: the successor is started after it.
            self.of_turn(worker, what).store(0, Ordering::Relaxed);
        }
    }
}
