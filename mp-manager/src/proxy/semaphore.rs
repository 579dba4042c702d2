//! SemaphoreProxy: a semaphore in the server.

use super::{proxy, shown};
use crate::error::ManagerError;
use crate::protocol::{Call, SemaphoreCall, Wait};
use std::fmt;
use std::time::Duration;

proxy! {
    /// A semaphore in the manager's process. Permits belong to no process: any may release, and a permit that a killed
    /// process had is not given back, as in Python. `mp_sync::OwnedSemaphore` does that.
    ///
    /// Python: what `SyncManager.Semaphore` and `SyncManager.BoundedSemaphore` return.
    SemaphoreProxy, Semaphore
}

impl SemaphoreProxy {
    /// Takes a permit; waits for it. Python: `semaphore.acquire()`.
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, ManagerError> {
        self.acquire_within(Wait::Forever)
    }

    /// Takes a permit if there is one, else [`ManagerError::WouldBlock`]. Python: `semaphore.acquire(False)`.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, ManagerError> {
        self.acquire_within(Wait::Never)
    }

    /// Takes a permit; waits for it at most `timeout`, then [`ManagerError::Timeout`].
    /// Python: `semaphore.acquire(timeout=...)`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<SemaphorePermit<'_>, ManagerError> {
        self.acquire_within(Wait::AtMost(timeout))
    }

    fn acquire_within(&self, wait: Wait) -> Result<SemaphorePermit<'_>, ManagerError> {
        self.reference.done_waiting(wait, Call::Semaphore(SemaphoreCall::Acquire))?;
        Ok(SemaphorePermit { semaphore: self })
    }

    /// Gives a permit back, or one more than there were. Python: `semaphore.release()`.
    ///
    /// # Errors
    /// [`ManagerError::OverReleased`]: a bounded semaphore has all its permits.
    pub fn release(&self) -> Result<(), ManagerError> {
        self.release_many(1)
    }

    /// Gives several back in one step. Python: `semaphore.release(n)`.
    ///
    /// # Errors
    /// The errors of [`release`](SemaphoreProxy::release); no permit is given back then.
    pub fn release_many(&self, count: u32) -> Result<(), ManagerError> {
        self.reference.done(Call::Semaphore(SemaphoreCall::Release(count.into())))
    }

    /// How many permits are free. Python: `semaphore.get_value()`.
    pub fn get_value(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Semaphore(SemaphoreCall::Value))
    }
}

shown!(SemaphoreProxy, proxy => proxy.get_value());

/// A permit, given back when dropped.
#[must_use = "if it is not kept, the permit is given back at once"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a SemaphoreProxy,
}

impl SemaphorePermit<'_> {
    /// Does not give it back here: another process or thread releases it.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

/// It does not ask the manager.
impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SemaphorePermit")
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        // A manager that has ended has no permits.
        let _ = self.semaphore.release();
    }
}
