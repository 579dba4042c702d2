//! How much may be held for clients at an address: values, keys, objects, waiting calls and named memory together.
//!
//! What is stored while the room is charging has a charge beside it, which gives its bytes back when it is dropped. So
//! what a relative stores costs nothing, and what replaces a charged value takes over nothing.

use crate::protocol::{DEFAULT_MEMORY_LIMIT, Failure};
use std::cell::Cell;
use std::rc::Rc;

/// What each value, key and object counts beside its bytes.
pub(crate) const BESIDE: u64 = 64;

#[derive(Debug, Clone)]
pub(crate) struct Room(Rc<State>);

#[derive(Debug)]
struct State {
    limit: Cell<u64>,
    used: Cell<u64>,
    is_charging: Cell<bool>,
}

/// Bytes that are held.
#[derive(Debug)]
pub(crate) struct Charge {
    room: Room,
    bytes: u64,
}

impl Default for Room {
    fn default() -> Room {
        let limit = Cell::new(DEFAULT_MEMORY_LIMIT);
        Room(Rc::new(State { limit, used: Cell::default(), is_charging: Cell::default() }))
    }
}

impl Room {
    #[cfg(feature = "listener")]
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.0.limit.set(bytes);
    }

    /// Does something; whether what it stores is held for a client at an address.
    pub(crate) fn charging<R>(&self, is_charging: bool, store: impl FnOnce() -> R) -> R {
        self.0.is_charging.set(is_charging);
        let done = store();
        self.0.is_charging.set(false);
        done
    }

    /// Whether so much more may be held.
    pub(crate) fn check(&self, bytes: u64) -> Result<(), Failure> {
        let left = self.0.limit.get().saturating_sub(self.0.used.get());
        if bytes <= left { Ok(()) } else { Err(Failure::MemoryLimit { asked: bytes, left }) }
    }

    pub(crate) fn take(&self, bytes: u64) {
        self.0.used.set(self.0.used.get().saturating_add(bytes));
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.0.used.set(self.0.used.get().saturating_sub(bytes));
    }

    /// The charge of so many bytes and what stands beside them, if it is charging.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Charge> {
        self.0.is_charging.get().then(|| self.hold(bytes as u64 + BESIDE))
    }

    pub(crate) fn hold(&self, bytes: u64) -> Charge {
        self.take(bytes);
        Charge { room: self.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}
