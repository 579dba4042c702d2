//! Handing over, with a word whose sleepers do what the test says.

use super::*;
use mp_core::word::{Learned, Site};
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

const ME: u32 = 7;
const OTHER: u32 = 8;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(1) };
    /// How many sleep.
    static ASLEEP: Cell<u32> = const { Cell::new(0) };
    static SLEPT_ON: Cell<u32> = const { Cell::new(0) };
}

#[derive(Default)]
struct Scripted(AtomicU32);

impl Machine for Scripted {
    const QUICK: u32 = 0;

    fn now() -> u64 {
        NOW.get()
    }
    fn pause() {}
    fn yield_now() {}
    fn sleep_cost() -> u32 {
        0
    }
    fn one_cpu() -> bool {
        false
    }
    fn turn() -> Option<u32> {
        Some(1_000)
    }
}

impl Learned for Scripted {
    fn site(&self) -> Site {
        Site::new()
    }
    fn learn(&self, _: Site) {}
}

impl Word for Scripted {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, ok, err)
    }
    /// One that had slept has the lock meanwhile, and gives it back.
    fn wait(&self, expected: u32, _: Option<Deadline>) -> Wake {
        SLEPT_ON.set(expected);
        // ORDERING: Relaxed: one thread.
        assert_eq!(self.swap(OTHER | WAITERS, Ordering::Relaxed), expected);
        self.store(FREE, Ordering::Relaxed);
        Wake::Look
    }
    fn wait_long(&self, expected: u32, until: Option<Deadline>) -> Wake {
        self.wait(expected, until)
    }
    fn wake(&self, count: u32) -> u32 {
        count.min(ASLEEP.get())
    }
    fn wake_long(&self, _: u32) -> u32 {
        0
    }
    fn fence() {}
}

#[derive(Default)]
struct Mine(Scripted);

impl Owned for Mine {
    type Word = Scripted;

    fn word(&self) -> &Scripted {
        &self.0
    }
    fn me() -> u32 {
        ME
    }
    fn announce(&self) {}
    fn enlist(&self) {}
    fn delist(&self) {}
    fn retract(&self) {}
    fn is_dead(_: u32) -> bool {
        false
    }
    fn kernel_tells() -> bool {
        true
    }
}

/// Takes it, is told that others sleep, and gives it back. Gives what the word is then.
fn release_among(lock: &RawLock<Mine>, asleep: u32) -> u32 {
    ASLEEP.set(asleep);
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    // ORDERING: Relaxed: one thread.
    lock.state.word().fetch_or(WAITERS, Ordering::Relaxed);
    assert!(lock.release());
    lock.state.word().load(Ordering::Relaxed)
}

#[test]
fn who_comes_back_at_once_leaves_it_to_one_that_sleeps() {
    let lock = RawLock::<Mine>::default();
    NOW.set(5_000);
    assert_eq!(release_among(&lock, 1), HANDED);
    assert!(!lock.is_locked());
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    assert_eq!(SLEPT_ON.get(), HANDED, "it has slept until the other one had it");
}

#[test]
fn a_turn_that_is_not_over_goes_on() {
    let lock = RawLock::<Mine>::default();
    NOW.set(500);
    assert_eq!(release_among(&lock, 1), FREE);
}

#[test]
fn what_nobody_sleeps_for_is_free() {
    let lock = RawLock::<Mine>::default();
    NOW.set(5_000);
    assert_eq!(release_among(&lock, 0), FREE);
}

#[test]
fn who_merely_tries_may_have_it() {
    let lock = RawLock::<Mine>::default();
    NOW.set(5_000);
    assert_eq!(release_among(&lock, 1), HANDED);
    assert_eq!(lock.try_acquire(), Some(Acquired::Clean));
    assert!(lock.release());
}

#[test]
fn turns_are_longer_where_handing_over_takes_long() {
    let lock = RawLock::<Mine>::default();
    NOW.set(5_000);
    assert_eq!(release_among(&lock, 1), HANDED);
    // One that had slept comes 100 us later.
    NOW.set(105_000);
    // ORDERING: Relaxed: one thread.
    assert!(lock.take(lock.state.word().load(Ordering::Relaxed), ME | WAITERS).is_ok());
    lock.note_turn(true);
    assert!(lock.release());
    NOW.set(105_000 + 8 * 100_000 - 1);
    assert_eq!(release_among(&lock, 1), FREE);
    NOW.set(105_000 + 8 * 100_000);
    assert_eq!(release_among(&lock, 1), HANDED);
}

#[test]
fn a_lock_and_a_small_value_share_a_cache_line() {
    assert!(size_of::<RawLock<mp_core::sys::robust::RobustWord>>() <= 48);
}
