//! The clients: their connections, and what belongs to each.
//!
//! | a client                                         | its next request                                    |
//! |--------------------------------------------------|-----------------------------------------------------|
//! | has taken its replies, or awaits none of them    | is served                                           |
//! | may await one that it has not taken              | is read ahead and waits; one that gives calls up is served |
//! | the same, and there is no room for more of it    | is not read                                         |
//! | can be sent nothing any more                     | is served: what it sent before its end is done      |

use super::ahead::Ahead;
use super::outbox::{Deaf, Outbox};
use crate::object::{ClientId, Counts, IdMap, Room, Touched};
use crate::protocol::{Failure, ObjectId, Packed, Reply, Request};
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::waitset::WaitSet;
use mp_core::transfer::unpack_front;
use mp_core::word::Deadline;
use mp_pipe::{Connection, RecvError, Whole};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Clients {
    all: IdMap<Client>,
    /// What may be held for those at an address.
    room: Room,
}

pub(super) type Stream = Connection<(u64, Reply), (u64, Request)>;

#[derive(Debug)]
struct Client {
    stream: Stream,
    /// It was given the accept socket: it runs this program.
    is_relative: bool,
    /// What the set waits for.
    interest: Interest,
    outbox: Outbox,
    ahead: Ahead,
    /// It can be sent nothing any more.
    is_deaf: bool,
    /// It sends nothing any more, or nothing that is a request.
    has_ended: bool,
    references: HashMap<ObjectId, u64>,
    touched: Touched,
}

/// A request and its serial.
pub(super) type Next = (u64, Result<Request, Failure>);

/// What a client leaves behind.
#[derive(Debug)]
pub(super) struct Gone {
    /// It was sent away, and has not closed its end.
    pub(super) lives: bool,
    pub(super) references: HashMap<ObjectId, u64>,
    /// Objects to which its death means something.
    pub(super) touched: Touched,
}

/// What there was of a call that its client has given up.
#[derive(Debug)]
pub(super) enum Unserved {
    /// It was not begun.
    Request(Request),
    /// None of it was sent.
    Reply(Reply),
}

/// What became of a reply.
#[derive(Debug)]
pub(super) enum Delivery {
    Sent,
    /// The client has died.
    Dead(Reply),
    /// The caller has given up, and reads no reply.
    Left(Reply),
}

impl Clients {
    pub(super) fn of(room: Room) -> Clients {
        Clients { all: IdMap::default(), room }
    }

    pub(super) fn add(&mut self, client: ClientId, stream: Stream, is_relative: bool) {
        let new = Client {
            stream,
            is_relative,
            interest: Interest::Read,
            outbox: Outbox::default(),
            ahead: Ahead::default(),
            is_deaf: false,
            has_ended: false,
            references: HashMap::new(),
            touched: Touched::default(),
        };
        self.all.insert(client, new);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn is_relative(&self, client: ClientId) -> bool {
        self.all.get(&client).is_some_and(|client| client.is_relative)
    }

    /// It has connected by an address.
    pub(super) fn is_remote(&self, client: ClientId) -> bool {
        self.all.get(&client).is_some_and(|client| !client.is_relative)
    }

    pub(super) fn has(&self, client: ClientId) -> bool {
        self.all.contains_key(&client)
    }

    pub(super) fn remove(&mut self, set: &WaitSet, client: ClientId) -> Option<Gone> {
        let Client { stream, references, touched, .. } = self.all.remove(&client)?;
        let _ = set.remove(stream.as_fd());
        let now = Deadline::after(Duration::ZERO);
        let lives = !wait_for(stream.as_fd(), Interest::Hangup, now).unwrap_or(false);
        Some(Gone { lives, references, touched })
    }

    /// The next request, or `None` if there is none to be served now; a failure where this process had no descriptors
    /// left for what is in it. An error: the client has died, or has sent what is no request.
    pub(super) fn next(&mut self, set: &WaitSet, client: ClientId) -> Result<Option<Next>, ()> {
        let Some(found) = self.all.get_mut(&client) else { return Ok(None) };
        found.flush();
        let next = found.next(&self.room);
        found.watch(set, &self.room, client);
        next
    }

    /// Whether requests that were read ahead can be served now.
    pub(super) fn is_behind(&self, client: ClientId) -> bool {
        self.all.get(&client).is_some_and(|client| !client.ahead.is_empty() && !client.is_awaiting())
    }

    /// Sends a reply, or keeps it until the client reads.
    pub(super) fn send(&mut self, set: &WaitSet, client: ClientId, serial: u64, reply: Reply) -> Delivery {
        let Some(found) = self.all.get_mut(&client) else { return Delivery::Dead(reply) };
        if found.is_deaf {
            return Delivery::Dead(reply);
        }
        let had_unsent = found.has_unsent();
        found.outbox.push(serial, reply);
        if !had_unsent {
            found.flush();
            if found.is_deaf {
                return found.outbox.pop_last().map_or(Delivery::Sent, Delivery::Dead);
            }
            found.watch(set, &self.room, client);
        }
        Delivery::Sent
    }

    /// The client waits no longer for the reply of this serial.
    pub(super) fn give_up(&mut self, client: ClientId, serial: u64) -> Option<Unserved> {
        let found = self.all.get_mut(&client)?;
        let request = found.ahead.give_up(serial).map(Unserved::Request);
        request.or_else(|| found.outbox.give_up(serial).map(Unserved::Reply))
    }

    pub(super) fn add_reference(&mut self, client: ClientId, object: ObjectId) {
        if let Some(client) = self.all.get_mut(&client) {
            *client.references.entry(object).or_default() += 1;
        }
    }

    /// Gives one reference back, if the client has one: it cannot give another client's back.
    pub(super) fn release(&mut self, counts: &Counts, client: ClientId, object: ObjectId) {
        let Some(client) = self.all.get_mut(&client) else { return };
        if let Some(count) = client.references.get_mut(&object) {
            *count -= 1;
            if *count == 0 {
                client.references.remove(&object);
            }
            counts.release(object);
        }
    }

    pub(super) fn held(&self, client: ClientId) -> Vec<ObjectId> {
        self.all.get(&client).map_or_else(Vec::new, |client| client.references.keys().copied().collect())
    }

    /// The object is to be told when the client dies.
    pub(super) fn touch(&mut self, client: ClientId, object: ObjectId, is_alive: impl Fn(ObjectId) -> bool) {
        if let Some(client) = self.all.get_mut(&client) {
            client.touched.add(object, is_alive);
        }
    }

    /// Those that were so touched: what a thread of this client holds is among them.
    pub(super) fn touched(&self, client: ClientId) -> impl Iterator<Item = ObjectId> {
        self.all.get(&client).into_iter().flat_map(|client| client.touched.iter())
    }
}

impl Client {
    fn has_unsent(&self) -> bool {
        !self.is_deaf && !self.outbox.is_empty()
    }

    fn is_awaiting(&self) -> bool {
        !self.is_deaf && self.outbox.is_awaited()
    }

    /// Whether another request may be read: a client that takes no replies is read ahead within its room.
    fn may_read(&self, room: &Room) -> bool {
        let has_room = || self.is_relative || room.check(1).is_ok() || self.ahead.is_short();
        !self.has_ended && (!self.is_awaiting() || has_room())
    }

    fn next(&mut self, room: &Room) -> Result<Option<Next>, ()> {
        if !self.is_awaiting()
            && let Some(next) = self.ahead.pop()
        {
            return Ok(Some(next));
        }
        if !self.may_read(room) {
            return if self.is_awaiting() { Ok(None) } else { Err(()) };
        }
        match self.receive() {
            Ok(Some((next, _))) if !self.is_awaiting() || matches!(next.1, Ok(Request::GiveUp(_))) => {
                Ok(Some(next))
            }
            Ok(Some((next, bytes))) => {
                self.ahead.push(next, bytes, (!self.is_relative).then_some(room));
                Ok(None)
            }
            Ok(None) => Ok(None),
            Err(()) => {
                // It reads no reply any more. What it sent before is done first.
                (self.has_ended, self.is_deaf) = (true, true);
                self.ahead.pop().map(Some).ok_or(())
            }
        }
    }

    /// What has come, and of how many bytes it was.
    fn receive(&self) -> Result<Option<(Next, usize)>, ()> {
        match self.stream.try_recv_whole() {
            Ok(Whole::Value((serial, request), bytes)) => Ok(Some(((serial, Ok(request)), bytes))),
            Ok(Whole::WithoutHandles(bytes)) => {
                let serial = unpack_front(&bytes).map_err(drop)?;
                Ok(Some(((serial, Err(Failure::NoDescriptors)), bytes.len())))
            }
            Err(RecvError::Empty) => Ok(None),
            Err(_) => Err(()),
        }
    }

    fn flush(&mut self) {
        // Its requests are read on: what it sent before its end is done.
        self.is_deaf |= matches!(self.outbox.flush(&self.stream), Err(Deaf));
    }

    /// Waits for what it can do next.
    fn watch(&mut self, set: &WaitSet, room: &Room, client: ClientId) {
        let interest = match (self.has_unsent(), self.may_read(room)) {
            (false, _) => Interest::Read,
            (true, true) => Interest::Both,
            (true, false) => Interest::Write,
        };
        if interest != self.interest && set.change(self.stream.as_fd(), client, interest).is_ok() {
            self.interest = interest;
        }
    }
}

impl Reply {
    pub(super) fn has_handles(&self) -> bool {
        let of = |value: &Packed| !value.message.handles.is_empty();
        match self {
            Reply::Value(value) => value.iter().any(of),
            Reply::Values(values) => values.iter().any(of),
            Reply::Options(values) => values.iter().flatten().any(of),
            Reply::Batch(results) => results.beside().iter().any(of),
            Reply::Item(item) => item.iter().any(|(_, value)| of(value)),
            Reply::Items(items) => items.iter().any(|(_, value)| of(value)),
            Reply::Returned(message) => !message.handles.is_empty(),
            _ => false,
        }
    }

    /// The objects that it names, to each of which its receiver has a reference.
    pub(super) fn objects(&self) -> Vec<ObjectId> {
        match self {
            Reply::Value(value) => objects_of(value),
            Reply::Values(values) => objects_of(values),
            Reply::Options(values) => objects_of(values.iter().flatten()),
            Reply::Batch(results) => objects_of(results.beside()),
            Reply::Item(item) => objects_of(item.iter().map(|(_, value)| value)),
            Reply::Items(items) => objects_of(items.iter().map(|(_, value)| value)),
            _ => Vec::new(),
        }
    }
}

fn objects_of<'a>(values: impl IntoIterator<Item = &'a Packed>) -> Vec<ObjectId> {
    values.into_iter().flat_map(|value| value.objects.iter().copied()).collect()
}
