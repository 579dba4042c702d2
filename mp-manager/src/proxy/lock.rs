//! LockProxy: a lock in the server.

use super::{Reference, done, flag};
use crate::error::ManagerError;
use crate::protocol::{LockCall, Request};
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::Duration;

/// A lock in the manager's process, held by a thread of a client. If that ends without giving it back, the lock is
/// free, and the next holder is told.
///
/// `mp_sync::Lock` does the same without a server, some hundred times as fast; this one is for objects of which the
/// manager is the only place.
///
/// Python: what `SyncManager.Lock` returns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LockProxy {
    reference: Reference,
}

impl LockProxy {
    pub(crate) fn new(reference: Reference) -> Self {
        LockProxy { reference }
    }

    /// Takes the lock; waits for it. Python: `lock.acquire()`.
    ///
    /// # Errors
    /// [`ManagerError::OwnerDied`], once, if its holder ended without giving it back: the lock was not taken for you
    /// but is free; acquire again.
    pub fn acquire(&self) -> Result<LockProxyGuard<'_>, ManagerError> {
        self.acquire_within(None)
    }

    /// Takes the lock if it is free, else [`ManagerError::Busy`]. Python: `lock.acquire(False)`.
    pub fn try_acquire(&self) -> Result<LockProxyGuard<'_>, ManagerError> {
        self.acquire_within(Some(Duration::ZERO))
    }

    /// Takes the lock; waits for it at most `timeout`, then [`ManagerError::Busy`].
    /// Python: `lock.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<LockProxyGuard<'_>, ManagerError> {
        self.acquire_within(Some(timeout))
    }

    fn acquire_within(&self, timeout: Option<Duration>) -> Result<LockProxyGuard<'_>, ManagerError> {
        done(self.reference.call(Request::Lock, LockCall::Acquire(timeout))?)?;
        Ok(LockProxyGuard { lock: self, own_thread_only: PhantomData })
    }

    /// Whether a client holds it. Python: `lock.locked()`.
    pub fn locked(&self) -> Result<bool, ManagerError> {
        flag(self.reference.call(Request::Lock, LockCall::Locked)?)
    }
}

/// A held lock, released when dropped.
#[derive(Debug)]
#[must_use = "if it is not kept, the lock is released at once"]
pub struct LockProxyGuard<'a> {
    lock: &'a LockProxy,
    own_thread_only: PhantomData<*const ()>,
}

impl Drop for LockProxyGuard<'_> {
    fn drop(&mut self) {
        // A manager that has ended has no lock to release.
        let _ = self.lock.reference.call(Request::Lock, LockCall::Release);
    }
}
