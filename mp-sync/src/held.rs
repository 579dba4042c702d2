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
    // In the order in which they are dropped: the lock is given back first.
    taken: Taken<'a, L>,
    loan: L::Loan,
}

/// The part of a guard that gives the lock back.
struct Taken<'a, L: Locked> {
    lock: &'a L,
    state: GuardState,
    own_thread_only: PhantomData<*const ()>,
}

/// Whether the thread was unwinding when it took the lock, and what the guard has lent. In one byte, so that a guard is two
/// registers: of three fields it is memory, written in small pieces and read as a whole, for which a CPU waits longer than
/// a lock and its release take.
struct GuardState(Cell<u8>);

/// Above the bits of [`Lent`].
const UNWINDING: u8 = 4;

impl GuardState {
    #[inline]
    fn new() -> GuardState {
        GuardState(Cell::new(if std::thread::panicking() { UNWINDING } else { 0 }))
    }

    #[inline]
    fn was_unwinding(&self) -> bool {
        self.0.get() & UNWINDING != 0
    }

    #[inline]
    fn lent(&self) -> Lent {
        match self.0.get() & !UNWINDING {
            0 => Lent::Nothing,
            1 => Lent::Shared,
            _ => Lent::Mut,
        }
    }

    #[inline]
    fn set_lent(&self, lent: Lent) {
        self.0.set(self.0.get() & UNWINDING | lent as u8);
    }
}

impl<'a, L: Locked> Held<'a, L> {
    /// Waits for the lock.
    #[inline]
    pub(crate) fn take(lock: &'a L) -> Result<Self, OwnerDied<Self>> {
        let taken = Held::acquired(lock);
        let guard = Held::new(lock);
        if taken == Acquired::Clean { Ok(guard) } else { Err(OwnerDied::new(guard)) }
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

    /// Waits for the lock; the death of a holder does not matter.
    #[inline]
    pub(crate) fn whatever_happened(lock: &'a L) -> Self {
        let _: Acquired = Held::acquired(lock);
        Held::new(lock)
    }

    #[inline]
    fn acquired(lock: &'a L) -> Acquired {
        loop {
            if let Some(taken) = lock.raw().acquire(None) {
                return taken;
            }
        }
    }

    #[inline]
    fn of(lock: &'a L, taken: Option<Acquired>) -> Result<Self, AcquireError<Self>> {
        match taken {
            Some(Acquired::Clean) => Ok(Held::new(lock)),
            Some(Acquired::OwnerDied) => Err(AcquireError::OwnerDied(OwnerDied::new(Held::new(lock)))),
            None => Err(AcquireError::Busy),
        }
    }

    /// For one that has just taken the lock.
    #[inline]
    fn new(lock: &'a L) -> Self {
        let taken = Taken { lock, state: GuardState::new(), own_thread_only: PhantomData };
        Held { taken, loan: L::Loan::default() }
    }

    /// What is locked.
    pub(crate) fn lock(&self) -> &'a L {
        self.taken.lock
    }

    /// Says that what the lock guards is whole again: acquires no longer report the holder who died.
    pub fn clear_owner_died(&self) {
        self.taken.lock.raw().clear_died();
    }

    /// Keeps the lock without a guard, until the same thread calls its `release`.
    ///
    /// A lock with data has none, since a reference to the data could outlive the hold: kept, it is held until the
    /// thread ends, and then says [`OwnerDied`].
    pub fn keep(self) {
        // The guard is given away, so no reference that came out of it is alive.
        let Held { taken, loan } = self;
        drop(loan);
        taken.lock.take_back(taken.state.lent());
        std::mem::forget(taken);
    }
}

impl<L: Guarding> Held<'_, L> {
    /// The data, to be copied out at once. It is not noted as lent, since nothing else of this thread runs meanwhile.
    #[inline]
    pub(crate) fn peek(&self) -> &L::Data {
        self.taken.data(self.taken.state.lent())
    }

    /// The data, to be copied into at once: as [`peek`](Held::peek).
    #[inline]
    pub(crate) fn peek_mut(&mut self) -> &mut L::Data {
        self.taken.data_mut(self.taken.state.lent())
    }
}

impl<L: Guarding> Taken<'_, L> {
    /// The data; the guard lends `now` from here on.
    #[inline]
    fn data(&self, now: Lent) -> &L::Data {
        let data = self.lock.data(self.state.lent(), now);
        self.state.set_lent(now);
        data
    }

    #[inline]
    fn data_mut(&mut self, now: Lent) -> &mut L::Data {
        let data = self.lock.data_mut(self.state.lent(), now);
        self.state.set_lent(now);
        data
    }
}

impl<L: Guarding> Deref for Held<'_, L> {
    type Target = L::Data;
    #[inline]
    fn deref(&self) -> &L::Data {
        // One that has lent a mutable reference goes on to: a shared one may come of it, and is returned later.
        let now =
            if self.taken.state.lent() == Lent::Nothing { Lent::Shared } else { self.taken.state.lent() };
        self.taken.data(now)
    }
}

impl<L: Guarding> DerefMut for Held<'_, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut L::Data {
        self.taken.data_mut(Lent::Mut)
    }
}

impl<L: Locked> fmt::Debug for Held<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held<{}>", std::any::type_name::<L>())
    }
}

impl<L: Locked> Drop for Taken<'_, L> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() && !self.state.was_unwinding() {
            self.lock.raw().set_died();
        }
        // Not ours in a forked child, which has a copy of its parent's guard: then nothing is released.
        self.lock.release_lent(self.state.lent());
    }
}
