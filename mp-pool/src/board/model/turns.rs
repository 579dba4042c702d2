//! Turns: a worker that yields, a caller that takes what it yields or stops it.

use super::{Shared, table};
use crate::board::Turn;
use mp_core::word::Ordering;
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, Life, spawn};
use std::sync::Arc;

const FIRST: Turn = Turn { worker: 0, number: 1 };
const SECOND: Turn = Turn { worker: 0, number: 2 };

/// Sends so many values in a turn, one ahead: says how many were sent in a word. Gives how many they were.
fn send<W: AnyWord>(table: &Shared<W>, turn: Turn, values: u32) -> u32 {
    for sent in 0..values {
        if table.board.may_send(turn, 0, sent, 1).is_none() {
            return sent;
        }
        // ORDERING: Release, as a packet is sent.
        table.arguments[0].fetch_add(1, Ordering::Release);
    }
    values
}

fn sender<W: AnyWord>(table: &Shared<W>, values: u32, fuse: &Fuse) -> Life<u32> {
    let table = Arc::clone(table);
    spawn(fuse, move || send(&table, FIRST, values))
}

/// Whether so many have been sent, in all turns.
fn has_sent<W: AnyWord>(table: &Shared<W>, values: u32) -> bool {
    // ORDERING: Acquire, as a packet is received.
    table.arguments[0].load(Ordering::Acquire) >= values
}

/// It takes each value as soon as it is there, or says so later: the worker is never more than one ahead of what was
/// said, and never waits for ever.
pub(super) fn a_worker_is_as_far_ahead_as_it_may_be<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let worker = sender(&table, 2, &Fuse::never());
    assert!(!has_sent(&table, 2), "more than it may be ahead");
    table.board.grant(FIRST, 1);
    assert_eq!(worker.join(), Some(2));
}

/// A count of the turn before is no count of this one, also where the caller speaks of that one late.
pub(super) fn a_turn_begins_anew<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || {
        // The last value of the turn needs no leave.
        assert_eq!(send(&other, FIRST, 1), 1);
        let sent = send(&other, SECOND, 2);
        assert!(sent < 2 || has_granted(&other), "more than it may be ahead");
        sent
    });
    table.board.grant(FIRST, 1);
    // ORDERING: Release, as a value that was taken.
    table.results[0].store(1, Ordering::Release);
    table.board.grant(SECOND, 1);
    table.board.grant(FIRST, 1);
    assert_eq!(worker.join(), Some(2));
}

fn has_granted<W: AnyWord>(table: &Shared<W>) -> bool {
    // ORDERING: Acquire, pairs with the Release of the store before the second turn's grant.
    table.results[0].load(Ordering::Acquire) == 1
}

/// Whether it waits or is about to.
pub(super) fn a_worker_that_is_stopped_ends<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let worker = sender(&table, 2, &Fuse::never());
    table.board.stop(FIRST);
    assert!(worker.join().is_some_and(|sent| sent < 2));
}

/// What was said to the dead one is not said to its successor, whose turns have the same numbers.
pub(super) fn a_successor_begins_anew<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 1, 1);
    let victim = sender(&table, 2, fuse);
    table.board.grant(FIRST, 1);
    table.board.stop(FIRST);
    victim.join();
    table.board.forget_turns(0);
    // ORDERING: as above.
    table.arguments[0].store(0, Ordering::Release);
    let successor = sender(&table, 2, &Fuse::never());
    assert!(!has_sent(&table, 2), "more than it may be ahead");
    table.board.grant(FIRST, 1);
    assert_eq!(successor.join(), Some(2));
}

/// The number of a value in the ring, and up to where that is written then.
fn written(value: u32) -> u32 {
    8 * (value + 1)
}

/// Yields so many values, one ahead, each of which is its number and one more, in the same place. Gives how many.
fn yield_values<W: AnyWord>(table: &Shared<W>, values: u32) -> u32 {
    for sent in 0..values {
        if table.board.may_send(FIRST, 0, sent, 1).is_none() {
            return sent;
        }
        // ORDERING: Relaxed: bytes have none.
        table.results[0].store(sent + 1, Ordering::Relaxed);
        table.board.say_yielded(0, written(sent));
        table.board.push_finished(0, 0);
        table.board.tell_caller();
    }
    values
}

fn yields<W: AnyWord>(table: &Shared<W>, values: u32, fuse: &Fuse) -> Life<u32> {
    let other = Arc::clone(table);
    table.board.begin_yields(0);
    spawn(fuse, move || yield_values(&other, values))
}

/// Caller: looks at what is there, and takes it.
fn take_value<W: AnyWord>(table: &Shared<W>, taken: &mut u32) {
    let end = table.board.yielded(0);
    if end > 8 * *taken {
        // ORDERING: as above.
        let value = table.results[0].load(Ordering::Relaxed);
        assert_eq!((end, value), (written(*taken), *taken + 1), "a value that is not there");
        *taken += 1;
        table.board.grant(FIRST, *taken);
    }
}

/// A value that is told of is there, and is not written over before it was taken.
pub(super) fn each_value_is_there_once<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let worker = yields(&table, 2, &Fuse::never());
    let mut taken = 0;
    while taken < 2 {
        // ORDERING: Acquire, as the caller does.
        let seen = table.board.caller_event().load(Ordering::Acquire);
        table.board.take_finished(&mut Vec::new(), |_| ());
        let before = taken;
        take_value(&table, &mut taken);
        if taken == before {
            table.board.sleep_until_finished(seen, u32::MAX - 1, None);
        }
    }
    assert_eq!(worker.join(), Some(2));
}

/// What a dead one had told of stands, and nothing else does.
pub(super) fn what_a_dead_one_has_yielded_stands<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 1, 1);
    let victim = yields(&table, 2, fuse);
    let mut taken = 0;
    take_value(&table, &mut taken);
    table.board.stop(FIRST);
    victim.join();
    take_value(&table, &mut taken);
    take_value(&table, &mut taken);
    assert_eq!(table.board.yielded(0), 8 * taken);
}

/// The caller does not know the turn before it has seen a value.
pub(super) fn a_task_whose_values_are_not_wanted_ends<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let worker = yields(&table, 2, &Fuse::never());
    table.board.stop_slot(0);
    if table.board.yielded(0) > 0 {
        table.board.stop(FIRST);
    }
    assert!(worker.join().is_some_and(|sent| sent < 2));
}

super::models! {
    explore a_worker_is_as_far_ahead_as_it_may_be to bound();
    explore a_turn_begins_anew to bound();
    explore a_worker_that_is_stopped_ends to bound();
    sweep a_successor_begins_anew to bound() - 2;
    explore each_value_is_there_once to bound() - 1;
    sweep what_a_dead_one_has_yielded_stands to bound() - 2;
    explore a_task_whose_values_are_not_wanted_ends to bound();
}
