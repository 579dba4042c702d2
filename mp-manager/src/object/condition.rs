//! Conditions over a lock, whose sleepers the lock keeps: those of a condition with a lock of its own, and of any
//! number that were made over one lock.
//!
//! ```text
//!   wait:  holds the lock ──► asleep, with a ticket ──notified──► takes the lock again ──► the call returns
//!                                        └──── its time is over ────────┘  (and says so)
//! ```
//! A waiter's ticket grows with the time of its coming. `notify` lets those pass that have waited longest.

use super::attempt::{Attempt, Caller};
use super::lock::Lock;
use crate::protocol::{ConditionCall, Failure, ObjectId, Reply, Waiting};
use std::collections::BTreeSet;

/// The waiters of each condition that are not notified, by their tickets.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    last_ticket: u64,
    asleep: BTreeSet<(ObjectId, u64)>,
}

impl Sleepers {
    /// The ticket of a new one.
    fn add(&mut self, condition: ObjectId) -> u64 {
        self.last_ticket += 1;
        self.asleep.insert((condition, self.last_ticket));
        self.last_ticket
    }

    /// Takes the one out that has waited longest; `false`: there is none.
    fn wake_one(&mut self, condition: ObjectId) -> bool {
        let first = self.asleep.range((condition, 0)..=(condition, u64::MAX)).next().copied();
        first.is_some_and(|first| self.asleep.remove(&first))
    }
}

impl Lock {
    pub(super) fn call_condition(
        &mut self,
        caller: Caller,
        condition: ObjectId,
        call: &mut ConditionCall,
    ) -> Attempt {
        match call {
            ConditionCall::Acquire => self.acquire(caller),
            ConditionCall::Release => self.release(caller).into(),
            ConditionCall::Wait(waiting) => self.wait(caller, condition, waiting),
            ConditionCall::Notify(count) => self.notify(caller, condition, *count),
            ConditionCall::NotifyAll => self.notify(caller, condition, u64::MAX),
        }
    }

    pub(super) fn give_condition_up(
        &mut self,
        condition: ObjectId,
        call: &mut ConditionCall,
    ) -> Option<Failure> {
        let ConditionCall::Wait(waiting) = call else { return Some(Failure::Timeout) };
        if let Waiting::Asleep { ticket, depth } = *waiting {
            // One that was notified meanwhile is so.
            let notified = !self.sleepers.asleep.remove(&(condition, ticket));
            *waiting = Waiting::Returning { notified, depth };
        }
        // It must have its lock again before it returns.
        None
    }

    fn wait(&mut self, caller: Caller, condition: ObjectId, waiting: &mut Waiting) -> Attempt {
        if *waiting == Waiting::Asked {
            if !self.is_held_for(caller) {
                return Failure::NotOwner.into();
            }
            *waiting = Waiting::Asleep { ticket: self.sleepers.add(condition), depth: self.depth };
            (self.holder, self.depth) = (None, 0);
            return Attempt::Wait;
        }
        if let Waiting::Asleep { ticket, depth } = *waiting {
            if self.sleepers.asleep.contains(&(condition, ticket)) {
                return Attempt::Wait;
            }
            *waiting = Waiting::Returning { notified: true, depth };
        }
        let Waiting::Returning { notified, depth } = *waiting else { return Failure::WrongKind.into() };
        match self.acquire(caller) {
            Attempt::Done(Ok(_)) => {
                self.depth = depth;
                Reply::Flag(notified).into()
            }
            other => other,
        }
    }

    /// One that was woken and has given up meanwhile: it does not have the lock, and the next one is notified.
    pub(super) fn undo_wait(&mut self, caller: Caller, condition: ObjectId, notified: bool) {
        if self.is_held_for(caller) {
            (self.holder, self.depth) = (None, 0);
        }
        if notified {
            self.sleepers.wake_one(condition);
        }
    }

    fn notify(&mut self, caller: Caller, condition: ObjectId, count: u64) -> Attempt {
        if !self.is_held_for(caller) {
            return Failure::NotOwner.into();
        }
        (0..count).take_while(|_| self.sleepers.wake_one(condition)).for_each(drop);
        Reply::Done.into()
    }
}
