//! ModelOwned: a word that the model's kernel finds when its owner dies.

use crate::checker::Atomic;
use crate::life::{self, Checker, step};
use crate::word::{Futex, ModelWord};
use mp_core::word::{Ordering, Owned};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// The bits of an owned word that name its owner.
pub(crate) const TID_MASK: u32 = (1 << 30) - 1;
const OWNER_DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// [`Owned`] as a checker sees it.
pub struct ModelOwned<C: Checker>(ModelWord<C>);

impl<C: Checker> Default for ModelOwned<C> {
    fn default() -> Self {
        ModelOwned(ModelWord::default())
    }
}

impl<C: Checker> fmt::Debug for ModelOwned<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One thread's robust list.
pub(crate) struct RobustList<C: Checker> {
    enlisted: Vec<Arc<Futex<C>>>,
    pending: Option<Arc<Futex<C>>>,
}

impl<C: Checker> Default for RobustList<C> {
    fn default() -> Self {
        RobustList { enlisted: Vec::new(), pending: None }
    }
}

impl<C: Checker> Owned for ModelOwned<C> {
    type Word = ModelWord<C>;

    fn word(&self) -> &ModelWord<C> {
        &self.0
    }
    fn me() -> u32 {
        life::id::<C>()
    }
    fn announce(&self) {
        step::<C>();
        life::with_list::<C, _>(|list| list.pending = Some(Arc::clone(self.0.futex())));
    }
    fn enlist(&self) {
        step::<C>();
        life::with_list::<C, _>(|list| list.enlisted.push(Arc::clone(self.0.futex())));
    }
    fn delist(&self) {
        step::<C>();
        life::with_list::<C, _>(|list| list.enlisted.retain(|other| !Arc::ptr_eq(other, self.0.futex())));
    }
    fn retract(&self) {
        step::<C>();
        life::with_list::<C, _>(|list| list.pending = None);
    }
    fn kernel_tells() -> bool {
        true
    }
    fn is_dead(owner: u32) -> bool {
        step::<C>();
        life::world::<C>().is_dead(owner)
    }
}

impl<C: Checker> RobustList<C> {
    /// What the kernel does with a dead thread's list (`exit_robust_list`): the entries, then the pending one.
    pub(crate) fn owner_died(self, tid: u32) {
        let pending = self.pending;
        let is_pending = |futex: &Arc<Futex<C>>| {
            pending.as_ref().is_some_and(|p| ptr::eq(&raw const **p, &raw const **futex))
        };
        for futex in self.enlisted.iter().filter(|futex| !is_pending(futex)) {
            word_of_the_dead(futex, tid, false);
        }
        if let Some(futex) = &pending {
            word_of_the_dead(futex, tid, true);
        }
    }
}

/// The kernel's `handle_futex_death`.
fn word_of_the_dead<C: Checker>(futex: &Futex<C>, tid: u32, pending: bool) {
    // ORDERING: SeqCst throughout: the kernel's exchange is a full barrier.
    let mut seen = futex.value.load(Ordering::SeqCst);
    loop {
        if pending && seen & TID_MASK == 0 {
            futex.wake(1);
            return;
        }
        if seen & TID_MASK != tid {
            return;
        }
        let marked = seen & WAITERS | OWNER_DIED;
        match futex.value.compare_exchange(seen, marked, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                if seen & WAITERS != 0 {
                    futex.wake(1);
                }
                return;
            }
            Err(now) => seen = now,
        }
    }
}
