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
        if !table.board.may_send(turn, sent, 1) {
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
    let victim = sender(&table, 3, fuse);
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

super::models! {
    explore a_worker_is_as_far_ahead_as_it_may_be to bound();
    explore a_turn_begins_anew to bound();
    explore a_worker_that_is_stopped_ends to bound();
    sweep a_successor_begins_anew to bound() - 2;
}
