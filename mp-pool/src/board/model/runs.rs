//! A slot whose items are taken one by one.

use super::{Shared, table};
use crate::board::{Item, hint_of_run};
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, spawn};
use std::sync::Arc;

/// The worker that begins the first item, and one that takes from the other end.
pub(super) fn each_item_is_begun_once_and_the_caller_sees_its_result<W: AnyWord>() {
    let table = table::<W>(2, 2, 1, 1);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let thief = spawn(&Fuse::never(), move || other.work_all(1));
    let mut worked = table.work_all(0);
    // Not ordered by the join: what is seen is seen by the board's words alone.
    if !table.finished().is_empty() {
        let done = (0..2).filter(|item| table.is_done(0, *item, 5, None)).count();
        assert!(done >= 1, "a mark for nothing");
    }
    worked.extend(thief.join().unwrap());
    worked.sort_unstable();
    assert_eq!(worked, [(5, 0), (5, 1)]);
    assert!((0..2).all(|item| table.is_done(0, item, 5, None)));
}

fn two_runs_of_one_lane<W: AnyWord>() -> Shared<W> {
    let table = table::<W>(2, 1, 2, 2);
    table.post_run(0, 5);
    table.post_run(1, 6);
    table.board.deal(0, &[hint_of_run(0), hint_of_run(1)]);
    table
}

/// Two at one run would wait for each other at each item.
pub(super) fn a_worker_shares_a_run_only_where_all_are_begun<W: AnyWord>() {
    let table = two_runs_of_one_lane::<W>();
    let took = [0, 1, 1, 0, 0].map(|me| table.board.take(me, |_| ()).map(|taken| (taken.slot, taken.item)));
    let of = |slot, item| Some((slot, Some(item)));
    assert_eq!(took, [of(0, 0), of(1, 0), of(0, 1), of(1, 1), None]);
}

/// A worker that comes late, with the old hint or between two items, begins what is there now.
pub(super) fn a_run_in_a_slot_that_is_used_again_is_begun_once<W: AnyWord>() {
    let table = table::<W>(2, 1, 1, 2);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let late = spawn(&Fuse::never(), move || other.work_all(1));
    let mut worked = table.work_all(0);
    let again = !table.finished().is_empty() && (0..2).all(|item| table.is_done(0, item, 5, None));
    if again {
        table.board.free_run(0);
        table.post_run(0, 6);
        table.board.deal(0, &[hint_of_run(0)]);
        worked.extend(table.work_all(0));
    }
    worked.extend(late.join().unwrap());
    worked.extend(table.work_all(0));
    worked.sort_unstable();
    let expected = [(5, 0), (5, 1), (6, 0), (6, 1)];
    assert_eq!(worked, expected[..if again { 4 } else { 2 }]);
}

pub(super) fn what_is_cancelled_of_a_run_is_not_begun_and_the_other_way_round<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || other.work_all(0));
    let cancelled: Vec<u32> = (0..2).filter(|item| table.board.cancel_item(0, *item)).collect();
    let worked = worker.join().unwrap();
    let begun: Vec<u32> = worked.into_iter().map(|(_, item)| item).collect();
    let mut all = [cancelled, begun].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1]);
}

/// Nothing is begun after an item that was condemned, and a caller that condemns too late is given the result.
pub(super) fn what_is_condemned_of_a_run_is_not_done_and_the_other_way_round<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || other.work_all(0));
    let condemned = table.board.condemn_item(0, 0).is_some();
    let worked = worker.join().unwrap();
    assert_eq!(worked.contains(&(5, 0)), !condemned);
    assert_eq!(table.is_done(0, 0, 5, Some(0)), !condemned);
    assert_eq!(table.board.is_item_condemned(0, 0, 0), condemned);
    if condemned {
        assert_eq!(table.board.item(0, 0, Some(0)), Item::Lost { condemned: true });
    }
}

/// Each item is done, or attributed to the death, or another worker's.
pub(super) fn a_killed_worker_holds_up_no_item_but_its_own<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(2, 1, 1, 1);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.work_all(0));
    let mut worked = table.work_all(1);
    let lived = victim.join();
    worked.extend(table.work_all(1));
    assert!(worked.is_empty() || table.finished().contains(&0), "a result that is not told");
    table.board.forget(0);
    let lost = (0..2).filter(|item| matches!(table.board.item(0, *item, Some(0)), Item::Lost { .. })).count();
    let done = (0..2).filter(|item| table.is_done(0, *item, 5, Some(0))).count();
    assert_eq!(lost + done, 2, "an item without an end");
    assert!(lost <= usize::from(lived.is_none()), "{lost} items of one death");
}

/// The run at the head of the lane is a third worker's. Two look behind it, while the caller deals the run that is
/// there, and one of them dies: each item is begun once, or attributed to the death. The first item of the second run
/// is begun from behind the head alone: the run at the head has an item left until then.
pub(super) fn two_look_behind_a_run_that_another_worker_is_at<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(3, 1, 2, 2);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let mut begun: Vec<(u32, u32)> = table.begin(2).into_iter().collect();
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.begin(0));
    table.post_run(1, 6);
    table.board.deal(0, &[hint_of_run(1)]);
    begun.extend(table.begin(1));
    match victim.join() {
        Some(item) => begun.extend(item),
        None => begun.extend(lost_to(&table, 0)),
    }
    begun.extend(std::iter::from_fn(|| table.begin(1)));
    begun.sort_unstable();
    assert_eq!(begun, [(5, 0), (5, 1), (6, 0), (6, 1)]);
}

/// The items of two runs that a dead worker had begun.
fn lost_to<W: AnyWord>(table: &Shared<W>, dead: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
    let all =
        [(0, 5), (1, 6)].into_iter().flat_map(|(slot, argument)| [(slot, argument, 0), (slot, argument, 1)]);
    let is_lost =
        move |slot, item| table.board.item(slot, item, Some(dead)) == Item::Lost { condemned: false };
    all.filter(move |(slot, _, item)| is_lost(*slot, *item)).map(|(_, argument, item)| (argument, item))
}

/// It has marked, or not; it is in the stack, or not. What its successor does is told.
pub(super) fn a_successor_is_heard<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 2, 2);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.work_all(0));
    victim.join();
    table.finished();
    table.board.forget(0);
    table.post_run(1, 6);
    table.board.deal(0, &[hint_of_run(1)]);
    let worked = table.work_all(0);
    assert!(worked.contains(&(6, 0)) && worked.contains(&(6, 1)));
    assert!(table.finished().contains(&1), "a result that is not told");
}

/// Another slot stands in the stack, so the worker marks this one: once for each item, and it lists itself for the
/// first of a few.
pub(super) fn each_item_that_is_marked_is_told_of<W: AnyWord>() {
    let table = table::<W>(1, 1, 2, 2);
    table.post(1, 1, 6);
    table.board.deal(0, &[1]);
    let slot = table.take(0).unwrap();
    table.work(slot, 0);
    table.post_run(0, 5);
    table.board.deal(0, &[hint_of_run(0)]);
    let other = Arc::clone(&table);
    let worker = spawn(&Fuse::never(), move || other.work_all(0));
    let mut seen = [false; 2];
    let mut look = || {
        if table.finished().contains(&0) {
            (0..2).for_each(|item| seen[item as usize] |= table.is_done(0, item, 5, None));
        }
    };
    look();
    worker.join();
    look();
    assert_eq!(seen, [true; 2], "an item that is not told of");
}

super::models! {
    explore each_item_is_begun_once_and_the_caller_sees_its_result to bound() - 1;
    explore a_worker_shares_a_run_only_where_all_are_begun to bound();
    explore a_run_in_a_slot_that_is_used_again_is_begun_once to bound() - 2;
    explore each_item_that_is_marked_is_told_of to bound();
    explore what_is_cancelled_of_a_run_is_not_begun_and_the_other_way_round to bound();
    explore what_is_condemned_of_a_run_is_not_done_and_the_other_way_round to bound();
    sweep a_killed_worker_holds_up_no_item_but_its_own to bound() - 2;
    sweep two_look_behind_a_run_that_another_worker_is_at to bound();
    sweep a_successor_is_heard to bound();
}
