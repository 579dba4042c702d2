//! The server's part of the call slots: which client has which, requests, and replies.
//!
//! | the reply                     | goes                                                  |
//! |-------------------------------|-------------------------------------------------------|
//! | has no handles, and fits      | into the slot                                         |
//! | otherwise                     | over the client's connection, and the slot says so    |
//!
//! A request is copied out before it is looked at: its client could still write there.

use super::Server;
use super::clients::Delivery;
use super::table::Body;
use crate::object::ClientId;
use crate::protocol::{ObjectId, Reply, Request, serial_of_slot, slot_of_serial};
use crate::slots::{Answer, Attachable, BODY, SLOTS, SlotMemory};
use mp_core::sys::eventfd::{self, eventfd};
use mp_core::transfer::{Handle, pack_onto, unpack};
use std::os::fd::{AsFd, BorrowedFd};

#[derive(Debug)]
pub(super) struct Lines {
    memory: SlotMemory,
    doorbell: Handle,
    /// Of the slots that were ever given out.
    owners: Vec<Option<Owner>>,
    free: Vec<u32>,
    /// Kept for the next request and reply.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Owner {
    client: ClientId,
    /// A request of it was taken and is not answered.
    is_busy: bool,
    /// The object that wants back what it was answered last, unless that was read.
    origin: Option<ObjectId>,
}

impl Lines {
    /// None if there is no memory for it: all calls go over connections then.
    pub(super) fn new() -> Option<Lines> {
        let (memory, doorbell) = (SlotMemory::create().ok()?, eventfd().ok()?);
        Some(Lines {
            memory,
            doorbell: Handle::new(doorbell),
            owners: Vec::new(),
            free: Vec::new(),
            buffer: Vec::new(),
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// The doorbell was rung.
    pub(super) fn hear(&self) {
        eventfd::clear(self.doorbell.as_fd());
    }

    fn used(&self) -> u32 {
        self.owners.len() as u32
    }

    pub(super) fn is_used(&self) -> bool {
        self.free.len() < self.owners.len()
    }

    pub(super) fn is_any_asked(&self) -> bool {
        self.memory.slots.is_any_asked(self.used())
    }

    /// `false`: a slot was asked.
    pub(super) fn begin_sleep(&self) -> bool {
        self.memory.slots.begin_sleep(self.used())
    }

    pub(super) fn end_sleep(&self) {
        self.memory.slots.end_sleep();
    }

    fn give(&mut self, client: ClientId) -> Option<u32> {
        let owner = Some(Owner { client, is_busy: false, origin: None });
        if let Some(slot) = self.free.pop() {
            self.owners[slot as usize] = owner;
            return Some(slot);
        }
        let slot = self.used();
        if slot == SLOTS || !self.memory.reserve(slot) {
            return None;
        }
        self.owners.push(owner);
        Some(slot)
    }

    fn owner(&mut self, slot: u32) -> Option<&mut Owner> {
        self.owners.get_mut(slot as usize)?.as_mut()
    }

    /// Whether a call of this client came through this slot, and waits for its reply.
    fn waits(&self, slot: u32, client: ClientId) -> bool {
        let owner = self.owners.get(slot as usize).and_then(Option::as_ref);
        owner.is_some_and(|owner| owner.client == client && owner.is_busy)
    }

    /// The request in a slot, and whose it is. An error: it is none.
    fn request(&mut self, slot: u32) -> Option<(ClientId, Result<Request, ()>)> {
        let owner = self.owners.get_mut(slot as usize)?.as_mut().filter(|owner| !owner.is_busy)?;
        let length = self.memory.slots.request(slot)?;
        owner.is_busy = true;
        self.buffer.clear();
        self.memory.read(slot, length, &mut self.buffer);
        Some((owner.client, unpack(&self.buffer, Vec::new()).map_err(|_| ())))
    }

    /// Answers through the slot; `false`: the reply has to go over the connection.
    fn answer(&mut self, slot: u32, reply: &Reply) -> bool {
        self.buffer.clear();
        let fits = pack_onto(reply, &mut self.buffer)
            .is_ok_and(|handles| handles.is_empty() && self.buffer.len() <= BODY);
        if fits {
            self.memory.write(slot, &self.buffer);
            self.end(slot, Answer::Here(self.buffer.len() as u32));
        }
        fits
    }

    fn end(&mut self, slot: u32, answer: Answer) {
        if let Some(owner) = self.owner(slot) {
            owner.is_busy = false;
        }
        self.memory.slots.answer(slot, answer);
    }

    /// Takes a client's slots back. Gives the replies that it has not read, and from which object they came.
    fn take_back(&mut self, client: ClientId) -> Vec<(ObjectId, Reply)> {
        let mut unread = Vec::new();
        for (slot, owner) in self.owners.iter_mut().enumerate() {
            let Some(owner) = owner.take_if(|owner| owner.client == client) else { continue };
            let slot = slot as u32;
            if let (Some(object), Some(length)) = (owner.origin, self.memory.slots.unread(slot)) {
                self.buffer.clear();
                self.memory.read(slot, length, &mut self.buffer);
                unread.extend(unpack(&self.buffer, Vec::new()).ok().map(|reply| (object, reply)));
            }
            self.memory.slots.clear(slot);
            self.free.push(slot);
        }
        unread
    }
}

impl Drop for Lines {
    /// The server ends: calls that wait are told at once.
    fn drop(&mut self) {
        for slot in 0..self.used() {
            if self.owner(slot).is_some_and(|owner| owner.is_busy) {
                self.memory.slots.answer(slot, Answer::Over);
            }
        }
    }
}

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

    /// Serves each slot that was asked, once; `false`: there was none.
    pub(super) fn serve_slots(&mut self) -> bool {
        let groups = self.lines.as_ref().map_or(0, |lines| lines.used().div_ceil(32));
        let mut any = false;
        for group in 0..groups {
            let Some(lines) = &self.lines else { return any };
            let mut bits = lines.memory.slots.take(group);
            any |= bits != 0;
            while bits != 0 {
                self.serve_slot(32 * group + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        any
    }

    fn serve_slot(&mut self, slot: u32) {
        let Some((client, request)) = self.lines.as_mut().and_then(|lines| lines.request(slot)) else {
            return;
        };
        // It has read what it was answered before.
        self.unconfirmed.confirm(client, serial_of_slot(slot));
        match request {
            Ok(Request::Call { object, thread, wait, call }) => {
                self.call(client, thread, serial_of_slot(slot), object, wait, call);
            }
            // As on a connection: what is no request ends it.
            _ => self.client_gone(client),
        }
    }

    /// Answers a call that came through a slot. `Err`: it did not.
    pub(super) fn answer_slot(
        &mut self,
        client: ClientId,
        slot: u32,
        reply: Reply,
        origin: Option<ObjectId>,
    ) -> Result<Delivery, Reply> {
        let Some(lines) = self.lines.as_mut().filter(|lines| lines.waits(slot, client)) else {
            return Err(reply);
        };
        if let Some(owner) = lines.owner(slot) {
            owner.origin = origin;
        }
        if lines.answer(slot, &reply) {
            return Ok(Delivery::Sent);
        }
        let delivery = self.send(client, serial_of_slot(slot), reply, origin);
        if let Some(lines) = &mut self.lines {
            lines.end(slot, Answer::ByStream);
        }
        Ok(delivery)
    }

    /// A client has died: what it has not read goes back, and others may have its slots.
    pub(super) fn take_unread_back(&mut self, client: ClientId) {
        let mut unread = self.unconfirmed.take(client);
        if let Some(lines) = &self.lines {
            let is_left = |slot| lines.memory.slots.is_left(slot);
            unread.retain(|(serial, ..)| !slot_of_serial(*serial).is_some_and(is_left));
        }
        let in_slots = self.lines.as_mut().map(|lines| lines.take_back(client)).unwrap_or_default();
        for (object, reply) in unread.into_iter().map(|(_, object, reply)| (object, reply)).chain(in_slots) {
            if let Some(entry) = self.table.get(object)
                && let Body::Own(body) = &mut entry.body
            {
                body.undelivered(reply);
                self.retry(object);
            }
        }
    }
}
