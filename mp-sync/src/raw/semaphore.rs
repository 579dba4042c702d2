//! Semaphore: a count of permits, in one word.
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
//! # Orderings
//! release (Release) pairs with acquire (Acquire): a thread that takes a permit sees what came before each
//! release that the permit could be from. Marking is Relaxed: it publishes nothing.
//!
//! # When a process dies
//! With a permit: the permit is lost, as in Python. In `release`, before the one exchange: nothing was
//! released. After it and before the wake, or woken and before its next step: the sleepers wake by themselves
//! within half a second.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: semaphore_*

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
}

impl<W: Word> RawSemaphore<W> {
    /// Takes a permit, and waits for it until the deadline. `false`: the deadline passed first. A free permit
    /// is taken even after the deadline.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> bool {
        self.try_acquire() || self.acquire_slow(until)
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
        loop {
            let sum = permits(seen).checked_add(count).filter(|sum| *sum <= most.min(MOST_PERMITS));
            // ORDERING: Release, pairs with the Acquire in `take`. Relaxed on failure: nothing was given.
            let new = sum.ok_or(TooMany)?;
            match self.word.compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        if seen & ASLEEP != 0 {
            self.word.wake(count);
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
        let mut mark = 0;
        let mut late = false;
        loop {
            // ORDERING: Relaxed: confirmed by the exchange.
            let seen = self.word.load(Ordering::Relaxed);
            if permits(seen) > 0 {
                if self.take(seen, (seen - 1) | mark).is_err() {
                    continue;
                }
                if mark != 0 && permits(seen) > 1 {
                    // These permits may have been released while ASLEEP was clear, so no thread was woken for
                    // them.
                    self.word.wake(1);
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
            late = self.word.wait(ASLEEP, until) == Wake::TimedOut;
            mark = ASLEEP;
            waiting.again();
        }
    }

    /// Sets ASLEEP before a sleep: without it a release wakes no thread. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `release` reads it in the same word.
        seen == ASLEEP
            || self.word.compare_exchange(seen, ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn permits(word: u32) -> u32 {
    word & MOST_PERMITS
}
