//! Conditions over a lock that the user made: their calls are done at the lock, beside which all waits for it.

use super::Server;
use super::table::Body;
use crate::object::Kept;
use crate::protocol::{Call, Failure, Kind, ObjectId};

impl Server {
    /// The body of a condition over that lock, which it keeps.
    pub(super) fn condition_over(&self, lock: ObjectId) -> Result<Body, Failure> {
        match self.table.kind(lock).ok_or(Failure::NoSuchObject)? {
            Kind::Lock | Kind::RLock => {
                Kept::new(&self.counts, lock).map(Body::Over).ok_or(Failure::NoSuchObject)
            }
            _ => Err(Failure::WrongKind),
        }
    }

    /// The object at which a call is done: a condition's, at its lock.
    pub(super) fn place_of(&mut self, object: ObjectId, call: &mut Call) -> Result<ObjectId, Failure> {
        let Call::Condition { condition, .. } = call else { return Ok(object) };
        let entry = self.table.get(object).ok_or(Failure::NoSuchObject)?;
        if entry.kind != Kind::Condition {
            return Err(Failure::WrongKind);
        }
        *condition = object;
        Ok(if let Body::Over(lock) = &entry.body { lock.object() } else { object })
    }

    /// A condition that no reference is left to: the calls of it that wait at the lock, which wait there no longer.
    pub(super) fn waiting_at_lock(&mut self, gone: ObjectId, lock: &Kept) -> Vec<u64> {
        let Some(entry) = self.table.get(lock.object()) else { return Vec::new() };
        let is_of_it = |number: &u64| match self.calls.parked.get(number).map(|parked| &parked.call) {
            Some(Call::Condition { condition, .. }) => *condition == gone,
            _ => false,
        };
        let (waiting, rest) = entry.waiting.drain(..).partition(is_of_it);
        entry.waiting = rest;
        waiting.into()
    }
}
