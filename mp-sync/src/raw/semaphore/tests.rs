//! Hand-over, with a word whose sleepers do what the test says.

use super::*;
use crate::raw::scripted::{self, AFTER, NOW, SLEPT_ON, Scripted};

const NANOS_OF_PATIENCE: u64 = PATIENCE.as_nanos() as u64;

/// Releases a permit while `asleep` threads sleep. Returns whether it is reserved for them.
fn release_among(semaphore: &RawSemaphore<Scripted>, asleep: u32) -> bool {
    scripted::ASLEEP.set(asleep);
    write(&semaphore.word, ASLEEP);
    assert_eq!(semaphore.release(1, 1), Ok(()));
    assert_eq!(semaphore.value(), 1);
    semaphore.is_reserved()
}

#[test]
fn a_thread_that_comes_back_at_once_leaves_it_to_a_sleeper() {
    let semaphore = RawSemaphore::default();
    NOW.set(5_000);
    assert!(release_among(&semaphore, 1));
    // The sleeper has had it and released it.
    AFTER.set(1);
    assert!(semaphore.acquire(None));
    assert_eq!(SLEPT_ON.get(), 1 | ASLEEP, "it has slept until the other one had it");
}

#[test]
fn a_turn_that_is_not_over_goes_on() {
    let semaphore = RawSemaphore::default();
    NOW.set(500);
    assert!(!release_among(&semaphore, 1));
    assert!(semaphore.acquire(None));
    assert_eq!(SLEPT_ON.get(), 0, "it has not slept");
}

#[test]
fn without_a_sleeper_permits_are_for_all() {
    let semaphore = RawSemaphore::default();
    NOW.set(5_000);
    assert!(!release_among(&semaphore, 0));
}

#[test]
fn a_try_may_take_it() {
    let semaphore = RawSemaphore::default();
    NOW.set(5_000);
    assert!(release_among(&semaphore, 1));
    assert!(semaphore.try_acquire());
}

#[test]
fn a_permit_that_no_sleeper_takes_is_for_all() {
    let semaphore = RawSemaphore::default();
    NOW.set(5_000);
    assert!(release_among(&semaphore, 1));
    NOW.set(5_000 + NANOS_OF_PATIENCE);
    assert!(semaphore.acquire(None));
    assert_eq!(SLEPT_ON.get(), 0, "it has not slept");
}

#[test]
fn turns_are_longer_where_handing_over_takes_long() {
    let semaphore = RawSemaphore::default();
    NOW.set(5_000);
    assert!(release_among(&semaphore, 1));
    // A thread that had slept comes 100 us later.
    NOW.set(105_000);
    semaphore.note_turn();
    assert!(!semaphore.is_reserved());
    NOW.set(105_000 + 8 * 100_000 - 1);
    assert!(!release_among(&semaphore, 1));
    NOW.set(105_000 + 8 * 100_000);
    assert!(release_among(&semaphore, 1));
}
