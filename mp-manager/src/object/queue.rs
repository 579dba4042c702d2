//! A queue of packed values, which counts the tasks that are not done.
//!
//! # When a process dies
//! A getter that waits is cancelled and gets nothing; an item that it has not read when it dies is the next one again.
//! A getter that is killed after it has read its item takes the item along, and its task is never done.

use super::attempt::{Attempt, Caller, Object};
use super::stored::{Counts, Stored};
use crate::protocol::{Call, Failure, QueueCall, Reply};
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Queue {
    counts: Counts,
    items: VecDeque<Stored>,
    /// 0: no limit.
    most: u64,
    unfinished: u64,
}

impl Object for Queue {
    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Queue(call) = call else { return Failure::WrongKind.into() };
        match call {
            QueueCall::Put(_) if self.is_full() => Attempt::Wait,
            QueueCall::Put(value) => {
                self.items.push_back(Stored::new(&self.counts, std::mem::take(value)));
                self.unfinished += 1;
                Reply::Done.into()
            }
            QueueCall::Get => match self.items.pop_front() {
                Some(value) => Reply::Value(Some(value.packed())).into(),
                None => Attempt::Wait,
            },
            QueueCall::Len => Reply::Count(self.items.len() as u64).into(),
            QueueCall::Full => Reply::Flag(self.is_full()).into(),
            QueueCall::TaskDone => match self.unfinished.checked_sub(1) {
                Some(left) => {
                    self.unfinished = left;
                    Reply::Done.into()
                }
                None => Failure::OverReleased.into(),
            },
            QueueCall::Join if self.unfinished == 0 => Reply::Done.into(),
            QueueCall::Join => Attempt::Wait,
        }
    }

    fn wants_back(&self, reply: &Reply) -> bool {
        matches!(reply, Reply::Value(Some(_)))
    }

    /// An item that was put is the last one still: others are served after this.
    fn undo(&mut self, _: Caller, call: &Call, reply: Reply) {
        match (call, reply) {
            (Call::Queue(QueueCall::Put(_)), Reply::Done) => {
                self.items.pop_back();
                self.unfinished = self.unfinished.saturating_sub(1);
            }
            (_, reply) => self.undelivered(reply),
        }
    }

    /// An item that its getter has not read is the next one again.
    fn undelivered(&mut self, reply: Reply) {
        if let Reply::Value(Some(value)) = reply {
            self.items.push_front(Stored::new(&self.counts, value));
        }
    }
}

impl Queue {
    pub(crate) fn new(counts: &Counts, most: u64) -> Queue {
        Queue { counts: counts.clone(), items: VecDeque::new(), most, unfinished: 0 }
    }

    fn is_full(&self) -> bool {
        self.most > 0 && self.items.len() as u64 >= self.most
    }
}
