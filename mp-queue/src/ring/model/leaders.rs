//! One leader and one follower. For more of them, and deaths, see ../crowd/leaders.rs.

use super::super::leaders::Sleeper;
use super::waits::look_after_a_death;
use super::world::{Shared, Tracked, World, ring};
use mp_core::word::Deadline;
use mp_model::thorough::{Faulty, FaultyLong, FaultyOwned, Fuse, live_here, point, spawn};
use mp_model::{Fault, soon};
use std::marker::PhantomData;
use std::sync::Arc;

/// With one place, so that two are enough.
pub(super) struct Led<F>(PhantomData<F>);
impl<F: Fault> World for Led<F> {
    type Word = Faulty<F>;
    type Owned = FaultyOwned<F>;
    type Long = FaultyLong<F>;
    type Unit = Tracked;
    const LEADS_AT_ONCE: bool = true;
    const ONE_LEADER: bool = true;
}

struct NoFault;
impl Fault for NoFault {}
type Sound = Led<NoFault>;

/// One sleep of a consumer that has slept before.
fn sleep<W: World>(ring: &Shared<W>, until: Option<Deadline>) -> Sleeper<'_, W::Owned> {
    let layout = ring.layout();
    layout.published.sleep_once(until, |changes| Sleeper::led(changes, &layout.leaders, false))
}

/// Or the follower has taken the lease by then: it wakes by itself in time.
pub(super) fn a_follower_is_promoted_by_a_leader_that_leaves<W: World>() {
    look_after_a_death::<W>();
    let ring = ring::<W>(0);
    let leader = sleep(&ring, soon());
    let other = Arc::clone(&ring);
    let follower = spawn(&Fuse::never(), move || drop(sleep(&other, None)));
    drop(leader);
    live_here(&Fuse::spent(), point);
    follower.join().unwrap();
}

super::models! {
    explore a_follower_is_promoted_by_a_leader_that_leaves to bound();
}
