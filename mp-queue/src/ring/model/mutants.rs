//! Worlds with one fault each: the models must fail in them, and for the reason that the fault is.

use super::batches::*;
use super::growth::*;
use super::leaders::*;
use super::polls::*;
use super::records::*;
use super::tasks::*;
use super::waits::*;
use super::world::{Broken, Tracked, World, worlds};
use mp_core::word::{Long, Ordering, Owned};
use mp_model::thorough::{ModelLong, ModelOwned, bound, explore, sweep, sweep_woken};
use mp_model::{CommitsAreRelaxed, NoDeathIsReported, NoFences, NoneIsWoken, NotesAreLost, StoresAreRelaxed};

/// A cursor that the model's main thread, which takes, stores without an ordering: room is used again while
/// it is read.
#[derive(Debug, Default)]
pub(super) struct RelaxedOfTakers(ModelLong);

impl Long for RelaxedOfTakers {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }
    fn store(&self, value: u64, order: Ordering) {
        // ORDERING: Relaxed is the fault.
        self.0.store(value, if ModelOwned::me() == 1 { Ordering::Relaxed } else { order });
    }
}

worlds! {
    in thorough, of Tracked:
    HeadsAreRelaxed { type Long = RelaxedOfTakers; }
    ReleasesLate { type Long = ModelLong; const RELEASES_LATE: bool = true; }
    LinksEarly { type Long = ModelLong; const LINKS_EARLY: bool = true; }
    PutsApart { type Long = ModelLong; const PUTS_APART: bool = true; }
    TakesApart { type Long = ModelLong; const TAKES_APART: bool = true; }
    ClearsLate { type Long = ModelLong; const CLEARS_LATE: bool = true; }
    NeverLooks { type Long = ModelLong; const NEVER_LOOKS: bool = true; }
}

/// A mutant for each `how model, effort, in World: "what it says when it fails";`, and the tests that all are
/// caught.
macro_rules! mutants {
    ($($how:ident $model:ident, $effort:expr, in $world:ty: $says:literal;)*) => {
        const MUTANTS: &[mp_model::Mutant] = &[$(mp_model::Mutant {
            name: concat!(stringify!($model), " in ", stringify!($world)),
            says: $says,
            run: || {
                $how($effort, $model::<$world>);
            },
        }),*];

        mp_model::mutant_tests!(MUTANTS);
    };
}
pub(in crate::ring) use mutants;

mutants! {
    sweep a_killed_putter_leaves_whole_records, bound(), in Broken<NoDeathIsReported>: "deadlock";
    sweep a_killed_taker_takes_one_record_at_most, bound(), in Broken<NoDeathIsReported>: "deadlock";
    explore records_go_round, bound() - 1, in HeadsAreRelaxed: "Causality violation";
    explore records_go_round, bound() - 1, in Broken<CommitsAreRelaxed>: "Causality violation";
    explore records_go_round_a_segment_of_three_units, bound() - 1, in HeadsAreRelaxed: "Causality violation";
    sweep a_putter_killed_at_the_end_of_seven_units_leaves_whole_records, bound(), in Broken<NoDeathIsReported>: "deadlock";
    sweep a_putter_killed_at_the_end_leaves_whole_records, bound(), in Broken<NoDeathIsReported>: "deadlock";
    sweep a_taker_killed_at_the_end_takes_one_record_at_most, bound(), in Broken<CommitsAreRelaxed>: "Causality violation";
    explore records_put_together_come_together, bound(), in PutsApart: "one was seen without the other";
    sweep a_putter_killed_with_two_leaves_both_or_none, bound(), in PutsApart: "one without the other";
    sweep a_taker_killed_with_two_takes_both_or_none, bound(), in TakesApart: "one without the other";
    explore takers_of_many_share_what_is_there, bound(), in TakesApart: "assertion `left == right` failed";
    explore a_batch_goes_on_in_the_next_segment, bound() - 1, in PutsApart: "one was seen without the other";
    sweep a_putter_killed_with_a_batch_in_two_segments_leaves_its_beginning, bound() - 1, in PutsApart: "one without the other";
    explore records_cross_from_segment_to_segment, bound() - 1, in Broken<StoresAreRelaxed>: "assertion `left == right` failed";
    explore records_cross_from_segment_to_segment, bound() - 1, in Broken<CommitsAreRelaxed>: "Causality violation";
    explore a_segment_is_given_back_before_it_is_used_again, bound() - 1, in ReleasesLate: "Causality violation";
    sweep a_putter_killed_in_a_hop_leaves_whole_records, bound(), in LinksEarly: "one is missing";
    sweep a_putter_killed_on_its_way_back_leaves_whole_records, bound(), in LinksEarly: "one is missing";
    sweep a_taker_killed_while_it_leaves_loses_one_record_at_most, bound(), in ReleasesLate: "Causality violation";
    explore a_sleeper_gets_its_item, bound(), in Broken<CommitsAreRelaxed>: "Causality violation";
    explore a_sleeper_gets_its_item, bound(), in Broken<NoFences>: "deadlock";
    explore a_sleeper_gets_its_item, bound(), in Broken<NoneIsWoken>: "deadlock";
    explore a_putter_gets_its_room, bound(), in Broken<NoFences>: "deadlock";
    explore a_putter_gets_its_room, bound(), in Broken<NoneIsWoken>: "deadlock";
    explore each_of_two_sleepers_gets_its_item, bound() - 2, in Broken<NoneIsWoken>: "deadlock";
    explore each_of_two_putters_gets_its_room, bound() - 2, in Broken<NoneIsWoken>: "deadlock";
    explore a_getter_that_sees_the_end_has_seen_every_item, bound() - 1, in Broken<StoresAreRelaxed>: "assertion `left == right` failed";
    sweep a_killed_putter_strands_no_sleeper, bound() - 2, in NeverLooks: "deadlock";
    sweep a_killed_taker_strands_no_putter, bound() - 2, in NeverLooks: "deadlock";
    sweep_woken a_killed_sleeper_takes_no_wake_along, bound() - 2, in Broken<NoneIsWoken>: "deadlock";
    explore a_napper_gets_its_item, bound(), in Broken<NoneIsWoken>: "deadlock";
    explore a_napper_gets_its_item, bound(), in Broken<NoFences>: "deadlock";
    sweep a_killed_putter_strands_no_napper, bound() - 2, in NeverLooks: "deadlock";
    explore a_follower_is_promoted_by_a_leader_that_leaves, bound(), in Led<NoFences>: "deadlock";
    explore tasks_and_what_they_put_are_done_when_joined, bound() - 1, in Broken<NoFences>: "deadlock";
    sweep tasks_of_a_killed_worker_are_told_of, bound(), in Broken<NotesAreLost>: "deadlock";
    sweep tasks_taken_together_are_told_of_together, bound(), in Broken<NotesAreLost>: "deadlock";
    sweep tasks_of_the_dead_are_counted_once, bound() - 1, in Broken<NotesAreLost>: "lost";
    explore a_poller_gets_one_after_the_other, bound(), in Broken<NoFences>: "deadlock";
    explore a_poller_gets_one_after_the_other, bound(), in ClearsLate: "deadlock";
    explore each_of_two_pollers_gets_its_item, bound() - 2, in Broken<NoFences>: "deadlock";
    sweep a_killed_putter_strands_no_poller, bound() - 2, in NeverLooks: "deadlock";
}
