//! Four waiters wait so long that two lead and the others follow: followers never wake by themselves.

use super::super::model::world::{
    Shared, Untracked, World, put, put_together, ring, so_far, take, take_all, worlds,
};
use super::{Crowd, all_but_the_victims, many, mutants, usual};
use mp_model::shuttle::{Fuse, Life, ModelLong, TimedLooks, set_looks, spawn, sweep, yield_now};
use std::sync::Arc;

fn taker<W: Crowd>(ring: &Shared<W>, fuse: &Fuse) -> Life<u64> {
    let ring = Arc::clone(ring);
    spawn(fuse, move || take(&ring).unwrap())
}

/// An item is taken although no further item is put.
fn wait_until_empty<W: Crowd>(ring: &Shared<W>) {
    while ring.items() > 0 {
        yield_now();
    }
}

/// Whichever waiter dies, and wherever: woken for two records, or promoted by one that left with its record.
fn a_dead_waiter_strands_no_other_waiter<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    let victim = taker(&ring, fuse);
    let others = [(); 3].map(|()| taker(&ring, &Fuse::never()));
    put(&ring, 1).unwrap();
    put_together(&ring, &[2, 3]);
    wait_until_empty(&ring);
    put(&ring, 4).unwrap();
    let got = others.map(|other| other.join().unwrap()).to_vec();
    all_but_the_victims(got, victim.join(), take_all(&ring), 4);
}

/// Two have left, and a producer dies between its record and the wake: one of the remaining waiters wakes by
/// itself.
fn a_leader_that_leaves_hands_its_lease_on<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    let takers = [(); 4].map(|()| taker(&ring, &Fuse::never()));
    put(&ring, 1).unwrap();
    put(&ring, 2).unwrap();
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || put(&its, 3).unwrap());
    victim.join();
    if so_far(&ring).0 == 2 {
        put(&ring, 3).unwrap();
    }
    wait_until_empty(&ring);
    put(&ring, 4).unwrap();
    let mut got = takers.map(|taker| taker.join().unwrap());
    got.sort_unstable();
    assert_eq!(got, [1, 2, 3, 4]);
}

worlds! {
    in shuttle, of Untracked:
    Sound { type Long = ModelLong; const LEADS_AT_ONCE: bool = true; }
    OneLeader { type Long = ModelLong; const LEADS_AT_ONCE: bool = true; const ONE_LEADER: bool = true; }
    ForgetsFollowers {
        type Long = ModelLong;
        const LEADS_AT_ONCE: bool = true;
        const FORGETS_FOLLOWERS: bool = true;
    }
}

mod walk {
    use super::*;

    super::super::crowds! {
        Sound:
        sweep a_dead_waiter_strands_no_other_waiter;
        sweep a_leader_that_leaves_hands_its_lease_on;
    }
}

mutants! {
    sweep a_dead_waiter_strands_no_other_waiter, many(), in OneLeader: "max_steps";
    sweep a_leader_that_leaves_hands_its_lease_on, many(), in ForgetsFollowers: "max_steps";
}
