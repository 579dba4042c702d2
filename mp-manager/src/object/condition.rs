//! A condition with a reentrant lock of its own.
//!
//! ```text
//!   wait:  holds the lock ──► asleep, with a ticket ──notified──► takes the lock again ──► the call returns
//!                                        └──── its time is over ────────┘  (and says so)
//! ```
//! A waiter's ticket grows with the time of its coming. `notify` lets those pass that have waited longest.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::lock::Lock;
use crate::protocol::{Call, ConditionCall, Failure, Reply, Waiting};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(crate) struct Condition {
    lock: Lock,
    last_ticket: u64,
    asleep: BTreeSet<u64>,
}

impl Default for Condition {
    fn default() -> Condition {
        Condition { lock: Lock::new(true), last_ticket: 0, asleep: BTreeSet::new() }
    }
}

impl Object for Condition {
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt {
        let Call::Condition(call) = call else { return Failure::WrongKind.into() };
        match call {
            ConditionCall::Acquire => self.lock.acquire(caller),
            ConditionCall::Release => self.lock.release(caller).into(),
            ConditionCall::Wait(waiting) => self.wait(caller, waiting),
            ConditionCall::Notify(count) => {
                self.notify(caller, usize::try_from(*count).unwrap_or(usize::MAX))
            }
            ConditionCall::NotifyAll => self.notify(caller, usize::MAX),
        }
    }

    fn give_up(&mut self, _: Caller, call: &mut Call) -> Option<Failure> {
        match call {
            // It must have its lock again before it returns.
            Call::Condition(ConditionCall::Wait(waiting)) => {
                if let Waiting::Asleep { ticket, depth } = *waiting {
                    // One that was notified meanwhile is so.
                    let notified = !self.asleep.remove(&ticket);
                    *waiting = Waiting::Returning { notified, depth };
                }
                None
            }
            _ => Some(Failure::Timeout),
        }
    }

    fn client_gone(&mut self, client: ClientId) {
        self.lock.client_gone(client);
    }

    fn minds_deaths(&self) -> bool {
        self.lock.minds_deaths()
    }
}

impl Condition {
    fn wait(&mut self, caller: Caller, waiting: &mut Waiting) -> Attempt {
        if *waiting == Waiting::Asked {
            if self.lock.holder != Some(caller) {
                return Failure::NotOwner.into();
            }
            self.last_ticket += 1;
            *waiting = Waiting::Asleep { ticket: self.last_ticket, depth: self.lock.depth };
            self.asleep.insert(self.last_ticket);
            (self.lock.holder, self.lock.depth) = (None, 0);
            return Attempt::Wait;
        }
        if let Waiting::Asleep { ticket, depth } = *waiting {
            if self.asleep.contains(&ticket) {
                return Attempt::Wait;
            }
            *waiting = Waiting::Returning { notified: true, depth };
        }
        let Waiting::Returning { notified, depth } = *waiting else { return Failure::WrongKind.into() };
        match self.lock.acquire(caller) {
            Attempt::Done(Ok(_)) => {
                self.lock.depth = depth;
                Reply::Flag(notified).into()
            }
            other => other,
        }
    }

    fn notify(&mut self, caller: Caller, count: usize) -> Attempt {
        if self.lock.holder != Some(caller) {
            return Failure::NotOwner.into();
        }
        for _ in 0..count {
            if self.asleep.pop_first().is_none() {
                break;
            }
        }
        Reply::Done.into()
    }
}
