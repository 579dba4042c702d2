//! Crowds at the barrier.

use super::{all, crowd};
use crate::tables::{all_live, first_lives};
use crate::world::{AtomicU32, Fuse, TimedLooks, point, set_looks, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Broken, RawBarrier};
use std::sync::Arc;

const PARTIES: u32 = 5;

/// A barrier, and the round that each party has come to.
type Met<O> = Arc<(RawBarrier<O>, [AtomicU32; PARTIES as usize])>;

fn barrier<O: AnyOwned>() -> Met<O> {
    let met: Met<O> = Arc::default();
    met.0.init(PARTIES);
    met
}

/// Says what all came to, if it is one thing.
fn agreed<T: PartialEq>(mut ends: Vec<T>) -> T {
    let last = ends.pop().expect("a party came");
    assert!(ends.iter().all(|end| *end == last), "a round passes for all or for none");
    last
}

/// Each brings something along to each round, and finds what all brought.
fn meet<O: Owned>(met: &Met<O>, party: u32, round: u32) -> u32 {
    // ORDERING: Relaxed throughout: the barrier is to order it.
    met.1[party as usize].store(round, Ordering::Relaxed);
    let arrival = met.0.wait(None, all_live).expect("no party breaks it");
    for brought in &met.1 {
        assert!(brought.load(Ordering::Relaxed) >= round, "passed before all were there");
    }
    assert_eq!(arrival.leader, arrival.index == PARTIES - 1);
    arrival.index
}

/// A fast party may be back for the next round while slow ones have not left this one.
pub(crate) fn barrier_crowd_meets_again_and_again<O: AnyOwned>() {
    let met = barrier::<O>();
    let its = met.clone();
    let others = crowd(PARTIES - 1, move |party| [1, 2, 3].map(|round| meet(&its, party, round)));
    let mine = [1, 2, 3].map(|round| meet(&met, PARTIES - 1, round));
    let mut places = all(others);
    places.push(mine);
    for round in 0..3 {
        let mut indexes: Vec<u32> = places.iter().map(|places| places[round]).collect();
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2, 3, 4]);
    }
    assert_eq!((met.0.n_waiting(), met.0.is_broken()), (0, false));
}

/// One is in a hurry, and one aborts: each round passes for all or for none; and after a reset they meet again.
pub(crate) fn barrier_crowd_breaks_for_all<O: AnyOwned>() {
    let met = barrier::<O>();
    let its = met.clone();
    let others =
        crowd(PARTIES - 1, move |party| its.0.wait(if party == 0 { soon() } else { None }, all_live).is_ok());
    let mine = met.0.wait(None, all_live).is_ok();
    assert_eq!(agreed(all(others)), mine);
    assert_eq!(met.0.is_broken(), !mine);
    met.0.reset();
    let its = met.clone();
    let others = crowd(PARTIES, move |_| its.0.wait(None, all_live).is_ok());
    met.0.abort();
    agreed(all(others));
    assert_eq!(met.0.wait(None, all_live), Err(Broken));
}

/// The action of each round comes after all have come to it, and before any has passed.
pub(crate) fn barrier_crowd_waits_for_the_action<O: AnyOwned>() {
    let met = barrier::<O>();
    let its = met.clone();
    let work = move |party: u32| {
        for round in 1..=2 {
            // ORDERING: Relaxed throughout: the barrier is to order it.
            let act = || {
                assert_eq!(its.1[0].load(Ordering::Relaxed), round - 1);
                its.1[0].store(round, Ordering::Relaxed);
            };
            let arrival = its.0.wait_then(None, all_live, act).expect("no party breaks it");
            assert!(its.1[0].load(Ordering::Relaxed) >= round, "{party} {arrival:?}");
        }
    };
    all(crowd(PARTIES, work));
    assert_eq!(met.1[0].load(Ordering::Relaxed), 2);
}

/// Wherever a party dies, the others pass together or not at all; and afterwards the barrier works.
pub(crate) fn barrier_crowd_dead_party<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let met = barrier::<O>();
    let its = met.clone();
    let victim = spawn(fuse, move || {
        let _ = its.0.wait_then(None, all_live, point);
    });
    let its = met.clone();
    let others = crowd(PARTIES - 2, move |_| its.0.wait_then(None, first_lives::<O>, || ()).is_ok());
    let mine = met.0.wait_then(None, first_lives::<O>, || ()).is_ok();
    assert_eq!(agreed(all(others)), mine);
    let died = victim.join().is_none();
    assert!(died || mine);
    if died {
        assert_eq!(met.0.wait(None, first_lives::<O>), Err(Broken));
        met.0.reset();
        assert!(!met.0.is_broken());
    }
    assert_eq!(met.0.n_waiting(), 0);
}
