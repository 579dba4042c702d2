//! Worlds with one fault each: models must fail in them.

use crate::life::{Checker, has_dozed};
use crate::owned::ModelOwned;
use crate::word::{ModelLong, ModelWord};
use mp_core::word::{Deadline, Learned, Long, Looks, Machine, Ordering, Owned, Site, Wake, Word};
use std::marker::PhantomData;

/// What is wrong with a world. Nothing, unless a mutant says so.
pub trait Fault: 'static {
    /// What an access to a word has instead of this ordering.
    fn order(order: Ordering) -> Ordering {
        order
    }
    /// The same for plain stores alone.
    fn stored_order(order: Ordering) -> Ordering {
        Self::order(order)
    }
    /// The same for cursors and counters, which are not words.
    fn long_order(order: Ordering) -> Ordering {
        order
    }
    /// What is written instead of `new`, by anything but a plain store, over `old` if that is known.
    fn exchanged(_old: Option<u32>, new: u32) -> u32 {
        new
    }
    /// What a plain store writes instead of `new`.
    fn stored(new: u32) -> u32 {
        new
    }
    /// What is stored in a cursor or counter instead of `new`.
    fn long_stored(new: u64) -> u64 {
        new
    }
    /// How many are woken instead of `count`.
    fn woken(count: u32) -> u32 {
        count
    }
    /// Whether a thread that has slept by a deadline wakes others.
    const DOZERS_WAKE: bool = true;
    /// Whether fences are there.
    const FENCES: bool = true;
    /// Whether a holder is on the kernel's list.
    const ENLISTS: bool = true;
    /// Whether the kernel knows the thread that is about to acquire or to release.
    const ANNOUNCES: bool = true;
    /// Whether it can be asked which threads are dead.
    const TELLS_DEATH: bool = true;
    /// Whether a word is off its holder's list before it is given back (`ModelListed`).
    const DELISTS_IN_TIME: bool = true;
}

/// No fault.
impl Fault for () {}

/// A word with a fault before it.
pub struct Faulty<C: Checker, F>(ModelWord<C>, PhantomData<fn() -> F>);

impl<C: Checker, F> Default for Faulty<C, F> {
    fn default() -> Self {
        Faulty(ModelWord::<C>::default(), PhantomData)
    }
}

impl<C: Checker, F> Clone for Faulty<C, F> {
    fn clone(&self) -> Self {
        Faulty(self.0.clone(), PhantomData)
    }
}

impl<C: Checker, F: Fault> Machine for Faulty<C, F> {
    const QUICK: u32 = ModelWord::<C>::QUICK;

    fn now() -> u64 {
        ModelWord::<C>::now()
    }
    fn pause() {
        ModelWord::<C>::pause();
    }
    fn yield_now() {
        ModelWord::<C>::yield_now();
    }
    fn sleep_cost() -> u32 {
        ModelWord::<C>::sleep_cost()
    }
    fn one_cpu() -> bool {
        ModelWord::<C>::one_cpu()
    }
    fn turn() -> Option<u32> {
        ModelWord::<C>::turn()
    }
}

impl<C: Checker, F: Fault> Learned for Faulty<C, F> {
    fn site(&self) -> Site {
        self.0.site()
    }
    fn learn(&self, site: Site) {
        self.0.learn(site);
    }
}

impl<C: Checker, F: Fault> Word for Faulty<C, F> {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(F::order(order))
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(F::stored(value), F::stored_order(order));
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
    fn wait_either(&self, expected: u32, other: &Self, other_expected: u32, until: Option<Deadline>) -> Wake {
        self.0.wait_either(expected, &other.0, other_expected, until)
    }
    fn wait_long(&self, expected: u32, until: Option<Deadline>, looks: Looks) -> Wake {
        self.0.wait_long(expected, until, looks)
    }
    fn wake(&self, count: u32) -> u32 {
        if !F::DOZERS_WAKE && has_dozed::<C>() {
            return 0;
        }
        match F::woken(count) {
            0 => 0,
            count => self.0.wake(count),
        }
    }
    fn wake_long(&self, count: u32) -> u32 {
        match F::woken(count) {
            0 => 0,
            count => self.0.wake_long(count),
        }
    }
    fn fence() {
        if F::FENCES {
            ModelWord::<C>::fence();
        }
    }
}

/// An owned word with a fault before it.
pub struct FaultyOwned<C: Checker, F> {
    owned: ModelOwned<C>,
    word: Faulty<C, F>,
}

impl<C: Checker, F> Default for FaultyOwned<C, F> {
    fn default() -> Self {
        let owned = ModelOwned::<C>::default();
        let word = Faulty(owned.word().clone(), PhantomData);
        FaultyOwned { owned, word }
    }
}

impl<C: Checker, F: Fault> Owned for FaultyOwned<C, F> {
    type Word = Faulty<C, F>;
    fn word(&self) -> &Faulty<C, F> {
        &self.word
    }
    fn me() -> u32 {
        ModelOwned::<C>::me()
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
        F::TELLS_DEATH && ModelOwned::<C>::is_dead(owner)
    }
}

/// A cursor or counter with a fault before it.
pub struct FaultyLong<C: Checker, F>(ModelLong<C>, PhantomData<fn() -> F>);

impl<C: Checker, F> Default for FaultyLong<C, F> {
    fn default() -> Self {
        FaultyLong(ModelLong::<C>::default(), PhantomData)
    }
}

impl<C: Checker, F: Fault> Long for FaultyLong<C, F> {
    fn load(&self, order: Ordering) -> u64 {
        self.0.load(F::long_order(order))
    }
    fn store(&self, value: u64, order: Ordering) {
        self.0.store(F::long_stored(value), F::long_order(order));
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident { $($what:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;
        impl Fault for $name { $($what)* }
    )*};
}

const WAITERS: u32 = 1 << 31;
const DIED: u32 = 1 << 30;

faults! {
    /// No Release.
    ReleaseIsRelaxed {
        fn order(order: Ordering) -> Ordering {
            match order {
                Ordering::Release => Ordering::Relaxed,
                Ordering::AcqRel => Ordering::Acquire,
                other => other,
            }
        }
    }
    /// No Acquire.
    AcquireIsRelaxed {
        fn order(order: Ordering) -> Ordering {
            match order {
                Ordering::Acquire => Ordering::Relaxed,
                Ordering::AcqRel => Ordering::Release,
                other => other,
            }
        }
    }
    /// Wakes have no effect.
    NoneIsWoken { fn woken(_: u32) -> u32 { 0 } }
    /// Wakes wake one at most.
    OnlyOneIsWoken { fn woken(_: u32) -> u32 { 1 } }
    /// A thread that napped wakes no other.
    NappersPassNoWakeOn { const DOZERS_WAKE: bool = false; }
    /// A thread that is about to sleep does not set the flag.
    NoneMarks {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old & !DIED != 0) { new & !WAITERS } else { new }
        }
    }
    /// The sleeper that wakes takes the word without WAITERS. (Alone, the note makes up for it once.)
    WakesForgetWaiters {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old & !DIED == 0) { new & !WAITERS } else { new }
        }
        fn stored(_: u32) -> u32 { 0 }
    }
    /// A release that finds DIED does not write it back.
    DiedIsForgotten { fn exchanged(_: Option<u32>, new: u32) -> u32 { if new == DIED { 0 } else { new } } }
    /// A woken taker of a permit does not say that others may sleep still.
    TakersForgetTheMark {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_some_and(|old| old != 0 && old & WAITERS == 0) { new & !WAITERS } else { new }
        }
    }
    /// The note that a release leaves is never there. Nothing else uses a plain store.
    NoNoteIsLeft { fn stored(_: u32) -> u32 { 0 } }
    /// The kernel's list is empty.
    NeverEnlisted { const ENLISTS: bool = false; }
    /// Each query returns that all threads live.
    NoneIsEverDead { const TELLS_DEATH: bool = false; }
    /// The kernel's list is empty, and each query returns that all threads live.
    DiesUnseenInTheLock {
        const ENLISTS: bool = false;
        const TELLS_DEATH: bool = false;
    }
    /// No death is reported, by the kernel or by a query, whatever the thread was about to do.
    NoDeathIsReported {
        const ENLISTS: bool = false;
        const ANNOUNCES: bool = false;
        const TELLS_DEATH: bool = false;
    }
    /// A word is given back first, and then taken off the kernel's list.
    DelistedTooLate { const DELISTS_IN_TIME: bool = false; }
    /// The kernel does not know the thread that is about to acquire or to release.
    NeverAnnounced { const ANNOUNCES: bool = false; }
    /// A cursor or counter is written and read without an ordering: a commit does not publish the bytes.
    CommitsAreRelaxed {
        fn long_order(_: Ordering) -> Ordering {
            // ORDERING: none, which is the fault.
            Ordering::Relaxed
        }
    }
    /// A plain store has no Release: a link may be seen before what it leads to.
    StoresAreRelaxed {
        fn stored_order(_: Ordering) -> Ordering {
            // ORDERING: none, which is the fault.
            Ordering::Relaxed
        }
    }
    /// A note in two halves of which the lower one is 0 is not kept.
    NotesAreLost { fn long_stored(new: u64) -> u64 { if new as u32 == 0 { 0 } else { new } } }
    /// No fences.
    NoFences { const FENCES: bool = false; }
    /// The event's round stands still.
    RoundsAreNotCounted { fn exchanged(_: Option<u32>, new: u32) -> u32 { new & 0b11 } }
    /// A round that broke is written as one that passed.
    BreakIsForgotten {
        fn exchanged(old: Option<u32>, new: u32) -> u32 {
            if old.is_none() && new & 0b11 == 1 { new & !1 } else { new }
        }
    }
}
