//! Memory that a worker keeps beyond the end of its slot. A word that is read and written without an ordering stands
//! for it.

use super::{Shared, table};
use mp_core::word::{Ordering, Word};
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, spawn};
use std::sync::Arc;

/// What the memory has before it is used again.
const FIRST: u32 = 5;

/// Worker: what is in the memory.
fn content<W: Word>(table: &Shared<W>) -> u32 {
    // ORDERING: Relaxed: bytes have none either.
    table.arguments[0].load(Ordering::Relaxed)
}

/// Caller: uses the memory again, if a slot is done and its worker keeps nothing; whether it has.
fn use_again<W: Word>(table: &Shared<W>) -> bool {
    let is_done = |slot| table.board.found(slot, None).is_some();
    let is_free = [0, 1].into_iter().any(|slot| is_done(slot) && !table.board.keeps(0));
    if is_free {
        // ORDERING: Relaxed: bytes have none either.
        table.arguments[0].store(FIRST + 1, Ordering::Relaxed);
    }
    is_free
}

/// The worker keeps it from the first slot to the second one. Before each is done it says what it keeps.
pub(super) fn what_is_kept_is_not_used_again<W: AnyWord>() {
    let table = table::<W>(1, 1, 2, 2);
    table.post(0, 1, FIRST);
    table.post(1, 1, 0);
    table.board.deal(0, &[0, 1]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || {
        for keeps in [true, false] {
            let slot = other.take(0).unwrap();
            assert_eq!(content(&other), FIRST, "memory that is kept was used again");
            other.board.say_keeps(0, keeps);
            assert!(other.board.done(slot, 0));
        }
    });
    let early = use_again(&table);
    worker.join();
    assert!(early || use_again(&table), "memory that is not used again");
}

/// It has said that it keeps something, or not. Its successor keeps nothing, and says nothing.
pub(super) fn a_dead_worker_keeps_nothing<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 2, 2);
    table.post(0, 1, FIRST);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || {
        let slot = other.take(0).unwrap();
        other.board.say_keeps(0, true);
        assert!(other.board.done(slot, 0));
    });
    victim.join();
    table.board.say_keeps(0, false);
    table.post(1, 1, 0);
    table.board.deal(0, &[1]);
    while let Some(slot) = table.take(0) {
        assert!(table.board.done(slot, 0));
    }
    assert!(use_again(&table), "memory that is not used again");
}

super::models! {
    explore what_is_kept_is_not_used_again to bound();
    sweep a_dead_worker_keeps_nothing to bound();
}
