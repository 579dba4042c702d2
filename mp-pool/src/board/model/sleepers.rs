//! Workers that sleep for want of work, and a caller that sleeps for want of results. No timer wakes them.

use super::{Shared, table};
use crate::board;
use mp_core::word::{Ordering, Word};
use mp_model::AnyWord;
use mp_model::thorough::{AtomicU32, Fuse, Life, spawn};
use std::sync::Arc;
use std::time::Duration;

fn next<W: AnyWord>(table: &Shared<W>, me: u32, fuse: &Fuse) -> Life<Option<u32>> {
    let table = Arc::clone(table);
    spawn(fuse, move || table.board.next(me, None, |_| ()).map(|taken| taken.slot))
}

/// One that may not be idle at all: it leaves where it would sleep, or whenever it is no longer asleep.
fn next_or_leave<W: AnyWord>(table: &Shared<W>, me: u32, fuse: &Fuse) -> Life<Option<u32>> {
    let table = Arc::clone(table);
    let idle = Some(Duration::ZERO);
    spawn(fuse, move || table.board.next(me, idle, |_| ()).map(|taken| taken.slot))
}

pub(super) fn a_sleeper_gets_its_slot<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let sleeper = next(&table, 0, &Fuse::never());
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    table.board.wake_worker();
    assert_eq!(sleeper.join(), Some(Some(0)));
}

/// One wake for two slots: the worker that is woken wakes the next one.
pub(super) fn each_of_two_sleepers_gets_its_slot<W: AnyWord>() {
    let table = table::<W>(2, 1, 2, 2);
    let sleepers = [0, 1].map(|me| next(&table, me, &Fuse::never()));
    table.post(0, 1, 5);
    table.post(1, 1, 6);
    table.board.deal(0, &[0, 1]);
    table.board.wake_worker();
    let mut taken = sleepers.map(|sleeper| sleeper.join().unwrap().unwrap());
    taken.sort_unstable();
    assert_eq!(taken, [0, 1]);
}

pub(super) fn a_sleeper_learns_of_the_end<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    let sleeper = next(&table, 0, &Fuse::never());
    table.board.quit();
    assert_eq!(sleeper.join(), Some(None));
}

/// What it had not taken is the other worker's: the thread that is told of its end wakes all.
pub(super) fn a_dismissed_sleeper_ends<W: AnyWord>() {
    let table = table::<W>(2, 1, 1, 1);
    let [dismissed, other] = [0, 1].map(|me| next(&table, me, &Fuse::never()));
    table.board.dismiss(0);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    table.board.wake_worker();
    let taken = dismissed.join().unwrap();
    table.board.wake_every_worker();
    if taken.is_some() {
        table.board.quit();
    }
    assert_eq!(other.join().unwrap(), if taken.is_some() { None } else { Some(0) });
}

/// One that leaves does not take the wake along that was meant for a worker: it, or the other one, takes the slot. No
/// thread is told of its end.
pub(super) fn a_sleeper_that_leaves_takes_no_wake_along<W: AnyWord>() {
    let table = table::<W>(2, 1, 1, 1);
    let leaver = next_or_leave(&table, 0, &Fuse::never());
    let other = next(&table, 1, &Fuse::never());
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    table.board.wake_worker();
    let taken = leaver.join().unwrap();
    let left = table.board.life(0) == board::Life::Left;
    assert_eq!(left, taken.is_none(), "a worker that says something else than it does");
    if taken.is_some() {
        table.board.quit();
    }
    assert_eq!(other.join().unwrap(), if left { Some(0) } else { None });
}

/// Waits for so many finished slots, with at most `enough` hints left.
fn wait_for<W: Word>(table: &Shared<W>, count: usize, enough: u32) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        // ORDERING: Acquire, as the pool does it.
        let seen = table.board.caller_event().load(Ordering::Acquire);
        all.extend(table.finished());
        if all.len() >= count {
            return all;
        }
        table.board.sleep_until_finished(seen, enough, None);
    }
}

fn work_once<W: AnyWord>(table: &Shared<W>, me: u32, fuse: &Fuse) -> Life<()> {
    let table = Arc::clone(table);
    spawn(fuse, move || {
        if let Some(slot) = table.take(me) {
            table.work(slot, me);
            table.board.tell_caller();
        }
    })
}

pub(super) fn the_caller_gets_its_result<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    let worker = work_once(&table, 0, &Fuse::never());
    assert_eq!(wait_for(&table, 1, u32::MAX), [0]);
    worker.join();
}

/// It saw that the first task was done by the words of its slot, and left the slot in the stack. The second one is in
/// the same slot.
pub(super) fn a_caller_that_has_left_its_slot_in_the_stack_gets_the_next_result<W: AnyWord>() {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    let slot = table.take(0).unwrap();
    table.work(slot, 0);
    assert!(table.board.is_done(slot));
    table.board.free(slot);
    table.post(0, 1, 6);
    table.board.deal(0, &[0]);
    let worker = work_once(&table, 0, &Fuse::never());
    let look = |slot| table.board.found(slot, None).map(|found| table.check(slot, found, 6)).is_some();
    if !look(0) {
        loop {
            // ORDERING: Acquire, as the pool does it.
            let seen = table.board.caller_event().load(Ordering::Acquire);
            if table.finished().into_iter().any(look) {
                break;
            }
            table.board.sleep_until_finished(seen, u32::MAX, None);
        }
    }
    worker.join();
}

/// It need not be woken for the first one, and must be for the last.
pub(super) fn a_caller_that_waits_for_many_is_woken_when_the_lanes_are_empty<W: AnyWord>() {
    let table = table::<W>(2, 1, 2, 2);
    table.post(0, 1, 5);
    table.post(1, 1, 6);
    table.board.deal(0, &[0, 1]);
    let workers = [0, 1].map(|me| work_once(&table, me, &Fuse::never()));
    assert_eq!(wait_for(&table, 2, 0).len(), 2);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// Between its push and its wake, too: the thread that is told of its death wakes.
pub(super) fn a_killed_worker_strands_no_caller<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(1, 1, 1, 1);
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    let dead = Arc::new(AtomicU32::default());
    let (other, is_dead) = (Arc::clone(&table), Arc::clone(&dead));
    let caller = spawn(&Fuse::never(), move || {
        loop {
            // ORDERING: Acquire, as the pool does it. The flag: the dispatch's lock in the pool.
            let seen = other.board.caller_event().load(Ordering::Acquire);
            if !other.finished().is_empty() || is_set(&is_dead) {
                return;
            }
            other.board.sleep_until_finished(seen, u32::MAX, None);
        }
    });
    let victim = work_once(&table, 0, fuse);
    victim.join();
    set(&dead);
    table.board.wake_caller();
    caller.join().unwrap();
}

fn is_set(word: &AtomicU32) -> bool {
    // ORDERING: Acquire, pairs with the Release in `set`.
    mp_model::thorough::Atomic::load(word, Ordering::Acquire) == 1
}

fn set(word: &AtomicU32) {
    // ORDERING: Release, pairs with the Acquire in `is_set`.
    mp_model::thorough::Atomic::store(word, 1, Ordering::Release);
}

/// The one that was woken dies of it: the thread that is told of its death wakes all. The worker that gets the slot
/// ends the other one.
pub(super) fn a_killed_sleeper_takes_no_wake_along<W: AnyWord>(fuse: &Fuse) {
    let table = table::<W>(2, 1, 1, 1);
    let victim = next(&table, 0, fuse);
    let other = Arc::clone(&table);
    let sleeper = spawn(&Fuse::never(), move || {
        let slot = other.board.next(1, None, |_| ()).map(|taken| taken.slot);
        other.board.quit();
        slot
    });
    table.post(0, 1, 5);
    table.board.deal(0, &[0]);
    table.board.wake_worker();
    victim.join();
    let with_victim = table.board.found(0, Some(0)).is_some();
    if with_victim {
        table.board.quit();
    } else {
        table.board.wake_every_worker();
    }
    assert_eq!(sleeper.join(), Some(if with_victim { None } else { Some(0) }));
}

super::models! {
    explore a_sleeper_gets_its_slot to bound();
    explore each_of_two_sleepers_gets_its_slot to bound() - 2;
    explore a_sleeper_learns_of_the_end to bound();
    explore a_dismissed_sleeper_ends to bound() - 2;
    explore a_sleeper_that_leaves_takes_no_wake_along to bound() - 2;
    explore the_caller_gets_its_result to bound();
    explore a_caller_that_has_left_its_slot_in_the_stack_gets_the_next_result to bound();
    explore a_caller_that_waits_for_many_is_woken_when_the_lanes_are_empty to bound() - 2;
    sweep a_killed_worker_strands_no_caller to bound() - 2;
    sweep a_killed_sleeper_takes_no_wake_along to bound() - 2;
}
