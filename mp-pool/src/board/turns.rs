//! Turns: how far ahead of its consumer a worker may be with a task that yields many results.
//!
//! ```text
//!   worker:  sent < ahead + taken, in this turn? ─ yes: send, sent + 1
//!            no: seen = count ─ look again ─ waits = this turn ─ sleep while count == seen
//!   caller:  another turn: taken = 0, turn = that one ─ taken = n ─ count + 1 ─ wake
//!            stopped = that turn ─ count + 1 ─ wake
//! ```
//!
//! A turn is one task of one worker; its number is that of the message that ends it, so it grows with each. A worker
//! begins one by itself: it may send as many values as it may be ahead, and only then looks what the caller says. The
//! caller speaks of the turn whose values it has; of an earlier one it says nothing more once it has spoken of a later
//! one. `waits` is a hint for a caller that joins the pool: this worker goes on only if values are taken.
//!
//! # Orderings
//! Release on the turn and on what was taken, Acquire where they are read, turn first: a worker that sees its turn sees
//! no count that is of an earlier one. The event count changes after that, so a sleeper that read it before looks
//! again.
//! # When a process dies
//! The worker: the caller clears all four words before its successor starts ([`forget_turns`](Board::forget_turns)),
//! and then says nothing more of the dead one's turns. The caller: its workers die with it.
//! # Tested by
//! model/turns.rs

use super::Board;
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

const TURN: usize = 2;
const TAKEN: usize = 3;
const STOPPED: usize = 4;
const WAITS: usize = 5;
/// Words of one worker: its event count, its life, these, and whether it [keeps](Board::keeps) something.
pub(super) const WORKER: usize = 7;

/// A turn of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) worker: u32,
    /// Not 0.
    pub(crate) number: u32,
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    fn of_turn(&self, worker: u32, what: usize) -> &W {
        self.word(self.places.worker(worker) + what)
    }

    /// Worker: waits until it may send one more value in a turn in which it has sent so many; `false`: they are not
    /// wanted any more.
    pub(crate) fn may_send(&self, turn: Turn, sent: u32, ahead: u32) -> bool {
        let event = self.word(self.places.worker(turn.worker));
        let mut waits = false;
        let may = loop {
            // ORDERING: Acquire, pairs with the Release in `wake_sleeper`: what is read below is no older.
            let seen = event.load(Ordering::Acquire);
            // ORDERING: Relaxed: by itself.
            if self.of_turn(turn.worker, STOPPED).load(Ordering::Relaxed) == turn.number {
                break false;
            }
            // Both wrap.
            if (sent.wrapping_sub(self.taken(turn)) as i32) < ahead as i32 {
                break true;
            }
            if !std::mem::replace(&mut waits, true) {
                // ORDERING: Relaxed: a hint, which publishes nothing.
                self.of_turn(turn.worker, WAITS).store(turn.number, Ordering::Relaxed);
            }
            event.wait(seen, None);
        };
        if waits {
            // ORDERING: as above.
            self.of_turn(turn.worker, WAITS).store(0, Ordering::Relaxed);
        }
        may
    }

    /// Caller: whether a worker waits for values of this turn to be taken, or has just ceased to.
    pub(crate) fn waits(&self, turn: Turn) -> bool {
        // ORDERING: Relaxed: a hint.
        self.of_turn(turn.worker, WAITS).load(Ordering::Relaxed) == turn.number
    }

    /// Worker: how many values the caller has taken of a turn, as far as it has said so.
    fn taken(&self, turn: Turn) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `grant`: the count is not an earlier turn's.
        if self.of_turn(turn.worker, TURN).load(Ordering::Acquire) != turn.number {
            return 0;
        }
        // ORDERING: Relaxed: after the turn.
        self.of_turn(turn.worker, TAKEN).load(Ordering::Relaxed)
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
        // ORDERING: Relaxed: published by the event count.
        self.of_turn(turn.worker, TAKEN).store(taken, Ordering::Relaxed);
        Self::wake_sleeper(self.word(self.places.worker(turn.worker)));
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
