//! The algorithms of `raw/` on std's atomics and threads, as they come: for Miri, which draws their schedule at random,
//! lets a load see whatever its ordering allows, and reports undefined behaviour (`just miri`). Without it they are run
//! some times over, which says little, but on the machine as it is.
//!
//! A lost wake is a thread that is not woken within a minute; Miri's clock jumps there when all sleep.

mod models;
#[cfg(miri)]
mod mutants;
mod tables;

use models::Watched;
use mp_model::threads as world;
use tables::*;
use world::{ModelListed, ModelOwned, ModelWord, explore, rounds, sweep, sweep_woken};

models! { models, rounds(200);
    explore lock_excludes_and_hands_on ModelOwned;
    explore lock_is_on_one_list_at_a_time ModelListed<()>;
    explore lock_timeout_passes_the_wake_on ModelOwned;
    explore lock_try_and_owner ModelOwned;
    sweep lock_dead_holder_is_reported ModelOwned;
    sweep lock_dead_releaser_sleeper_barger ModelOwned;
    sweep_woken lock_dead_sleeper_sleeper_barger ModelOwned;
    sweep lock_one_of_three_dies ModelOwned;
    sweep lock_died_stays_until_cleared ModelOwned;
    sweep lock_without_a_kernel_list Listless<ModelWord>;
    explore rlock_is_held_until_the_last_release ModelOwned;
    explore rlock_all_is_given_and_taken_back ModelOwned;
    sweep rlock_dead_holder_is_reported ModelOwned;
    explore semaphore_of_one_excludes ModelWord;
    explore semaphore_wakes_one_for_each ModelWord;
    explore semaphore_wakes_many_at_once ModelWord;
    explore semaphore_timeout_passes_the_wake_on ModelWord;
    explore semaphore_bound_is_never_passed ModelWord;
    sweep semaphore_dead_sleeper ModelWord;
    sweep semaphore_dead_releaser ModelWord;
    explore event_set_wakes_all ModelWord;
    explore event_set_then_clear_still_counts Watched<ModelWord>;
    explore event_second_set_publishes_too ModelWord;
    explore event_clear_sees_what_it_wipes_out ModelWord;
    explore event_timeout ModelWord;
    sweep event_dead_setter ModelWord;
    sweep event_dead_waiter ModelWord;
    explore condition_notify_wakes_a_waiter ModelOwned;
    explore condition_each_notification_is_for_one ModelOwned;
    explore condition_timeout_uses_up_nothing ModelOwned;
    explore condition_lends_an_rlock_whole ModelOwned;
    sweep condition_dead_notifier ModelOwned;
    sweep condition_dead_waiter ModelOwned;
    sweep condition_place_of_the_dead ModelOwned;
    explore rwlock_readers_see_whole_writes ModelOwned;
    explore rwlock_writers_exclude_each_other ModelOwned;
    explore rwlock_readers_share_and_writers_give_up ModelOwned;
    sweep rwlock_dead_writer ModelOwned;
    sweep rwlock_dead_reader ModelOwned;
    explore permits_are_handed_on ModelOwned;
    explore permits_timeout_takes_nothing ModelOwned;
    sweep permits_of_the_dead_come_back ModelOwned;
    explore barrier_two_rounds ModelOwned;
    explore barrier_of_three ModelOwned;
    explore barrier_timeout_breaks_it_for_all ModelOwned;
    explore barrier_abort_breaks_it_for_all ModelOwned;
    explore barrier_reset_is_usable_afterwards ModelOwned;
    explore barrier_late_one_knows_its_round_passed ModelOwned;
    explore barrier_late_one_knows_its_round_broke ModelOwned;
    explore barrier_action_comes_before_all ModelOwned;
    explore barrier_latecomer_waits_for_the_next_round ModelOwned;
    explore barrier_panic_in_the_action_breaks_it ModelOwned;
    sweep barrier_dead_party ModelOwned;
    sweep barrier_dead_in_the_action ModelOwned;
    sweep barrier_dead_aborter ModelOwned;
    explore handed_lock_excludes_and_hands_on ModelOwned;
    explore handed_lock_timeout_passes_the_wake_on ModelOwned;
    sweep handed_lock_dead_holder_is_reported ModelOwned;
    sweep handed_lock_dead_releaser_sleeper_barger ModelOwned;
    explore handed_semaphore_of_one_excludes ModelWord;
    explore handed_semaphore_wakes_one_for_each ModelWord;
    sweep handed_semaphore_dead_releaser ModelWord;
    explore spinning_lock_excludes_and_hands_on ModelOwned;
    sweep spinning_lock_dead_holder_is_reported ModelOwned;
    explore spinning_semaphore_wakes_one_for_each ModelWord;
    sweep spinning_semaphore_dead_releaser ModelWord;
    explore spinning_event_set_wakes_all ModelWord;
    sweep spinning_event_dead_setter ModelWord;
    explore spinning_condition_notify_wakes_a_waiter ModelOwned;
    explore spinning_barrier_two_rounds ModelOwned;
    explore napping_event_set_wakes_all ModelWord;
    sweep napping_event_dead_setter ModelWord;
    explore napping_condition_notify_wakes_a_waiter ModelOwned;
}

/// As in production: on the futex itself, which Miri knows. The kernel's list it does not.
mod on_futexes {
    use crate::models::Watched;
    use crate::tables::{Listless, models};
    use crate::world::{explore, rounds};
    use mp_core::sys::futex::FutexWord;

    type Futex = Listless<FutexWord>;

    models! { models, rounds(200);
        explore lock_excludes_and_hands_on Futex;
        explore lock_timeout_passes_the_wake_on Futex;
        explore lock_try_and_owner Futex;
        explore rlock_is_held_until_the_last_release Futex;
        explore semaphore_of_one_excludes FutexWord;
        explore semaphore_wakes_one_for_each FutexWord;
        explore semaphore_wakes_many_at_once FutexWord;
        explore semaphore_timeout_passes_the_wake_on FutexWord;
        explore event_set_wakes_all FutexWord;
        explore event_set_then_clear_still_counts Watched<FutexWord>;
        explore event_clear_sees_what_it_wipes_out FutexWord;
        explore event_timeout FutexWord;
        explore condition_lends_an_rlock_whole Futex;
        explore rwlock_readers_see_whole_writes Futex;
        explore permits_are_handed_on Futex;
        explore barrier_two_rounds Futex;
        explore barrier_of_three Futex;
    }
}

/// Orderings that are missing, which a machine may add by itself and Miri does not. What stands on the lock has its
/// orderings from there. `-Zmiri-ignore-leaks` ignores threads that are left asleep.
#[cfg(miri)]
mod seeded {
    use crate::mutants::*;
    use crate::world::explore;

    mutants! { models, 50;
        explore lock_excludes_and_hands_on in FaultyOwned<ReleaseIsRelaxed>;
        explore lock_excludes_and_hands_on in FaultyOwned<AcquireIsRelaxed>;
        explore rlock_is_held_until_the_last_release in FaultyOwned<ReleaseIsRelaxed>;
        explore rlock_is_held_until_the_last_release in FaultyOwned<AcquireIsRelaxed>;
        explore semaphore_of_one_excludes in Faulty<ReleaseIsRelaxed>;
        explore semaphore_of_one_excludes in Faulty<AcquireIsRelaxed>;
        explore event_set_wakes_all in Faulty<ReleaseIsRelaxed>;
        explore event_set_wakes_all in Faulty<AcquireIsRelaxed>;
        explore event_second_set_publishes_too in Faulty<ReleaseIsRelaxed>;
        explore event_clear_sees_what_it_wipes_out in Faulty<AcquireIsRelaxed>;
        explore barrier_two_rounds in FaultyOwned<ReleaseIsRelaxed>;
        explore barrier_two_rounds in FaultyOwned<AcquireIsRelaxed>;
    }
}
