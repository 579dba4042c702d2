//! More workers than CPUs: a worker that is woken looks whether tasks wait, and no task is forgotten meanwhile.

use super::{Shared, table_for};
use crate::board::{Life as Stage, Shape};
use mp_model::AnyWord;
use mp_model::thorough::{Fuse, Life, spawn};
use std::sync::Arc;

/// One CPU, and the first worker, which is awake, has it.
fn crowded<W: AnyWord>(workers: u32, slots: u32) -> Shared<W> {
    let table = table_for::<W>(Shape { workers, cpus: 1, lanes: 1, slots, hints: slots, run: 2, apart: 2 });
    table.board.live(0, Stage::Ready);
    table
}

fn next<W: AnyWord>(table: &Shared<W>, me: u32, fuse: &Fuse) -> Life<Option<u32>> {
    let table = Arc::clone(table);
    spawn(fuse, move || {
        table.board.live(me, Stage::Ready);
        table.board.next(me, None, |_| ()).map(|taken| taken.slot)
    })
}

fn give<W: AnyWord>(table: &Shared<W>, slot: u32) {
    table.post(slot, 1, 5 + slot);
    table.board.deal(0, &[slot]);
    table.board.wake_worker();
}

/// The first worker is at a task that does not end.
pub(super) fn a_task_does_not_wait_for_a_worker_that_blocks<W: AnyWord>() {
    let table = crowded::<W>(2, 1);
    let sleeper = next(&table, 1, &Fuse::never());
    give(&table, 0);
    assert_eq!(sleeper.join(), Some(Some(0)));
}

/// The task that the sentinel was woken for is taken by another worker, and the next one comes while it gives up.
pub(super) fn a_task_that_comes_when_the_sentinel_ends_is_taken<W: AnyWord>() {
    let table = crowded::<W>(2, 2);
    let sleeper = next(&table, 1, &Fuse::never());
    give(&table, 0);
    let last = if table.take(0) == Some(0) {
        give(&table, 1);
        1
    } else {
        0
    };
    assert_eq!(sleeper.join(), Some(Some(last)));
}

/// It dies as the sentinel, or before, or after. The caller sees the death; the next task is the successor's.
pub(super) fn a_successor_of_a_sentinel_is_woken<W: AnyWord>(fuse: &Fuse) {
    let table = crowded::<W>(2, 2);
    let victim = next(&table, 1, fuse);
    give(&table, 0);
    victim.join();
    table.board.forget(1);
    // The first task is the dead one's, or the first worker's. So the successor finds nothing, and sleeps.
    table.take(0);
    let successor = next(&table, 1, &Fuse::never());
    // No preemption: the bound leaves few.
    W::yield_now();
    give(&table, 1);
    assert_eq!(successor.join(), Some(Some(1)));
}

super::models! {
    explore a_task_does_not_wait_for_a_worker_that_blocks to bound();
    explore a_task_that_comes_when_the_sentinel_ends_is_taken to bound() - 2;
    sweep a_successor_of_a_sentinel_is_woken to bound() - 2;
}
