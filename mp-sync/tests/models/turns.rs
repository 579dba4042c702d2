//! Models of the lock and the semaphore again, in which each release that finds a sleeper hands over what it releases.

use super::{lock, semaphore};
use crate::world::{Fuse, set_turns};
use mp_model::{AnyOwned, AnyWord};

pub(crate) fn handed_lock_excludes_and_hands_on<O: AnyOwned>() {
    set_turns();
    lock::lock_excludes_and_hands_on::<O>();
}

pub(crate) fn handed_lock_timeout_passes_the_wake_on<O: AnyOwned>() {
    set_turns();
    lock::lock_timeout_passes_the_wake_on::<O>();
}

pub(crate) fn handed_lock_dead_holder_is_reported<O: AnyOwned>(fuse: &Fuse) {
    set_turns();
    lock::lock_dead_holder_is_reported::<O>(fuse);
}

pub(crate) fn handed_lock_dead_releaser_sleeper_barger<O: AnyOwned>(fuse: &Fuse) {
    set_turns();
    lock::lock_dead_releaser_sleeper_barger::<O>(fuse);
}

pub(crate) fn handed_semaphore_of_one_excludes<W: AnyWord>() {
    set_turns();
    semaphore::semaphore_of_one_excludes::<W>();
}

pub(crate) fn handed_semaphore_wakes_one_for_each<W: AnyWord>() {
    set_turns();
    semaphore::semaphore_wakes_one_for_each::<W>();
}

pub(crate) fn handed_semaphore_dead_releaser<W: AnyWord>(fuse: &Fuse) {
    set_turns();
    semaphore::semaphore_dead_releaser::<W>(fuse);
}
