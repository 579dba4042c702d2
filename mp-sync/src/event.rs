//! Event: a flag that can be waited for.

use crate::cell::EventCell;
use mp_core::MemError;
use mp_core::mem::SharedRef;
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A flag between processes that can be set, cleared and waited for. `set` takes no lock, so a signal handler
/// may call it, and a dead waiter holds up no process.
///
/// ```
/// let event = mp_sync::Event::new()?;
/// assert!(!event.wait_timeout(std::time::Duration::ZERO));
/// event.set();
/// event.wait();
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Python: `multiprocessing.Event`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Event {
    shared: SharedRef<EventCell>,
}

impl Event {
    /// Makes an event that is not set. Python: `Event()`.
    pub fn new() -> Result<Event, MemError> {
        Ok(Event { shared: SharedRef::create_small()? })
    }

    /// Whether it is set. Python: `Event.is_set`.
    pub fn is_set(&self) -> bool {
        self.shared.is_set()
    }

    /// Sets it and wakes all waiters. Python: `Event.set`.
    pub fn set(&self) {
        self.shared.set();
    }

    /// Clears it. A wait during which it was set returns nevertheless. Python: `Event.clear`.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// Waits until it is set. Python: `Event.wait`.
    pub fn wait(&self) {
        while !self.shared.wait(None) {}
    }

    /// Waits at most `timeout` until it is set; returns whether it was set. Python: `Event.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        match Deadline::after(timeout) {
            None => {
                self.wait();
                true
            }
            until => self.shared.wait(until),
        }
    }
}

/// Shows whether it is set. Python: `<Event at 0x7f... set>`.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish()
    }
}
