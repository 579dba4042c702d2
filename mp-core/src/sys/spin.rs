//! Spin: what a waiter does between its last look and its sleep, a moment at a time. The caller looks between them.
//!
//! ```text
//!   several CPUs:  pauses of the CPU ───────────────────────────► the CPU given away, a few times ─► sleep
//!   one CPU:       pauses of the CPU, as many as were worth it ─► the CPU given away, a few times ─► sleep
//! ```
//!
//! Who may run on one CPU only may wait for somebody on the same one, whom each pause keeps from running; or for
//! somebody who is pinned to another, whose answer is here before a system call is over. It learns which of the two it
//! is.
//!
//! To give the CPU away lets another process run, or comes back at once. Enough of it outlasts the time in which a woken
//! process comes to run: with half as often, one who had to be woken found the other asleep by then, who had to be woken
//! in turn, and of two who answered each other's messages one slept in every fifteenth round.

use crate::word::Looks;
use std::cell::Cell;
use std::sync::OnceLock;

/// A microsecond, about.
const PAUSES: u32 = 50;
const YIELDS: u32 = 16;

/// Rounds of [`back_off`] that pause the CPU: so often in the first, twice as often in each further one. Each look moves
/// the word's cache line away from who works with it: two processes that want one lock all the time do less than half
/// the work if they look after each pause.
const FIRST_PAUSES: u32 = 8;
const LOOKS: u32 = 4;
const YIELDS_TO_A_HOLDER: u32 = 8;

/// What [`Word::spin`](crate::word::Word::spin) is on a futex.
#[inline]
pub(super) fn spin(round: u32) -> bool {
    let paused = if one_cpu() { ALONE.with(|alone| alone.granted(round)) } else { PAUSES };
    moment(round, paused, 1, YIELDS)
}

/// What [`Word::back_off`](crate::word::Word::back_off) is on a futex.
pub(super) fn back_off(round: u32) -> bool {
    let paused = if one_cpu() { 0 } else { LOOKS };
    moment(round, paused, FIRST_PAUSES << round.min(LOOKS), YIELDS_TO_A_HOLDER)
}

/// So many rounds pause the CPU, so often each; and so many give it away.
#[inline]
fn moment(round: u32, paused: u32, pauses: u32, yields: u32) -> bool {
    if round < paused {
        (0..pauses).for_each(|_| std::hint::spin_loop());
        true
    } else if round < paused + yields {
        std::thread::yield_now();
        true
    } else {
        false
    }
}

/// Whether this process may run on one CPU only.
fn one_cpu() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| super::state::usable_cpus() <= 1)
}

thread_local! {
    static ALONE: Alone = const { Alone::new() };
}

/// What a thread has learned of waits on its one CPU.
struct Alone {
    looks: Cell<Looks<PAUSES>>,
    /// In this wait.
    granted: Cell<u32>,
    /// Whether they have not been in vain yet.
    open: Cell<bool>,
}

impl Alone {
    const fn new() -> Alone {
        Alone { looks: Cell::new(Looks::new()), granted: Cell::new(0), open: Cell::new(false) }
    }

    /// How many rounds of the wait that is in this one pause.
    #[inline]
    fn granted(&self, round: u32) -> u32 {
        if round == 0 {
            self.begin();
        }
        let granted = self.granted.get();
        if round >= granted && self.open.take() {
            self.learn(Looks::in_vain);
        }
        granted
    }

    /// A wait begins. The one before it, if its looks did not come to their end, has found what it waited for.
    fn begin(&self) {
        if self.open.get() {
            self.learn(Looks::found);
        }
        self.granted.set(self.looks.get().granted());
        self.open.set(true);
    }

    fn learn(&self, what: impl FnOnce(&mut Looks<PAUSES>)) {
        let mut looks = self.looks.get();
        what(&mut looks);
        self.looks.set(looks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(alone: &Alone, round: u32) -> bool {
        moment(round, alone.granted(round), 1, YIELDS)
    }

    /// A wait for what does not come: rounds before the sleep.
    fn rounds(alone: &Alone) -> u32 {
        (0..).find(|round| !spin(alone, *round)).unwrap()
    }

    #[test]
    fn looks_in_vain_become_fewer_and_one_that_finds_it_brings_them_back() {
        let alone = Alone::new();
        assert_eq!([rounds(&alone), rounds(&alone)], [PAUSES + YIELDS, PAUSES / 2 + YIELDS]);
        assert!((0..5).all(|round| spin(&alone, round)));
        assert_eq!(rounds(&alone), PAUSES + YIELDS);
        let fewer: Vec<u32> = (0..6).map(|_| rounds(&alone) - YIELDS).collect();
        assert_eq!(fewer, [25, 12, 6, 3, 1, 0]);
    }
}
