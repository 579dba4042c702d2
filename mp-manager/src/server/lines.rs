//! The call slots' memory, and which client has which slot.
//!
//! A request is copied out before it is looked at: its client could still write there.

use super::accounts::Accounts;
use super::order::Order;
use super::placement::Placement;
use super::turns::{Sleeper, Turns};
use crate::object::ClientId;
use crate::protocol::{ObjectId, Reply, Request};
use crate::slots::{Answer, Asked, BODY, Client, SLOTS, SlotMemory, life};
use mp_core::mem::SharedRef;
use mp_core::sys::eventfd::{self, eventfd};
use mp_core::sys::futex::FutexWord;
use mp_core::sys::process::online_cpus;
use mp_core::sys::robust::RobustWord;
use mp_core::sys::state::usable_cpus;
use mp_core::transfer::{Handle, pack_onto, scratch, unpack};
use mp_core::word::Machine;
use serde::de::DeserializeOwned;
use std::os::fd::{AsFd, BorrowedFd};

#[derive(Debug)]
pub(super) struct Lines {
    pub(super) memory: SlotMemory,
    pub(super) doorbell: Handle,
    /// Held by the server's thread.
    life: SharedRef<RobustWord>,
    /// Of the slots that were ever given out.
    owners: Vec<Option<Owner>>,
    free: Vec<u32>,
    placement: Placement,
    /// Slots that were answered, and whose clients sleep and will run on this CPU.
    owed: Vec<u32>,
    accounts: Accounts,
    order: Order,
    turns: Turns,
}

#[derive(Debug)]
pub(super) struct Owner {
    client: ClientId,
    /// A request of it was taken and is not answered.
    is_busy: bool,
    /// The object that wants back what it was answered last, unless that was read.
    pub(super) origin: Option<ObjectId>,
}

/// A request out of a slot.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) client: ClientId,
    /// An error: it is none.
    pub(super) request: Result<Request, ()>,
    /// Its client has given up.
    pub(super) is_left: bool,
}

impl Lines {
    /// None if there is no memory for it: all calls go over connections then.
    pub(super) fn new() -> Option<Lines> {
        Lines::on(cpus())
    }

    /// On a machine with so many CPUs.
    fn on(cpus: usize) -> Option<Lines> {
        let (memory, doorbell) = (SlotMemory::create().ok()?, eventfd().ok()?);
        let life = memory.life().ok()?;
        life::begin(&*life);
        Some(Lines {
            memory,
            life,
            doorbell: Handle::new(doorbell),
            owners: Vec::new(),
            free: Vec::new(),
            placement: Placement::default(),
            owed: Vec::new(),
            accounts: Accounts::default(),
            order: Order::default(),
            turns: Turns::new(cpus),
        })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// The doorbell was rung: the server has slept.
    pub(super) fn hear(&mut self) {
        eventfd::clear(self.doorbell.as_fd());
        self.turns.slept();
    }

    pub(super) fn used(&self) -> u32 {
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

    /// Before a pass over the slots.
    #[inline]
    pub(super) fn begin_pass(&mut self) {
        if let Some(cpu) = self.placement.look(self.turns.is_over()) {
            self.memory.slots.hints().server_runs_on(cpu);
        }
    }

    /// Takes the slots that were asked; `false`: there are none.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        for group in 0..self.used().div_ceil(32) {
            let mut bits = self.memory.slots.take(group);
            while bits != 0 {
                self.order.ask(32 * group + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        self.order.begin()
    }

    /// The next one of them that is to be served in this pass: not one whose client is to sleep first.
    #[inline]
    pub(super) fn next(&mut self) -> Option<u32> {
        loop {
            let slot = self.order.next(&mut self.accounts)?;
            if !self.turns.puts_off(slot, &self.accounts) {
                return Some(slot);
            }
        }
    }

    /// After one in which a slot was asked: leaves this CPU if those that call need it; whether it has.
    #[inline]
    pub(super) fn end_pass(&mut self) -> bool {
        if !self.placement.is_due() {
            return false;
        }
        // They are to run where they are.
        self.wake_owed();
        let has_left = self.placement.leave();
        if has_left {
            self.begin_pass();
        }
        has_left
    }

    /// Whether those that call wait for this CPU.
    pub(super) fn are_together(&self) -> bool {
        self.placement.is_together()
    }

    pub(super) fn give(&mut self, client: ClientId) -> Option<u32> {
        let owner = Some(Owner { client, is_busy: false, origin: None });
        if let Some(slot) = self.free.pop() {
            self.owners[slot as usize] = owner;
            self.accounts.open(slot, client);
            return Some(slot);
        }
        let slot = self.used();
        if slot == SLOTS || !self.memory.reserve(slot) {
            return None;
        }
        self.owners.push(owner);
        self.accounts.open(slot, client);
        Some(slot)
    }

    pub(super) fn owner(&mut self, slot: u32) -> Option<&mut Owner> {
        self.owners.get_mut(slot as usize)?.as_mut()
    }

    /// Whether a call of this client came through this slot, and waits for its reply.
    pub(super) fn waits(&self, slot: u32, client: ClientId) -> bool {
        let owner = self.owners.get(slot as usize).and_then(Option::as_ref);
        owner.is_some_and(|owner| owner.client == client && owner.is_busy)
    }

    /// The request in a slot. One that was given up is answered by this.
    pub(super) fn request(&mut self, slot: u32) -> Option<Taken> {
        let Some(owner) = self.owners.get_mut(slot as usize)? else {
            self.refuse(slot);
            return None;
        };
        if owner.is_busy {
            return None;
        }
        let (is_left, length) = match self.memory.slots.request(slot)? {
            Asked::Waits(length) => (false, length),
            Asked::Left(length) => (true, length),
        };
        let request = read(&self.memory, slot, length).ok_or(());
        let client = owner.client;
        if is_left {
            let _ = self.memory.slots.answer(slot, Answer::Over);
        } else {
            owner.is_busy = true;
            self.placement.called_from(self.memory.slots.hints().client_ran_on(slot));
        }
        Some(Taken { client, request, is_left })
    }

    /// Answers through the slot; `None`: the reply has to go over the connection.
    pub(super) fn answer(&mut self, slot: u32, reply: &Reply) -> Option<Client> {
        let mut buffer = scratch::encoding();
        let fits =
            pack_onto(reply, &mut buffer).is_ok_and(|handles| handles.is_empty() && buffer.len() <= BODY);
        let client = fits.then(|| {
            self.memory.write(slot, &buffer);
            self.end(slot, Answer::Here(buffer.len() as u32))
        });
        scratch::keep_encoding(buffer);
        client
    }

    pub(super) fn end(&mut self, slot: u32, answer: Answer) -> Client {
        if let Some(owner) = self.owner(slot) {
            owner.is_busy = false;
        }
        let client = self.memory.slots.answer(slot, answer);
        let is_here = self.placement.is_here(self.memory.slots.hints().client_ran_on(slot));
        if client != Client::Sleeps {
            if client == Client::Looks && !is_here {
                self.turns.was_awake(slot);
            }
        } else if self.turns.sleeps(slot, FutexWord::now) == Sleeper::Woken {
            // It takes the CPU from the server at once, most often, and others that are ready would wait for both.
            if is_here {
                self.owed.push(slot);
            } else {
                self.memory.slots.wake(slot);
            }
        }
        client
    }

    /// Whether wakes are owed until it is their turn: then the server does not sleep.
    #[inline]
    pub(super) fn has_turns(&self) -> bool {
        !self.turns.is_open()
    }

    /// A slot that was put off and is to be served.
    pub(super) fn next_put_off(&mut self, now: u64) -> Option<u32> {
        self.turns.next_put_off(now, |slot| self.memory.slots.sleeps(slot))
    }

    /// After a pass in which a slot was asked, or none: wakes those whose turn it is.
    pub(super) fn turn(&mut self, any: bool, now: u64) {
        let hints = self.memory.slots.hints();
        let are_here = |slot: &u32| self.placement.is_here(hints.client_ran_on(*slot));
        if any && self.turns.coming().iter().any(are_here) {
            // The CPU of those before them is free now, and each call from this one would be two switches.
            self.placement.leave();
        }
        for slot in self.turns.pass(any, now, &mut self.accounts) {
            self.memory.slots.wake(*slot);
        }
    }

    /// Wakes those that were left asleep with their answers.
    #[inline]
    pub(super) fn wake_owed(&mut self) {
        for slot in self.owed.drain(..) {
            self.memory.slots.wake(slot);
        }
    }

    /// Takes a client's slots back. Gives the replies that it has not read, and from which object they came.
    pub(super) fn take_back(&mut self, client: ClientId) -> Vec<(ObjectId, Reply)> {
        let mut unread = Vec::new();
        for (slot, owner) in self.owners.iter_mut().enumerate() {
            let Some(owner) = owner.take_if(|owner| owner.client == client) else { continue };
            let slot = slot as u32;
            if let (Some(object), Some(length)) = (owner.origin, self.memory.slots.unread(slot)) {
                unread.extend(read(&self.memory, slot, length).map(|reply| (object, reply)));
            }
            self.memory.slots.clear(slot);
            self.turns.forget(slot);
            self.accounts.close(slot);
            self.free.push(slot);
        }
        unread
    }

    /// Takes the slots of a client that lives, and was sent away. It may still write there: no other client gets them.
    pub(super) fn retire(&mut self, client: ClientId) {
        let mut retired = Vec::new();
        for (slot, owner) in self.owners.iter_mut().enumerate() {
            if owner.take_if(|owner| owner.client == client).is_some() {
                self.turns.forget(slot as u32);
                self.accounts.close(slot as u32);
                retired.push(slot as u32);
            }
        }
        for slot in retired {
            self.refuse(slot);
            // It may have been answered, and owed a wake.
            self.memory.slots.wake(slot);
        }
    }

    /// Tells a client that was sent away, if it calls.
    fn refuse(&self, slot: u32) {
        let slots = &self.memory.slots;
        if slots.request(slot).is_some() && slots.answer(slot, Answer::Over) == Client::Sleeps {
            slots.wake(slot);
        }
    }

    /// Whether the owner of a slot has read its last answer, if that came over its connection.
    pub(super) fn has_read(&self, slot: u32) -> bool {
        slot < self.used() && self.memory.slots.has_read(slot)
    }
}

/// What is in a slot; `None`: nothing of this type.
fn read<T: DeserializeOwned>(memory: &SlotMemory, slot: u32, length: u32) -> Option<T> {
    let mut buffer = scratch::decoding();
    buffer.clear();
    memory.read(slot, length, &mut buffer);
    let read = unpack(&buffer, Vec::new()).ok();
    scratch::keep_decoding(buffer);
    read
}

impl Drop for Lines {
    /// The server ends: calls that wait are told at once, also those that it has not taken.
    fn drop(&mut self) {
        for slot in 0..self.used() {
            if self.owner(slot).is_some() {
                self.refuse(slot);
            }
        }
        self.wake_owed();
        self.turns.end().for_each(|slot| self.memory.slots.wake(slot));
        life::end(&*self.life);
    }
}

/// How many CPUs the server and its clients have, as far as is known: a server that is pinned to one may have clients
/// on all others.
fn cpus() -> usize {
    match usable_cpus() {
        1 => online_cpus().unwrap_or(1),
        usable => usable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Request;
    use crate::slots::Partner;
    use mp_core::transfer::pack;

    /// Calls through a slot, whose client runs on the server's CPU or not; whether each knew it.
    fn call(lines: &mut Lines, slot: u32, calls: u32, on_its_cpu: bool) -> bool {
        lines.begin_pass();
        let here = lines.placement.cpu();
        let cpu = here.map(|here| here + u32::from(!on_its_cpu));
        let request = pack(&Request::Count).unwrap();
        (0..calls).all(|_| {
            let knew = lines.memory.slots.hints().client_runs_on(slot, cpu) == on_its_cpu;
            lines.memory.write(slot, &request.bytes);
            lines.memory.slots.ask(slot, request.bytes.len() as u32, || panic!("the server is awake"));
            assert!(lines.request(slot).unwrap().request.is_ok());
            assert_eq!(lines.answer(slot, &Reply::Done), Some(Client::Looks));
            knew
        })
    }

    #[test]
    fn a_wake_that_is_owed_is_paid_once_none_calls() {
        let mut lines = Lines::on(2).unwrap();
        let [caller, sleeper] = [16, 17].map(|client| lines.give(client).unwrap());
        assert!(call(&mut lines, caller, 100, false));
        let memory = lines.memory.clone();
        let asked = pack(&Request::Count).unwrap();
        memory.write(sleeper, &asked.bytes);
        memory.slots.ask(sleeper, asked.bytes.len() as u32, || panic!("the server is awake"));
        let waits = std::thread::spawn(move || memory.slots.wait(sleeper, Partner::Here, None, || false));
        while !lines.memory.slots.sleeps(sleeper) {
            std::thread::yield_now();
        }
        assert!(lines.request(sleeper).unwrap().request.is_ok());
        assert_eq!(lines.answer(sleeper, &Reply::Done), Some(Client::Sleeps));
        assert!(lines.has_turns(), "its wake is owed");
        while lines.has_turns() {
            lines.turn(false, FutexWord::now());
        }
        assert!(matches!(waits.join().unwrap(), Some(Answer::Here(_))));
    }

    #[test]
    fn the_server_learns_that_it_runs_on_the_cpu_of_those_that_call() {
        let mut lines = Lines::new().unwrap();
        let slot = lines.give(16).unwrap();
        assert!(call(&mut lines, slot, 100, false) && !lines.are_together());
        assert!(call(&mut lines, slot, 100, true) && lines.are_together());
        assert!(call(&mut lines, slot, 1, false) && !lines.are_together());
    }
}
