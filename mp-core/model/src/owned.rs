//! ModelOwned: a word that the model's kernel finds when its owner dies.

use crate::life::{self, step};
use crate::word::{Futex, ModelWord};
use mp_core::word::{Ordering, Owned};
use std::ptr;
use std::sync::Arc;

const TID_MASK: u32 = (1 << 30) - 1;
const OWNER_DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// [`Owned`] as loom sees it.
#[derive(Debug, Default)]
pub struct ModelOwned(ModelWord);

/// One thread's robust list.
#[derive(Default)]
pub(crate) struct RobustList {
    enlisted: Vec<Arc<Futex>>,
    pending: Option<Arc<Futex>>,
}

impl Owned for ModelOwned {
    type Word = ModelWord;

    fn word(&self) -> &ModelWord {
        &self.0
    }
    fn me() -> u32 {
        life::id()
    }
    fn announce(&self) {
        step();
        life::with_list(|list| list.pending = Some(Arc::clone(self.0.futex())));
    }
    fn enlist(&self) {
        step();
        life::with_list(|list| list.enlisted.push(Arc::clone(self.0.futex())));
    }
    fn delist(&self) {
        step();
        life::with_list(|list| list.enlisted.retain(|other| !Arc::ptr_eq(other, self.0.futex())));
    }
    fn retract(&self) {
        step();
        life::with_list(|list| list.pending = None);
    }
    fn kernel_tells() -> bool {
        true
    }
    fn is_dead(owner: u32) -> bool {
        step();
        life::world().is_dead(owner)
    }
}

impl RobustList {
    /// What the kernel does with a dead thread's list (`exit_robust_list`): the entries, then the pending one.
    pub(crate) fn owner_died(self, tid: u32) {
        let pending = self.pending;
        let is_pending = |futex: &Arc<Futex>| {
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
fn word_of_the_dead(futex: &Futex, tid: u32, pending: bool) {
    // ORDERING: SeqCst throughout: the kernel's exchange is a full barrier.
    let mut seen = futex.value.load(Ordering::SeqCst);
    loop {
        if pending && seen & TID_MASK == 0 {
            return futex.wake(1);
        }
        if seen & TID_MASK != tid {
            return;
        }
        let marked = seen & WAITERS | OWNER_DIED;
        match futex.value.compare_exchange(seen, marked, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) if seen & WAITERS != 0 => return futex.wake(1),
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}
