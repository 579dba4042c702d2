//! Other models again, with waits that sleep for a moment first, then look once more, then sleep: what comes while one
//! naps or looks is found, and a nap that takes a wake along strands no other waiter.

use super::{condition, event};
use crate::world::{Fuse, set_naps};
use mp_model::{AnyOwned, AnyWord};

/// By the clock of a model, enough for one look.
const ONE_LOOK: u32 = 2;

pub(crate) fn napping_event_set_wakes_all<W: AnyWord>() {
    set_naps(ONE_LOOK);
    event::event_set_wakes_all::<W>();
}

pub(crate) fn napping_event_dead_setter<W: AnyWord>(fuse: &Fuse) {
    set_naps(ONE_LOOK);
    event::event_dead_setter::<W>(fuse);
}

pub(crate) fn napping_condition_notify_wakes_a_waiter<O: AnyOwned>() {
    set_naps(ONE_LOOK);
    condition::condition_notify_wakes_a_waiter::<O>();
}
