//! Calls on objects: done at once, or waiting beside their object.
//!
//! ```text
//!   call ──► attempt ──done──► reply; the calls that wait for this object are tried again, oldest first
//!               └──must wait──► parked ──tried again and done──────────► reply
//!                                  ├──its time is over──► given up ────► reply
//!                                  └──its client has died──► given up
//! ```

use super::Server;
use super::clients::{Delivery, Unserved};
use super::parked::Parked;
use super::table::Body;
use super::unconfirmed::Undo;
use crate::object::{Attempt, BESIDE, Caller, ClientId, Object, Touched};
use crate::protocol::{BarrierCall, Call, ConditionCall, Failure, ObjectId, Reply, Request, Wait, Waiting};
use mp_core::word::Deadline;
use std::collections::HashSet;

impl Call {
    /// How far a wait has come is the server's to say.
    fn begin(&mut self) {
        match self {
            Call::Condition { call: ConditionCall::Wait(waiting), .. } => *waiting = Waiting::Asked,
            Call::Barrier(BarrierCall::Wait(place)) => *place = None,
            _ => {}
        }
    }
}

impl Server {
    pub(super) fn call(
        &mut self,
        client: ClientId,
        thread: u64,
        serial: u64,
        object: ObjectId,
        wait: Wait,
        mut call: Call,
    ) {
        let caller = Caller { client, thread };
        call.begin();
        let is_charged = self.is_charged(client);
        if is_charged && let Err(failure) = self.counts.room().check(call.stores()) {
            return self.reply(client, serial, Err(failure));
        }
        let object = match self.place_of(object, &mut call) {
            Ok(object) => object,
            Err(failure) => return self.reply(client, serial, Err(failure)),
        };
        let Some(entry) = self.table.get(object) else {
            return self.reply(client, serial, Err(Failure::NoSuchObject));
        };
        let has_waiting = !entry.waiting.is_empty();
        let is_timed = matches!(wait, Wait::AtMost(_));
        let attempt = match &mut entry.body {
            Body::Own(body) => self.counts.room().charging(is_charged, || body.attempt(caller, &mut call)),
            // Those that wait were first.
            Body::Custom(_) if has_waiting => Attempt::Wait,
            Body::Custom(_) => return self.call_custom(caller, serial, object, call),
            Body::Over(_) => Failure::WrongKind.into(),
            Body::Pool(_) => {
                if let Some(result) = self.call_pool(caller, serial, object, wait, call) {
                    self.reply(client, serial, result);
                }
                return;
            }
            #[cfg(feature = "pickle")]
            Body::Python(_) => Failure::WrongKind.into(),
        };
        match attempt {
            Attempt::Done(result) => {
                self.done(Parked { is_timed, ..Parked::new(caller, serial, object, call) }, result);
                if has_waiting {
                    self.retry(object);
                }
            }
            // Its time is over at once: what it has begun is ended as for any other that waits.
            Attempt::Wait if wait == Wait::Never => {
                let must_go_on = match &mut entry.body {
                    Body::Own(body) => body.give_up(caller, &mut call).is_none(),
                    _ => false,
                };
                if must_go_on {
                    self.park(Parked { is_timed, ..Parked::new(caller, serial, object, call) });
                } else {
                    self.reply(client, serial, Err(Failure::WouldBlock));
                }
                self.retry(object);
            }
            Attempt::Wait if wait == Wait::Forever && self.would_deadlock(caller, object, &call) => {
                self.reply(client, serial, Err(Failure::WouldDeadlock));
            }
            Attempt::Wait => {
                self.park_call(caller, serial, object, wait, call);
                // A condition's lock is free now, for example.
                if has_waiting {
                    self.retry(object);
                }
            }
        }
    }

    fn park(&mut self, mut parked: Parked) {
        let object = parked.object;
        if self.is_charged(parked.caller.client) {
            parked.held = Some(self.counts.room().hold(BESIDE + parked.call.stores()));
        }
        let number = self.calls.park(parked);
        if let Some(entry) = self.table.get(object) {
            entry.waiting.push_back(number);
        }
    }

    pub(super) fn park_call(
        &mut self,
        caller: Caller,
        serial: u64,
        object: ObjectId,
        wait: Wait,
        call: Call,
    ) {
        let (deadline, is_timed) = match wait {
            Wait::AtMost(time) => (Deadline::after(time), true),
            Wait::Forever | Wait::Never => (None, false),
        };
        self.park(Parked { deadline, is_timed, ..Parked::new(caller, serial, object, call) });
    }

    /// A call of a user's type that has to wait.
    pub(super) fn park_custom(&mut self, caller: Caller, serial: u64, object: ObjectId, call: Call) {
        self.park(Parked::new(caller, serial, object, call));
    }

    /// A call was done: its caller gets the reply, or it is undone.
    fn done(&mut self, done: Parked, result: Result<Reply, Failure>) {
        let Parked { caller, serial, object, is_timed, is_left, call, .. } = done;
        if is_left {
            return self.undo(caller, object, &call, result.unwrap_or_else(Reply::Failed));
        }
        if let Some(entry) = self.table.get(object)
            && let Body::Own(body) = &entry.body
            && body.minds_deaths()
        {
            let is_alive = |object| self.table.peek(object).is_some();
            self.clients.touch(caller.client, object, is_alive);
            #[cfg(feature = "pickle")]
            self.pickled.touch(caller.client, object, is_alive);
        }
        let is_item = match (self.table.get(object).map(|entry| &entry.body), &result) {
            (Some(Body::Own(body)), Ok(reply)) => body.wants_back(reply),
            _ => false,
        };
        let undoable = if is_item || is_timed { call.undoable() } else { None };
        let undo = undoable.map(|call| Undo { object, caller, call, is_item });
        match self.deliver(caller.client, serial, result, undo) {
            Delivery::Sent => {}
            Delivery::Dead(reply) => {
                if let Some(entry) = self.table.get(object)
                    && let Body::Own(body) = &mut entry.body
                {
                    body.undelivered(caller.client, reply);
                }
            }
            Delivery::Left(reply) => {
                let references = reply.objects();
                self.undo(caller, object, &call, reply);
                self.release_all(caller.client, references);
            }
        }
    }

    fn undo(&mut self, caller: Caller, object: ObjectId, call: &Call, reply: Reply) {
        if let Some(entry) = self.table.get(object)
            && let Body::Own(body) = &mut entry.body
        {
            body.undo(caller, call, reply);
        }
    }

    /// A call was given up before it was begun. One that waits for a condition has given its lock up all the same.
    pub(super) fn not_begun(&mut self, caller: Caller, object: ObjectId, mut call: Call) {
        if matches!(call, Call::Condition { call: ConditionCall::Wait(_), .. })
            && let Ok(object) = self.place_of(object, &mut call)
        {
            self.undo(caller, object, &call, Reply::Flag(false));
            self.retry(object);
        }
    }

    /// A client waits no longer for the reply of a call that it made over its connection.
    pub(super) fn give_up(&mut self, client: ClientId, serial: u64) {
        let unserved = self.clients.give_up(client, serial);
        if self.calls.leave(client, serial) {
            // It is given up when its time is over, which is now.
        } else if let Some((undo, reply)) = self.unconfirmed.confirm(client, serial) {
            let Undo { object, caller, call, .. } = undo;
            let references = reply.objects();
            self.undo(caller, object, &call, reply);
            self.release_all(client, references);
            self.retry(object);
        } else {
            match unserved {
                Some(Unserved::Request(Request::Call { object, thread, call, .. })) => {
                    self.not_begun(Caller { client, thread }, object, call);
                }
                Some(Unserved::Reply(reply)) => self.release_all(client, reply.objects()),
                Some(Unserved::Request(_)) | None => {}
            }
        }
        // It calls through slots after this: such a call would have overtaken this, or has the same serial.
        if self.clients.is_relative(client) {
            self.reply(client, serial, Ok(Reply::GivenUp));
        }
    }

    fn release_all(&mut self, client: ClientId, objects: Vec<ObjectId>) {
        objects.into_iter().for_each(|object| self.clients.release(&self.counts, client, object));
    }

    /// Tries the waiting calls of an object again, until none of them can be done.
    pub(super) fn retry(&mut self, object: ObjectId) {
        loop {
            let mut progress = false;
            let Some(entry) = self.table.get(object) else { return };
            let waiting: Vec<u64> = entry.waiting.iter().copied().collect();
            for number in waiting {
                let Some(entry) = self.table.get(object) else { return };
                let Body::Own(body) = &mut entry.body else { return self.retry_custom(object) };
                let Some(parked) = self.calls.parked.get_mut(&number) else { continue };
                let is_charged = parked.held.is_some();
                let attempt = || body.attempt(parked.caller, &mut parked.call);
                if let Attempt::Done(result) = self.counts.room().charging(is_charged, attempt) {
                    entry.waiting.retain(|other| *other != number);
                    if let Some(parked) = self.calls.remove(number) {
                        self.done(parked, result);
                    }
                    progress = true;
                }
            }
            if !progress {
                return;
            }
        }
    }

    /// The oldest waiting calls of an object of a user's type go on as far as they may.
    fn retry_custom(&mut self, object: ObjectId) {
        loop {
            let Some(entry) = self.table.get(object) else { return };
            let (Body::Custom(body), Some(number)) = (&entry.body, entry.waiting.front().copied()) else {
                return;
            };
            let may = self.calls.parked.get(&number).is_none_or(|parked| body.may(&parked.call));
            if !may {
                return;
            }
            entry.waiting.pop_front();
            if let Some(Parked { caller, serial, call, .. }) = self.calls.remove(number) {
                self.call_custom(caller, serial, object, call);
            }
        }
    }

    /// Gives up the calls whose time is over.
    pub(super) fn expire(&mut self) {
        while let Some((deadline, number)) = self.calls.deadlines.first().copied()
            && deadline.passed()
        {
            self.calls.deadlines.pop_first();
            let Some(parked) = self.calls.parked.get_mut(&number) else { continue };
            parked.deadline = None;
            let (caller, serial, object, is_left) =
                (parked.caller, parked.serial, parked.object, parked.is_left);
            let failure = match self.table.get(object).map(|entry| &mut entry.body) {
                Some(Body::Own(body)) => body.give_up(caller, &mut parked.call),
                _ => Some(Failure::Timeout),
            };
            if let Some(failure) = failure {
                self.unpark(number, object);
                if !is_left {
                    self.reply(caller.client, serial, Err(failure));
                }
            }
            self.retry(object);
        }
    }

    fn unpark(&mut self, number: u64, object: ObjectId) -> Option<Parked> {
        if let Some(entry) = self.table.get(object) {
            entry.waiting.retain(|other| *other != number);
        }
        self.calls.remove(number)
    }

    /// A client has died: its waiting calls are given up, and the objects that mind are `told`.
    pub(super) fn cancel_all(
        &mut self,
        client: ClientId,
        touched: Touched,
        told: fn(&mut dyn Object, ClientId),
    ) {
        let numbers = self.calls.of_client.remove(&client).unwrap_or_default();
        let mut changed: HashSet<ObjectId> = touched.iter().collect();
        for number in numbers {
            let Some(object) = self.calls.parked.get(&number).map(|parked| parked.object) else { continue };
            if let Some(mut parked) = self.unpark(number, object)
                && let Some(entry) = self.table.get(object)
                && let Body::Own(body) = &mut entry.body
            {
                body.give_up(parked.caller, &mut parked.call);
            }
            changed.insert(object);
        }
        for object in &changed {
            if let Some(entry) = self.table.get(*object)
                && let Body::Own(body) = &mut entry.body
            {
                told(&mut **body, client);
            }
            self.retry(*object);
        }
    }

    /// Tells the calls that wait for an object which no reference is left to that it is gone.
    pub(super) fn refuse_waiting(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            if let Some(parked) = self.calls.remove(number) {
                self.reply(parked.caller.client, parked.serial, Err(Failure::NoSuchObject));
            }
        }
    }
}
