//! ModelListed: an owned word that records which thread's list it is on.
//!
//! The links of the kernel's list lie in the word itself, so a word is on one list at a time: a thread that enlists it
//! while it is on another thread's list overwrites the links that the other one will follow. [`ModelOwned`] has no
//! links, and would not see it. Here a word of the checker's stands for them; each change is a step that schedules can
//! come between. It is for models without deaths, since no kernel cleans it up.

use crate::checker::Atomic;
use crate::faults::Fault;
use crate::life::Checker;
use crate::owned::{ModelOwned, TID_MASK};
use crate::word::ModelWord;
use mp_core::word::{Ordering, Owned, Word};
use std::fmt;
use std::marker::PhantomData;

const NO_LIST: u32 = 0;

/// An owned word with links, and a fault before it.
pub struct ModelListed<C: Checker, F> {
    owned: ModelOwned<C>,
    /// The thread on whose list it is.
    list: C::Word,
    fault: PhantomData<fn() -> F>,
}

impl<C: Checker, F> Default for ModelListed<C, F> {
    fn default() -> Self {
        ModelListed { owned: ModelOwned::default(), list: C::Word::default(), fault: PhantomData }
    }
}

impl<C: Checker, F> fmt::Debug for ModelListed<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owned.fmt(f)
    }
}

impl<C: Checker, F> ModelListed<C, F> {
    /// Writes the links.
    fn changes_lists(&self, from: u32, to: u32) {
        // ORDERING: Relaxed: the writer holds the lock, which orders it; if not, that is the fault to be found.
        let before = self.list.swap(to, Ordering::Relaxed);
        assert_eq!(before, from, "the word is on another thread's list");
    }
}

impl<C: Checker, F: Fault> Owned for ModelListed<C, F> {
    type Word = ModelWord<C>;

    fn word(&self) -> &ModelWord<C> {
        self.owned.word()
    }
    fn me() -> u32 {
        ModelOwned::<C>::me()
    }
    fn announce(&self) {
        self.owned.announce();
    }
    fn enlist(&self) {
        self.changes_lists(NO_LIST, Self::me());
        self.owned.enlist();
    }
    fn delist(&self) {
        if F::DELISTS_IN_TIME {
            self.changes_lists(Self::me(), NO_LIST);
            self.owned.delist();
        }
    }
    fn retract(&self) {
        // ORDERING: Relaxed, as in `changes_lists`.
        let given_back = || self.word().load(Ordering::Relaxed) & TID_MASK != Self::me();
        if !F::DELISTS_IN_TIME && self.list.load(Ordering::Relaxed) == Self::me() && given_back() {
            self.changes_lists(Self::me(), NO_LIST);
            self.owned.delist();
        }
        self.owned.retract();
    }
    fn kernel_tells() -> bool {
        ModelOwned::<C>::kernel_tells()
    }
    fn is_dead(owner: u32) -> bool {
        ModelOwned::<C>::is_dead(owner)
    }
}
