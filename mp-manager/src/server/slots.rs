//! The server's part of the call slots: requests and replies.
//!
//! | the reply                     | goes                                                  |
//! |-------------------------------|-------------------------------------------------------|
//! | has no handles, and fits      | into the slot                                         |
//! | otherwise                     | over the client's connection, and the slot says so    |

use super::Server;
use super::clients::Delivery;
use super::lines::{Lines, Taken};
use super::table::Body;
use super::unconfirmed::Undo;
use crate::object::{Caller, ClientId};
use crate::protocol::{Reply, Request, serial_of_slot, slot_of_serial};
use crate::slots::{Answer, Attachable, Client};
use mp_core::sys::futex::FutexWord;
use mp_core::word::{Learned, Machine, Site};

impl Server {
    /// Gives a client a slot, if it is a relative and there is one.
    pub(super) fn give_slot(&mut self, client: ClientId, attached: bool) -> Reply {
        let none = Reply::Slot { slot: None, memory: Attachable(None), doorbell: None };
        let Some(lines) = self.lines.as_mut().filter(|_| self.clients.is_relative(client)) else {
            return none;
        };
        let Some(slot) = lines.give(client) else { return none };
        let memory = (!attached).then(|| lines.memory.clone());
        let doorbell = (!attached).then(|| lines.doorbell.clone());
        Reply::Slot { slot: Some(slot), memory: Attachable(memory), doorbell }
    }

    /// Serves one call of each client that has asked (`order.rs`); `false`: none has.
    pub(super) fn serve_slots(&mut self) -> bool {
        let Some(lines) = &mut self.lines else { return false };
        lines.begin_pass();
        let any = lines.take();
        while let Some(slot) = self.lines.as_mut().and_then(Lines::next) {
            self.serve_slot(slot);
        }
        if self.lines.as_ref().is_some_and(Lines::has_turns) {
            self.mind_turns(any);
        }
        // Those that it has just woken wait for this CPU.
        if any && self.lines.as_mut().is_some_and(Lines::end_pass) {
            // What its waits have learned holds for one CPU.
            self.spins.learn(Site::new());
        }
        any
    }

    /// Serves what was put off, and wakes those whose turn it is.
    fn mind_turns(&mut self, any: bool) {
        let mut now = FutexWord::now();
        while let Some(slot) = self.lines.as_mut().and_then(|lines| lines.next_put_off(now)) {
            self.serve_slot(slot);
            // Its time is its client's: the next pass is charged to others.
            now = FutexWord::now();
        }
        if let Some(lines) = &mut self.lines {
            lines.turn(any, now);
        }
    }

    fn serve_slot(&mut self, slot: u32) {
        let Some(taken) = self.lines.as_mut().and_then(|lines| lines.request(slot)) else { return };
        let Taken { client, request, is_left } = taken;
        // It has read what it was answered before.
        self.unconfirmed.confirm(client, serial_of_slot(slot));
        match request {
            Ok(Request::Call { object, thread, call, .. }) if is_left => {
                self.not_begun(Caller { client, thread }, object, call);
            }
            Ok(Request::Call { object, thread, wait, call }) => {
                self.call(client, thread, serial_of_slot(slot), object, wait, call);
            }
            // As on a connection: what is no request ends it.
            _ => self.client_gone(client),
        }
    }

    /// Answers a call that waits in a slot.
    pub(super) fn answer_slot(
        &mut self,
        client: ClientId,
        slot: u32,
        reply: Reply,
        undo: Option<Undo>,
    ) -> Delivery {
        let Some(lines) = &mut self.lines else { return Delivery::Sent };
        if let Some(owner) = lines.owner(slot) {
            owner.origin = undo.as_ref().filter(|undo| undo.is_item).map(|undo| undo.object);
        }
        let in_slot = lines.answer(slot, &reply);
        // Said before it is sent: nothing goes over the connection to a client that has given up.
        let state = in_slot.unwrap_or_else(|| lines.end(slot, Answer::ByStream));
        if state == Client::Left {
            if let Some(owner) = lines.owner(slot) {
                owner.origin = None;
            }
            return Delivery::Left(reply);
        }
        match in_slot {
            Some(_) => Delivery::Sent,
            None => self.send(client, serial_of_slot(slot), reply, undo),
        }
    }

    /// A client has read an item that came over its connection.
    pub(super) fn received(&mut self, client: ClientId, serial: u64) {
        // A slot's next call has the same serial, and its reply may be on its way by now.
        let has_read = |slot| self.lines.as_ref().is_some_and(|lines| lines.has_read(slot));
        if slot_of_serial(serial).is_none_or(has_read) {
            self.unconfirmed.confirm(client, serial);
        }
    }

    /// A client is gone: what it has not read goes back, and others may have its slots, unless it lives.
    pub(super) fn take_unread_back(&mut self, client: ClientId, lives: bool) {
        let mut unread = self.unconfirmed.take(client);
        if let Some(lines) = &self.lines {
            let has_read = |slot| lines.has_read(slot);
            unread.retain(|(serial, ..)| !slot_of_serial(*serial).is_some_and(has_read));
        }
        let in_slots = match &mut self.lines {
            Some(lines) if lives => {
                lines.retire(client);
                Vec::new()
            }
            Some(lines) => lines.take_back(client),
            None => Vec::new(),
        };
        let unread = unread.into_iter().map(|(_, undo, reply)| (undo.object, reply));
        for (object, reply) in unread.chain(in_slots) {
            if let Some(entry) = self.table.get(object)
                && let Body::Own(body) = &mut entry.body
            {
                body.undelivered(client, reply);
                self.retry(object);
            }
        }
    }
}
