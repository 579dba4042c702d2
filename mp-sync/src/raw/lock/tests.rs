//! Handing over, with a word whose sleepers do what the test says.

use super::*;
use crate::raw::scripted::{ASLEEP, ME, Mine, NOW, SLEPT_ON};

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
fn a_holder_that_comes_back_at_once_leaves_it_to_a_sleeper() {
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
fn a_lock_without_sleepers_is_free() {
    let lock = RawLock::<Mine>::default();
    NOW.set(5_000);
    assert_eq!(release_among(&lock, 0), FREE);
}

#[test]
fn one_that_merely_tries_may_have_it() {
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
