//! Objects of a user's type: `&self` methods side by side, `&mut self` methods alone.
//!
//! The server's thread decides which call may begin; so no thread of the jobs ever waits for an object.
//!
//! | runs            | a `&self` call | a `&mut self` call |
//! |-----------------|----------------|--------------------|
//! | nothing         | begins         | begins             |
//! | `&self` calls   | begins         | waits              |
//! | a `&mut self` call | waits       | waits              |
//!
//! A call that comes while others wait goes behind them.

use super::Server;
use super::jobs::{Outcome, Ticket, Work};
use super::supervised::Supervised;
use super::table::Body;
use crate::object::{Caller, ClientId};
use crate::protocol::{Call, Failure, Kind, ObjectId, Reply};
use crate::shared::Restart;
use mp_core::process::{CaughtError, call_caught, caught};
use mp_core::transfer::{Code, Message};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// A value of a user's type, called by the number of a method.
pub(crate) trait Hosted: Send + Sync {
    /// Whether it is in a process of its own.
    fn is_supervised(&self) -> bool {
        false
    }

    /// Calls a method: an exclusive one when no other is called.
    fn call(&self, method: u32, exclusive: bool, arguments: Message) -> Result<Message, Failure>;
}

thread_local! {
    /// What a constructor has made, on its way from the function to the thread that called it.
    static BUILT: RefCell<Option<Box<dyn Hosted>>> = const { RefCell::new(None) };
}

/// Leaves what a constructor has made for the thread that called it.
pub(crate) fn stash(made: Box<dyn Hosted>) {
    BUILT.set(Some(made));
}

/// Calls a constructor, here.
pub(super) fn construct(code: &Code, arguments: Message) -> Result<Box<dyn Hosted>, Failure> {
    call_caught(code, arguments).map_err(failure)?;
    BUILT.take().ok_or_else(|| Failure::Codec("the function is no constructor of an object".to_owned()))
}

/// Calls a method, and catches its panic.
pub(super) fn guarded(call: impl FnOnce() -> Result<Message, Failure>) -> Result<Message, Failure> {
    caught(call).map_err(failure)?
}

fn failure(error: CaughtError) -> Failure {
    match error {
        CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
        CaughtError::Call(error) => Failure::Codec(error.to_string()),
    }
}

/// The object, and what runs on it.
pub(super) struct Custom {
    value: Arc<dyn Hosted>,
    shared: u64,
    is_alone: bool,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("shared", &self.shared).field("is_alone", &self.is_alone).finish()
    }
}

impl Custom {
    /// Whether this call may begin now.
    pub(super) fn may(&self, call: &Call) -> bool {
        let wants_alone = matches!(call, Call::Custom { exclusive, .. } if self.wants_alone(*exclusive));
        !self.is_alone && (self.shared == 0 || !wants_alone)
    }

    /// The calls of a supervised object come one after the other.
    fn wants_alone(&self, exclusive: bool) -> bool {
        exclusive || self.value.is_supervised()
    }
}

impl Server {
    /// Makes an object of a user's type, in a process of its own if it is to be supervised.
    pub(super) fn build(
        &mut self,
        client: ClientId,
        serial: u64,
        code: Code,
        arguments: Message,
        restart: Option<Restart>,
    ) {
        let work: Work = match restart {
            None => Box::new(move || Outcome::Built(construct(&code, arguments))),
            Some(restart) => Box::new(move || {
                Outcome::Built(
                    Supervised::start(code, arguments, restart)
                        .map(|object| Box::new(object) as Box<dyn Hosted>),
                )
            }),
        };
        let ticket = Ticket { caller: Caller { client, thread: 0 }, serial, object: None };
        if let Err(failure) = self.jobs.give(ticket, work) {
            self.reply(client, serial, Err(failure));
        }
    }

    /// Begins a call, or parks it.
    pub(super) fn call_custom(&mut self, caller: Caller, serial: u64, object: ObjectId, call: Call) {
        let Some(Body::Custom(custom)) = self.table.get(object).map(|entry| &mut entry.body) else { return };
        if !custom.may(&call) {
            return self.park_custom(caller, serial, object, call);
        }
        let Call::Custom { method, exclusive, arguments } = call else {
            return self.reply(caller.client, serial, Err(Failure::WrongKind));
        };
        let (value, alone) = (Arc::clone(&custom.value), custom.wants_alone(exclusive));
        if alone {
            custom.is_alone = true;
        } else {
            custom.shared += 1;
        }
        let work: Work =
            Box::new(move || Outcome::Returned(guarded(|| value.call(method, exclusive, arguments))));
        let ticket = Ticket { caller, serial, object: Some((object, alone)) };
        if let Err(failure) = self.jobs.give(ticket, work) {
            self.leave_custom(object, alone);
            self.reply(caller.client, serial, Err(failure));
        }
    }

    fn leave_custom(&mut self, object: ObjectId, alone: bool) {
        if let Some(Body::Custom(custom)) = self.table.get(object).map(|entry| &mut entry.body) {
            if alone {
                custom.is_alone = false;
            } else {
                custom.shared -= 1;
            }
        }
    }

    /// Answers the callers of the jobs that are done, and begins what has waited for them.
    pub(super) fn finish_jobs(&mut self) {
        for (ticket, outcome) in self.jobs.done() {
            let Ticket { caller, serial, object } = ticket;
            let result = match outcome {
                // Nothing refers to it.
                Outcome::Built(Ok(_)) if !self.clients.has(caller.client) => continue,
                Outcome::Built(Ok(value)) => {
                    let body = Body::Custom(Custom { value: value.into(), shared: 0, is_alone: false });
                    self.enter(caller.client, Kind::Custom, body).map(Reply::Created)
                }
                Outcome::Built(Err(failure)) => Err(failure),
                Outcome::Returned(result) => result.map(Reply::Returned),
            };
            if let Some((object, alone)) = object {
                self.leave_custom(object, alone);
                self.retry(object);
            }
            self.reply(caller.client, serial, result);
        }
    }
}
