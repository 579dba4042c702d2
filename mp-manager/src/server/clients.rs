//! The clients: their connections, outboxes and references.

use crate::object::{ClientId, Counts, IdMap};
use crate::protocol::{Failure, ObjectId, Packed, Reply, Request};
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::waitset::WaitSet;
use mp_core::transfer::unpack_front;
use mp_core::word::Deadline;
use mp_pipe::{Connection, RecvError, SendError, Whole};
use std::collections::{HashMap, HashSet, VecDeque};
use std::os::fd::AsFd;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Clients(IdMap<Client>);

type Stream = Connection<(u64, Reply), (u64, Request)>;

#[derive(Debug)]
struct Client {
    stream: Stream,
    /// It was given the accept socket: it runs this program.
    is_relative: bool,
    /// Replies that it has not taken. While there are some its requests are not read.
    outbox: VecDeque<(u64, Reply)>,
    /// A part of a reply has been sent.
    is_partly_sent: bool,
    /// It can be sent nothing any more.
    is_deaf: bool,
    references: HashMap<ObjectId, u64>,
    touched: HashSet<ObjectId>,
}

/// A request and its serial.
type Next = (u64, Result<Request, Failure>);

/// What a client leaves behind.
#[derive(Debug)]
pub(super) struct Gone {
    /// It was sent away, and has not closed its end.
    pub(super) lives: bool,
    pub(super) references: HashMap<ObjectId, u64>,
    /// Objects to which its death means something.
    pub(super) touched: HashSet<ObjectId>,
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
    pub(super) fn add(&mut self, client: ClientId, stream: Stream, is_relative: bool) {
        let new = Client {
            stream,
            is_relative,
            outbox: VecDeque::new(),
            is_partly_sent: false,
            is_deaf: false,
            references: HashMap::new(),
            touched: HashSet::new(),
        };
        self.0.insert(client, new);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn is_relative(&self, client: ClientId) -> bool {
        self.0.get(&client).is_some_and(|client| client.is_relative)
    }

    /// It has connected by an address.
    pub(super) fn is_remote(&self, client: ClientId) -> bool {
        self.0.get(&client).is_some_and(|client| !client.is_relative)
    }

    pub(super) fn has(&self, client: ClientId) -> bool {
        self.0.contains_key(&client)
    }

    pub(super) fn remove(&mut self, set: &WaitSet, client: ClientId) -> Option<Gone> {
        let Client { stream, references, touched, .. } = self.0.remove(&client)?;
        let _ = set.remove(stream.as_fd());
        let now = Deadline::after(Duration::ZERO);
        let lives = !wait_for(stream.as_fd(), Interest::Hangup, now).unwrap_or(false);
        Some(Gone { lives, references, touched })
    }

    /// The next request, or `None` if there is none now; a failure where this process had no descriptors left for what
    /// is in it. An error: the client has died, or has sent what is no request.
    pub(super) fn next(&mut self, set: &WaitSet, client: ClientId) -> Result<Option<Next>, ()> {
        let Some(found) = self.0.get_mut(&client) else { return Ok(None) };
        if found.has_unsent() {
            found.flush();
            if found.has_unsent() {
                return Ok(None);
            }
            let _ = set.change(found.stream.as_fd(), client, Interest::Read);
        }
        match found.stream.try_recv_whole() {
            Ok(Whole::Value((serial, request))) => Ok(Some((serial, Ok(request)))),
            Ok(Whole::WithoutHandles(bytes)) => {
                let serial = unpack_front(&bytes).map_err(drop)?;
                Ok(Some((serial, Err(Failure::NoDescriptors))))
            }
            Err(RecvError::Empty) => Ok(None),
            Err(_) => Err(()),
        }
    }

    /// Sends a reply, or keeps it until the client reads.
    pub(super) fn send(&mut self, set: &WaitSet, client: ClientId, serial: u64, reply: Reply) -> Delivery {
        let Some(found) = self.0.get_mut(&client) else { return Delivery::Dead(reply) };
        if found.is_deaf {
            return Delivery::Dead(reply);
        }
        let had_unsent = found.has_unsent();
        found.outbox.push_back((serial, reply));
        if !had_unsent {
            found.flush();
            if found.is_deaf {
                let last = found.outbox.pop_back();
                return last.map_or(Delivery::Sent, |(_, reply)| Delivery::Dead(reply));
            }
            if found.has_unsent() {
                let _ = set.change(found.stream.as_fd(), client, Interest::Write);
            }
        }
        Delivery::Sent
    }

    pub(super) fn add_reference(&mut self, client: ClientId, object: ObjectId) {
        if let Some(client) = self.0.get_mut(&client) {
            *client.references.entry(object).or_default() += 1;
        }
    }

    /// Gives one reference back, if the client has one: it cannot give another client's back.
    pub(super) fn release(&mut self, counts: &Counts, client: ClientId, object: ObjectId) {
        let Some(client) = self.0.get_mut(&client) else { return };
        if let Some(count) = client.references.get_mut(&object) {
            *count -= 1;
            if *count == 0 {
                client.references.remove(&object);
            }
            counts.release(object);
        }
    }

    pub(super) fn held(&self, client: ClientId) -> Vec<ObjectId> {
        self.0.get(&client).map_or_else(Vec::new, |client| client.references.keys().copied().collect())
    }

    /// The object is to be told when the client dies.
    pub(super) fn touch(&mut self, client: ClientId, object: ObjectId) {
        if let Some(client) = self.0.get_mut(&client) {
            client.touched.insert(object);
        }
    }

    /// Those that were so touched: what a thread of this client holds is among them.
    pub(super) fn touched(&self, client: ClientId) -> impl Iterator<Item = ObjectId> {
        self.0.get(&client).into_iter().flat_map(|client| client.touched.iter().copied())
    }
}

impl Client {
    fn has_unsent(&self) -> bool {
        !self.is_deaf && (self.is_partly_sent || !self.outbox.is_empty())
    }

    /// Sends what it can.
    fn flush(&mut self) {
        if self.is_partly_sent {
            match self.stream.try_flush() {
                Ok(()) => self.is_partly_sent = false,
                Err(SendError::Full) => return,
                Err(_) => return self.is_deaf = true,
            }
        }
        while let Some(reply) = self.outbox.front() {
            match self.stream.try_send(reply) {
                Ok(()) => drop(self.outbox.pop_front()),
                Err(SendError::Full) => return,
                Err(SendError::Partial) => {
                    self.outbox.pop_front();
                    self.is_partly_sent = true;
                    return;
                }
                // Its requests are read on: what it sent before its end is done.
                Err(SendError::Closed(_) | SendError::Torn) => return self.is_deaf = true,
                Err(other) => {
                    let serial = reply.0;
                    self.outbox[0] = (serial, Reply::Failed(Failure::Codec(other.to_string())));
                }
            }
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
