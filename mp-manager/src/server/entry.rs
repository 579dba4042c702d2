//! The dispatcher's entry for fuzzers: a server on a thread, a client that sends what it is given, and one that looks
//! on.

use super::{Handle, Mode, ObjectId, Reply, Request, Server, Start, socket};
use crate::protocol::{Call, Kind, ListCall, Packed, Wait};
use mp_core::sys::socket::{packet_pair, stream_pair};
use mp_core::transfer::{pack, unpack};
use mp_pipe::Connection;
use std::os::fd::{AsFd, OwnedFd};
use std::thread::JoinHandle;

pub(super) type Stream = Connection<(u64, Request), (u64, Reply)>;

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    accept: OwnedFd,
    witness: Stream,
    /// One of each kind.
    objects: Vec<ObjectId>,
    /// Only the witness knows it.
    own: ObjectId,
    checked: u64,
}

/// What no fuzzer sends: it would end the server, or have it start processes or take much memory.
pub(super) fn is_left_out(request: &Request) -> bool {
    match request {
        Request::Shutdown | Request::MakeMemory { .. } => true,
        Request::Create { kind, .. } => matches!(kind, Kind::Pool | Kind::Custom),
        _ => false,
    }
}

/// What an object of each kind begins with.
fn starts() -> [(Kind, Start); 10] {
    let value = |byte| Packed::from(vec![byte]);
    [
        (Kind::Dict, Start::Empty),
        (Kind::Set, Start::Empty),
        (Kind::List, Start::Values(vec![value(1), value(2)])),
        (Kind::Value, Start::Value(value(200))),
        (Kind::Queue, Start::Number(3)),
        (Kind::RLock, Start::Empty),
        (Kind::Semaphore, Start::Bounded(2)),
        (Kind::Condition, Start::Empty),
        (Kind::Event, Start::Empty),
        (Kind::Barrier, Start::Number(2)),
    ]
}

/// An object of each kind: also a condition over a lock, and an iterator.
pub(super) fn objects(stream: &Stream) -> Vec<ObjectId> {
    let make = |(kind, start)| created(ask(stream, Request::Create { kind, start }));
    let mut objects = starts().map(make).to_vec();
    objects.push(make((Kind::Condition, Start::Lock(objects[5]))));
    objects.push(created(ask(stream, Request::Iterate(objects[0]))));
    objects
}

/// A server that ends when the other end of this socket is closed, and its clients have gone.
pub(super) fn serve_on_a_thread(accept_socket: OwnedFd) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let server = Server::new(1, Some(Handle::new(accept_socket)));
        let _ = server.expect("descriptors for a server").run();
    })
}

/// A client's end of a new connection.
pub(super) fn connected(accept: &OwnedFd) -> OwnedFd {
    let (ours, theirs) = stream_pair().expect("a socket pair");
    socket::send(accept.as_fd(), &[&[0]], &[theirs.as_fd()], Mode::Block).expect("the server accepts");
    ours
}

pub(super) fn ask(stream: &Stream, request: Request) -> Reply {
    stream.send(&(7, request)).expect("the server reads");
    let (serial, reply) = stream.recv().expect("the server answers");
    assert_eq!(serial, 7);
    reply
}

pub(super) fn created(reply: Reply) -> ObjectId {
    match reply {
        Reply::Created(object) => object,
        other => panic!("{other:?}"),
    }
}

impl Dispatcher {
    /// Starts the server.
    pub fn start() -> Dispatcher {
        let (inside, accept) = packet_pair().expect("a socket pair");
        serve_on_a_thread(inside);
        let witness: Stream = Connection::from_fd(connected(&accept));
        let objects = objects(&witness);
        let own = created(ask(&witness, Request::Create { kind: Kind::List, start: Start::Empty }));
        Dispatcher { accept, witness, objects, own, checked: 0 }
    }

    /// Sends this as the first message of a new client.
    ///
    /// # Panics
    /// The server does not go on.
    pub fn check(&mut self, input: &[u8]) {
        let Some(message) = self.message(input) else { return };
        // Alive until the witness was served: a request is not looked at once its client has gone.
        let client: Connection = Connection::from_fd(connected(&self.accept));
        let _ = client.send_bytes(&message);
        self.checked += 1;
        let item = Packed::default();
        let push = self.on_own(ListCall::Push(item));
        assert!(matches!(push, Reply::Done), "{push:?}");
        let length = self.on_own(ListCall::Len);
        assert!(matches!(length, Reply::Count(count) if count == self.checked), "{length:?}");
    }

    /// The bytes as they are sent: objects that are named by their places become these objects. `None`: it is left out.
    fn message(&self, input: &[u8]) -> Option<Vec<u8>> {
        match unpack::<(u64, Request)>(input, Vec::new()) {
            Ok((_, request)) if is_left_out(&request) => None,
            Ok((serial, Request::Call { object, thread, wait, call })) => {
                let object = self.objects.get(object as usize).copied().unwrap_or(object);
                let message = pack(&(serial, Request::Call { object, thread, wait, call })).ok()?;
                Some(message.bytes)
            }
            _ => Some(input.to_vec()),
        }
    }

    fn on_own(&self, call: ListCall) -> Reply {
        let call = Call::List(call);
        ask(&self.witness, Request::Call { object: self.own, thread: 1, wait: Wait::Never, call })
    }
}
