//! A word in shared memory that one can sleep on: `futex(2)`.
//!
//! Never `FUTEX_PRIVATE`: the sleepers are other processes.
//!
//! # Safety
//! The one invariant: a futex call is given the address of a live `AtomicU32`.
#![allow(unsafe_code)]

use crate::word::{Deadline, Ordering, Wake, Word};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, fence};
use std::time::{Duration, Instant};

/// [`Word`] on the kernel's futex. Position-free, so it may live in any mapping.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct FutexWord(AtomicU32);

impl FutexWord {
    /// A word with a value.
    pub const fn new(value: u32) -> Self {
        FutexWord(AtomicU32::new(value))
    }
}

/// A wait looks again after this long at the earliest, and after twice this long at the latest.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Rounds of [`Word::spin`] that only pause the CPU, and rounds that give it to somebody else, before sleep.
const PAUSES: u32 = 50;
const YIELDS: u32 = 8;

/// Rounds of [`Word::back_off`] that pause the CPU: so often in the first, twice as often in each further one. Each
/// look moves the word's cache line away from who works with it: two processes that want one lock all the time do
/// less than half the work if they look after each pause.
const FIRST_PAUSES: u32 = 8;
const LOOKS: u32 = 4;

impl Word for FutexWord {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    #[inline]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    #[inline]
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    #[inline]
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    #[inline]
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    #[inline]
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, ok, err)
    }

    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        let look_again = spread(LOOK_AGAIN);
        let sleep = match until.map(Deadline::remaining) {
            Some(Duration::ZERO) => return Wake::TimedOut,
            Some(left) => left.min(look_again),
            None => look_again,
        };
        let timeout = libc::timespec {
            tv_sec: sleep.as_secs() as libc::time_t,
            tv_nsec: sleep.subsec_nanos() as libc::c_long,
        };
        // SAFETY: the word is alive for the call, since `self` is borrowed; the timeout is on this stack.
        // Every result, an interruption included, means: look again.
        unsafe {
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, expected, &timeout);
        }
        match until {
            Some(deadline) if deadline.passed() => Wake::TimedOut,
            _ => Wake::Look,
        }
    }

    fn wake(&self, count: u32) {
        let count = count.min(i32::MAX as u32);
        // SAFETY: the word is alive for the call; waking changes no memory.
        unsafe {
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, count);
        }
    }

    #[inline]
    fn spin(round: u32) -> bool {
        let pauses = if one_cpu() { 0 } else { PAUSES };
        if round < pauses {
            std::hint::spin_loop();
            true
        } else if round < pauses + YIELDS {
            std::thread::yield_now();
            true
        } else {
            false
        }
    }

    fn back_off(round: u32) -> bool {
        let looks = if one_cpu() { 0 } else { LOOKS };
        if round < looks {
            (0..FIRST_PAUSES << round).for_each(|_| std::hint::spin_loop());
            true
        } else if round < looks + YIELDS {
            std::thread::yield_now();
            true
        } else {
            false
        }
    }

    #[inline]
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }
}

/// Between once and twice `base`, so that many sleepers do not look at the same moment.
fn spread(base: Duration) -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let nanos = START.get_or_init(Instant::now).elapsed().subsec_nanos();
    // A multiplicative hash: the clock's low digits are random enough to spread sleepers.
    let share = nanos.wrapping_mul(0x9E37_79B9) >> 24;
    base + base * share / 256
}

/// Whether this process may run on one CPU only: then pausing keeps away the very one that is waited for.
fn one_cpu() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| super::state::usable_cpus() <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_word_is_not_slept_on() {
        assert_eq!(FutexWord::new(1).wait(0, None), Wake::Look);
    }

    #[test]
    fn a_deadline_ends_the_wait_and_not_before() {
        let word = FutexWord::new(0);
        let began = Instant::now();
        let timeout = Duration::from_millis(30);
        let deadline = Deadline::after(timeout);
        while word.wait(0, deadline) != Wake::TimedOut {}
        assert!(began.elapsed() >= timeout);
    }

    #[test]
    fn without_a_deadline_it_looks_again_by_itself() {
        assert_eq!(FutexWord::new(0).wait(0, None), Wake::Look);
    }
}
