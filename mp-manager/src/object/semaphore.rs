//! A semaphore. Permits belong to no client: one that a killed client has taken does not come back, as in Python.

use super::attempt::{Attempt, Caller, Object};
use crate::protocol::{Call, Failure, Reply, SemaphoreCall};

#[derive(Debug)]
pub(crate) struct Semaphore {
    permits: u64,
    most: Option<u64>,
}

impl Semaphore {
    pub(crate) fn new(permits: u64, most: Option<u64>) -> Semaphore {
        Semaphore { permits, most }
    }
}

impl Object for Semaphore {
    fn undo(&mut self, _: Caller, call: &Call, reply: Reply) {
        if let (Call::Semaphore(SemaphoreCall::Acquire), Reply::Done) = (call, reply) {
            self.permits = self.permits.saturating_add(1);
        }
    }

    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Semaphore(call) = call else { return Failure::WrongKind.into() };
        match call {
            SemaphoreCall::Acquire => match self.permits.checked_sub(1) {
                Some(left) => {
                    self.permits = left;
                    Reply::Done.into()
                }
                None => Attempt::Wait,
            },
            SemaphoreCall::Release(count) => match self.permits.checked_add(*count) {
                Some(permits) if self.most.is_none_or(|most| permits <= most) => {
                    self.permits = permits;
                    Reply::Done.into()
                }
                _ => Failure::OverReleased.into(),
            },
            SemaphoreCall::Value => Reply::Count(self.permits).into(),
        }
    }
}
