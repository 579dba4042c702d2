//! Models of the barrier.

use crate::tables::{all_live, first_lives};
use crate::world::{AtomicU32, Fuse, TimedLooks, live_here, point, set_looks, spawn, yield_now};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Arrival, Broken, RawBarrier};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

type Met<O> = Arc<(RawBarrier<O>, [AtomicU32; 3])>;

fn barrier<O: AnyOwned>(parties: u32) -> Met<O> {
    let barrier: Met<O> = Arc::default();
    barrier.0.init(parties);
    barrier
}

/// Brings something along, meets, and finds what all of the `parties` brought.
fn meet<O: Owned>(met: &Met<O>, party: usize, parties: usize, round: u32) -> Arrival {
    // ORDERING: Relaxed throughout: the barrier is to order it.
    met.1[party].store(round, Ordering::Relaxed);
    let arrival = met.0.wait(None, all_live).expect("no party breaks it");
    for brought in &met.1[..parties] {
        assert!(brought.load(Ordering::Relaxed) >= round, "passed before all were there");
    }
    assert_eq!(arrival.leader, arrival.index as usize == parties - 1);
    arrival
}

fn all_different(mut indexes: Vec<u32>) -> bool {
    indexes.sort_unstable();
    indexes.iter().zip(0..).all(|(index, place)| *index == place)
}

/// A fast party is back for the second round while the slow one has not left the first.
pub(crate) fn barrier_two_rounds<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || [1, 2].map(|round| meet(&other, 1, 2, round).index));
    let mine = [1, 2].map(|round| meet(&met, 0, 2, round).index);
    let other = other.join().expect("lives");
    assert!(mine.iter().zip(&other).all(|(a, b)| all_different(vec![*a, *b])));
    assert_eq!((met.0.n_waiting(), met.0.is_broken(), met.0.parties()), (0, false, 2));
}

pub(crate) fn barrier_of_three<O: AnyOwned>() {
    let met = barrier::<O>(3);
    let others = [1, 2].map(|party| {
        let met = met.clone();
        spawn(&Fuse::never(), move || meet(&met, party, 3, 1).index)
    });
    let mut indexes = vec![meet(&met, 0, 3, 1).index];
    indexes.extend(others.map(|other| other.join().expect("lives")));
    assert!(all_different(indexes));
}

pub(crate) fn barrier_timeout_breaks_it_for_all<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(soon(), all_live).is_ok());
    let mine = met.0.wait(None, all_live).is_ok();
    assert_eq!(other.join(), Some(mine), "a round passes for all or for none");
    assert_eq!(met.0.is_broken(), !mine);
}

pub(crate) fn barrier_abort_breaks_it_for_all<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let others = [(); 2].map(|()| {
        let met = met.clone();
        spawn(&Fuse::never(), move || met.0.wait(None, all_live).is_ok())
    });
    met.0.abort();
    let [a, b] = others.map(|other| other.join().expect("lives"));
    assert_eq!(a, b, "a round passes for all or for none");
    assert!(met.0.is_broken());
    assert_eq!(met.0.wait(None, all_live), Err(Broken));
}

pub(crate) fn barrier_reset_is_usable_afterwards<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || [(); 2].map(|()| other.0.wait(None, all_live).is_ok()));
    while met.0.n_waiting() != 1 {
        yield_now();
    }
    met.0.reset();
    assert!(met.0.wait(None, all_live).is_ok());
    assert_eq!(other.join(), Some([false, true]));
    assert!(!met.0.is_broken());
}

/// Its round broke, and more has happened since.
pub(crate) fn barrier_late_one_knows_its_round_broke<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live));
    met.0.abort();
    met.0.reset();
    met.0.abort();
    assert_eq!(other.join(), Some(Err(Broken)));
}

/// The round passed, and then the barrier was broken: a party that leaves late has passed nevertheless.
pub(crate) fn barrier_late_one_knows_its_round_passed<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live).is_ok());
    let mine = met.0.wait(None, all_live).is_ok();
    met.0.abort();
    met.0.reset();
    met.0.abort();
    assert_eq!((mine, other.join()), (true, Some(true)));
}

pub(crate) fn barrier_action_comes_before_all<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || meet_and_act(&other));
    meet_and_act(&met);
    other.join().expect("lives");
}

fn meet_and_act<O: Owned>(met: &Met<O>) {
    // ORDERING: Relaxed throughout: the barrier is to order it.
    let act = || met.1[0].store(met.1[0].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    met.0.wait_then(None, all_live, act).expect("no party breaks it");
    assert_eq!(met.1[0].load(Ordering::Relaxed), 1, "one action, before any party passes");
}

/// More users than parties: one that comes while the action runs is in the next round.
pub(crate) fn barrier_latecomer_waits_for_the_next_round<O: AnyOwned>() {
    let met = barrier::<O>(1);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || meet_alone(&other));
    let mine = meet_alone(&met);
    let alone = Ok(Arrival { index: 0, leader: true });
    assert_eq!((mine, other.join()), (alone, Some(alone)));
}

fn meet_alone<O: Owned>(met: &Met<O>) -> Result<Arrival, Broken> {
    // ORDERING: Relaxed throughout: rounds order their actions.
    met.0.wait_then(None, all_live, || {
        assert_eq!(met.1[0].swap(1, Ordering::Relaxed), 0, "two actions at a time");
        met.1[0].store(0, Ordering::Relaxed);
    })
}

pub(crate) fn barrier_panic_in_the_action_breaks_it<O: AnyOwned>() {
    let met = barrier::<O>(2);
    let others = [(); 2].map(|()| {
        let met = met.clone();
        // Not `panic!`: its message would be printed once for each schedule.
        let fail = || resume_unwind(Box::new("failed"));
        spawn(&Fuse::never(), move || {
            catch_unwind(AssertUnwindSafe(|| met.0.wait_then(None, all_live, fail))).map_err(|_| ())
        })
    });
    let ends = others.map(|other| other.join().expect("lives"));
    assert!(ends.contains(&Err(())) && ends.contains(&Ok(Err(Broken))));
    assert!(met.0.is_broken());
}

/// Wherever a party dies: the others pass together, or all get Broken; and afterwards the barrier works.
pub(crate) fn barrier_dead_party<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let met = barrier::<O>(2);
    let victim = met.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.wait(None, all_live);
    });
    let mine = met.0.wait(None, first_lives::<O>);
    let died = victim.join().is_none();
    assert!(died || mine.is_ok());
    if died {
        assert_eq!(met.0.wait(None, first_lives::<O>), Err(Broken));
        assert!(met.0.is_broken());
        met.0.reset();
        assert!(!met.0.is_broken());
    }
}

pub(crate) fn barrier_dead_in_the_action<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let met = barrier::<O>(2);
    let victim = met.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.wait_then(None, all_live, point);
    });
    let mine = met.0.wait_then(None, first_lives::<O>, || ());
    let died = victim.join().is_none();
    assert!(died || mine.is_ok());
    assert_eq!(met.0.n_waiting(), 0);
}

/// A thread that is not a party dies inside the lock, with a change half done: the next one repairs the barrier.
pub(crate) fn barrier_dead_aborter<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live).is_ok());
    let aborted = live_here(fuse, || met.0.abort()).is_some();
    let mine = met.0.wait(None, all_live).is_ok();
    assert_eq!(other.join(), Some(mine), "a round passes for all or for none");
    assert!(!(aborted && mine));
    met.0.reset();
    met.0.init(1);
    assert!(met.0.wait(None, all_live).is_ok());
}
