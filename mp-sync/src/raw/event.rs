//! Event: a flag that many threads can wait for, in one word.
//!
//! ```text
//!                      ┌──────── wait ───────┐
//!                      ▼                     │
//!  clear, round n ── mark ──► clear, round n, ASLEEP
//!        │                           │
//!       set                     set, wake all
//!        ▼                           │
//!  SET, round n + 1 ◄────────────────┘
//!        │
//!      clear ──► clear, round n + 1
//! ```
//!
//! | word        | meaning                                                           |
//! |-------------|-------------------------------------------------------------------|
//! | SET         | the flag                                                          |
//! | ASLEEP      | a thread sleeps, or is about to: `set` wakes all                  |
//! | upper bits  | the round: how often the flag went from clear to set              |
//!
//! A sleeper compares rounds, not flags. If the flag was set while it slept, its wait has succeeded, even if
//! a `clear` followed before it could run. `set` takes no lock, so a signal handler may call it, and a thread
//! that is stopped in it stops no other. A sleeper would have to miss exactly 2^30 rounds to be misled; it
//! wakes at least twice a second.
//!
//! # Orderings
//! set (Release) pairs with wait and is_set (Acquire). Each `set` writes the word, also when the flag is set
//! already: a waiter sees what came before *any* set. `clear` is both: the thread that clears has seen what
//! came before the set that it clears.
//!
//! # When a process dies
//! In `set`, between the flag and the wake: the sleepers wake by themselves within half a second. In `wait`:
//! ASLEEP stays, and one `set` makes a superfluous wake.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: event_*

use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

const SET: u32 = 1;
const ASLEEP: u32 = 1 << 1;
const ROUND: u32 = 1 << 2;

/// The event of this module. All zeros is a clear flag.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawEvent<W: Word> {
    word: W,
}

impl<W: Word> RawEvent<W> {
    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.load() & SET != 0
    }

    /// Sets the flag and wakes all waiters. Safe in a signal handler.
    pub fn set(&self) {
        let old =
            self.change(|word| if word & SET == 0 { rounds(word).wrapping_add(ROUND) | SET } else { word });
        if old & ASLEEP != 0 {
            self.word.wake(u32::MAX);
        }
    }

    /// Clears the flag. A wait that was asleep when the flag was set returns `true` nevertheless.
    pub fn clear(&self) {
        self.change(|word| word & !SET);
    }

    /// Waits until the flag is set; `false`: the deadline passed first.
    pub fn wait(&self, until: Option<Deadline>) -> bool {
        let first = self.load();
        let mut waiting = Waiting::new(&self.word, Pace::Dense);
        let mut late = false;
        loop {
            let seen = self.load();
            if seen & SET != 0 || rounds(seen) != rounds(first) {
                waiting.found();
                return true;
            }
            if late {
                return false;
            }
            if !waiting.pause() && self.mark(seen) {
                let asleep = seen | ASLEEP;
                late = !waiting.nap(until, |nanos| self.word.nap(asleep, nanos))
                    && self.word.wait(asleep, until) == Wake::TimedOut;
                waiting.again();
            }
        }
    }

    fn load(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `change`.
        self.word.load(Ordering::Acquire)
    }

    /// Sets ASLEEP before a sleep: without it `set` wakes no thread. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `set` reads it in the same word.
        seen & ASLEEP != 0
            || self.word.compare_exchange(seen, seen | ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Replaces the word by `new` of it; returns the old one.
    fn change(&self, new: impl Fn(u32) -> u32) -> u32 {
        // ORDERING: Relaxed: confirmed by the exchange.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            // ORDERING: AcqRel: Release for the waiters; Acquire for `clear`, which clears a set that it saw.
            match self.word.compare_exchange(seen, new(seen), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(old) => return old,
                Err(now) => seen = now,
            }
        }
    }
}

/// The word's round, without its flags.
fn rounds(word: u32) -> u32 {
    word & !(SET | ASLEEP)
}
