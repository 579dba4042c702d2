//! The threads that a notification wakes, with words whose sleepers do what the test says.

use super::*;
use crate::raw::scripted::{Mine, OTHER, WAKES};

/// Another thread waits in the only slot, asleep or not.
fn condition_with_a_waiter(asleep: bool) -> RawCondition<Mine, 1> {
    let condition = RawCondition::<Mine, 1>::default();
    write(condition.slots[0].waiter.word(), OTHER);
    write(&condition.slots[0].asleep, asleep.into());
    write(&condition.used, 1);
    write(&condition.next, 1);
    condition
}

/// How many calls that wake it takes to notify it.
fn wakes_to_notify(asleep: bool) -> u32 {
    let condition = condition_with_a_waiter(asleep);
    WAKES.set(0);
    condition.notify(1);
    assert!(!condition.slots[0].is_waiting());
    WAKES.get()
}

#[test]
fn a_waiter_that_sleeps_is_woken() {
    assert_eq!(wakes_to_notify(true), 1);
}

#[test]
fn a_waiter_that_spins_costs_no_call() {
    assert_eq!(wakes_to_notify(false), 0);
}

#[test]
fn the_next_waiter_in_a_slot_does_not_sleep_yet() {
    let condition = condition_with_a_waiter(true);
    write(condition.slots[0].waiter.word(), FREE);
    assert!(condition.register().is_some_and(|slot| read(&slot.asleep) == 0));
}
