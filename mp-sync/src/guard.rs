//! Guard: a held lock of any type, and the data beside it if there is any.

use crate::error::{AcquireError, OwnerDiedError};
use crate::raw::{Acquired, Hold};
use crate::relock::Lent;
use mp_core::mem::Loan;
use mp_core::word::Deadline;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A handle on a lock, or on an object with a lock.
///
/// Only [`Guard`] calls these two traits: they have no public path.
pub trait Locked {
    /// The lock's algorithm.
    type Raw: Hold;
    /// What a guard keeps: [`Loan`] if the guard lends references into shared memory, otherwise `()`.
    type Loan: Default;
    /// The lock.
    fn raw(&self) -> &Self::Raw;
    /// Releases the lock, and ends what its guard had lent, for a lock that a thread can hold more than once.
    #[inline]
    fn release_lent(&self, lent: Lent) {
        let _ = lent;
        self.raw().release();
    }
    /// Ends what a guard had lent, when the guard is given away and the lock stays held.
    fn take_back(&self, lent: Lent) {
        let _ = lent;
    }
}

/// A handle on data beside its lock.
pub trait Guarding: Locked<Loan = Loan> {
    /// The data.
    type Data: ?Sized;
    /// The data, for a holder whose guard had lent `before`, and lends `now`. Panics if the calling thread does not
    /// hold the lock, or if another of its guards has lent a conflicting reference.
    fn data(&self, before: Lent, now: Lent) -> &Self::Data;
    /// The data, for a holder whose guard is borrowed mutably. Panics as `data` does.
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    fn data_mut(&self, before: Lent, now: Lent) -> &mut Self::Data;
}

/// A held lock, released when dropped. For a [`Value`](crate::Value), an [`Array`](crate::Array) or a
/// [`Mutex`](crate::Mutex) it gives access to the data.
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
/// A panic with a guard counts as a death: the next acquire returns [`OwnerDiedError`], as std's locks are poisoned.
///
/// Python: `with lock:`.
///
/// # Forks
/// A guard with data lends plain references, and a forked child would have copies of them without the lock. So
/// `Process::fork` and `scope` return `StartError::Borrowed` while the thread has such a guard, or has leaked one. If a
/// thread ends with a leaked guard (`Box::leak`, `mem::forget`), the lock stays held until the process ends. A guard
/// without data ([`Lock`](crate::Lock), [`RLock`](crate::RLock)) may be alive at a fork; the child's copy holds
/// nothing.
///
/// # Panics
/// The thread that holds a [`Value`](crate::Value) or an [`Array`](crate::Array) can lock it again. While one guard has
/// lent a `&mut` (for a write: any reference), access through another guard, `get`, `set` or `update` panics, as with a
/// `RefCell`. A guard that was never dereferenced conflicts with nothing.
///
/// Access also panics through the copy of a guard in a child that the program forked by itself (`libc::fork`): its
/// parent holds the lock.
#[must_use = "if it is not kept, the lock is released at once"]
pub struct Guard<'a, L: Locked> {
    // In the order in which they are dropped: the lock is released first.
    taken: Taken<'a, L>,
    loan: L::Loan,
}

/// The part of a guard that gives the lock back.
struct Taken<'a, L: Locked> {
    lock: &'a L,
    state: GuardState,
    own_thread_only: PhantomData<*const ()>,
}

/// Whether the thread was unwinding when it took the lock, and what the guard has lent. In one byte, so that a guard is
/// two registers: of three fields it is memory, written in small pieces and read as a whole, for which a CPU waits
/// longer than a lock and its release take.
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

impl<'a, L: Locked> Guard<'a, L> {
    /// Waits for the lock.
    #[inline]
    pub(crate) fn take(lock: &'a L) -> Result<Self, OwnerDiedError<Self>> {
        let taken = Guard::acquired(lock);
        OwnerDiedError::unless_clean(taken, Guard::new(lock))
    }

    /// Waits for the lock until the deadline.
    #[inline]
    pub(crate) fn take_until(lock: &'a L, until: Option<Deadline>) -> Result<Self, AcquireError<Self>> {
        Guard::of(lock, lock.raw().acquire(until).ok_or(AcquireError::Timeout)?)
    }

    /// Takes the lock if it is free now.
    #[inline]
    pub(crate) fn try_take(lock: &'a L) -> Result<Self, AcquireError<Self>> {
        Guard::of(lock, lock.raw().try_acquire().ok_or(AcquireError::WouldBlock)?)
    }

    /// Waits for the lock; the death of a holder does not matter.
    #[inline]
    pub(crate) fn whatever_happened(lock: &'a L) -> Self {
        let _: Acquired = Guard::acquired(lock);
        Guard::new(lock)
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
    fn of(lock: &'a L, taken: Acquired) -> Result<Self, AcquireError<Self>> {
        OwnerDiedError::unless_clean(taken, Guard::new(lock)).map_err(AcquireError::OwnerDied)
    }

    /// For a caller that has just taken the lock.
    #[inline]
    fn new(lock: &'a L) -> Self {
        let taken = Taken { lock, state: GuardState::new(), own_thread_only: PhantomData };
        Guard { taken, loan: L::Loan::default() }
    }

    /// The locked object.
    pub(crate) fn lock(&self) -> &'a L {
        self.taken.lock
    }

    /// Marks the guarded data as repaired: later acquires no longer return [`OwnerDiedError`] for the holder that died.
    pub fn clear_owner_died(&self) {
        self.taken.lock.raw().clear_died();
    }

    /// Keeps the lock without a guard, until the same thread calls its `release`.
    ///
    /// A lock with data has no `release`, since a reference to the data could outlive it. If its guard is kept, it is
    /// held until the thread ends, and the next acquire returns [`OwnerDiedError`].
    pub fn keep(self) {
        // The guard is moved, so no reference from it is alive.
        let Guard { taken, loan } = self;
        drop(loan);
        taken.lock.take_back(taken.state.lent());
        std::mem::forget(taken);
    }
}

impl<L: Guarding> Guard<'_, L> {
    /// The data, for a copy at once. It does not count as lent, since nothing else of this thread runs meanwhile.
    #[inline]
    pub(crate) fn peek(&self) -> &L::Data {
        self.taken.data(self.taken.state.lent())
    }

    /// The data, for a write at once: see [`peek`](Guard::peek).
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

impl<L: Guarding> Deref for Guard<'_, L> {
    type Target = L::Data;
    #[inline]
    fn deref(&self) -> &L::Data {
        // A guard that has lent a mutable reference keeps it counted: a shared one may be derived from it.
        let now =
            if self.taken.state.lent() == Lent::Nothing { Lent::Shared } else { self.taken.state.lent() };
        self.taken.data(now)
    }
}

impl<L: Guarding> DerefMut for Guard<'_, L> {
    #[inline]
    fn deref_mut(&mut self) -> &mut L::Data {
        self.taken.data_mut(Lent::Mut)
    }
}

impl<L: Locked> fmt::Debug for Guard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard<{}>", std::any::type_name::<L>())
    }
}

impl<L: Locked> Drop for Taken<'_, L> {
    #[inline]
    fn drop(&mut self) {
        if std::thread::panicking() && !self.state.was_unwinding() {
            self.lock.raw().set_died();
        }
        // In a forked child this is a copy of the parent's guard, and nothing is released.
        self.lock.release_lent(self.state.lent());
    }
}
