//! Models of the lock again, in which each release that finds a sleeper hands the lock over.

use super::lock;
use crate::world::{Fuse, set_turns};
use mp_model::AnyOwned;

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
