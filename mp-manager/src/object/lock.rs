//! A lock, held by a thread of a client.
//!
//! ```text
//!   FREE ──acquire──► HELD by a thread of a client ──release──► FREE
//!                       │ the client dies
//!                       └──► FREE, died ──acquire──► FREE; that one is told
//! ```
//!
//! Conditions over it keep their sleepers here (`condition.rs`), so that all that wait for it wait in one place.
//!
//! # When a process dies
//! A holder's connection ends with it, and its locks are free at once. A dead waiter is removed.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::condition::Sleepers;
use crate::protocol::{Call, ConditionCall, Failure, LockCall, Reply};

#[derive(Debug)]
pub(crate) struct Lock {
    rule: Rule,
    pub(super) holder: Option<Caller>,
    /// How often its holder has acquired it.
    pub(super) depth: u64,
    died: bool,
    pub(super) sleepers: Sleepers,
}

/// What its holder may do, and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Its holder cannot acquire it again, and nothing else releases it.
    Plain,
    /// Its holder can acquire it again.
    Reentrant,
    /// Any client releases it, as Python's `Lock`; its holder that acquires it again waits.
    #[cfg(feature = "pickle")]
    AnyReleases,
}

impl Object for Lock {
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt {
        match call {
            Call::Lock(LockCall::Acquire) => self.acquire(caller),
            Call::Lock(LockCall::Release) => self.release(caller).into(),
            Call::Lock(LockCall::Locked) => Reply::Flag(self.holder.is_some()).into(),
            Call::Condition { condition, call } => self.call_condition(caller, *condition, call),
            _ => Failure::WrongKind.into(),
        }
    }

    fn give_up(&mut self, _: Caller, call: &mut Call) -> Option<Failure> {
        match call {
            Call::Condition { condition, call } => self.give_condition_up(*condition, call),
            _ => Some(Failure::Timeout),
        }
    }

    fn undo(&mut self, caller: Caller, call: &Call, reply: Reply) {
        match (call, reply) {
            (Call::Lock(LockCall::Acquire), Reply::Done)
            | (Call::Condition { call: ConditionCall::Acquire, .. }, Reply::Done) => {
                let _ = self.release(caller);
            }
            (Call::Condition { condition, call: ConditionCall::Wait(_) }, Reply::Flag(notified)) => {
                self.undo_wait(caller, *condition, notified);
            }
            (_, Reply::Failed(Failure::OwnerDied)) => self.died = true,
            _ => {}
        }
    }

    /// Python's `Lock` is no thread's: any other one may release it.
    fn holds(&self, caller: Caller) -> bool {
        matches!(self.rule, Rule::Plain | Rule::Reentrant) && self.holder == Some(caller)
    }

    fn is_held_up_by(&self, holder: Caller, call: &Call) -> bool {
        // One that sleeps in a condition is notified by a holder of the lock, and has to have it again.
        let acquires = matches!(
            call,
            Call::Lock(LockCall::Acquire)
                | Call::Condition { call: ConditionCall::Acquire | ConditionCall::Wait(_), .. }
        );
        acquires && self.holds(holder)
    }

    fn client_gone(&mut self, client: ClientId) {
        if self.holder.is_some_and(|holder| holder.client == client) {
            (self.holder, self.depth, self.died) = (None, 0, true);
        }
    }

    fn minds_deaths(&self) -> bool {
        self.holder.is_some()
    }
}

impl Lock {
    pub(crate) fn new(reentrant: bool) -> Lock {
        Lock::with(if reentrant { Rule::Reentrant } else { Rule::Plain })
    }

    /// Python's `Lock`.
    #[cfg(feature = "pickle")]
    pub(super) fn of_no_thread() -> Lock {
        Lock::with(Rule::AnyReleases)
    }

    fn with(rule: Rule) -> Lock {
        Lock { rule, holder: None, depth: 0, died: false, sleepers: Sleepers::default() }
    }

    /// Whether it is held, and this caller may give it up.
    pub(super) fn is_held_for(&self, caller: Caller) -> bool {
        match self.holder {
            #[cfg(feature = "pickle")]
            Some(_) if self.rule == Rule::AnyReleases => true,
            holder => holder == Some(caller),
        }
    }

    pub(super) fn acquire(&mut self, caller: Caller) -> Attempt {
        match self.holder {
            Some(holder) if holder == caller && self.rule == Rule::Reentrant => self.depth += 1,
            // Also for its holder, which is told if it would wait for ever (`server/deadlocks.rs`).
            Some(_) => return Attempt::Wait,
            // Reported once. The lock stays free: the caller may want to repair the data first.
            None if std::mem::take(&mut self.died) => return Failure::OwnerDied.into(),
            None => (self.holder, self.depth) = (Some(caller), 1),
        }
        Reply::Done.into()
    }

    pub(super) fn release(&mut self, caller: Caller) -> Result<Reply, Failure> {
        match self.holder {
            _ if self.is_held_for(caller) => {}
            #[cfg(feature = "pickle")]
            None if self.rule == Rule::AnyReleases => return Err(Failure::OverReleased),
            _ => return Err(Failure::NotOwner),
        }
        self.depth -= 1;
        if self.depth == 0 {
            self.holder = None;
        }
        Ok(Reply::Done)
    }
}
