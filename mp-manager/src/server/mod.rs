//! The server process: one thread that owns all objects.
//!
//! ```text
//!   accept socket   each packet brings one end of a new socket pair: a client
//!   clients         one stream socket each; a request is one step, or waits beside its object (`calls.rs`)
//!   slots           requests of relatives in shared memory; a doorbell when the server sleeps (`slots.rs`)
//!   vouchers        one socket for each message in flight that has proxies in it; its end gives their references back
//!   jobs            functions and methods of the user's run on threads of their own (`jobs.rs`)
//!                   and signal this one by an event descriptor
//! ```
//! An object costs no descriptor and a client no thread. The loop never waits for a client: what a client does not read
//! stays in its outbox, and its next request is not served while a thread of it may wait for something there. It is
//! read all the same: it may say that the client waits no longer (`clients.rs`).
//!
//! # When a process dies
//! A *client*: its stream ends. Its waiting calls are cancelled, its locks are free and their next holder is told, what
//! it had begun to change is as it was, its references are given back. The *manager's owner*: the server is a daemon,
//! so it is killed. The *server*: every stream ends, and each call returns `Gone`.

mod accounts;
mod ahead;
pub(crate) mod begin;
mod calls;
mod clients;
mod conditions;
mod custom;
mod deadlocks;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod entry;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod given_up;
mod hosted;
mod iterate;
mod jobs;
mod lines;
#[cfg(feature = "listener")]
pub(crate) mod listening;
mod order;
mod outbox;
mod parked;
mod placement;
mod pool;
#[cfg(feature = "pickle")]
mod python;
mod room;
mod segments;
mod slots;
mod supervised;
mod table;
#[cfg(test)]
mod tests;
mod turns;
mod unconfirmed;
mod vouchers;
mod wakes;

pub(crate) use hosted::{Hosted, stash};

use crate::object::{Charge, ClientId, Counts, Kept};
use crate::protocol::{Failure, Kind, ONE_WAY, ObjectId, Reply, Request, Start, slot_of_serial};
use clients::{Clients, Delivery};
use jobs::Jobs;
use lines::Lines;
use mp_core::error::OsResult;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::poll::Interest;
use mp_core::sys::signal;
use mp_core::sys::socket::{self, Mode};
use mp_core::sys::waitset::{Room, WaitSet};
use mp_core::transfer::Handle;
use mp_pipe::Connection;
use parked::Calls;
use pool::Coming;
use segments::Segments;
use std::collections::HashMap;
use std::os::fd::AsFd;
use table::Table;
use unconfirmed::{Unconfirmed, Undo};
use vouchers::Vouchers;

const ACCEPT: u64 = 0;
const JOBS: u64 = 1;
#[cfg(feature = "listener")]
const LISTENER: u64 = 2;
const DOORBELL: u64 = 3;
#[cfg(feature = "pickle")]
const LISTENER_OF_PYTHON: u64 = 4;
/// Clients and vouchers have numbers from here on, which are never used again.
const FIRST: u64 = 16;

/// Events taken at once.
const EVENTS: usize = 64;
/// Passes in which a slot was asked between two looks at the descriptors.
const SLOT_PASSES: u32 = 64;
/// Passes in which a slot was asked for which a wake beside the server may be left out.
const WAKE_PASSES: u32 = 32;

/// See the module.
pub(crate) struct Server {
    set: WaitSet,
    manager: u64,
    accept_socket: Option<Handle>,
    #[cfg(feature = "listener")]
    listener: Option<mp_pipe::Listener>,
    #[cfg(feature = "pickle")]
    pickled: crate::pickled::Peers,
    /// It was asked to end.
    is_over: bool,
    counts: Counts,
    table: Table,
    clients: Clients,
    vouchers: Vouchers,
    calls: Calls,
    jobs: Jobs,
    names: HashMap<String, (Kind, Kept, Option<Charge>)>,
    segments: Segments,
    coming: Coming,
    last: u64,
    /// None: there is no memory for call slots.
    lines: Option<Lines>,
    unconfirmed: Unconfirmed,
    /// A place for what its waits have learned.
    spins: FutexWord,
}

impl Server {
    pub(crate) fn new(manager: u64, accept_socket: Option<Handle>) -> OsResult<Server> {
        let (set, jobs) = (WaitSet::new()?, Jobs::new()?);
        if let Some(accept_socket) = &accept_socket {
            set.add(accept_socket.as_fd(), ACCEPT, Interest::Read)?;
        }
        set.add(jobs.as_fd(), JOBS, Interest::Read)?;
        let lines = Lines::new();
        if let Some(lines) = &lines {
            set.add(lines.as_fd(), DOORBELL, Interest::Read)?;
        }
        let counts = Counts::default();
        Ok(Server {
            set,
            manager,
            accept_socket,
            #[cfg(feature = "listener")]
            listener: None,
            #[cfg(feature = "pickle")]
            pickled: crate::pickled::Peers::default(),
            is_over: false,
            table: Table::default(),
            clients: Clients::of(counts.room().clone()),
            vouchers: Vouchers::default(),
            calls: Calls::default(),
            jobs,
            names: HashMap::new(),
            segments: Segments::of(counts.room().clone()),
            coming: Coming::default(),
            counts,
            last: FIRST,
            lines,
            unconfirmed: Unconfirmed::default(),
            spins: FutexWord::new(0),
        })
    }

    pub(crate) fn run(&mut self) -> OsResult<()> {
        let mut room = Room::new();
        room.make(EVENTS);
        let mut passes = 0_u32;
        while !self.is_over && self.is_reachable() {
            let any = self.serve_slots();
            passes = passes.wrapping_add(any.into());
            if !any || passes.is_multiple_of(WAKE_PASSES) {
                self.lines.iter_mut().for_each(Lines::wake_owed);
            }
            // Those that call through slots do not keep others waiting.
            if any && passes.is_multiple_of(SLOT_PASSES) {
                self.look_now(&mut room)?.into_iter().for_each(|key| self.attend(key));
            } else if !any && !self.lines.as_ref().is_some_and(Lines::has_turns) {
                self.wait(&mut room)?.into_iter().for_each(|key| self.attend(key));
            }
            self.expire();
            self.drop_unused();
        }
        Ok(())
    }

    fn attend(&mut self, key: u64) {
        match key {
            ACCEPT => self.accept(),
            JOBS => self.finish_jobs(),
            #[cfg(feature = "listener")]
            LISTENER => self.admit(),
            #[cfg(feature = "pickle")]
            LISTENER_OF_PYTHON => self.admit_python(),
            #[cfg(feature = "pickle")]
            key if self.pickled.has(key) => self.read_python(key),
            #[cfg(feature = "pickle")]
            key if self.pickled.end_program(&self.counts, &self.set, key) => {}
            DOORBELL => self.lines.iter_mut().for_each(Lines::hear),
            key if self.vouchers.end(&self.counts, key) => {}
            client => self.read(client),
        }
    }

    /// Whether there is a client, or can be one.
    fn is_reachable(&self) -> bool {
        #[cfg(feature = "listener")]
        if self.listener.is_some() {
            return true;
        }
        self.accept_socket.is_some() || !self.clients.is_empty() || !self.vouchers.is_empty()
    }

    fn accept(&mut self) {
        let Some(accept_socket) = &self.accept_socket else { return };
        match socket::receive(accept_socket.as_fd(), &mut [0; 1], Mode::Now) {
            // If no descriptor is left, the client's end is discarded, and the client reads the end of its connection.
            Ok(received) if received.bytes > 0 => {
                for end in received.fds {
                    self.last += 1;
                    if self.set.add(end.as_fd(), self.last, Interest::Read).is_ok() {
                        self.clients.add(self.last, Connection::from_fd(end).with_limit(usize::MAX), true);
                    }
                }
            }
            Err(error) if socket::would_block(&error) || socket::is_want_of_descriptors(&error) => {}
            // No process is left that could be a new client.
            _ => {
                let _ = self.set.remove(accept_socket.as_fd());
                self.accept_socket = None;
            }
        }
    }

    /// Serves one request of a client: others have their turn before its next one. Those that were read ahead follow at
    /// once, since the set does not tell of them.
    fn read(&mut self, client: ClientId) {
        self.serve_next(client);
        while self.clients.is_behind(client) {
            self.serve_next(client);
        }
    }

    fn serve_next(&mut self, client: ClientId) {
        match self.clients.next(&self.set, client) {
            // Such a serial is of a call through a slot.
            Ok(Some((serial, _))) if slot_of_serial(serial).is_some() => self.client_gone(client),
            Ok(Some((serial, Err(failure)))) => self.reply(client, serial, Err(failure)),
            Ok(Some((serial, Ok(request)))) => match self.answer(client, serial, request) {
                Ok(Some(reply)) => self.reply(client, serial, Ok(reply)),
                Ok(None) => {}
                Err(failure) => self.reply(client, serial, Err(failure)),
            },
            Ok(None) => {}
            Err(()) => self.client_gone(client),
        }
    }

    /// `None`: there is no reply, or it comes later.
    fn answer(&mut self, client: ClientId, serial: u64, request: Request) -> Result<Option<Reply>, Failure> {
        Ok(Some(match request {
            Request::Call { object, thread, wait, call } => {
                self.call(client, thread, serial, object, wait, call);
                return Ok(None);
            }
            // Functions make the one, and are all that the other one runs.
            Request::Create { start: Start::Custom { .. }, .. }
            | Request::Create { kind: Kind::Pool, .. }
                if !self.clients.is_relative(client) =>
            {
                return Err(Failure::NoRelative);
            }
            Request::Create { start: Start::Custom { code, arguments, restart }, .. } => {
                self.build(client, serial, code, arguments, restart);
                return Ok(None);
            }
            Request::Create { kind: Kind::Condition, start: Start::Lock(lock) } => {
                let body = self.condition_over(lock)?;
                Reply::Created(self.enter(client, Kind::Condition, body)?)
            }
            Request::Create { kind: Kind::Pool, start: Start::Number(workers) } => {
                self.start_pool(client, serial, workers)?;
                return Ok(None);
            }
            Request::Create { kind, start } => Reply::Created(self.create(client, kind, start)?),
            Request::Slot { attached } => self.give_slot(client, attached),
            Request::Iterate(object) => Reply::Created(self.iterate(client, object)?),
            Request::Hold(object) => self.hold(client, object)?,
            Request::Release(objects) => {
                objects.into_iter().for_each(|object| self.clients.release(&self.counts, client, object));
                return Ok(None);
            }
            Request::Lend { voucher, end, object } => {
                if let Some(end) = end {
                    self.last += 1;
                    self.vouchers.begin(&self.set, self.last, Some((client, voucher)), end);
                }
                self.vouchers.lend(&self.counts, (client, voucher), object);
                return Ok(None);
            }
            Request::LendAll { end } => {
                self.last += 1;
                self.vouchers.begin(&self.set, self.last, None, end);
                for object in self.clients.held(client) {
                    self.vouchers.add(&self.counts, self.last, object);
                }
                return Ok(None);
            }
            Request::GiveUp(serials) => {
                serials.into_iter().for_each(|serial| self.give_up(client, serial));
                return Ok(None);
            }
            Request::Received(serial) => {
                self.received(client, serial);
                return Ok(None);
            }
            Request::Publish { name, object } => self.publish(client, name, object)?,
            Request::Lookup { name, kind } => {
                let Some((found, kept, _)) = self.names.get(&name) else {
                    return Err(Failure::NoSuchName { name });
                };
                if *found != kind {
                    return Err(Failure::WrongKind);
                }
                let object = kept.object();
                self.hold(client, object)?;
                Reply::Created(object)
            }
            Request::MakeMemory { size } => {
                self.make_memory(client, serial, size)?;
                return Ok(None);
            }
            Request::ReleaseMemory { name } => return self.release_memory(client, serial, &name),
            Request::ListMemory => Reply::Texts(self.memory_names(client)),
            Request::Count => {
                self.drop_unused();
                Reply::Count(self.table.len() as u64)
            }
            Request::Shutdown => {
                self.is_over = true;
                return Ok(None);
            }
            Request::Hello => Reply::Hello { manager: self.manager, pid: std::process::id() },
        }))
    }

    fn hold(&mut self, client: ClientId, object: ObjectId) -> Result<Reply, Failure> {
        if !self.counts.hold(object) {
            return Err(Failure::NoSuchObject);
        }
        self.clients.add_reference(client, object);
        Ok(Reply::Done)
    }

    /// Sends a reply, with a reference to each object that is named in it.
    fn reply(&mut self, client: ClientId, serial: u64, result: Result<Reply, Failure>) {
        let _ = self.deliver(client, serial, result, None);
    }

    /// Gives the reply back if the client has died, or has given up. `undo`: what is to be done if it never reads it.
    fn deliver(
        &mut self,
        client: ClientId,
        serial: u64,
        result: Result<Reply, Failure>,
        undo: Option<Undo>,
    ) -> Delivery {
        if serial == ONE_WAY {
            return Delivery::Sent;
        }
        #[cfg(feature = "pickle")]
        if self.pickled.has(client) {
            return self.deliver_to_python(client, result);
        }
        let reply = result.unwrap_or_else(Reply::Failed);
        if !self.clients.has(client) {
            return Delivery::Dead(reply);
        }
        for object in reply.objects() {
            if self.counts.hold(object) {
                self.clients.add_reference(client, object);
            }
        }
        match slot_of_serial(serial) {
            Some(slot) if self.lines.as_ref().is_some_and(|lines| lines.waits(slot, client)) => {
                self.answer_slot(client, slot, reply, undo)
            }
            _ => self.send(client, serial, reply, undo),
        }
    }

    /// Sends a reply over the client's connection.
    fn send(&mut self, client: ClientId, serial: u64, reply: Reply, undo: Option<Undo>) -> Delivery {
        let copy = undo.map(|undo| (undo, reply.clone()));
        if reply.has_handles() {
            let _ = self.clients.send(&self.set, client, serial, Reply::HandlesFollow);
        }
        let delivery = self.clients.send(&self.set, client, serial, reply);
        if let (Some((undo, reply)), Delivery::Sent) = (copy, &delivery) {
            self.unconfirmed.keep(client, serial, undo, reply);
        }
        delivery
    }

    fn client_gone(&mut self, client: ClientId) {
        let Some(gone) = self.clients.remove(&self.set, client) else { return };
        self.take_unread_back(client, gone.lives);
        self.cancel_all(client, gone.touched, |object, client| object.client_gone(client));
        gone.references.into_iter().for_each(|(object, count)| {
            (0..count).for_each(|_| self.counts.release(object));
        });
        self.vouchers.forget_client(client);
    }

    /// Drops the objects that nothing refers to any more. A dropped object may have been the last to refer to others.
    fn drop_unused(&mut self) {
        while let Some(object) = self.counts.next_unused() {
            let Some(table::Entry { body, waiting, .. }) = self.table.remove(object) else { continue };
            #[cfg(feature = "pickle")]
            self.pickled.forget(object);
            self.refuse_waiting(waiting);
            self.coming.forget(object);
            match body {
                table::Body::Over(lock) => self.end_condition(object, &lock),
                table::Body::Pool(workers) => self.forget_pool(object, workers),
                _ => {}
            }
        }
    }
}
