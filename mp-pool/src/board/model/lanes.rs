//! Lanes that go round below a late worker, and slots that are used again.

use super::table;
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, spawn};
use std::sync::Arc;

/// One hint is all that the lane has room for, and one slot all that there is: a late worker has an old hint to what is
/// a new task. Each task is done once, with its own argument.
pub(super) fn a_slot_that_is_used_again_is_taken_once_each_time<W: AnyWord>() {
    let table = table::<W>(2, 1, 1, 1);
    table.post(0, 1, 1);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let late = spawn(&Fuse::never(), move || other.take(1).map(|slot| other.work(slot, 1).0));
    let mut done = Vec::new();
    // Worker and caller in one.
    if let Some(slot) = table.take(0) {
        done.push(table.work(slot, 0).0);
    }
    let mut next = 2;
    for slot in table.finished() {
        table.check(slot, table.board.found(slot, None).unwrap(), 1);
        table.board.free(slot);
        table.post(slot, 1, next);
        // Where the late one has not helped its hint on, the lane is full still.
        if table.board.deal(0, &[slot]) == 0 {
            assert!(table.board.cancel(slot) || late_has(&table));
        }
        next += 1;
    }
    if let Some(slot) = table.take(0) {
        done.push(table.work(slot, 0).0);
    }
    done.extend(late.join().unwrap());
    while let Some(slot) = table.take(0) {
        done.push(table.work(slot, 0).0);
    }
    let cancelled = table.board.found(0, None).is_none() && next == 3 && !done.contains(&2);
    done.sort_unstable();
    let expected: Vec<u32> = (1..if cancelled { 2 } else { next }).collect();
    assert_eq!(done, expected);
}

/// The caller passes a hint to a task that it has taken back, while a worker may. It passes none to a task.
pub(super) fn a_caller_that_passes_old_hints_has_room_for_new_ones<W: AnyWord>() {
    let table = table::<W>(2, 1, 1, 1);
    table.post(0, 1, 1);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let late = spawn(&Fuse::never(), move || other.take(1).map(|slot| other.work(slot, 1).0));
    let mut expected = 1;
    if table.board.cancel(0) {
        table.board.pass_old();
        table.post(0, 1, 2);
        assert_eq!(table.board.deal(0, &[0]), 1, "no room");
        table.board.pass_old();
        expected = 2;
    }
    let mut done: Vec<u32> = late.join().unwrap().into_iter().collect();
    while let Some(slot) = table.take(0) {
        done.push(table.work(slot, 0).0);
    }
    assert_eq!(done, [expected]);
}

fn late_has<W: mp_core::word::Word>(table: &super::Shared<W>) -> bool {
    table.board.found(0, Some(1)).is_some()
}

/// Another hint lands where the late worker's was.
pub(super) fn an_old_hint_moves_no_head<W: AnyWord>() {
    let table = table::<W>(3, 1, 2, 1);
    table.post(0, 1, 1);
    table.board.deal(0, &[0]);
    let other = Arc::clone(&table);
    let late = spawn(&Fuse::never(), move || other.take(1));
    let mut taken: Vec<u32> = table.take(0).into_iter().collect();
    table.post(1, 1, 2);
    let dealt = table.board.deal(0, &[1]) == 1;
    taken.extend(late.join().unwrap());
    taken.extend(std::iter::from_fn(|| table.take(2)));
    taken.sort_unstable();
    assert_eq!(taken, if dealt { vec![0, 1] } else { vec![0] });
}

/// At the end of the numbers.
pub(super) fn a_killed_taker_leaves_the_lane_to_others<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(2, 1, 2, 2);
    table.post(0, 1, 1);
    table.post(1, 1, 2);
    table.board.deal(0, &[0, 1]);
    let other = Arc::clone(&table);
    let victim = spawn(fuse, move || other.take(0));
    victim.join();
    let rest: Vec<u32> = std::iter::from_fn(|| table.take(1)).collect();
    let dead: Vec<u32> = (0..2).filter(|slot| table.board.found(*slot, Some(0)).is_some()).collect();
    let mut all = [rest, dead].concat();
    all.sort_unstable();
    assert_eq!(all, [0, 1]);
}

super::models! {
    explore a_slot_that_is_used_again_is_taken_once_each_time to bound() - 1;
    explore a_caller_that_passes_old_hints_has_room_for_new_ones to bound() - 1;
    explore an_old_hint_moves_no_head to bound();
    sweep a_killed_taker_leaves_the_lane_to_others to bound();
}
