//! A queue of packed values, which counts the tasks that are not done.
//!
//! # When a process dies
//! A getter that waits is cancelled and gets nothing; an item that it has not read when it dies is the next one again.
//! A getter that is killed after it has read its item takes the item along: its task is lost, and `join` says so.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::stored::{Counts, Stored};
use super::tasks::Tasks;
use crate::protocol::{Call, Failure, QueueCall, Reply};
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Queue {
    counts: Counts,
    items: VecDeque<Stored>,
    /// 0: no limit.
    most: u64,
    tasks: Tasks,
}

impl Object for Queue {
    fn attempt(&mut self, Caller { client, .. }: Caller, call: &mut Call) -> Attempt {
        let Call::Queue(call) = call else { return Failure::WrongKind.into() };
        match call {
            QueueCall::Put(_) if self.is_full() => Attempt::Wait,
            QueueCall::Put(value) => {
                self.items.push_back(Stored::new(&self.counts, std::mem::take(value)));
                self.tasks.put();
                Reply::Done.into()
            }
            QueueCall::Get => match self.items.pop_front() {
                Some(value) => {
                    self.tasks.get(client);
                    Reply::Value(Some(value.packed())).into()
                }
                None => Attempt::Wait,
            },
            QueueCall::Len => Reply::Count(self.items.len() as u64).into(),
            QueueCall::Full => Reply::Flag(self.is_full()).into(),
            QueueCall::TaskDone => self.tasks.done(client).map(|()| Reply::Done).into(),
            QueueCall::Join => match self.tasks.join(client) {
                Some(result) => result.map(|()| Reply::Done).into(),
                None => Attempt::Wait,
            },
        }
    }

    fn wants_back(&self, reply: &Reply) -> bool {
        matches!(reply, Reply::Value(Some(_)))
    }

    /// An item that was put is the last one still: others are served after this.
    fn undo(&mut self, Caller { client, .. }: Caller, call: &Call, reply: Reply) {
        match (call, reply) {
            (Call::Queue(QueueCall::Put(_)), Reply::Done) => {
                self.items.pop_back();
                self.tasks.undo_put();
            }
            (Call::Queue(QueueCall::Join), Reply::Failed(Failure::TasksLost(items))) => {
                self.tasks.undo_join(client, items);
            }
            (_, reply) => self.undelivered(client, reply),
        }
    }

    /// An item that its getter has not read is the next one again.
    fn undelivered(&mut self, client: ClientId, reply: Reply) {
        if let Reply::Value(Some(value)) = reply {
            self.tasks.undo_get(client);
            self.items.push_front(Stored::new(&self.counts, value));
        }
    }

    fn client_gone(&mut self, client: ClientId) {
        self.tasks.client_gone(client, self.items.len() as u64);
    }

    #[cfg(feature = "pickle")]
    fn thread_gone(&mut self, client: ClientId) {
        self.tasks.thread_gone(client);
    }

    fn minds_deaths(&self) -> bool {
        true
    }

    fn can_be_held(&self) -> bool {
        false
    }
}

impl Queue {
    pub(crate) fn new(counts: &Counts, most: u64) -> Queue {
        Queue { counts: counts.clone(), items: VecDeque::new(), most, tasks: Tasks::default() }
    }

    fn is_full(&self) -> bool {
        self.most > 0 && self.items.len() as u64 >= self.most
    }
}
