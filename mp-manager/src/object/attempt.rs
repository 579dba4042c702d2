//! What an object of the server does with a call: all of it, or nothing yet.

use crate::protocol::{Call, Failure, Reply};
use std::fmt::Debug;

/// The server's number of a client.
pub(crate) type ClientId = u64;

/// The caller: a thread of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) client: ClientId,
    pub(crate) thread: u64,
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Attempt {
    Done(Result<Reply, Failure>),
    /// It is tried again after the next change of the object. Nothing of it is done, or the rest stands in the call.
    Wait,
}

impl From<Result<Reply, Failure>> for Attempt {
    fn from(result: Result<Reply, Failure>) -> Attempt {
        Attempt::Done(result)
    }
}

impl From<Reply> for Attempt {
    fn from(reply: Reply) -> Attempt {
        Attempt::Done(Ok(reply))
    }
}

impl From<Failure> for Attempt {
    fn from(failure: Failure) -> Attempt {
        Attempt::Done(Err(failure))
    }
}

/// An object of one of the library's own kinds.
pub(crate) trait Object: Debug {
    /// Does the call, if it can be done now.
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt;

    /// A call that waits is given up: its time is over, or its client died. Gives the failure, or `None` if the call
    /// must go on all the same.
    fn give_up(&mut self, _caller: Caller, _call: &mut Call) -> Option<Failure> {
        Some(Failure::Timeout)
    }

    /// Whether this caller holds something that others wait for: a lock, or what it is changing.
    fn holds(&self, _caller: Caller) -> bool {
        false
    }

    /// Whether this call cannot be done, or go on, before that caller gives up what it holds.
    fn is_held_up_by(&self, _holder: Caller, _call: &Call) -> bool {
        false
    }

    /// Whether a reply takes something out of it that goes back if the caller dies before it has read it.
    fn wants_back(&self, _reply: &Reply) -> bool {
        false
    }

    /// What a client was to be sent, and has not read: it has died.
    fn undelivered(&mut self, _client: ClientId, _reply: Reply) {}

    /// The caller of a call that was done has given up meanwhile, and has not read this reply. Whatever the call had
    /// changed is as before, where no other caller can have seen it.
    fn undo(&mut self, caller: Caller, _call: &Call, reply: Reply) {
        self.undelivered(caller.client, reply);
    }

    /// A client that has called has died.
    fn client_gone(&mut self, _client: ClientId) {}

    /// A thread of a Python program has ended that had called, or its process has: each has a connection of its own.
    #[cfg(feature = "pickle")]
    fn thread_gone(&mut self, client: ClientId) {
        self.client_gone(client);
    }

    /// Whether the death of a client that has called means anything to it.
    fn minds_deaths(&self) -> bool {
        false
    }

    /// Whether a caller may hold something of it now (`holds`).
    fn can_be_held(&self) -> bool {
        self.minds_deaths()
    }
}
