//! A count of permits, in one word.
//!
//! ```text
//!                 acquire                       acquire                     somebody will sleep
//!   n permits ─────────────► n - 1 ──► … ────────────────► no permits ──────────────────────► none, ASLEEP
//!       ▲                                                      │                                   │
//!       └──────────────── release ─────────────────────────────┴───────── release(k), wake k ──────┘
//! ```
//!
//! | word         | means                                                                          |
//! |--------------|--------------------------------------------------------------------------------|
//! | low 31 bits  | permits that are there                                                         |
//! | ASLEEP       | somebody sleeps, or is about to: a release takes it away and wakes             |
//!
//! A sleeper that wakes takes its permit with ASLEEP, and one that goes to sleep again or gives up sets it, since none
//! of them can know whether others sleep still. So the mark is gone only while nobody sleeps, or while somebody is on
//! his way who will set it again. What is given meanwhile wakes nobody: so a sleeper that takes a permit and leaves
//! others there wakes the next one.
//!
//! Who gives and who takes need not be the same: a semaphore has no owner. That is what Python's locks are used for
//! when another process releases them.
//!
//! # Orderings
//! release (Release) pairs with acquire (Acquire): who takes a permit sees what came before any release that it could
//! be of. Marking is Relaxed: it publishes nothing.
//! # When a process dies
//! With a permit: the permit is gone, as Python's is. In `release`, before the one exchange: nothing was given. After
//! it and before the wake, or asleep and woken, before its next step: the sleepers see the permit at their timed look,
//! half a second at most.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: semaphore_*

use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

const ASLEEP: u32 = 1 << 31;

/// The most permits there can be. Python: `SEM_VALUE_MAX`.
pub const MOST_PERMITS: u32 = ASLEEP - 1;

/// There would be more permits than there may be; none was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// How it works is said at the top of its file. All zeros is a semaphore without permits.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawSemaphore<W: Word> {
    word: W,
}

impl<W: Word> RawSemaphore<W> {
    /// Takes a permit, and waits for it until the deadline; `false`: the deadline passed first. A permit that is
    /// there is taken even after the deadline.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> bool {
        self.try_acquire() || self.acquire_slow(until)
    }

    /// Takes a permit if one is there now.
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

    /// Adds `count` permits and wakes as many who wait, unless there would be more than `most`.
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

    /// Permits that are there now.
    pub fn value(&self) -> u32 {
        // ORDERING: Relaxed: it promises nothing about anything else.
        permits(self.word.load(Ordering::Relaxed))
    }

    #[inline]
    fn take(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Acquire, pairs with the Release in `release`; a taker between the two keeps the pair, since an
        // exchange continues the release it read from. Relaxed on failure: nothing was taken.
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
                    // Given while the mark was gone, so that nobody was woken for it.
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
                // The wake that this one may have used up was another's: the mark passes it on.
                return false;
            }
            late = self.word.wait(ASLEEP, until) == Wake::TimedOut;
            mark = ASLEEP;
            waiting.again();
        }
    }

    /// Says that somebody will sleep. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `release` reads it in the same word.
        seen == ASLEEP
            || self.word.compare_exchange(seen, ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn permits(word: u32) -> u32 {
    word & MOST_PERMITS
}
