//! A flag that many can wait for, in one word.
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
//! | word        | means                                                             |
//! |-------------|-------------------------------------------------------------------|
//! | SET         | the flag                                                          |
//! | ASLEEP      | somebody sleeps, or is about to: `set` wakes all                  |
//! | upper bits  | the round: how often the flag went from clear to set              |
//!
//! A sleeper compares rounds, not flags: if the flag was set while it slept, its wait has succeeded, even when a
//! `clear` followed before it could look.
//! `set` takes no lock, so a signal handler may call it, and one who is stopped in it stops nobody. A sleeper
//! would have to miss exactly 2^30 rounds to be misled; it looks at least twice a second.
//!
//! # Orderings
//! set (Release) pairs with wait and is_set (Acquire). Each `set` writes the word, also when the flag is set
//! already, so that what came before *any* set is seen by who waits after it. `clear` is both: who clears has
//! seen what came before the set that he wipes out.
//! # When a process dies
//! In `set`, between the flag and the wake: the sleepers find out by their timed look, half a second at most.
//! In `wait`: ASLEEP stays, and one `set` wakes nobody.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: event_*

use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

const SET: u32 = 1;
const ASLEEP: u32 = 1 << 1;
const ROUND: u32 = 1 << 2;

/// How it works is said at the top of its file. All zeros is a clear flag.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawEvent<W: Word> {
    word: W,
}

impl<W: Word> RawEvent<W> {
    /// Whether the flag is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.look() & SET != 0
    }

    /// Sets the flag and wakes all who wait. Safe in a signal handler.
    pub fn set(&self) {
        let old =
            self.change(|word| if word & SET == 0 { rounds(word).wrapping_add(ROUND) | SET } else { word });
        if old & ASLEEP != 0 {
            self.word.wake(u32::MAX);
        }
    }

    /// Clears the flag. Who was asleep when it was set returns `true` all the same.
    pub fn clear(&self) {
        self.change(|word| word & !SET);
    }

    /// Waits until the flag is set; `false`: the deadline passed first.
    pub fn wait(&self, until: Option<Deadline>) -> bool {
        let first = self.look();
        let mut waiting = Waiting::new(&self.word, Pace::Dense);
        let mut late = false;
        loop {
            let seen = self.look();
            if seen & SET != 0 || rounds(seen) != rounds(first) {
                waiting.found();
                return true;
            }
            if late {
                return false;
            }
            if !waiting.pause() && self.mark(seen) {
                late = self.word.wait(seen | ASLEEP, until) == Wake::TimedOut;
                waiting.again();
            }
        }
    }

    fn look(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `change`.
        self.word.load(Ordering::Acquire)
    }

    /// Says that somebody will sleep. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `set` reads it in the same word.
        seen & ASLEEP != 0
            || self.word.compare_exchange(seen, seen | ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Replaces the word by what `new` makes of it, and gives what was there.
    fn change(&self, new: impl Fn(u32) -> u32) -> u32 {
        // ORDERING: Relaxed: confirmed by the exchange.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            // ORDERING: AcqRel: Release for those who wait; Acquire for `clear`, which wipes out a set it saw.
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
