//! The algorithms of `raw/` in shuttle: more threads than loom has time for, in schedules drawn at random, half of them
//! with a few preemptions only; and with a thread killed before each of its accesses.
//!
//! A lost wake is a deadlock, which shuttle reports. It takes every ordering for SeqCst, so a missing Release is for
//! loom and Miri to find. Schedules are drawn from one seed, so a failure is there again in the next run;
//! `MP_SHUTTLE_SEED` draws others, and `MP_SHUTTLE_ITERATIONS` more. `-- --nocapture` shows the tables.

mod crowds;
mod mutants;
mod tables;

use mp_model::shuttle as world;
use mutants::*;
use tables::*;
use world::{ModelOwned, ModelWord, explore, iterations, sweep, sweep_woken};

/// Schedules of a model; one with deaths has a part of them for each point of death.
fn usual() -> usize {
    iterations(300)
}

models! { crowds, usual();
    explore lock_crowd_excludes ModelOwned;
    explore lock_crowd_is_let_in_one_by_one ModelOwned;
    explore rlock_crowd_excludes_at_any_depth ModelOwned;
    explore rlock_crowd_takes_what_is_lent ModelOwned;
    explore semaphore_crowd_shares_two_permits ModelWord;
    explore semaphore_crowd_each_permit_wakes_one ModelWord;
    explore event_crowd_is_woken_at_once ModelWord;
    explore event_crowd_pulses_reach_the_waiters ModelWord;
    explore condition_crowd_takes_each_item_once ModelOwned;
    explore condition_crowd_goes_on_without_the_late ModelOwned;
    explore rwlock_crowd_sees_whole_writes ModelOwned;
    explore rwlock_crowd_some_give_up ModelOwned;
    explore permits_crowd_has_one_owner_each ModelOwned;
    explore permits_crowd_more_wait_than_are_told ModelOwned;
    explore barrier_crowd_meets_again_and_again ModelOwned;
    explore barrier_crowd_breaks_for_all ModelOwned;
    explore barrier_crowd_waits_for_the_action ModelOwned;
    sweep lock_crowd_one_dies ModelOwned;
    sweep_woken lock_crowd_woken_one_dies ModelOwned;
    sweep lock_crowd_two_die ModelOwned;
    sweep lock_crowd_without_a_kernel_list Listless<ModelWord>;
    sweep rlock_crowd_one_dies ModelOwned;
    sweep semaphore_crowd_dead_sleeper ModelWord;
    sweep semaphore_crowd_dead_releaser ModelWord;
    sweep event_crowd_dead_setter ModelWord;
    sweep event_crowd_dead_waiter ModelWord;
    sweep condition_crowd_dead_taker ModelOwned;
    sweep condition_crowd_dead_bringer ModelOwned;
    sweep rwlock_crowd_dead_writer ModelOwned;
    sweep rwlock_crowd_dead_reader ModelOwned;
    sweep permits_crowd_has_those_of_the_dead ModelOwned;
    sweep barrier_crowd_dead_party ModelOwned;
}

// Most are caught at once.
mutants! { crowds, 100 * usual();
    explore lock_crowd_excludes in FaultyOwned<NoneIsWoken>;
    explore lock_crowd_is_let_in_one_by_one in FaultyOwned<NoneMarks>;
    explore lock_crowd_is_let_in_one_by_one in FaultyOwned<WakesForgetWaiters>;
    sweep   lock_crowd_one_dies in FaultyOwned<NeverEnlisted>;
    sweep   lock_crowd_one_dies in FaultyOwned<NeverAnnounced>;
    sweep   lock_crowd_one_dies in FaultyOwned<NoNoteIsLeft>;
    sweep_woken lock_crowd_woken_one_dies in FaultyOwned<NeverAnnounced>;
    sweep   lock_crowd_without_a_kernel_list in FaultyOwned<DiesUnseenInTheLock>;
    explore rlock_crowd_takes_what_is_lent in FaultyOwned<NoneIsWoken>;
    sweep   rlock_crowd_one_dies in FaultyOwned<DiesUnseenInTheLock>;
    explore semaphore_crowd_each_permit_wakes_one in Faulty<NoneIsWoken>;
    explore semaphore_crowd_each_permit_wakes_one in Faulty<TakersForgetTheMark>;
    explore event_crowd_is_woken_at_once in Faulty<NoneIsWoken>;
    explore event_crowd_is_woken_at_once in Faulty<OnlyOneIsWoken>;
    explore condition_crowd_takes_each_item_once in FaultyOwned<NoneIsWoken>;
    explore condition_crowd_takes_each_item_once in FaultyOwned<NoneMarks>;
    sweep   condition_crowd_dead_taker in FaultyOwned<DiesUnseenInTheLock>;
    explore rwlock_crowd_sees_whole_writes in FaultyOwned<NoneIsWoken>;
    sweep   rwlock_crowd_dead_writer in FaultyOwned<DiesUnseenInTheLock>;
    explore permits_crowd_has_one_owner_each in FaultyOwned<NoneIsWoken>;
    sweep   permits_crowd_has_those_of_the_dead in FaultyOwned<DiesUnseenInTheLock>;
    explore barrier_crowd_meets_again_and_again in FaultyOwned<NoneIsWoken>;
    explore barrier_crowd_meets_again_and_again in FaultyOwned<OnlyOneIsWoken>;
    explore barrier_crowd_breaks_for_all in FaultyOwned<BreakIsForgotten>;
    sweep   barrier_crowd_dead_party in FaultyOwned<NoneIsEverDead>;
    sweep   barrier_crowd_dead_party in FaultyOwned<DiesUnseenInTheLock>;
}
