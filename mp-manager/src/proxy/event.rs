//! EventProxy: an event in the server.

use super::{proxy, shown};
use crate::error::ManagerError;
use crate::protocol::{Call, EventCall, Wait};
use std::time::Duration;

proxy! {
    /// An event in the manager's process: a flag to wait for.
    ///
    /// Python: what `SyncManager.Event` returns.
    EventProxy, Event
}

impl EventProxy {
    /// Whether it is set. Python: `event.is_set()`.
    pub fn is_set(&self) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Event(EventCall::IsSet))
    }

    /// Sets it, and wakes all that wait. Python: `event.set()`.
    pub fn set(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Event(EventCall::Set))
    }

    /// Unsets it. Python: `event.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Event(EventCall::Clear))
    }

    /// Waits until it is set. Python: `event.wait()`.
    pub fn wait(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Event(EventCall::Wait))
    }

    /// Waits at most `timeout`, then [`ManagerError::Timeout`]. Python: `event.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), ManagerError> {
        self.reference.done_waiting(Wait::AtMost(timeout), Call::Event(EventCall::Wait))
    }
}

shown!(EventProxy, proxy => proxy.is_set());
