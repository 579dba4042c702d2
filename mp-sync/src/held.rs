//! Held: a lock while it is held, whichever lock it is, and the data beside it if there is any.

use crate::error::{AcquireError, OwnerDied};
use crate::raw::{Acquired, Hold};
use crate::relock::Lent;
use mp_core::mem::Loan;
use mp_core::word::Deadline;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A handle on a lock, or on something that has one.
///
/// Nobody but [`Held`] calls these two traits: they have no public path.
pub trait Locked {
    /// Its algorithm.
    type Raw: Hold;
    /// What a guard of it keeps: [`Loan`], if references into shared memory come out of the guard, else `()`.
    type Loan: Default;
    /// The lock itself.
    fn raw(&self) -> &Self::Raw;
    /// Gives the lock back, and what its guard had lent: of a lock that a thread can hold more than once.
    #[inline]
    fn release_lent(&self, lent: Lent) {
        let _ = lent;
        self.raw().release();
    }
    /// Takes back what a guard had lent that is given away without its lock.
    fn take_back(&self, lent: Lent) {
        let _ = lent;
    }
}

/// A handle on data that lies beside its lock.
pub trait Guarding: Locked<Loan = Loan> {
    /// What a holder of the lock reaches.
    type Data: ?Sized;
    /// The data, for a holder whose guard had lent `before`, and lends `now`. Panics if the calling thread does not hold
    /// the lock, or if another guard of it has lent what does not go with this.
    fn data(&self, before: Lent, now: Lent) -> &Self::Data;
    /// The data, for a holder whose guard is borrowed mutably. Panics as `data` does.
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    fn data_mut(&self, before: Lent, now: Lent) -> &mut Self::Data;
}

/// A lock, held; given back when dropped. Of a [`Value`](crate::Value), an [`Array`](crate::Array) or a
/// [`Mutex`](crate::Mutex) it is the way to the data.
///
/// It belongs to its thread:
///
/// ```compile_fail,E0277
/// let lock = mp_sync::Lock::new().unwrap();
/// let guard = lock.acquire().unwrap();
/// std::thread::scope(|scope| scope.spawn(|| drop(guard)));
/// ```
///
/// and cannot be sent to another process:
///
/// ```compile_fail,E0277
/// fn sent<T: serde::Serialize>(_: T) {}
/// let lock = mp_sync::Lock::new().unwrap();
/// sent(lock.acquire().unwrap());
/// ```
///
/// One who panics while he holds it leaves behind what one does who is killed: the next acquire says [`OwnerDied`], as
/// std's locks say that they are poisoned.
///
/// Python: `with lock:`.
///
/// # Forks
/// A guard with data gives plain references, and a forked child would have copies of them without the lock. So
/// `Process::fork` and `scope` refuse to fork while the thread has such a guard, or has leaked one:
/// `StartError::Borrowed`. If a thread ends with a guard that was leaked (`Box::leak`, `mem::forget`), the lock stays held
/// until the process has ended. A guard without data ([`Lock`](crate::Lock), [`RLock`](crate::RLock)) may be alive at a
/// fork; the child's copy of it holds nothing.
///
/// # Panics
/// A [`Value`](crate::Value) and an [`Array`](crate::Array) can be locked again by the thread that holds them. While one
/// guard has given out a `&mut` (or any reference, for one who wants to write), the data cannot be reached through another
/// one, nor by `get`, `set` and `update`: as with a `RefCell`. A guard that was never dereferenced is in nobody's way.
///
/// Data cannot be reached through the copy of a guard that a child has which the program forked by itself (`libc::fork`):
/// the lock is its parent's.
#[must_use = "dropped at once, the lock is given back at once"]
pub struct Held<'a, L: Locked> {
    lock: &'a L,
    /// Whether the thread was unwinding when it took the lock.
    panicking: bool,
    loan: Option<L::Loan>,
    lent: Cell<Lent>,
    own_thread_only: PhantomData<*const ()>,
}

impl<'a, L: Locked> Held<'a, L> {
    /// Waits for the lock.
    #[inline]
    pub(crate) fn take(lock: &'a L) -> Result<Self, OwnerDied<Self>> {
        loop {
            match Held::take_until(lock, None) {
                Ok(guard) => return Ok(guard),
                Err(AcquireError::OwnerDied(died)) => return Err(died),
                Err(AcquireError::Busy) => {}
            }
        }
    }

    /// Waits for the lock until the deadline.
    #[inline]
    pub(crate) fn take_until(lock: &'a L, until: Option<Deadline>) -> Result<Self, AcquireError<Self>> {
        Held::of(lock, lock.raw().acquire(until))
    }

    /// Takes the lock if it is free now.
    #[inline]
    pub(crate) fn try_take(lock: &'a L) -> Result<Self, AcquireError<Self>> {
        Held::of(lock, lock.raw().try_acquire())
    }

    /// Waits for the lock; a holder who died is nobody's concern.
    #[inline]
    pub(crate) fn whatever_happened(lock: &'a L) -> Self {
        Held::take(lock).unwrap_or_else(OwnerDied::into_guard)
    }

    #[inline]
    fn of(lock: &'a L, taken: Option<Acquired>) -> Result<Self, AcquireError<Self>> {
        let guard = || Held {
            lock,
            panicking: std::thread::panicking(),
            loan: Some(L::Loan::default()),
            lent: Cell::new(Lent::Nothing),
            own_thread_only: PhantomData,
        };
        match taken {
            Some(Acquired::Clean) => Ok(guard()),
            Some(Acquired::OwnerDied) => Err(AcquireError::OwnerDied(OwnerDied::new(guard()))),
            None => Err(AcquireError::Busy),
        }
    }

    /// What is locked.
    pub(crate) fn lock(&self) -> &'a L {
        self.lock
    }

    /// Says that what the lock guards is whole again: acquires no longer report the holder who died.
    pub fn clear_owner_died(&self) {
        self.lock.raw().clear_died();
    }

    /// Keeps the lock without a guard, until the same thread calls its `release`.
    ///
    /// A lock with data has none, since a reference to the data could outlive the hold: kept, it is held until the
    /// thread ends, and then says [`OwnerDied`].
    pub fn keep(mut self) {
        // The guard is given away, so no reference that came out of it is alive.
        drop(self.loan.take());
        self.lock.take_back(self.lent.get());
        std::mem::forget(self);
    }
}

impl<L: Guarding> Held<'_, L> {
    /// The data, to be copied out at once. It is not noted as lent, since nothing else of this thread runs meanwhile.
    #[inline]
    pub(crate) fn peek(&self) -> &L::Data {
        self.lock.data(self.lent.get(), self.lent.get())
    }

    /// The data, to be copied into at once: as [`peek`](Held::peek).
    #[inline]
    pub(crate) fn peek_mut(&mut self) -> &mut L::Data {
        self.lock.data_mut(self.lent.get(), self.lent.get())
    }
}

impl<L: Guarding> Deref for Held<'_, L> {
    type Target = L::Data;
    #[inline]
    fn deref(&self) -> &L::Data {
        let before = self.lent.get();
        // One that has lent a mutable reference goes on to: a shared one may come of it, and is returned later.
        let now = if before == Lent::Nothing { Lent::Shared } else { before };
        let data = self.lock.data(before, now);
        self.lent.set(now);
        data
    }
}

impl<L: Guarding> DerefMut for Held<'_, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut L::Data {
        let data = self.lock.data_mut(self.lent.get(), Lent::Mut);
        self.lent.set(Lent::Mut);
        data
    }
}

impl<L: Locked> fmt::Debug for Held<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held<{}>", std::any::type_name::<L>())
    }
}

impl<L: Locked> Drop for Held<'_, L> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() && !self.panicking {
            self.lock.raw().set_died();
        }
        // Not ours in a forked child, which has a copy of its parent's guard: then nothing is released.
        self.lock.release_lent(self.lent.get());
    }
}
