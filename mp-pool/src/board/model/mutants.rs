//! Worlds with one fault each: the models must fail in them, and for the reason that the fault is.

use super::keeps::*;
use super::lanes::*;
use super::runs::*;
use super::sentinel::*;
use super::sleepers::*;
use super::slots::*;
use super::turns::*;
use mp_model::thorough::{Faulty, bound, explore, sweep};
use mp_model::{AcquireIsRelaxed, NoFences, NoneIsWoken, ReleaseIsRelaxed};

/// A mutant for each `how model, effort, in World: "what it says when it fails";`, and the tests that all are caught.
macro_rules! mutants {
    ($($how:ident $model:ident, $effort:expr, in $fault:ty: $says:literal;)*) => {
        const MUTANTS: &[mp_model::Mutant] = &[$(mp_model::Mutant {
            name: concat!(stringify!($model), " in ", stringify!($fault)),
            says: $says,
            run: || {
                $how($effort, $model::<Faulty<$fault>>);
            },
        }),*];

        mp_model::mutant_tests!(MUTANTS);
    };
}

mutants! {
    explore the_caller_sees_the_results_of_both, bound() - 1, in ReleaseIsRelaxed: "a slot that is told of is done";
    explore the_caller_sees_the_results_of_both, bound() - 1, in AcquireIsRelaxed: "a slot that is told of is done";
    explore a_look_sees_when_the_task_that_is_there_began, bound(), in ReleaseIsRelaxed: "a look at another task's time";
    explore a_look_sees_when_the_task_that_is_there_began, bound(), in AcquireIsRelaxed: "a look at another task's time";
    explore a_slot_that_is_used_again_is_taken_once_each_time, bound() - 1, in ReleaseIsRelaxed: "assertion";
    explore each_item_is_begun_once_and_the_caller_sees_its_result, bound() - 1, in ReleaseIsRelaxed: "a result that";
    explore each_item_is_begun_once_and_the_caller_sees_its_result, bound() - 1, in AcquireIsRelaxed: "assertion";
    explore a_run_in_a_slot_that_is_used_again_is_begun_once, bound() - 2, in ReleaseIsRelaxed: "assertion";
    sweep two_look_behind_a_run_that_another_worker_is_at, bound(), in ReleaseIsRelaxed: "assertion";
    sweep two_look_behind_a_run_that_another_worker_is_at, bound(), in AcquireIsRelaxed: "assertion";
    explore each_item_that_is_marked_is_told_of, bound(), in ReleaseIsRelaxed: "an item that is not told of";
    explore a_run_in_a_slot_that_is_used_again_is_begun_once, bound() - 2, in AcquireIsRelaxed: "assertion";
    explore a_sleeper_gets_its_slot, bound(), in NoFences: "deadlock";
    explore a_sleeper_gets_its_slot, bound(), in NoneIsWoken: "deadlock";
    explore each_of_two_sleepers_gets_its_slot, bound() - 2, in NoneIsWoken: "deadlock";
    explore a_sleeper_learns_of_the_end, bound(), in NoneIsWoken: "deadlock";
    explore a_dismissed_sleeper_ends, bound() - 2, in NoneIsWoken: "deadlock";
    explore a_sleeper_that_leaves_takes_no_wake_along, bound() - 2, in NoFences: "deadlock";
    explore a_sleeper_that_leaves_takes_no_wake_along, bound() - 2, in NoneIsWoken: "deadlock";
    explore a_task_does_not_wait_for_a_worker_that_blocks, bound(), in NoFences: "deadlock";
    explore a_task_does_not_wait_for_a_worker_that_blocks, bound(), in NoneIsWoken: "deadlock";
    explore a_task_that_comes_when_the_sentinel_ends_is_taken, bound() - 2, in NoFences: "deadlock";
    sweep a_successor_of_a_sentinel_is_woken, bound() - 2, in NoneIsWoken: "deadlock";
    explore the_caller_gets_its_result, bound(), in NoFences: "deadlock";
    explore the_caller_gets_its_result, bound(), in NoneIsWoken: "deadlock";
    explore a_caller_that_has_left_its_slot_in_the_stack_gets_the_next_result, bound(), in NoFences: "deadlock";
    explore a_caller_that_has_left_its_slot_in_the_stack_gets_the_next_result, bound(), in NoneIsWoken: "deadlock";
    explore a_caller_that_has_left_its_slot_in_the_stack_gets_the_next_result, bound(), in ReleaseIsRelaxed: "deadlock";
    explore a_caller_that_waits_for_many_is_woken_when_the_lanes_are_empty, bound() - 2, in NoFences: "deadlock";
    explore a_worker_is_as_far_ahead_as_it_may_be, bound(), in NoneIsWoken: "deadlock";
    explore a_worker_that_is_stopped_ends, bound(), in NoneIsWoken: "deadlock";
    explore a_worker_is_as_far_ahead_as_it_may_be, bound(), in NoFences: "deadlock";
    explore each_value_is_there_once, bound() - 1, in ReleaseIsRelaxed: "a value that is not there";
    explore each_value_is_there_once, bound() - 1, in AcquireIsRelaxed: "a value that is not there";
    explore each_value_is_there_once, bound() - 1, in NoFences: "deadlock";
    explore a_task_whose_values_are_not_wanted_ends, bound(), in NoFences: "deadlock";
    explore a_task_whose_values_are_not_wanted_ends, bound(), in NoneIsWoken: "deadlock";
    explore a_turn_begins_anew, bound(), in ReleaseIsRelaxed: "more than it may be ahead";
    explore a_turn_begins_anew, bound(), in AcquireIsRelaxed: "more than it may be ahead";
    explore what_is_kept_is_not_used_again, bound(), in ReleaseIsRelaxed: "memory that is kept was used again";
    explore what_is_kept_is_not_used_again, bound(), in AcquireIsRelaxed: "memory that is kept was used again";
    sweep a_killed_worker_strands_no_caller, bound() - 2, in NoneIsWoken: "deadlock";
    sweep a_killed_sleeper_takes_no_wake_along, bound() - 2, in NoneIsWoken: "deadlock";
}
