//! One slot between the caller and its workers.

use super::{Shared, table};
use mp_core::word::Word;
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, spawn};
use std::sync::Arc;

fn take_all<W: Word>(table: &Shared<W>, me: u32) -> Vec<u32> {
    std::iter::from_fn(|| table.take(me)).collect()
}

/// Both slots are in the first worker's lane.
pub(super) fn takers_and_thieves_take_each_slot_once<W: AnyWord>() {
    let table = table::<W>(3, 2, 2, 2);
    table.post(0, 1, 5);
    table.post(1, 1, 6);
    assert_eq!(table.board.deal(0, &[0, 1]), 2);
    let taker = |me| {
        let table = Arc::clone(&table);
        spawn(&Fuse::never(), move || take_all(&table, me))
    };
    let takers = [taker(0), taker(1)];
    let mut taken = take_all(&table, 2);
    takers.into_iter().for_each(|taker| taken.extend(taker.join().unwrap()));
    taken.sort_unstable();
    assert_eq!(taken, [0, 1]);
}

pub(super) fn what_is_cancelled_is_not_begun_and_the_other_way_round<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || other.take(0).map(|slot| other.work(slot, 0)));
    let cancelled = table.board.cancel(0);
    let worked = worker.join().unwrap();
    assert_eq!(worked, (!cancelled).then_some((5, true)));
    assert_eq!(table.finished(), if cancelled { vec![] } else { vec![0] });
}

/// A caller that condemns too late is given the result.
pub(super) fn what_is_condemned_is_not_done_and_the_other_way_round<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || {
        let slot = other.take(0).unwrap();
        other.work(slot, 0)
    });
    let condemned = table.board.condemn(0);
    let (argument, done) = worker.join().unwrap();
    assert_eq!((argument, done), (5, condemned.is_none()));
    assert_eq!(table.finished().len(), usize::from(done));
    // It is dead by now.
    let found = table.board.found(0, Some(0)).unwrap();
    assert_eq!(found.condemned, condemned.is_some());
    table.check(0, found, 5);
}

pub(super) fn the_caller_sees_the_results_of_both<W: AnyWord>() {
    let table = table::<W>(2, 1, 2, 2);
    table.post(0, 1, 5);
    table.post(1, 1, 6);
    table.board.deal(0, &[0, 1]);
    let worker = |me| {
        let table = Arc::clone(&table);
        spawn(&Fuse::never(), move || {
            if let Some(slot) = table.take(me) {
                table.work(slot, me);
            }
        })
    };
    let workers = [worker(0), worker(1)];
    // Not ordered by the joins: what is seen is seen by the board's words alone.
    let mut seen = 0;
    for slot in table.finished() {
        let found = table.board.found(slot, None).expect("a slot that is told of is done");
        table.check(slot, found, 5 + slot);
        seen += 1;
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    for slot in table.finished() {
        let found = table.board.found(slot, None).expect("a slot that is told of is done");
        table.check(slot, found, 5 + slot);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Each item is either settled by a result that stands, or attributed to the death, or not begun.
pub(super) fn a_killed_worker_leaves_results_that_stand<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 2, 5);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.take(0).map(|slot| other.work(slot, 0)));
    let finished = victim.join().is_some();
    let pushed = table.finished();
    assert!(!finished || pushed == [0]);
    match table.board.found(0, Some(0)) {
        Some(found) => {
            table.check(0, found, 5);
            assert!(found.done + u32::from(found.begun) <= 2 && (!finished || found.done == 2));
            assert!(pushed.is_empty() || (found.done, found.begun) == (2, false));
        }
        // No worker had it.
        None => assert!(pushed.is_empty() && table.board.cancel(0)),
    }
}

/// Two tasks, one after the other in one slot.
pub(super) fn a_look_sees_when_the_task_that_is_there_began<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 2);
    let look = |argument: u32| {
        let began = table.began(0);
        assert!(began.is_none_or(|began| began == argument), "a look at another task's time");
    };
    table.post_timed(0, 5);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || {
        for _ in 0..2 {
            if let Some(slot) = other.take(0) {
                other.work(slot, 0);
            }
        }
    });
    look(5);
    if table.finished() == [0] && table.board.found(0, None).is_some() {
        table.board.free(0);
        table.post_timed(0, 6);
        table.board.deal(0, &[0]);
        look(6);
    }
    worker.join().unwrap();
}

/// What has run too long is condemned, unless it is done first; and its worker dies by itself meanwhile.
pub(super) fn a_killed_worker_is_condemned_for_what_it_has<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 1, 1);
    table.post_timed(0, 5);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.take(0).map(|slot| other.work(slot, 0)));
    let condemned = table.began(0).and_then(|began| {
        assert_eq!(began, 5, "a look at another task's time");
        table.board.condemn(0)
    });
    let worked = victim.join().flatten();
    assert!(worked.is_none_or(|(_, done)| done == condemned.is_none()));
    let pushed = table.finished();
    match table.board.found(0, Some(0)) {
        Some(found) => {
            table.check(0, found, 5);
            assert_eq!(found.condemned, condemned.is_some());
            assert!(!found.condemned || pushed.is_empty());
        }
        // It has not taken it: it goes to another one.
        None => assert!(condemned.is_none() && pushed.is_empty() && table.board.cancel(0)),
    }
}

/// Another one gets what a dead one had not taken; and the slots that both finished come off the stack.
pub(super) fn a_killed_worker_holds_up_no_other<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(2, 1, 2, 2);
    table.post(0, 1, 5);
    table.post(1, 1, 6);
    table.board.deal(0, &[0, 1]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.take(0).map(|slot| other.work(slot, 0)));
    let mine: Vec<u32> = take_all(&table, 1);
    mine.iter().for_each(|slot| assert_eq!(table.work(*slot, 1), (5 + slot, true)));
    victim.join();
    let rest = take_all(&table, 1);
    let pushed = table.finished();
    let mut dead = Vec::new();
    for slot in 0..2 {
        if let Some(found) = table.board.found(slot, Some(0)) {
            table.check(slot, found, 5 + slot);
            dead.push(slot);
        }
    }
    let mut all = [mine.clone(), rest, dead].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1], "each slot has one end");
    assert!(mine.iter().all(|slot| pushed.contains(slot)), "{mine:?} {pushed:?}");
}

super::models! {
    explore takers_and_thieves_take_each_slot_once to bound() - 1;
    explore what_is_cancelled_is_not_begun_and_the_other_way_round to bound();
    explore what_is_condemned_is_not_done_and_the_other_way_round to bound();
    explore the_caller_sees_the_results_of_both to bound() - 1;
    sweep a_killed_worker_leaves_results_that_stand to bound();
    explore a_look_sees_when_the_task_that_is_there_began to bound();
    sweep a_killed_worker_holds_up_no_other to bound() - 1;
    sweep a_killed_worker_is_condemned_for_what_it_has to bound();
}
