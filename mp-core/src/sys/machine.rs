//! What a wait learns of this machine, and where it is kept: the clock, the cost of a wake, and a few sites for
//! each thread.
//!
//! The cost of a sleep and a wake is measured where it is paid: a call that woke a sleeper took so long, and from its
//! beginning to the sleeper's first instruction it takes up to three times as long. On the hosts that were measured
//! that was 2.1 times on the same CPU (1.6 and 3.5 us), and 2.1 to 2.9 times on another one (9.5 and 20 us, 6.7 and
//! 19.8 us).

use super::futex::{self, FutexWord};
use super::state::usable_cpus;
use crate::word::{Learned, Machine, Ordering, Site};
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

/// How long a call takes here that wakes a sleeper, in nanoseconds; before the first one, a guess between the hosts
/// that were measured.
static WAKE: AtomicU32 = AtomicU32::new(10_000);
/// The part of a new measurement in the mean, as a shift.
const NEW_PART: u32 = 3;
/// Such a call longer than this was interrupted.
const LONGEST_WAKE: u32 = 100_000;
/// The sleeper's part included.
const CALLS_IN_A_SLEEP: u32 = 4;

/// A call has woken sleepers, and took so many nanoseconds.
pub(super) fn note_wake(took: u64) {
    let took = u32::try_from(took).unwrap_or(u32::MAX).min(LONGEST_WAKE);
    // ORDERING: Relaxed, twice: a mean; one that is lost between the two is one of many.
    let mean = WAKE.load(Ordering::Relaxed);
    let new = mean - (mean >> NEW_PART) + (took >> NEW_PART);
    WAKE.store(new, Ordering::Relaxed);
}

/// For each thread. Two objects whose waits map to one entry share what they learn.
const SITES: usize = 64;

thread_local! {
    static LEARNED: [Cell<Site>; SITES] = const { [const { Cell::new(Site::new()) }; SITES] };
}

/// The place of a word.
fn place(word: &FutexWord) -> usize {
    let address = std::ptr::from_ref(word).addr();
    // A multiplicative hash: the upper bits depend on all.
    (address >> 2).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) >> (usize::BITS - SITES.ilog2())
}

impl Machine for FutexWord {
    /// An answer from another CPU is here by then most often: a quarter of a microsecond, or one where a pause is
    /// longer.
    const QUICK: u32 = 32;

    #[inline]
    fn now() -> u64 {
        futex::now().as_nanos() as u64
    }

    #[inline]
    fn pause() {
        std::hint::spin_loop();
    }

    fn yield_now() {
        std::thread::yield_now();
    }

    #[inline]
    fn sleep_cost() -> u32 {
        #[cfg(feature = "forced-waits")]
        if let Some(cost) = super::forced::sleep_cost() {
            return cost;
        }
        // ORDERING: Relaxed: a mean.
        CALLS_IN_A_SLEEP * WAKE.load(Ordering::Relaxed)
    }

    fn one_cpu() -> bool {
        usable_cpus() <= 1
    }

    #[inline]
    fn turn() -> Option<u32> {
        Some(3_000_000)
    }
}

impl Learned for FutexWord {
    #[inline]
    fn site(&self) -> Site {
        #[cfg(feature = "forced-waits")]
        if super::forced::naps() {
            return Site::that_naps();
        }
        LEARNED.with(|sites| sites[place(self)].get())
    }

    #[inline]
    fn learn(&self, site: Site) {
        LEARNED.with(|sites| sites[place(self)].set(site));
    }
}

/// A site of what no other process sees: a connection's end.
#[derive(Debug, Default)]
pub struct LocalSite(Cell<Site>);

impl Machine for LocalSite {
    /// Each look is a system call.
    const QUICK: u32 = 8;

    fn now() -> u64 {
        FutexWord::now()
    }
    fn pause() {
        FutexWord::pause();
    }
    fn yield_now() {
        FutexWord::yield_now();
    }
    fn sleep_cost() -> u32 {
        FutexWord::sleep_cost()
    }
    fn one_cpu() -> bool {
        FutexWord::one_cpu()
    }
    fn turn() -> Option<u32> {
        FutexWord::turn()
    }
}

impl Learned for LocalSite {
    fn site(&self) -> Site {
        self.0.get()
    }
    fn learn(&self, site: Site) {
        self.0.set(site);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_what_wakes_take() {
        (0..200).for_each(|_| note_wake(40_000));
        let dear = FutexWord::sleep_cost();
        assert!((150_000..=160_000).contains(&dear), "{dear}");
        (0..200).for_each(|_| note_wake(u64::MAX));
        assert!(FutexWord::sleep_cost() <= CALLS_IN_A_SLEEP * LONGEST_WAKE);
        (0..200).for_each(|_| note_wake(2_000));
        let cheap = FutexWord::sleep_cost();
        assert!((7_000..=8_100).contains(&cheap), "{cheap}");
    }

    #[test]
    fn neighbours_learn_apart() {
        let words: [FutexWord; 2] = Default::default();
        assert_ne!(place(&words[0]), place(&words[1]));
    }
}
