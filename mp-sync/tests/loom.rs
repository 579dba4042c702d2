//! The algorithms of `raw/` in the model checker: every schedule with up to three preemptions, and with a thread
//! killed before each of its accesses.
//!
//! A lost wake is a deadlock, which loom reports. Where a model says `TimedLooks::AfterDeath`, the promise rests on the
//! timed wake-up once a thread has died; everywhere else it rests on no timer. The models of three threads that take
//! minutes run with one preemption less here, and in full with `-- --ignored`. `MP_LOOM_BOUND=4` walks further;
//! `-- --nocapture` shows the tables.

mod models;
mod mutants;
mod tables;

use models::Watched;
use mp_model::loom as world;
use mutants::*;
use tables::*;
use world::{ModelListed, ModelOwned, ModelWord, bound, explore, sweep, sweep_woken};

models! { models, bound();
    explore lock_excludes_and_hands_on ModelOwned;
    explore lock_is_on_one_list_at_a_time ModelListed<()>;
    explore lock_timeout_passes_the_wake_on ModelOwned;
    explore lock_try_and_owner ModelOwned;
    sweep lock_dead_holder_is_reported ModelOwned;
    sweep lock_dead_releaser_sleeper_barger ModelOwned;
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
    sweep condition_place_of_the_dead ModelOwned;
    explore rwlock_readers_see_whole_writes ModelOwned;
    explore rwlock_writers_exclude_each_other ModelOwned;
    explore rwlock_readers_share_and_writers_give_up ModelOwned;
    explore permits_are_handed_on ModelOwned;
    explore permits_timeout_takes_nothing ModelOwned;
    sweep permits_of_the_dead_come_back ModelOwned;
    explore barrier_two_rounds ModelOwned;
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
    explore handed_lock_excludes_and_hands_on ModelOwned;
    sweep handed_lock_dead_holder_is_reported ModelOwned;
    sweep handed_lock_dead_releaser_sleeper_barger ModelOwned;
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
    explore napping_condition_notify_wakes_a_waiter ModelOwned;
}

macro_rules! long_models {
    ($($how:ident $name:ident $world:ty;)*) => {
        models! { models, bound() - 1; $($how $name $world;)* }

        mod in_full {
            use super::*;
            $(
                #[test]
                #[ignore = "takes minutes"]
                fn $name() {
                    let report = $how(bound(), crate::models::$name::<$world>);
                    println!("{:<40} {report}", concat!(stringify!($name), " in full"));
                }
            )*
        }
    };
}

long_models! {
    sweep_woken lock_dead_sleeper_sleeper_barger ModelOwned;
    explore handed_lock_timeout_passes_the_wake_on ModelOwned;
    explore handed_semaphore_of_one_excludes ModelWord;
    explore handed_semaphore_wakes_one_for_each ModelWord;
    sweep lock_one_of_three_dies ModelOwned;
    explore barrier_of_three ModelOwned;
    sweep barrier_dead_aborter ModelOwned;
    sweep condition_dead_waiter ModelOwned;
    sweep rwlock_dead_writer ModelOwned;
    sweep rwlock_dead_reader ModelOwned;
    sweep napping_event_dead_setter ModelWord;
}

mutants! { models, bound();
    explore lock_excludes_and_hands_on in FaultyOwned<ReleaseIsRelaxed>;
    explore lock_excludes_and_hands_on in FaultyOwned<AcquireIsRelaxed>;
    explore lock_excludes_and_hands_on in FaultyOwned<NoneIsWoken>;
    explore lock_excludes_and_hands_on in FaultyOwned<NoneMarks>;
    explore lock_excludes_and_hands_on in FaultyOwned<WakesForgetWaiters>;
    explore lock_is_on_one_list_at_a_time in ModelListed<DelistedTooLate>;
    sweep   lock_dead_holder_is_reported in FaultyOwned<NeverEnlisted>;
    sweep   lock_dead_releaser_sleeper_barger in FaultyOwned<NeverAnnounced>;
    sweep   lock_dead_releaser_sleeper_barger in FaultyOwned<NoNoteIsLeft>;
    sweep_woken lock_dead_sleeper_sleeper_barger in FaultyOwned<NeverAnnounced>;
    sweep_woken lock_dead_sleeper_sleeper_barger in FaultyOwned<NoNoteIsLeft>;
    sweep   lock_died_stays_until_cleared in FaultyOwned<DiedIsForgotten>;
    explore handed_lock_excludes_and_hands_on in FaultyOwned<ReleaseIsRelaxed>;
    explore handed_lock_excludes_and_hands_on in FaultyOwned<NoneIsWoken>;
    explore napping_event_set_wakes_all in Faulty<NoneIsWoken>;
    explore napping_condition_notify_wakes_a_waiter in FaultyOwned<NoFences>;
    sweep   handed_lock_dead_releaser_sleeper_barger in FaultyOwned<NeverAnnounced>;
    explore handed_semaphore_of_one_excludes in Faulty<ReleaseIsRelaxed>;
    explore handed_semaphore_wakes_one_for_each in Faulty<NoneIsWoken>;
    explore rlock_is_held_until_the_last_release in FaultyOwned<ReleaseIsRelaxed>;
    explore rlock_is_held_until_the_last_release in FaultyOwned<AcquireIsRelaxed>;
    explore rlock_all_is_given_and_taken_back in FaultyOwned<NoneIsWoken>;
    sweep   rlock_dead_holder_is_reported in FaultyOwned<DiesUnseenInTheLock>;
    explore semaphore_of_one_excludes in Faulty<ReleaseIsRelaxed>;
    explore semaphore_of_one_excludes in Faulty<AcquireIsRelaxed>;
    explore semaphore_wakes_one_for_each in Faulty<NoneIsWoken>;
    explore semaphore_wakes_one_for_each in Faulty<TakersForgetTheMark>;
    explore event_set_wakes_all in Faulty<ReleaseIsRelaxed>;
    explore event_set_wakes_all in Faulty<AcquireIsRelaxed>;
    explore event_set_wakes_all in Faulty<NoneIsWoken>;
    explore event_set_wakes_all in Faulty<OnlyOneIsWoken>;
    explore event_second_set_publishes_too in Faulty<ReleaseIsRelaxed>;
    explore event_second_set_publishes_too in Faulty<AcquireIsRelaxed>;
    explore event_clear_sees_what_it_wipes_out in Faulty<AcquireIsRelaxed>;
    explore event_set_then_clear_still_counts in WatchedFaulty<RoundsAreNotCounted>;
    explore barrier_two_rounds in FaultyOwned<ReleaseIsRelaxed>;
    explore barrier_two_rounds in FaultyOwned<AcquireIsRelaxed>;
    explore barrier_two_rounds in FaultyOwned<NoneIsWoken>;
    explore barrier_of_three in FaultyOwned<OnlyOneIsWoken>;
    explore barrier_timeout_breaks_it_for_all in FaultyOwned<BreakIsForgotten>;
    explore barrier_abort_breaks_it_for_all in FaultyOwned<BreakIsForgotten>;
    explore rwlock_readers_see_whole_writes in FaultyOwned<NoneIsWoken>;
    explore rwlock_readers_see_whole_writes in FaultyOwned<ReleaseIsRelaxed>;
    explore rwlock_writers_exclude_each_other in FaultyOwned<AcquireIsRelaxed>;
    explore permits_are_handed_on in FaultyOwned<NoneIsWoken>;
    explore permits_are_handed_on in FaultyOwned<AcquireIsRelaxed>;
    explore condition_notify_wakes_a_waiter in FaultyOwned<NoneIsWoken>;
    explore condition_notify_wakes_a_waiter in FaultyOwned<NoneMarks>;
    explore condition_notify_wakes_a_waiter in FaultyOwned<NoFences>;
    explore condition_each_notification_is_for_one in FaultyOwned<NoneMarks>;
    sweep   condition_place_of_the_dead in FaultyOwned<DiesUnseenInTheLock>;
    sweep   lock_without_a_kernel_list in FaultyOwned<DiesUnseenInTheLock>;
    sweep   barrier_dead_party in FaultyOwned<NoneIsEverDead>;
    sweep   barrier_dead_party in FaultyOwned<DiesUnseenInTheLock>;
    sweep   barrier_dead_in_the_action in FaultyOwned<NoneIsEverDead>;
}

type WatchedFaulty<F> = Watched<Faulty<F>>;
