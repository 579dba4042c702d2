//! Other models again, with waits that look once more before they sleep: a wake that comes while one looks is not
//! missed, and a look finds no less than a wake brings.

use super::{barrier, condition, event, lock, semaphore};
use crate::world::{Fuse, set_spins};
use mp_model::{AnyOwned, AnyWord};

/// By the clock of a model, enough for one look.
const ONE_LOOK: u32 = 2;

pub(crate) fn spinning_lock_excludes_and_hands_on<O: AnyOwned>() {
    set_spins(ONE_LOOK);
    lock::lock_excludes_and_hands_on::<O>();
}

pub(crate) fn spinning_lock_dead_holder_is_reported<O: AnyOwned>(fuse: &Fuse) {
    set_spins(ONE_LOOK);
    lock::lock_dead_holder_is_reported::<O>(fuse);
}

pub(crate) fn spinning_semaphore_wakes_one_for_each<W: AnyWord>() {
    set_spins(ONE_LOOK);
    semaphore::semaphore_wakes_one_for_each::<W>();
}

pub(crate) fn spinning_semaphore_dead_releaser<W: AnyWord>(fuse: &Fuse) {
    set_spins(ONE_LOOK);
    semaphore::semaphore_dead_releaser::<W>(fuse);
}

pub(crate) fn spinning_event_set_wakes_all<W: AnyWord>() {
    set_spins(ONE_LOOK);
    event::event_set_wakes_all::<W>();
}

pub(crate) fn spinning_event_dead_setter<W: AnyWord>(fuse: &Fuse) {
    set_spins(ONE_LOOK);
    event::event_dead_setter::<W>(fuse);
}

pub(crate) fn spinning_condition_notify_wakes_a_waiter<O: AnyOwned>() {
    set_spins(ONE_LOOK);
    condition::condition_notify_wakes_a_waiter::<O>();
}

pub(crate) fn spinning_barrier_two_rounds<O: AnyOwned>() {
    set_spins(ONE_LOOK);
    barrier::barrier_two_rounds::<O>();
}
