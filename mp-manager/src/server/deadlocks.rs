//! Callers that would wait for each other for ever: the one that closes the circle is told instead.
//!
//! ```text
//!   A holds x, waits for y ──► B holds y, asks for x ──► WouldDeadlock
//! ```
//!
//! A caller holds locks, and the values that its `update` or `with` is changing. It waits in one call at a time, so a
//! circle is closed by a call that is about to wait. Calls with a timeout close none: they end.

use super::Server;
use super::table::{Body, Entry};
use crate::object::Caller;
use crate::protocol::{Call, ObjectId};

impl Server {
    /// Whether this call, which cannot be done now, would wait for ever: for its caller, over others that wait.
    pub(super) fn would_deadlock(&self, caller: Caller, object: ObjectId, call: &Call) -> bool {
        let Some(Entry { body: Body::Own(body), .. }) = self.table.peek(object) else { return false };
        // Most calls wait for what no caller holds, an item for example.
        if !body.minds_deaths() {
            return false;
        }
        // Those that wait for the caller, at last.
        let mut held_up = vec![caller];
        let mut next = 0;
        while let Some(holder) = held_up.get(next).copied() {
            next += 1;
            if body.is_held_up_by(holder, call) {
                return true;
            }
            for other in self.held_up_by(holder) {
                if !held_up.contains(&other) {
                    held_up.push(other);
                }
            }
        }
        false
    }

    /// The callers that wait for what this one holds.
    fn held_up_by(&self, holder: Caller) -> Vec<Caller> {
        let mut callers = Vec::new();
        for object in self.clients.touched(holder.client) {
            let Some(entry) = self.table.peek(object) else { continue };
            let Body::Own(body) = &entry.body else { continue };
            if !body.holds(holder) {
                continue;
            }
            let waiting = entry.waiting.iter().filter_map(|number| self.calls.parked.get(number));
            let for_ever = waiting.filter(|parked| parked.deadline.is_none());
            callers.extend(
                for_ever
                    .filter(|parked| body.is_held_up_by(holder, &parked.call))
                    .map(|parked| parked.caller),
            );
        }
        callers
    }
}
