//! Semaphore: a count of permits, in one word; three more words give sleepers their turn.
//!
//! ```text
//!                 acquire                       acquire                     a thread will sleep
//!   n permits ─────────────► n - 1 ──► … ────────────────► no permits ──────────────────────► none, ASLEEP
//!       ▲                                                      │                                   │
//!       └──────────────── release ─────────────────────────────┴───────── release(k), wake k ──────┘
//! ```
//!
//! | word         | meaning                                                                       |
//! |--------------|-------------------------------------------------------------------------------|
//! | low 31 bits  | free permits                                                                  |
//! | ASLEEP       | a thread sleeps, or is about to: a release clears it and wakes                |
//!
//! A sleeper that wakes takes its permit and sets ASLEEP; one that sleeps again or gives up sets it too,
//! since none of them knows whether others still sleep. So ASLEEP is clear only while no thread sleeps, or
//! while a thread is about to set it again. A release in that time wakes no thread. So a sleeper that takes a
//! permit and leaves others wakes the next one.
//!
//! A permit may be released by another thread than the one that took it: a semaphore has no owner. Python's
//! locks are used in this way when another process releases them.
//!
//! # Fairness
//! | word       | meaning                                                                                 |
//! |------------|-----------------------------------------------------------------------------------------|
//! | `reserved` | when permits were handed over to the threads that have slept; 0: they are for all       |
//! | `since`    | when a thread that had slept last took a permit, or permits were last handed over       |
//! | `turn`     | how long permits may be kept from sleepers, in nanoseconds                              |
//!
//! A thread that releases a permit and takes it again at once has it before a woken sleeper runs. The sleeper then
//! sleeps again, as the last in the kernel's queue: that queue's order does not help it. So turns are as the lock's
//! (`lock.rs`). A release hands its permits over if it finds sleepers and none of them has had a permit for a turn. A
//! thread that has not slept leaves such permits alone for ten milliseconds, or until a sleeper has taken one; a try
//! does not. The three words are hints: whatever they say, a free permit is taken at the latest after that time.
//!
//! # Orderings
//! release (Release) pairs with acquire (Acquire): a thread that takes a permit sees what came before each
//! release that the permit could be from. Marking is Relaxed: it publishes nothing.
//!
//! # When a process dies
//! With a permit: the permit is lost, as in Python. In `release`, before the one exchange: nothing was
//! released. After it and before the wake, or woken and before its next step: the sleepers wake by themselves
//! within half a second. Woken for permits that were handed over: ten milliseconds later these are for all.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: semaphore_*

use super::turn::{self, PATIENCE};
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

const ASLEEP: u32 = 1 << 31;

/// The most permits there can be. Python: `SEM_VALUE_MAX`.
pub const MOST_PERMITS: u32 = ASLEEP - 1;

/// There would be more permits than allowed; none was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// The semaphore of this module. All zeros is a semaphore without permits.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawSemaphore<W: Word> {
    word: W,
    reserved: W,
    since: W,
    turn: W,
}

impl<W: Word> RawSemaphore<W> {
    /// Takes a permit, and waits for it until the deadline. `false`: the deadline passed first. A free permit
    /// is taken even after the deadline.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> bool {
        !self.is_reserved() && self.try_acquire() || self.acquire_slow(until)
    }

    /// Takes a permit if one is free now.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        // ORDERING: Relaxed: confirmed by the exchange.
        let mut seen = self.word.load(Ordering::Relaxed);
        while permits(seen) > 0 {
            match self.take(seen, seen - 1) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Adds `count` permits and wakes as many waiters, unless there would be more than `most`.
    #[inline]
    pub fn release(&self, count: u32, most: u32) -> Result<(), TooMany> {
        // ORDERING: Relaxed: confirmed by the exchange.
        let mut seen = self.word.load(Ordering::Relaxed);
        let mut handed = false;
        loop {
            let sum = permits(seen).checked_add(count).filter(|sum| *sum <= most.min(MOST_PERMITS));
            let new = sum.ok_or(TooMany)?;
            if seen & ASLEEP != 0 && !handed && self.is_a_turn_over() {
                // Before the permits are free: a thread that has not slept must not find them first.
                handed = true;
                self.hand_over();
            }
            // ORDERING: Release, pairs with the Acquire in `take`. Relaxed on failure: nothing was released.
            match self.word.compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        let woken = if seen & ASLEEP != 0 { self.word.wake(count) } else { 0 };
        if handed && woken == 0 {
            write(&self.reserved, 0);
        }
        Ok(())
    }

    /// The number of free permits.
    pub fn value(&self) -> u32 {
        // ORDERING: Relaxed: it promises nothing about anything else.
        permits(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    fn take(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Acquire, pairs with the Release in `release`; a taker between the two keeps the pair,
        // since an exchange continues the release it read from. Relaxed on failure: nothing was taken.
        self.word.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed)
    }

    #[cold]
    fn acquire_slow(&self, until: Option<Deadline>) -> bool {
        let mut waiting = Waiting::new(&self.word, Pace::Dense);
        // Whether this thread has slept.
        let mut slept = false;
        let mut late = false;
        loop {
            // ORDERING: Relaxed: confirmed by the exchange.
            let seen = self.word.load(Ordering::Relaxed);
            let there = permits(seen) > 0;
            if there && (slept || late || !self.is_reserved()) {
                let mark = if slept { ASLEEP } else { 0 };
                if self.take(seen, (seen - 1) | mark).is_err() {
                    continue;
                }
                if slept && permits(seen) > 1 {
                    // These permits may have been released while ASLEEP was clear, so no thread was woken for
                    // them.
                    self.word.wake(1);
                }
                if slept {
                    self.note_turn();
                }
                waiting.found();
                return true;
            }
            if !late && waiting.pause() {
                continue;
            }
            if !self.mark(seen) {
                continue;
            }
            if late {
                // This thread may have consumed a wake that was meant for another: the mark passes it on.
                return false;
            }
            let patience = if there { Deadline::after(PATIENCE) } else { None };
            let woken = self.word.wait(seen | ASLEEP, until.into_iter().chain(patience).min());
            late = if there { until.is_some_and(Deadline::passed) } else { woken == Wake::TimedOut };
            slept = true;
            waiting.again();
        }
    }

    /// Sets ASLEEP before a sleep: without it a release wakes no thread. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `release` reads it in the same word.
        seen & ASLEEP != 0
            || self.word.compare_exchange(seen, seen | ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether free permits are for threads that have slept.
    #[inline]
    fn is_reserved(&self) -> bool {
        W::turn().is_some() && read(&self.reserved) != 0 && self.is_reserved_still()
    }

    #[cold]
    fn is_reserved_still(&self) -> bool {
        let at = read(&self.reserved);
        let still = at != 0 && turn::now::<W>().wrapping_sub(at) < PATIENCE.as_nanos() as u32;
        if !still {
            // The woken thread has died, or has taken a permit by a try.
            // ORDERING: Relaxed: see the top.
            let _ = self.reserved.compare_exchange(at, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        still
    }

    /// Whether the sleepers have waited for a turn.
    fn is_a_turn_over(&self) -> bool {
        turn::is_over(&self.since, || read(&self.turn))
    }

    /// Reserves the permits that are released next for a thread that has slept.
    fn hand_over(&self) {
        let now = turn::now::<W>();
        write(&self.since, now);
        write(&self.reserved, now.max(1));
    }

    /// A thread that had slept has taken a permit.
    fn note_turn(&self) {
        if W::turn().is_none() {
            return;
        }
        let (at, now) = (read(&self.reserved), turn::now::<W>());
        if at != 0 {
            write(&self.reserved, 0);
            write(&self.turn, turn::length(now.wrapping_sub(at)));
        }
        write(&self.since, now);
    }
}

fn read(word: &impl Word) -> u32 {
    // ORDERING: Relaxed: see the top.
    word.load(Ordering::Relaxed)
}

fn write(word: &impl Word, value: u32) {
    // ORDERING: Relaxed: see the top.
    word.store(value, Ordering::Relaxed);
}

fn permits(word: u32) -> u32 {
    word & MOST_PERMITS
}

#[cfg(test)]
mod tests;
