//! Held: a lock while it is held, whichever lock it is.

use crate::error::{AcquireError, OwnerDied};
use crate::raw::Acquired;
use std::marker::PhantomData;

/// A lock that a guard gives back.
pub trait Holdable {
    /// Takes back one acquire of the calling thread; `false` if it holds nothing.
    fn give_back(&self) -> bool;
    /// Says that what is guarded is whole again.
    fn clear_died(&self);
}

/// A lock, held; given back when dropped. It belongs to its thread.
///
/// Python: `with lock:`.
#[derive(Debug)]
#[must_use = "dropped at once, the lock is given back at once"]
pub struct Held<'a, L: Holdable> {
    lock: &'a L,
    own_thread_only: PhantomData<*const ()>,
}

impl<'a, L: Holdable> Held<'a, L> {
    /// For what an acquire without a deadline gave; asks again if it gave nothing.
    #[inline]
    pub(crate) fn after(
        lock: &'a L,
        acquire: impl Fn() -> Option<Acquired>,
    ) -> Result<Self, OwnerDied<Self>> {
        loop {
            match Held::of(lock, acquire()) {
                Ok(guard) => return Ok(guard),
                Err(AcquireError::OwnerDied(died)) => return Err(died),
                Err(AcquireError::Busy) => {}
            }
        }
    }

    /// For what an acquire gave.
    #[inline]
    pub(crate) fn of(lock: &'a L, taken: Option<Acquired>) -> Result<Self, AcquireError<Self>> {
        let guard = || Held { lock, own_thread_only: PhantomData };
        match taken {
            Some(Acquired::Clean) => Ok(guard()),
            Some(Acquired::OwnerDied) => Err(AcquireError::OwnerDied(OwnerDied::new(guard()))),
            None => Err(AcquireError::Busy),
        }
    }

    /// Says that what the lock guards is whole again: acquires no longer report the holder who died.
    pub fn clear_owner_died(&self) {
        self.lock.clear_died();
    }

    /// Keeps the lock without a guard, until the same thread calls `release`.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl<L: Holdable> Drop for Held<'_, L> {
    #[inline]
    fn drop(&mut self) {
        // Not ours in a forked child, which has a copy of its parent's guard: then nothing is released.
        self.lock.give_back();
    }
}
