//! Objects of a user's type: `&self` methods side by side, `&mut self` methods alone.
//!
//! The server's thread decides which call may begin; so no thread of the jobs ever waits for an object.
//!
//! A call that comes while others wait goes behind them.

use super::Server;
use super::hosted::{Custom, Hosted, construct, guarded};
use super::jobs::{Outcome, Ticket, Work};
use super::supervised::Supervised;
use super::table::Body;
use crate::object::{Caller, ClientId};
use crate::protocol::{Call, Failure, Kind, ObjectId, Reply};
use crate::restart::Restart;
use mp_core::transfer::{Code, Message};

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
        if let Err(failure) = self.jobs.give(Ticket::of(client, serial), work) {
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
        let (value, alone) = custom.begin(exclusive);
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
            custom.leave(alone);
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
                    let body = Body::Custom(Custom::new(value));
                    self.enter(caller.client, Kind::Custom, body).map(Reply::Created)
                }
                Outcome::Built(Err(failure)) => Err(failure),
                Outcome::Returned(result) => result.map(Reply::Returned),
                Outcome::Segment(made, counted) => match self.memory_made(caller.client, made, counted) {
                    Some(result) => result,
                    None => continue,
                },
                Outcome::Released => Ok(Reply::Flag(true)),
                Outcome::Pool(Ok(pool)) if !self.clients.has(caller.client) => {
                    self.end_pool(0, pool);
                    continue;
                }
                Outcome::Pool(result) => {
                    result.and_then(|pool| self.enter_pool(caller.client, pool)).map(Reply::Created)
                }
                Outcome::PoolEnded => {
                    self.pool_ended(serial);
                    continue;
                }
                Outcome::Tasks(count, arrived) => {
                    if let Some((results, _)) = object {
                        self.tasks_ended(serial, results, count, arrived);
                    }
                    continue;
                }
            };
            if let Some((object, alone)) = object {
                self.leave_custom(object, alone);
                self.retry(object);
            }
            self.reply(caller.client, serial, result);
        }
    }
}
