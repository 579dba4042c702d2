//! Worlds with one fault each: the models must fail in them.
//!
//! loom ends the program on a deadlock, so each mutant runs in a child of this test program, which calls itself
//! with the mutant's name in the environment.

use crate::models::*;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};
use mp_model::{ModelOwned, ModelWord, bound, explore, sweep, sweep_woken};
use std::marker::PhantomData;
use std::process::{Command, Stdio};
use std::time::Instant;

const CHOICE: &str = "MP_MUTANT";
/// What a child says when its model passed.
const SURVIVED: &str = "the mutant survived";

/// What is wrong with a world. Nothing, unless a mutant says so.
trait Fault: 'static {
    fn order(order: Ordering) -> Ordering {
        order
    }
    /// What is written instead of `new`, by anything but a plain store, over `old` if that is known.
    fn exchanged(_old: Option<u32>, new: u32) -> u32 {
        new
    }
    fn stored(new: u32) -> u32 {
        new
    }
    fn woken(count: u32) -> u32 {
        count
    }
    const ENLISTS: bool = true;
    const ANNOUNCES: bool = true;
    const TELLS_DEATH: bool = true;
}

/// A word with a fault before it.
struct Faulty<F>(ModelWord, PhantomData<fn() -> F>);

impl<F> Default for Faulty<F> {
    fn default() -> Self {
        Faulty(ModelWord::default(), PhantomData)
    }
}

impl<F: Fault> Word for Faulty<F> {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(F::order(order))
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(F::stored(value), F::order(order));
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(F::exchanged(None, value), F::order(order))
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, F::order(order))
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, F::order(order))
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, F::order(order))
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, F::exchanged(Some(current), new), F::order(ok), F::order(err))
    }
    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        self.0.wait(expected, until)
    }
    fn wake(&self, count: u32) {
        match F::woken(count) {
            0 => {}
            count => self.0.wake(count),
        }
    }
    fn spin(round: u32) -> bool {
        ModelWord::spin(round)
    }
    fn fence() {
        ModelWord::fence();
    }
}

/// An owned word with a fault before it.
struct FaultyOwned<F> {
    owned: ModelOwned,
    word: Faulty<F>,
}

impl<F> Default for FaultyOwned<F> {
    fn default() -> Self {
        let owned = ModelOwned::default();
        let word = Faulty(owned.word().clone(), PhantomData);
        FaultyOwned { owned, word }
    }
}

impl<F: Fault> Owned for FaultyOwned<F> {
    type Word = Faulty<F>;
    fn word(&self) -> &Faulty<F> {
        &self.word
    }
    fn me() -> u32 {
        ModelOwned::me()
    }
    fn announce(&self) {
        if F::ANNOUNCES {
            self.owned.announce();
        }
    }
    fn enlist(&self) {
        if F::ENLISTS {
            self.owned.enlist();
        }
    }
    fn delist(&self) {
        self.owned.delist();
    }
    fn retract(&self) {
        self.owned.retract();
    }
    fn kernel_tells() -> bool {
        F::ENLISTS
    }
    fn is_dead(owner: u32) -> bool {
        F::TELLS_DEATH && ModelOwned::is_dead(owner)
    }
}

macro_rules! faults {
    ($($name:ident { $($what:tt)* })*) => {$(
        struct $name;
        impl Fault for $name { $($what)* }
    )*};
}

const WAITERS: u32 = 1 << 31;
const DIED: u32 = 1 << 30;

faults! {
    ReleaseIsRelaxed {
        fn order(order: Ordering) -> Ordering {
            match order {
                Ordering::Release => Ordering::Relaxed,
                Ordering::AcqRel => Ordering::Acquire,
                other => other,
            }
        }
    }
    AcquireIsRelaxed {
        fn order(order: Ordering) -> Ordering {
            match order {
                Ordering::Acquire => Ordering::Relaxed,
                Ordering::AcqRel => Ordering::Release,
                other => other,
            }
        }
    }
    NobodyIsWoken { fn woken(_: u32) -> u32 { 0 } }
    OnlyOneIsWoken { fn woken(_: u32) -> u32 { 1 } }
    // Who wants to sleep does not say so.
    NobodyMarks {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old & !DIED != 0) { new & !WAITERS } else { new }
        }
    }
    // The sleeper that wakes takes the word without WAITERS. (Alone, the note makes up for it once.)
    WakesForgetWaiters {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old & !DIED == 0) { new & !WAITERS } else { new }
        }
        fn stored(_: u32) -> u32 { 0 }
    }
    // A release that finds DIED does not write it back.
    DiedIsForgotten { fn exchanged(_: Option<u32>, new: u32) -> u32 { if new == DIED { 0 } else { new } } }
    // A woken taker of a permit does not say that others may sleep still.
    TakersForgetTheMark {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old != 0 && old & WAITERS == 0) { new & !WAITERS } else { new }
        }
    }
    // The note that a release leaves is never there. Nothing else uses a plain store.
    NoNoteIsLeft { fn stored(_: u32) -> u32 { 0 } }
    NeverEnlisted { const ENLISTS: bool = false; }
    NobodyIsEverDead { const TELLS_DEATH: bool = false; }
    DiesUnseenInTheLock {
        const ENLISTS: bool = false;
        const TELLS_DEATH: bool = false;
    }
    NeverAnnounced { const ANNOUNCES: bool = false; }
    // The event's round stands still.
    RoundsAreNotCounted { fn exchanged(_: Option<u32>, new: u32) -> u32 { new & 0b11 } }
}

/// A round that broke is written as one that passed.
struct BreakIsForgotten;
impl Fault for BreakIsForgotten {
    fn exchanged(old: Option<u32>, new: u32) -> u32 {
        if old.is_none() && new & 0b11 == 1 { new & !1 } else { new }
    }
}

macro_rules! mutants {
    ($($how:ident $model:ident in $world:ident<$fault:ident>;)*) => {
        const MUTANTS: &[(&str, fn())] = &[$((
            concat!(stringify!($model), " in ", stringify!($fault)),
            || {
                $how(bound(), $model::<$world<$fault>>);
            },
        )),*];
    };
}

mutants! {
    explore lock_excludes_and_hands_on in FaultyOwned<ReleaseIsRelaxed>;
    explore lock_excludes_and_hands_on in FaultyOwned<AcquireIsRelaxed>;
    explore lock_excludes_and_hands_on in FaultyOwned<NobodyIsWoken>;
    explore lock_excludes_and_hands_on in FaultyOwned<NobodyMarks>;
    explore lock_excludes_and_hands_on in FaultyOwned<WakesForgetWaiters>;
    sweep   lock_dead_holder_is_reported in FaultyOwned<NeverEnlisted>;
    sweep   lock_dead_releaser_sleeper_barger in FaultyOwned<NeverAnnounced>;
    sweep   lock_dead_releaser_sleeper_barger in FaultyOwned<NoNoteIsLeft>;
    sweep_woken lock_dead_sleeper_sleeper_barger in FaultyOwned<NeverAnnounced>;
    sweep_woken lock_dead_sleeper_sleeper_barger in FaultyOwned<NoNoteIsLeft>;
    sweep   lock_died_stays_until_cleared in FaultyOwned<DiedIsForgotten>;
    explore rlock_is_held_until_the_last_release in FaultyOwned<ReleaseIsRelaxed>;
    explore rlock_is_held_until_the_last_release in FaultyOwned<AcquireIsRelaxed>;
    explore rlock_all_is_given_and_taken_back in FaultyOwned<NobodyIsWoken>;
    sweep   rlock_dead_holder_is_reported in FaultyOwned<DiesUnseenInTheLock>;
    explore semaphore_of_one_excludes in Faulty<ReleaseIsRelaxed>;
    explore semaphore_of_one_excludes in Faulty<AcquireIsRelaxed>;
    explore semaphore_wakes_one_for_each in Faulty<NobodyIsWoken>;
    explore semaphore_wakes_one_for_each in Faulty<TakersForgetTheMark>;
    explore event_set_wakes_all in Faulty<ReleaseIsRelaxed>;
    explore event_set_wakes_all in Faulty<AcquireIsRelaxed>;
    explore event_set_wakes_all in Faulty<NobodyIsWoken>;
    explore event_set_wakes_all in Faulty<OnlyOneIsWoken>;
    explore event_second_set_publishes_too in Faulty<ReleaseIsRelaxed>;
    explore event_second_set_publishes_too in Faulty<AcquireIsRelaxed>;
    explore event_clear_sees_what_it_wipes_out in Faulty<AcquireIsRelaxed>;
    explore event_set_then_clear_still_counts in WatchedFaulty<RoundsAreNotCounted>;
    explore barrier_two_rounds in FaultyOwned<ReleaseIsRelaxed>;
    explore barrier_two_rounds in FaultyOwned<AcquireIsRelaxed>;
    explore barrier_two_rounds in FaultyOwned<NobodyIsWoken>;
    explore barrier_of_three in FaultyOwned<OnlyOneIsWoken>;
    explore barrier_timeout_breaks_it_for_all in FaultyOwned<BreakIsForgotten>;
    explore barrier_abort_breaks_it_for_all in FaultyOwned<BreakIsForgotten>;
    explore rwlock_readers_see_whole_writes in FaultyOwned<NobodyIsWoken>;
    explore rwlock_readers_see_whole_writes in FaultyOwned<ReleaseIsRelaxed>;
    explore rwlock_writers_exclude_each_other in FaultyOwned<AcquireIsRelaxed>;
    explore seats_are_handed_on in FaultyOwned<NobodyIsWoken>;
    explore seats_are_handed_on in FaultyOwned<AcquireIsRelaxed>;
    explore condition_notify_wakes_who_waits in FaultyOwned<NobodyIsWoken>;
    explore condition_notify_wakes_who_waits in FaultyOwned<NobodyMarks>;
    explore condition_each_notification_is_for_one in FaultyOwned<NobodyMarks>;
    sweep   condition_place_of_the_dead in FaultyOwned<DiesUnseenInTheLock>;
    sweep   lock_without_a_kernel_list in FaultyOwned<DiesUnseenInTheLock>;
    sweep   barrier_dead_party in FaultyOwned<NobodyIsEverDead>;
    sweep   barrier_dead_party in FaultyOwned<DiesUnseenInTheLock>;
    sweep   barrier_dead_in_the_action in FaultyOwned<NobodyIsEverDead>;
}

type WatchedFaulty<F> = Watched<Faulty<F>>;

/// Run by [`mutants_are_caught`], with the mutant's name in the environment; without one there is nothing to do.
#[test]
#[ignore = "run by mutants_are_caught"]
fn mutant() {
    let Ok(choice) = std::env::var(CHOICE) else { return };
    let (_, run) = MUTANTS.iter().find(|(name, _)| *name == choice).expect("a mutant of the list");
    run();
    println!("{SURVIVED}");
}

#[test]
fn mutants_are_caught() {
    let survivors: Vec<_> = MUTANTS.iter().map(|(name, _)| *name).filter(|name| !is_caught(name)).collect();
    assert!(survivors.is_empty(), "mutants that no model catches: {survivors:#?}");
}

fn is_caught(name: &str) -> bool {
    let began = Instant::now();
    let this = std::env::current_exe().expect("the test program");
    let child = Command::new(this)
        .args(["mutants::mutant", "--exact", "--ignored", "--nocapture"])
        .env(CHOICE, name)
        .stdin(Stdio::null())
        .output()
        .expect("the test program runs again");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("running 1 test"), "the mutant did not run: {said}");
    let caught = !child.status.success() && !said.contains(SURVIVED);
    let verdict = if caught { "caught" } else { "SURVIVED" };
    println!("{name:<72} {verdict}  {:>6.2} s", began.elapsed().as_secs_f64());
    if !caught {
        println!("{said}");
    }
    caught
}
