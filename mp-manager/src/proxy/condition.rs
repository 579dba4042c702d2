//! ConditionProxy: a condition in the server, over a lock.

use super::{proxy, unexpected};
use crate::error::ManagerError;
use crate::protocol::{Call, ConditionCall, Reply, Wait, Waiting};
use mp_core::word::Deadline;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

proxy! {
    /// A condition in the manager's process, over a lock there: a reentrant one of its own, or one that it was
    /// [made with](crate::Manager::condition_with_lock).
    ///
    /// If the process of the lock's holder ends, the next one to acquire it is told
    /// ([`ManagerError::OwnerDied`]). A waiter that dies takes no notification along that comes afterwards.
    ///
    /// Python: what `SyncManager.Condition` returns.
    ConditionProxy, Condition
}

impl ConditionProxy {
    /// Takes the lock; waits for it. Python: `condition.acquire()`.
    ///
    /// # Errors
    /// [`ManagerError::OwnerDied`], once, if its holder's process ended without giving it back: the lock is free;
    /// acquire again. [`ManagerError::WouldDeadlock`] if the calling thread holds it and it is not reentrant, or its
    /// holder waits for something that the calling thread holds.
    pub fn acquire(&self) -> Result<ConditionProxyGuard<'_>, ManagerError> {
        self.acquire_within(Wait::Forever)
    }

    /// Takes the lock if it is free, else [`ManagerError::WouldBlock`].
    pub fn try_acquire(&self) -> Result<ConditionProxyGuard<'_>, ManagerError> {
        self.acquire_within(Wait::Never)
    }

    /// Takes the lock; waits for it at most `timeout`, then [`ManagerError::Timeout`].
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<ConditionProxyGuard<'_>, ManagerError> {
        self.acquire_within(Wait::AtMost(timeout))
    }

    fn acquire_within(&self, wait: Wait) -> Result<ConditionProxyGuard<'_>, ManagerError> {
        self.reference.done_waiting(wait, Call::condition(ConditionCall::Acquire))?;
        Ok(ConditionProxyGuard { condition: self, is_held: true, own_thread_only: PhantomData })
    }
}

/// For a thread that holds the lock, by the guard of this condition, of another one over the same lock, or of the lock.
impl ConditionProxy {
    /// Wakes the waiter that has waited longest. Python: `condition.notify()`.
    ///
    /// # Errors
    /// [`ManagerError::NotOwner`]: this thread does not hold the lock.
    pub fn notify_one(&self) -> Result<(), ManagerError> {
        self.notify(1)
    }

    /// Wakes so many waiters. Python: `condition.notify(n)`.
    ///
    /// # Errors
    /// The errors of [`notify_one`](ConditionProxy::notify_one).
    pub fn notify(&self, count: u32) -> Result<(), ManagerError> {
        self.reference.done(Call::condition(ConditionCall::Notify(count.into())))
    }

    /// Wakes all waiters. Python: `condition.notify_all()`.
    ///
    /// # Errors
    /// The errors of [`notify_one`](ConditionProxy::notify_one).
    pub fn notify_all(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::condition(ConditionCall::NotifyAll))
    }
}

impl fmt::Debug for ConditionProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConditionProxy")
    }
}

/// The held lock of a condition, released when dropped. What needs the lock is called on it.
#[must_use = "if it is not kept, the lock is released at once"]
pub struct ConditionProxyGuard<'a> {
    condition: &'a ConditionProxy,
    is_held: bool,
    own_thread_only: PhantomData<*const ()>,
}

impl ConditionProxyGuard<'_> {
    /// Gives the lock up, waits to be notified, and takes the lock again. Python: `condition.wait()`.
    ///
    /// What else this thread holds it keeps: a thread that needs that before it notifies waits for ever, and is told
    /// only if it has the condition's lock by then ([`ManagerError::WouldDeadlock`]).
    ///
    /// # Errors
    /// [`ManagerError::OwnerDied`]: the process of a holder died meanwhile. The lock is not held any more.
    pub fn wait(&mut self) -> Result<(), ManagerError> {
        self.wait_within(Wait::Forever).map(|_| ())
    }

    /// Waits at most `timeout`, then [`ManagerError::Timeout`]; the lock is held in either case.
    /// Python: `condition.wait(timeout)`.
    ///
    /// # Errors
    /// [`ManagerError::OwnerDied`] also: see [`wait`](ConditionProxyGuard::wait). [`ManagerError::Unanswered`]: the
    /// lock is not held any more.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<(), ManagerError> {
        if self.wait_within(Wait::AtMost(timeout))? { Ok(()) } else { Err(ManagerError::Timeout) }
    }

    /// Waits until it is so; looks at first, and after each notification. Python: `condition.wait_for(predicate)`.
    ///
    /// # Errors
    /// The errors of [`wait`](ConditionProxyGuard::wait).
    pub fn wait_for(&mut self, mut is_so: impl FnMut() -> bool) -> Result<(), ManagerError> {
        while !is_so() {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until it is so, at most `timeout`, then [`ManagerError::Timeout`].
    /// Python: `condition.wait_for(predicate, timeout)`.
    ///
    /// # Errors
    /// The errors of [`wait_timeout`](ConditionProxyGuard::wait_timeout).
    pub fn wait_for_timeout(
        &mut self,
        mut is_so: impl FnMut() -> bool,
        timeout: Duration,
    ) -> Result<(), ManagerError> {
        let deadline = Deadline::after(timeout);
        while !is_so() {
            self.wait_timeout(deadline.map_or(timeout, Deadline::remaining))?;
        }
        Ok(())
    }

    fn wait_within(&mut self, wait: Wait) -> Result<bool, ManagerError> {
        let call = Call::condition(ConditionCall::Wait(Waiting::Asked));
        // Unless it returns in order, the lock is not held.
        self.is_held = false;
        match self.condition.reference.call_waiting(wait, call)? {
            Reply::Flag(notified) => {
                self.is_held = true;
                Ok(notified)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Wakes the waiter that has waited longest. Python: `condition.notify()`.
    pub fn notify_one(&self) -> Result<(), ManagerError> {
        self.condition.notify_one()
    }

    /// Wakes so many waiters. Python: `condition.notify(n)`.
    pub fn notify(&self, count: u32) -> Result<(), ManagerError> {
        self.condition.notify(count)
    }

    /// Wakes all waiters. Python: `condition.notify_all()`.
    pub fn notify_all(&self) -> Result<(), ManagerError> {
        self.condition.notify_all()
    }
}

/// Shows whether the lock is held: it is not after a wait that ended with another error than `Timeout`.
impl fmt::Debug for ConditionProxyGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionProxyGuard").field("is_held", &self.is_held).finish_non_exhaustive()
    }
}

impl Drop for ConditionProxyGuard<'_> {
    fn drop(&mut self) {
        if self.is_held {
            // A manager that has ended has no lock to release.
            let _ = self.condition.reference.done(Call::condition(ConditionCall::Release));
        }
    }
}
