//! BarrierProxy: a barrier in the server.

use super::{proxy, shown, unexpected};
use crate::error::ManagerError;
use crate::protocol::{BarrierCall, Call, Reply, Wait};
use std::time::Duration;

proxy! {
    /// A barrier in the manager's process. The death of a waiter breaks it.
    ///
    /// Python: what `SyncManager.Barrier` returns.
    BarrierProxy, Barrier
}

impl BarrierProxy {
    /// Waits for the others, and returns how many had come before. Python: `barrier.wait()`.
    ///
    /// # Errors
    /// [`ManagerError::BrokenBarrier`]: a waiter died or was too late, or the barrier was aborted or reset.
    pub fn wait(&self) -> Result<usize, ManagerError> {
        self.wait_within(Wait::Forever)
    }

    /// Waits at most `timeout`, then [`ManagerError::Timeout`], which breaks the barrier for the others.
    /// Python: `barrier.wait(timeout)`.
    ///
    /// # Errors
    /// The errors of [`wait`](BarrierProxy::wait); [`ManagerError::Unanswered`].
    pub fn wait_timeout(&self, timeout: Duration) -> Result<usize, ManagerError> {
        self.wait_within(Wait::AtMost(timeout))
    }

    fn wait_within(&self, wait: Wait) -> Result<usize, ManagerError> {
        match self.reference.call_waiting(wait, Call::Barrier(BarrierCall::Wait(None)))? {
            Reply::Count(before) => Ok(before as usize),
            other => Err(unexpected(&other)),
        }
    }

    /// Breaks it: all that wait, and all that come, return [`ManagerError::BrokenBarrier`]. Python: `barrier.abort()`.
    pub fn abort(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Barrier(BarrierCall::Abort))
    }

    /// Makes it whole and empty again. Those that wait return [`ManagerError::BrokenBarrier`].
    /// Python: `barrier.reset()`.
    pub fn reset(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Barrier(BarrierCall::Reset))
    }

    /// How many wait for each other. Python: `barrier.parties`.
    pub fn parties(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Barrier(BarrierCall::Parties))
    }

    /// How many wait now. Python: `barrier.n_waiting`.
    pub fn n_waiting(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Barrier(BarrierCall::Waiting))
    }

    /// Whether it is broken. Python: `barrier.broken`.
    pub fn broken(&self) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Barrier(BarrierCall::Broken))
    }
}

shown!(BarrierProxy, proxy => proxy.n_waiting());
