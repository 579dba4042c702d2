//! The one connection of this process to a manager, shared by its threads.
//!
//! ```text
//!   thread A ── sends (7, request) ──►┐                       ┌── reads; a reply to 8: hands it to B, wakes B
//!   thread B ── sends (8, request) ──►│ one stream socket ───►│   a reply to 7: its own; wakes another
//!                                                              └── waiting thread, which reads from now on
//! ```
//! One of the waiting threads reads for all, so that no thread of the library's own is needed here: a process may fork
//! at any time.
//!
//! # When a process dies
//! The *server*: the reader sees the end of the stream, a thread that sleeps in a slot is woken (`slots/life.rs`), and
//! all calls return `Gone`. The *client*: the server sees the end of the stream. A forked copy of the client gives its
//! copy of the socket up at once (`registry.rs`), so that it does not hide that end.

#[cfg(test)]
mod given_up;
mod patience;
mod reference;
mod registry;
mod replies;
mod slots;
mod unsent;

pub(crate) use reference::Reference;

use crate::error::ManagerError;
use crate::protocol::{Failure, ONE_WAY, ObjectId, Reply, Request, Wait};
use mp_core::OsError;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::socket::{self, Mode, packet_pair, stream_pair};
use mp_core::transfer::{Handle, WeakHandle};
use mp_core::word::Deadline;
use mp_pipe::{Connection, RecvError, SendError};
use patience::Patience;
use replies::{Read, Replies, Turn};
use slots::Lines;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unsent::Unsent;

/// How to reach a manager's server. Each process that has it may call.
#[derive(Debug, Clone)]
pub(crate) struct ServerHandle {
    /// A random number that identifies the manager.
    pub(crate) manager: u64,
    pub(crate) route: Route,
}

/// The way to the server.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// Its accept socket: for relatives.
    Inherited(Handle),
    /// Its address, and the key if it is not this process's own.
    #[cfg(feature = "listener")]
    Address(mp_pipe::Address, Option<mp_core::AuthKey>),
}

/// Requests and replies, with the serial number of each.
pub(crate) type Stream = Connection<(u64, Request), (u64, Reply)>;

/// How long a server may take to read what tells it of a proxy that is being packed.
const TELLING: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) server: ServerHandle,
    /// A forked copy must not speak on its parent's connection.
    owner: OwningProcess,
    connection: Stream,
    replies: Replies,
    lines: Lines,
    unsent: Mutex<Unsent>,
    /// The serial of the message with handles that comes next.
    announced: Mutex<Option<u64>>,
    voucher: Mutex<Voucher>,
}

/// What keeps the objects in flight of the message that is being packed.
#[derive(Debug, Default)]
struct Voucher {
    number: u64,
    /// Gone once the message is.
    end: WeakHandle,
}

impl Client {
    /// This process's connection to a server.
    pub(crate) fn of(server: &ServerHandle) -> Result<Arc<Client>, ManagerError> {
        let client = registry::find_or(server.manager, || Client::connect(server.clone()))?;
        client.keep_for_proxies();
        Ok(client)
    }

    fn connect(server: ServerHandle) -> Result<Client, ManagerError> {
        let connection = match &server.route {
            Route::Inherited(accept_socket) => {
                let (ours, theirs) = stream_pair()?;
                socket::send(accept_socket.as_fd(), &[&[0]], &[theirs.as_fd()], Mode::Block).map_err(gone)?;
                Connection::from_fd(ours).with_limit(usize::MAX)
            }
            #[cfg(feature = "listener")]
            Route::Address(address, key) => {
                let builder = mp_pipe::Client::builder(address);
                let builder = key.iter().fold(builder, |builder, key| builder.authkey(key.clone()));
                builder.connect().map_err(connecting)?
            }
        };
        Ok(Client::on(connection, server))
    }

    pub(crate) fn on(connection: Stream, server: ServerHandle) -> Client {
        Client {
            server,
            owner: OwningProcess::current(),
            connection,
            replies: Replies::default(),
            lines: Lines::default(),
            unsent: Mutex::default(),
            announced: Mutex::default(),
            voucher: Mutex::default(),
        }
    }

    /// Makes it the one of this process, unless it has another already.
    #[cfg(feature = "listener")]
    pub(crate) fn register(self) -> Result<Arc<Client>, ManagerError> {
        registry::find_or(self.server.manager, || Ok(self))
    }

    /// Whether it is this process's, and not a forked copy of its parent's.
    pub(crate) fn is_ours(&self) -> bool {
        self.owner.is_current()
    }

    /// Whether the server takes it for a relative: it runs this program.
    fn is_relative(&self) -> bool {
        matches!(self.server.route, Route::Inherited(_))
    }

    /// Makes a request and waits for the reply.
    pub(crate) fn call(&self, request: Request) -> Result<Reply, ManagerError> {
        let patience = Patience::of(&request);
        self.send_unsent(patience.until());
        let reply = match self.call_by_slot(&request, patience)? {
            Some(reply) => reply,
            None => self.call_by_stream(request, patience)?,
        };
        match reply {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }

    fn call_by_stream(&self, request: Request, mut patience: Patience) -> Result<Reply, ManagerError> {
        let serial = self.replies.expect();
        let (is_confirmed, late) = (is_confirmed(&request), patience::late_by_stream(&request));
        if let Err(error) = self.send(&(serial, request), patience.until()) {
            if !matches!(error, SendError::Partial) {
                let _ = self.replies.forget(serial);
            }
            return Err(match error {
                SendError::Closed(_) | SendError::Torn => {
                    self.replies.end_unserved();
                    self.ended()
                }
                SendError::Timeout => ManagerError::Timeout,
                // The rest of it goes out with the next message.
                SendError::Partial => {
                    let _ = self.leave(serial);
                    late
                }
                SendError::Os(error) => ManagerError::Os(error),
                other => ManagerError::Codec(other.to_string()),
            });
        }
        let reply = loop {
            match self.receive(serial, patience.until())? {
                Some(reply) => break reply,
                None if patience.goes_on(|| self.is_served()) => {}
                None => match self.leave(serial) {
                    Some(reply) => break reply,
                    None => return Err(late),
                },
            }
        };
        // Until then what it has taken goes back if this process dies: then it must not be this caller's.
        if is_confirmed && is_kept(&reply) && !self.confirm(serial, patience.until()) {
            let _ = self.leave(serial);
            return Err(late);
        }
        Ok(reply)
    }

    /// Tells the server that a reply was read; `false`: that could not be sent in time.
    fn confirm(&self, serial: u64, until: Option<Deadline>) -> bool {
        self.send_unsent(until);
        !matches!(self.send(&(ONE_WAY, Request::Received(serial)), until), Err(SendError::Timeout))
    }

    fn send(&self, message: &(u64, Request), until: Option<Deadline>) -> Result<(), SendError> {
        let sent = match until {
            Some(deadline) => self.connection.send_timeout(message, deadline.remaining()),
            None => self.connection.send(message),
        };
        // What other threads could not send meanwhile, since this one did.
        self.try_send_unsent();
        sent
    }

    /// Whether the server serves requests now.
    fn is_served(&self) -> bool {
        self.call_by_stream(Request::Count, Patience::at_most(Duration::ZERO)).is_ok()
    }

    /// Waits for a reply on the connection; `None`: it has not come in time.
    fn receive(&self, serial: u64, until: Option<Deadline>) -> Result<Option<Reply>, ManagerError> {
        loop {
            match self.replies.wait(serial, until) {
                Turn::Arrived(reply) => return Ok(Some(reply)),
                Turn::Ended => return Err(self.ended()),
                Turn::Late => return Ok(None),
                Turn::Read => {
                    if let Some(left) = self.replies.read(self.read(until)) {
                        self.take_left(left);
                    }
                }
            }
        }
    }

    /// Why the connection has ended. A server without descriptors closes a new one, and lives.
    fn ended(&self) -> ManagerError {
        if self.was_refused() { ManagerError::NoDescriptors } else { ManagerError::Gone }
    }

    /// Whether the server took no connection of this process, and lives: another one may be taken.
    fn was_refused(&self) -> bool {
        match &self.server.route {
            Route::Inherited(accept_socket) => {
                let now = Deadline::after(Duration::ZERO);
                let has_gone = || wait_for(accept_socket.as_fd(), Interest::Hangup, now).unwrap_or(true);
                self.replies.was_refused() && !has_gone()
            }
            #[cfg(feature = "listener")]
            Route::Address(..) => false,
        }
    }

    /// The next message.
    fn read(&self, until: Option<Deadline>) -> Read {
        let receive = || match until {
            Some(deadline) => self.connection.recv_timeout(deadline.remaining()),
            None => self.connection.recv(),
        };
        // Of this thread alone: it reads for all.
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match (receive(), *announced) {
                (Ok((serial, Reply::HandlesFollow)), _) => *announced = Some(serial),
                (Ok((serial, reply)), _) => {
                    *announced = None;
                    return Read::Message(serial, reply);
                }
                (Err(RecvError::Timeout), _) => return Read::Nothing,
                // It is dropped, and the stream goes on behind it.
                (Err(error @ (RecvError::Handles { .. } | RecvError::Decode(_))), Some(serial)) => {
                    *announced = None;
                    return Read::Message(serial, Reply::Failed(Failure::Codec(error.to_string())));
                }
                // A server ends a stream only by ending itself, or for bytes that are no request.
                (Err(_), _) => return Read::End,
            }
        }
    }

    /// Sends a request that has no reply, and waits until it is sent: what follows it elsewhere relies on it. An end of
    /// the server is the next call's error. One that reads nothing does not hold up what is packed for others.
    pub(super) fn tell(&self, request: Request) -> Result<(), ManagerError> {
        let until = Deadline::after(TELLING);
        self.send_unsent(until);
        match self.send(&(ONE_WAY, request), until) {
            Ok(()) | Err(SendError::Closed(_) | SendError::Torn) => Ok(()),
            Err(SendError::Os(error)) => Err(ManagerError::Os(error)),
            Err(_) => Err(ManagerError::Unanswered),
        }
    }

    /// Gives up one reference to each. It never waits: what cannot be sent now is sent with the next call.
    pub(crate) fn release(&self, objects: &[ObjectId]) {
        if !objects.is_empty() && self.is_ours() {
            self.unsent().objects.extend_from_slice(objects);
            self.try_send_unsent();
        }
    }

    /// Gives a call over the connection up, unless its reply has come: gives that. One that has no slots minds no order
    /// between those and the connection.
    fn leave(&self, serial: u64) -> Option<Reply> {
        let arrived =
            if self.is_relative() { self.replies.leave(serial) } else { self.replies.forget(serial) };
        if arrived.is_none() {
            self.give_up(serial);
        }
        arrived
    }

    /// Waits no longer for the reply of this serial. It does not wait either.
    fn give_up(&self, serial: u64) {
        self.unsent().serials.push(serial);
        self.try_send_unsent();
    }

    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_send_unsent(&self) {
        // Held over the sending: what another thread sends afterwards must not overtake it.
        let mut unsent = self.unsent();
        while let Some(request) = unsent.first() {
            match self.connection.try_send(&(ONE_WAY, request)) {
                Err(SendError::Full) => return,
                // A part was sent, and the rest goes out with the next request; or there is no server left to give
                // anything back to.
                _ => unsent.drop_first(),
            }
        }
    }

    fn send_unsent(&self, until: Option<Deadline>) {
        let mut unsent = std::mem::take(&mut *self.unsent());
        while let Some(request) = unsent.first() {
            if let Err(SendError::Timeout) = self.send(&(ONE_WAY, request), until) {
                return self.unsent().put_back(unsent);
            }
            unsent.drop_first();
        }
    }

    /// Sends the request to shut down, and does not wait, even if the server is stopped: its end is the reply.
    pub(crate) fn ask_to_shut_down(&self) {
        let _ = self.connection.try_send(&(ONE_WAY, Request::Shutdown));
    }

    /// A reference for a proxy that is being packed: it lasts as long as a copy of the handle, in any process or in
    /// flight. All that is packed into one message has the same.
    pub(crate) fn lend(&self, object: ObjectId) -> Result<Handle, ManagerError> {
        let mut voucher = self.voucher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = voucher.end.upgrade() {
            self.tell(Request::Lend { voucher: voucher.number, end: None, object })?;
            return Ok(handle);
        }
        let (ours, theirs) = packet_pair()?;
        let handle = Handle::new(ours);
        // Also if the request is not sent: a part of it may be, and the rest follows with the next one.
        voucher.number += 1;
        self.tell(Request::Lend { voucher: voucher.number, end: Some(Handle::new(theirs)), object })?;
        voucher.end = handle.downgrade();
        Ok(handle)
    }
}

/// Whether the server keeps what it has answered over a connection until it is told that it was read.
fn is_confirmed(request: &Request) -> bool {
    match request {
        Request::Call { call, wait, .. } => {
            call.takes_item() || matches!(wait, Wait::AtMost(_)) && call.undoable().is_some()
        }
        _ => false,
    }
}

/// Whether it is such an answer. What is too late has taken nothing; another failure may have to be undone, too.
fn is_kept(reply: &Reply) -> bool {
    !matches!(reply, Reply::Failed(Failure::Timeout | Failure::WouldBlock))
}

/// Why this process cannot connect by an address that it was given with a proxy.
#[cfg(feature = "listener")]
fn connecting(error: mp_pipe::ConnectError) -> ManagerError {
    match error {
        mp_pipe::ConnectError::NotListening(_) => ManagerError::Gone,
        other => ManagerError::Codec(other.to_string()),
    }
}

fn gone(error: OsError) -> ManagerError {
    if socket::is_gone(&error) { ManagerError::Gone } else { ManagerError::Os(error) }
}
