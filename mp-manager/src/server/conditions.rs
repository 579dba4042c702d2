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

    /// No reference is left to a condition: its calls that wait at the lock wait there no longer, nor does the lock
    /// know of them.
    pub(super) fn end_condition(&mut self, gone: ObjectId, lock: &Kept) {
        let Some(entry) = self.table.get(lock.object()) else { return };
        let parked = &mut self.calls.parked;
        let is_of_it = |number: &u64| match parked.get(number).map(|parked| &parked.call) {
            Some(Call::Condition { condition, .. }) => *condition == gone,
            _ => false,
        };
        let (waiting, rest) = entry.waiting.drain(..).partition(is_of_it);
        entry.waiting = rest;
        if let Body::Own(body) = &mut entry.body {
            for number in &waiting {
                if let Some(parked) = parked.get_mut(number) {
                    body.give_up(parked.caller, &mut parked.call);
                }
            }
        }
        self.refuse_waiting(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Caller;
    use crate::protocol::{ConditionCall, LockCall, ONE_WAY, Start, Wait, Waiting};

    #[test]
    fn a_lock_keeps_nothing_of_a_condition_that_is_gone() {
        let mut server = Server::new(1, None).unwrap();
        let client = 16;
        let body = crate::object::make(&server.counts, &Kind::Lock, Start::Empty).unwrap();
        let lock = server.enter(client, Kind::Lock, Body::Own(body)).unwrap();
        let shows = |server: &mut Server| format!("{:?}", server.table.get(lock).unwrap().body);
        let asleep_in =
            |server: &mut Server, condition: ObjectId| shows(server).contains(&condition.to_string());
        let body = server.condition_over(lock).unwrap();
        let condition = server.enter(client, Kind::Condition, body).unwrap();
        let call =
            |server: &mut Server, object, call| server.call(client, 1, ONE_WAY, object, Wait::Forever, call);
        call(&mut server, lock, Call::Lock(LockCall::Acquire));
        call(&mut server, condition, Call::condition(ConditionCall::Wait(Waiting::Asked)));
        assert!(asleep_in(&mut server, condition));
        server.counts.release(condition);
        server.drop_unused();
        assert!(server.table.get(condition).is_none() && !asleep_in(&mut server, condition));
        let Some(Body::Own(body)) = server.table.get(lock).map(|entry| &mut entry.body) else { panic!() };
        let free = body.attempt(Caller { client, thread: 2 }, &mut Call::Lock(LockCall::Acquire));
        assert!(matches!(free, crate::object::Attempt::Done(Ok(_))));
    }
}
