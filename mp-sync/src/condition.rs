//! Condition: waits, with the lock released meanwhile, until a holder of the lock notifies.

use crate::cell::ConditionCell;
use crate::error::{AcquireError, OwnerDiedError, ReleaseError, WaitError};
use crate::guard::{Guard, Guarding, Locked};
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

/// A condition variable with its lock: a holder of the lock releases it and waits until another holder
/// notifies.
///
/// Only a guard can wait and notify, so neither is possible without the lock:
///
/// ```compile_fail,E0277
/// mp_sync::Condition::new().unwrap().notify_one();
/// ```
///
/// ```compile_fail,E0277
/// mp_sync::Condition::new().unwrap().wait();
/// ```
///
/// Over a [`Mutex`](crate::Mutex), the guard also gives access to the data:
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
/// Up to 128 threads of any processes can wait at a time. They are woken in the order of their arrival,
/// exactly as many as `notify` is told.
///
/// Python: `multiprocessing.Condition`. There `notify` waits for an answer from each process that it wakes,
/// and hangs if one of them was killed.
///
/// # When a process dies
/// | where it is killed                 | what the others see                                                        |
/// |------------------------------------|----------------------------------------------------------------------------|
/// | while it waits                     | nothing: it is passed over                                                 |
/// | notified, before it came back      | another waiter comes back instead, within a second                         |
/// | while it holds the lock            | [`OwnerDiedError`], or [`WaitError::OwnerDied`] from a wait, at once       |
/// | in `notify`                        | the same; the waiters chosen by then come back within a second             |
#[derive(Clone, Serialize, Deserialize)]
pub struct Condition<L = RLock> {
    lock: L,
    waiting: SharedRef<ConditionCell>,
}

/// A [`Condition`] whose lock is held: it can wait and notify.
pub type ConditionGuard<'a, L = RLock> = Guard<'a, Condition<L>>;

impl Condition {
    /// Makes a condition with its own lock, an [`RLock`]. Python: `Condition()`.
    pub fn new() -> Result<Condition, MemError> {
        Condition::with_lock(&RLock::new()?)
    }
}

impl<L: Locked<Raw: Lend> + Clone> Condition<L> {
    /// Makes a condition over an existing lock: a [`Lock`], an [`RLock`], or a [`Mutex`](crate::Mutex).
    /// Python: `Condition(lock)`.
    pub fn with_lock(lock: &L) -> Result<Condition<L>, MemError> {
        Ok(Condition { lock: lock.clone(), waiting: SharedRef::create("mp-condition")? })
    }
}

impl<L: Locked> Condition<L> {
    /// Takes the lock; waits for it. Python: `Condition.acquire`, `with condition:`.
    ///
    /// # Errors
    /// [`OwnerDiedError`], with the guard in it, if a holder died with the lock or panicked.
    pub fn acquire(&self) -> Result<ConditionGuard<'_, L>, OwnerDiedError<ConditionGuard<'_, L>>> {
        Guard::take(self)
    }

    /// Takes the lock if it is free now. Python: `Condition.acquire(block=False)`.
    pub fn try_acquire(&self) -> Result<ConditionGuard<'_, L>, AcquireError<ConditionGuard<'_, L>>> {
        Guard::try_take(self)
    }

    /// Takes the lock; waits for it at most `timeout`. Python: `Condition.acquire(timeout=...)`.
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ConditionGuard<'_, L>, AcquireError<ConditionGuard<'_, L>>> {
        Guard::take_until(self, Deadline::after(timeout))
    }

    /// The lock of the condition.
    pub fn lock(&self) -> &L {
        &self.lock
    }
}

macro_rules! release {
    ($($lock:ty)*) => {$(
        impl Condition<$lock> {
            /// Releases one acquire whose guard was [kept](Guard::keep).
            ///
            /// ```
            /// let condition = mp_sync::Condition::new()?;
            /// condition.acquire().unwrap().keep();
            /// assert_eq!(condition.release(), Ok(()));
            /// assert_eq!(condition.release(), Err(mp_sync::ReleaseError::NotOwner));
            /// # Ok::<(), mp_core::MemError>(())
            /// ```
            ///
            /// Python: `Condition.release`.
            ///
            /// # Errors
            /// [`ReleaseError::NotOwner`] if the calling thread does not hold the lock; nothing is changed then.
            pub fn release(&self) -> Result<(), ReleaseError> {
                self.lock.release()
            }
        }
    )*};
}
// Not over a lock with data: a reference to it could outlive the hold.
release!(Lock RLock);

impl<L: Locked<Raw: Lend>> Guard<'_, Condition<L>> {
    /// Releases the lock, however often the thread has acquired it, until it is notified; then acquires it
    /// again.
    ///
    /// There are no spurious wake-ups. But the data may have changed again since the notification:
    /// [`wait_for`](Guard::wait_for) tests it.
    ///
    /// Python: `Condition.wait`.
    ///
    /// # Errors
    /// See [`WaitError`]. The lock is held again in any case.
    pub fn wait(&mut self) -> Result<(), WaitError> {
        self.wait_until(None).map(drop)
    }

    /// Waits for a notification at most `timeout`, as [`wait`](Guard::wait) does. Then it acquires the lock again,
    /// however long that takes.
    ///
    /// Python: `Condition.wait(timeout)`, which returns a `bool`.
    ///
    /// # Errors
    /// [`WaitError::Timeout`]: it was not notified in time. Otherwise the errors of [`wait`](Guard::wait).
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<(), WaitError> {
        if self.wait_until(Deadline::after(timeout))? { Ok(()) } else { Err(WaitError::Timeout) }
    }

    /// Waits, as often as needed, until `is_so` returns true. It is called with the lock held, the first time
    /// at once.
    ///
    /// Python: `Condition.wait_for`.
    pub fn wait_for(&mut self, mut is_so: impl FnMut() -> bool) -> Result<(), WaitError> {
        while !is_so() {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until `is_so` returns true, as [`wait_for`](Guard::wait_for) does, at most `timeout` in all.
    ///
    /// Python: `Condition.wait_for(predicate, timeout)`, which returns the last result of the predicate.
    ///
    /// # Errors
    /// [`WaitError::Timeout`]: `is_so` returned false when the time was over. Otherwise the errors of
    /// [`wait`](Guard::wait).
    pub fn wait_for_timeout(
        &mut self,
        timeout: Duration,
        mut is_so: impl FnMut() -> bool,
    ) -> Result<(), WaitError> {
        self.until_so(timeout, |_| is_so())
    }

    fn until_so(
        &mut self,
        timeout: Duration,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), WaitError> {
        let until = Deadline::after(timeout);
        while !is_so(self) {
            // A wait can be notified after its deadline: without this test, frequent notifications would keep
            // it waiting.
            if until.is_some_and(Deadline::passed) {
                return Err(WaitError::Timeout);
            }
            if !self.wait_until(until)? {
                return if is_so(self) { Ok(()) } else { Err(WaitError::Timeout) };
            }
        }
        Ok(())
    }

    /// Wakes the thread that has waited longest. A thread that waits later cannot take its notification.
    ///
    /// Python: `Condition.notify`.
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes the `count` threads that have waited longest, or all if there are fewer. Python:
    /// `Condition.notify(n)`.
    ///
    /// # Panics
    /// In a forked child that has a copy of its parent's guard: the lock is its parent's.
    pub fn notify(&self, count: u32) {
        assert!(self.lock().raw().is_mine(), "acquire the condition's lock before notify");
        self.lock().waiting.notify(count);
    }

    /// Wakes all waiters. Python: `Condition.notify_all`.
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

impl<L: Guarding + Locked<Raw: Lend>> Guard<'_, Condition<L>> {
    /// Waits, as often as needed, while `is_so` returns true for the data, like
    /// `std::sync::Condvar::wait_while`.
    pub fn wait_while(&mut self, mut is_so: impl FnMut(&mut L::Data) -> bool) -> Result<(), WaitError> {
        while is_so(&mut *self) {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits while `is_so` returns true for the data, at most `timeout` in all, like
    /// `std::sync::Condvar::wait_timeout_while`.
    ///
    /// # Errors
    /// [`WaitError::Timeout`]: `is_so` returned true when the time was over. Otherwise the errors of
    /// [`wait`](Guard::wait).
    pub fn wait_while_timeout(
        &mut self,
        timeout: Duration,
        mut is_so: impl FnMut(&mut L::Data) -> bool,
    ) -> Result<(), WaitError> {
        self.until_so(timeout, |held| !is_so(&mut *held))
    }
}

/// Python: `<Condition(<RLock(None, 0)>, 0)>`, with the number of waiters.
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
