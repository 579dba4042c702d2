//! Condition: waiting, with a lock lent out meanwhile, until somebody says that something has changed.

use crate::cell::ConditionCell;
use crate::error::{AcquireError, NotOwner, OwnerDied, WaitError};
use crate::held::{Guarding, Held, Locked};
use crate::lock::Lock;
use crate::raw::{Acquired, CannotWait, Lend};
use crate::relock::Lent;
use crate::rlock::RLock;
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A lock and the means to wait, without it, for what others change under it.
///
/// Only a guard can wait and notify, so nobody can without the lock:
///
/// ```compile_fail,E0277
/// mp_sync::Condition::new().unwrap().notify_one();
/// ```
///
/// ```compile_fail,E0277
/// mp_sync::Condition::new().unwrap().wait();
/// ```
///
/// Over a [`Mutex`](crate::Mutex), the guard is the way to the data too:
///
/// ```
/// use mp_sync::{Condition, Mutex};
///
/// let condition = Condition::with_lock(&Mutex::new(0_u32)?)?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let mut tasks = condition.acquire().unwrap();
///         *tasks += 1;
///         tasks.notify_one();
///     });
///     let mut tasks = condition.acquire().unwrap();
///     tasks.wait_while(|tasks| *tasks == 0).unwrap();
///     *tasks -= 1;
/// });
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Of up to 128 threads that wait at a time, in whatever processes, those are woken first who came first, and exactly as
/// many as `notify` was told.
///
/// Python: `multiprocessing.Condition`. There `notify` waits for an answer from each process that it wakes, and hangs if
/// one was killed.
///
/// # When a process dies
/// | where it is killed                 | what the others see                                                        |
/// |------------------------------------|----------------------------------------------------------------------------|
/// | while it waits                     | nothing: it is passed over                                                 |
/// | notified, before it came back      | another waiter comes back instead, within a second                         |
/// | while it holds the lock            | [`OwnerDied`], or [`WaitError::OwnerDied`] from a wait, at once            |
/// | in `notify`                        | the same; whoever was chosen by then comes back within a second            |
#[derive(Clone, Serialize, Deserialize)]
pub struct Condition<L = RLock> {
    lock: L,
    waiting: SharedRef<ConditionCell>,
}

/// A [`Condition`] whose lock is held: it can wait and notify.
pub type ConditionGuard<'a, L = RLock> = Held<'a, Condition<L>>;

impl Condition {
    /// A condition with a lock of its own, an [`RLock`]. Python: `Condition()`.
    pub fn new() -> Result<Condition, MemError> {
        Condition::with_lock(&RLock::new()?)
    }
}

impl<L: Locked<Raw: Lend> + Clone> Condition<L> {
    /// A condition over a lock that others may use too: a [`Lock`], an [`RLock`], or a
    /// [`Mutex`](crate::Mutex). Python: `Condition(lock)`.
    pub fn with_lock(lock: &L) -> Result<Condition<L>, MemError> {
        Ok(Condition { lock: lock.clone(), waiting: SharedRef::create("mp-condition")? })
    }
}

impl<L: Locked> Condition<L> {
    /// Takes the lock; waits for it. Python: `Condition.acquire`, `with condition:`.
    ///
    /// # Errors
    /// [`OwnerDied`], with the guard in it, if a holder died with the lock or panicked.
    pub fn acquire(&self) -> Result<ConditionGuard<'_, L>, OwnerDied<ConditionGuard<'_, L>>> {
        Held::take(self)
    }

    /// Takes the lock if it is free now. Python: `Condition.acquire(block=False)`.
    pub fn try_acquire(&self) -> Result<ConditionGuard<'_, L>, AcquireError<ConditionGuard<'_, L>>> {
        Held::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `Condition.acquire(timeout=...)`.
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ConditionGuard<'_, L>, AcquireError<ConditionGuard<'_, L>>> {
        Held::take_until(self, Deadline::after(timeout))
    }

    /// The lock that it was made over.
    pub fn lock(&self) -> &L {
        &self.lock
    }
}

macro_rules! release {
    ($($lock:ty)*) => {$(
        impl Condition<$lock> {
            /// Gives back one acquire whose guard was [kept](Held::keep).
            ///
            /// ```
            /// let condition = mp_sync::Condition::new()?;
            /// condition.acquire().unwrap().keep();
            /// assert_eq!(condition.release(), Ok(()));
            /// assert_eq!(condition.release(), Err(mp_sync::NotOwner));
            /// # Ok::<(), mp_core::MemError>(())
            /// ```
            ///
            /// Python: `Condition.release`.
            ///
            /// # Errors
            /// [`NotOwner`] if the calling thread does not hold the lock; nothing is changed then.
            pub fn release(&self) -> Result<(), NotOwner> {
                self.lock.release()
            }
        }
    )*};
}
// Not over a lock with data: a reference to it could outlive the hold.
release!(Lock RLock);

impl<L: Locked<Raw: Lend>> Held<'_, Condition<L>> {
    /// Lends the lock to others, however often the thread has taken it, until it is notified.
    ///
    /// Nobody comes back who was not notified; but what was true when it was may have changed again:
    /// [`wait_for`](Held::wait_for) looks.
    ///
    /// Python: `Condition.wait`.
    ///
    /// # Errors
    /// See [`WaitError`]. The lock is held again in any case.
    pub fn wait(&mut self) -> Result<(), WaitError> {
        self.wait_until(None).map(drop)
    }

    /// As [`wait`](Held::wait), at most `timeout`; whether it was notified. Coming back takes as long as it takes to have
    /// the lock again.
    ///
    /// Python: `Condition.wait(timeout)`.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<bool, WaitError> {
        self.wait_until(Deadline::after(timeout))
    }

    /// Waits, as often as it takes, until `is_so` says yes. It is asked with the lock held, first at once.
    ///
    /// Python: `Condition.wait_for`.
    pub fn wait_for(&mut self, mut is_so: impl FnMut() -> bool) -> Result<(), WaitError> {
        while !is_so() {
            self.wait()?;
        }
        Ok(())
    }

    /// As [`wait_for`](Held::wait_for), at most `timeout` in all; gives what `is_so` said last.
    ///
    /// Python: `Condition.wait_for(predicate, timeout)`.
    pub fn wait_for_timeout(
        &mut self,
        timeout: Duration,
        mut is_so: impl FnMut() -> bool,
    ) -> Result<bool, WaitError> {
        let until = Deadline::after(timeout);
        while !is_so() {
            // A wait whose time is up can be notified all the same: who is notified often would never come back.
            if until.is_some_and(Deadline::passed) {
                return Ok(false);
            }
            if !self.wait_until(until)? {
                return Ok(is_so());
            }
        }
        Ok(true)
    }

    /// Wakes the one that has waited longest. Who comes to wait later cannot take its place.
    ///
    /// Python: `Condition.notify`.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes the `count` that have waited longest; all, if there are fewer. Python: `Condition.notify(n)`.
    ///
    /// # Panics
    /// In a forked child that has a copy of its parent's guard: the lock is its parent's.
    pub fn notify(&self, count: u32) {
        assert!(self.lock().raw().is_mine(), "acquire the condition's lock before notify");
        self.lock().waiting.notify(count);
    }

    /// Wakes all that wait. Python: `Condition.notify_all`.
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn wait_until(&mut self, until: Option<Deadline>) -> Result<bool, WaitError> {
        let condition = self.lock();
        let waited = condition.waiting.wait(condition.raw(), until).map_err(|why| match why {
            CannotWait::NotOwner => WaitError::NotOwner,
            CannotWait::Full => WaitError::TooMany,
        })?;
        match waited.lock {
            Acquired::Clean => Ok(waited.notified),
            Acquired::OwnerDied => Err(WaitError::OwnerDied { notified: waited.notified }),
        }
    }
}

impl<L: Guarding + Locked<Raw: Lend>> Held<'_, Condition<L>> {
    /// Waits, as often as it takes, while `is_so` says yes of the data. As `std::sync::Condvar::wait_while`.
    pub fn wait_while(&mut self, mut is_so: impl FnMut(&mut L::Data) -> bool) -> Result<(), WaitError> {
        while is_so(&mut *self) {
            self.wait()?;
        }
        Ok(())
    }
}

/// Python: `<Condition(<RLock(None, 0)>, 0)>`, with the number of those who wait.
impl<L: fmt::Debug> fmt::Debug for Condition<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("lock", &self.lock).finish_non_exhaustive()
    }
}

impl<L: Locked> Locked for Condition<L> {
    type Raw = L::Raw;
    type Loan = L::Loan;

    #[inline]
    fn raw(&self) -> &L::Raw {
        self.lock.raw()
    }
}

impl<L: Guarding> Guarding for Condition<L> {
    type Data = L::Data;

    fn data(&self, before: Lent, now: Lent) -> &L::Data {
        self.lock.data(before, now)
    }

    fn data_mut(&self, before: Lent, now: Lent) -> &mut L::Data {
        self.lock.data_mut(before, now)
    }
}
