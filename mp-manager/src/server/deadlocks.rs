//! Callers that would wait for each other for ever: the one that closes the circle is told instead.
//!
//! ```text
//!   A holds x, waits for y ──► B holds y, asks for x ──► WouldDeadlock
//! ```
//!
//! A caller holds locks, and the values that its `update` or `with` is changing. It waits in one call at a time, so a
//! circle is closed by a call that is about to wait: one that acquires a lock which it has is the shortest. Calls that
//! do not wait, or for a time only, close none: they end.
//!
//! One that sleeps in a condition waits for its lock in any case, so the holder of that lock holds it up. Which
//! thread will notify it cannot be known: any may, even one that has no proxy yet. So a circle through the notifier is
//! seen where the notifier has the lock, and no other one is. The same is true of a wait for an event, an item, a
//! permit or a barrier.

use super::Server;
use super::table::{Body, Entry};
use crate::object::Caller;
use crate::protocol::{Call, ObjectId};

impl Server {
    /// Whether this call, which cannot be done now, would wait for ever: for its caller, over others that wait.
    pub(super) fn would_deadlock(&self, caller: Caller, object: ObjectId, call: &Call) -> bool {
        let Some(Entry { body: Body::Own(body), .. }) = self.table.peek(object) else { return false };
        // Most calls wait for what no caller holds, an item for example.
        if !body.can_be_held() {
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
            let for_ever = waiting.filter(|parked| parked.deadline.is_none() && !parked.is_left);
            callers.extend(
                for_ever
                    .filter(|parked| body.is_held_up_by(holder, &parked.call))
                    .map(|parked| parked.caller),
            );
        }
        callers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        ConditionCall, Failure, Kind, LockCall, ONE_WAY, Reply, Request, Start, Wait, Waiting,
    };
    use mp_core::sys::socket::stream_pair;
    use mp_pipe::Connection;

    const CLIENT: u64 = 16;
    const SLEEPER: u64 = 1;
    const NOTIFIER: u64 = 2;

    /// One holds a lock and sleeps in a condition; the one that is to notify it wants that lock, with the condition's
    /// lock or without. How many wait then.
    fn waiting_with_the_notifier(has_the_conditions_lock: bool, sleeps: Wait) -> usize {
        let mut server = Server::new(1, None).unwrap();
        let (end, _other_end) = stream_pair().unwrap();
        server.clients.add(CLIENT, Connection::from_fd(end), true);
        let mut enter = |kind: Kind| {
            let body = crate::object::make(&server.counts, &kind, Start::Empty).unwrap();
            server.enter(CLIENT, kind, Body::Own(body)).unwrap()
        };
        let (lock, condition) = (enter(Kind::Lock), enter(Kind::Condition));
        let mut call = |thread, object, wait, call| server.call(CLIENT, thread, ONE_WAY, object, wait, call);
        let acquire = || Call::Lock(LockCall::Acquire);
        let enter = || Call::condition(ConditionCall::Acquire);
        call(SLEEPER, lock, Wait::Forever, acquire());
        call(SLEEPER, condition, Wait::Forever, enter());
        call(SLEEPER, condition, sleeps, Call::condition(ConditionCall::Wait(Waiting::Asked)));
        if has_the_conditions_lock {
            call(NOTIFIER, condition, Wait::Forever, enter());
        }
        call(NOTIFIER, lock, Wait::Forever, acquire());
        server.calls.parked.len()
    }

    #[test]
    fn a_notifier_that_has_the_conditions_lock_and_waits_for_the_sleeper_is_told() {
        assert_eq!(waiting_with_the_notifier(true, Wait::Forever), 1);
    }

    #[test]
    fn one_without_it_waits_since_another_thread_may_notify() {
        assert_eq!(waiting_with_the_notifier(false, Wait::Forever), 2);
    }

    /// What becomes of a lock's acquisition by its own holder: how many wait then, and the reply.
    fn acquired_again(wait: Wait) -> (usize, Option<Reply>) {
        let mut server = Server::new(1, None).unwrap();
        let (end, other_end) = stream_pair().unwrap();
        server.clients.add(CLIENT, Connection::from_fd(end), true);
        let body = crate::object::make(&server.counts, &Kind::Lock, Start::Empty).unwrap();
        let lock = server.enter(CLIENT, Kind::Lock, Body::Own(body)).unwrap();
        let acquire = || Call::Lock(LockCall::Acquire);
        server.call(CLIENT, SLEEPER, ONE_WAY, lock, Wait::Forever, acquire());
        server.call(CLIENT, SLEEPER, 1, lock, wait, acquire());
        let client: Connection<(u64, Request), (u64, Reply)> = Connection::from_fd(other_end);
        (server.calls.parked.len(), client.try_recv().ok().map(|(_, reply)| reply))
    }

    #[test]
    fn a_holder_is_told_only_of_a_wait_that_would_not_end() {
        let failed = |reply: Option<Reply>| match reply {
            Some(Reply::Failed(failure)) => Some(failure),
            _ => None,
        };
        let (waiting, reply) = acquired_again(Wait::Forever);
        assert_eq!((waiting, failed(reply)), (0, Some(Failure::WouldDeadlock)));
        let (waiting, reply) = acquired_again(Wait::Never);
        assert_eq!((waiting, failed(reply)), (0, Some(Failure::WouldBlock)));
        let (waiting, reply) = acquired_again(Wait::AtMost(std::time::Duration::from_secs(60)));
        assert!(waiting == 1 && reply.is_none(), "{reply:?}");
    }

    #[test]
    fn a_sleeper_that_sleeps_for_a_time_closes_no_circle() {
        assert_eq!(waiting_with_the_notifier(true, Wait::AtMost(std::time::Duration::from_secs(60))), 2);
    }
}
