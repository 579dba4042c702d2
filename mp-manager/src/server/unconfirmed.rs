//! Items of queues that were sent over a connection, until their getter says that it has them; and what was acquired in
//! time over one, until its caller says that it has not given up meanwhile.
//!
//! A reply in a slot needs no such word: the slot says whether it was read.
//!
//! # When a process dies
//! A getter that is killed before it has read its item says nothing, and the item goes back to the front of its queue.

use crate::object::{Caller, ClientId};
use crate::protocol::{Call, ObjectId, Reply};
use std::collections::BTreeMap;

/// By the client and the serial of the call.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed(BTreeMap<(ClientId, u64), (Undo, Reply)>);

/// What it takes to undo a call that was answered.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) object: ObjectId,
    pub(super) caller: Caller,
    pub(super) call: Call,
    /// It has given an item, which goes back if its caller dies; else it was given up at the caller's deadline at most.
    pub(super) is_item: bool,
}

impl Unconfirmed {
    pub(super) fn keep(&mut self, client: ClientId, serial: u64, undo: Undo, reply: Reply) {
        self.0.insert((client, serial), (undo, reply));
    }

    /// The client has it, or never will.
    pub(super) fn confirm(&mut self, client: ClientId, serial: u64) -> Option<(Undo, Reply)> {
        self.0.remove(&(client, serial))
    }

    /// What a client that has died never had, and from which object it came: the last one first, so that each can be
    /// put in front of the others.
    pub(super) fn take(&mut self, client: ClientId) -> Vec<(u64, Undo, Reply)> {
        let mut later = self.0.split_off(&(client, 0));
        let mut others = later.split_off(&(client + 1, 0));
        self.0.append(&mut others);
        later.into_iter().rev().map(|((_, serial), (undo, reply))| (serial, undo, reply)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::QueueCall;

    #[test]
    fn a_client_takes_what_it_has_not_confirmed_and_no_others() {
        let mut unconfirmed = Unconfirmed::default();
        for (client, serial) in [(1, 1), (2, 1), (2, 2), (2, 3), (3, 1)] {
            let (caller, call) = (Caller { client, thread: 1 }, Call::Queue(QueueCall::Get));
            let undo = Undo { object: 9, caller, call, is_item: true };
            unconfirmed.keep(client, serial, undo, Reply::Count(serial));
        }
        unconfirmed.confirm(2, 2);
        let serials = |taken: Vec<(u64, Undo, Reply)>| taken.into_iter().map(|(serial, ..)| serial).collect();
        let of_two: Vec<u64> = serials(unconfirmed.take(2));
        assert_eq!(of_two, [3, 1]);
        assert!(unconfirmed.take(2).is_empty());
        assert_eq!((unconfirmed.take(1).len(), unconfirmed.take(3).len()), (1, 1));
    }
}
