//! Waiters for an item or for room, the end of the queue, and wakes that were lost with a dead process.

use super::super::NotTaken;
use super::super::tests::NoContext;
use super::world::{
    Shared, Sound, World, put, put_together, ring, so_far, take, take_all, take_once, value_of,
};
use mp_model::thorough::{Fuse, TimedLooks, set_looks, set_naps, spawn};
use std::sync::Arc;

pub(super) fn a_sleeper_gets_its_item<W: World>() {
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || take(&other).unwrap());
    put(&ring, 1).unwrap();
    assert_eq!(taker.join(), Some(1));
}

pub(super) fn a_putter_gets_its_room<W: World>() {
    let ring = ring::<W>(1);
    put(&ring, 1).unwrap();
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put(&other, 2).unwrap());
    assert_eq!(take(&ring), Ok(1));
    putter.join().unwrap();
    assert_eq!(take_all(&ring), [2]);
}

pub(super) fn each_of_two_sleepers_gets_its_item<W: World>() {
    let ring = ring::<W>(0);
    let taker = || {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring).unwrap())
    };
    let takers = [taker(), taker()];
    put(&ring, 1).unwrap();
    put(&ring, 2).unwrap();
    let got = takers.map(|taker| taker.join().unwrap());
    assert!(got == [1, 2] || got == [2, 1], "{got:?}");
}

pub(super) fn each_of_two_putters_gets_its_room<W: World>() {
    let ring = ring::<W>(2);
    put(&ring, 0).unwrap();
    put(&ring, 0).unwrap();
    let putter = |value| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || put(&ring, value).unwrap())
    };
    let producers = [putter(1), putter(2)];
    assert_eq!((take(&ring), take(&ring)), (Ok(0), Ok(0)));
    producers.into_iter().for_each(|putter| putter.join().unwrap());
    let got = [take(&ring).unwrap(), take(&ring).unwrap()];
    assert!(got == [1, 2] || got == [2, 1], "{got:?}");
}

/// As the queue does it: whether it has ended is asked before the last look.
fn take_or_end<W: World>(ring: &Shared<W>) -> Result<u64, NotTaken> {
    ring.until_item(None, || {
        let mut bytes = Vec::new();
        let mut take = || ring.take(&mut bytes, &mut NoContext, None);
        let taken = match take() {
            Err(NotTaken::Empty) if ring.is_shut() => {
                if ring.is_empty() {
                    Err(NotTaken::Ended)
                } else {
                    take()
                }
            }
            other => other,
        };
        taken.map(|()| value_of(&bytes))
    })
}

pub(super) fn a_getter_that_sees_the_end_has_seen_every_item<W: World>() {
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put(&other, 1));
    let other = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || take_or_end(&other));
    ring.shut(None);
    let (put, taken) = (putter.join().unwrap(), taker.join().unwrap());
    let expected = if put == Ok(()) { Ok(1) } else { Err(NotTaken::Ended) };
    assert_eq!(taken, expected, "{put:?}");
}

pub(super) fn look_after_a_death<W: World>() {
    set_looks(if W::NEVER_LOOKS { TimedLooks::Never } else { TimedLooks::AfterDeath });
}

/// Also between its record and the wake: no other producer puts anything then.
pub(super) fn a_killed_putter_strands_no_sleeper<W: World>(fuse: &Fuse) {
    look_after_a_death::<W>();
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || take(&other).unwrap());
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || put(&other, 1).unwrap());
    let finished = victim.join().is_some();
    let was_put = so_far(&ring).0 == 1;
    if !was_put {
        put(&ring, 2).unwrap();
    }
    assert_eq!(taker.join(), Some(if was_put { 1 } else { 2 }));
    assert!(was_put || !finished);
}

/// Also between the record and the wake of a producer that waits for its room.
pub(super) fn a_killed_taker_strands_no_putter<W: World>(fuse: &Fuse) {
    look_after_a_death::<W>();
    let ring = ring::<W>(1);
    put(&ring, 1).unwrap();
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put(&other, 2).unwrap());
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take_once(&other).map(|got| other.after_take(false, Ok(got))));
    victim.join();
    if so_far(&ring).1 == 0 {
        assert_eq!(take(&ring), Ok(1));
    }
    putter.join().unwrap();
    assert_eq!(take_all(&ring), [2]);
}

/// One of two sleepers is woken for two records and dies of it: the other one wakes by itself.
pub(super) fn a_killed_sleeper_takes_no_wake_along<W: World>(fuse: &Fuse) {
    look_after_a_death::<W>();
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&other).unwrap());
    let other = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || take(&other).unwrap());
    put_together(&ring, &[1, 2]);
    let got = taker.join().unwrap();
    let taken = victim.join();
    let left = take_all(&ring);
    match taken {
        Some(taken) => assert!(got + taken == 3 && left.is_empty(), "{got} {taken} {left:?}"),
        None => assert!(left.is_empty() || left == [3 - got], "{got} {left:?}"),
    }
}

/// By the clock of a model, enough for one look after a nap. A look yields: the others act before the sleep that
/// follows.
const ONE_LOOK: u32 = 2;
/// So the sleep follows at once.
const NO_LOOK: u32 = 0;

pub(super) fn a_napper_looks_and_gets_its_item<W: World>() {
    set_naps(ONE_LOOK);
    a_sleeper_gets_its_item::<W>();
}

pub(super) fn a_napper_gets_its_item<W: World>() {
    set_naps(NO_LOOK);
    a_sleeper_gets_its_item::<W>();
}

/// The nap of one takes the wake along that was meant for both.
pub(super) fn each_of_two_nappers_gets_its_item<W: World>() {
    set_naps(NO_LOOK);
    each_of_two_sleepers_gets_its_item::<W>();
}

pub(super) fn a_killed_putter_strands_no_napper<W: World>(fuse: &Fuse) {
    set_naps(NO_LOOK);
    a_killed_putter_strands_no_sleeper::<W>(fuse);
}

pub(super) fn a_killed_napper_takes_no_wake_along<W: World>(fuse: &Fuse) {
    set_naps(NO_LOOK);
    a_killed_sleeper_takes_no_wake_along::<W>(fuse);
}

super::models! {
    explore a_sleeper_gets_its_item to bound();
    explore a_putter_gets_its_room to bound();
    explore each_of_two_sleepers_gets_its_item to bound() - 2, in_full bound() - 1;
    explore each_of_two_putters_gets_its_room to bound() - 2, in_full bound() - 1;
    explore a_getter_that_sees_the_end_has_seen_every_item to bound();
    sweep a_killed_putter_strands_no_sleeper to bound() - 2, in_full bound() - 1;
    sweep a_killed_taker_strands_no_putter to bound() - 2, in_full bound() - 1;
    explore a_napper_looks_and_gets_its_item to bound();
    explore a_napper_gets_its_item to bound();
    explore each_of_two_nappers_gets_its_item to bound() - 2, in_full bound() - 1;
    sweep a_killed_putter_strands_no_napper to bound() - 2, in_full bound() - 1;
    sweep_woken a_killed_napper_takes_no_wake_along, in_full bound() - 2;
    sweep_woken a_killed_sleeper_takes_no_wake_along, in_full bound() - 2;
}
