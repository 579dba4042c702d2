//! Client: connecting to a listener (Python: `multiprocessing.connection.Client`).

use crate::address::{Address, AddressError};
use crate::connection::Connection;
use crate::handshake::socket::advance;
use crate::handshake::{AuthenticationError, Form, Handshake, HandshakeError};
use crate::key::Key;
use mp_core::AuthKey;
use mp_core::error::OsError;
use mp_core::sys::address::{connect_to, send_at_once, this_user, user_at_the_other_end};
use mp_core::sys::poll::wait_for;
use mp_core::word::Deadline;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long connecting may take in all, unless it is said otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Connects to a [`Listener`](crate::Listener), this library's or CPython's.
///
/// ```
/// use mp_pipe::{Client, ConnectError, Connection, Listener};
/// use std::time::Duration;
///
/// let listener = Listener::new()?;
/// let connection: Result<Connection, _> =
///     Client::builder(listener.address()).timeout(Duration::from_millis(10)).connect();
/// assert!(matches!(connection, Err(ConnectError::Timeout))); // no call accepts
///
/// let address = listener.address().clone();
/// listener.close();
/// let connection: Result<Connection, _> = Client::connect(address);
/// assert!(matches!(connection, Err(ConnectError::NotListening(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.connection.Client`.
#[derive(Debug)]
pub enum Client {}

impl Client {
    /// Connects, and proves to the listener that both have the same key: this process's own, which its relatives
    /// have, too. Waits a minute at most, for the listener to come to its `accept`.
    ///
    /// # Errors
    /// The errors of [`ClientBuilder::connect`].
    ///
    /// Python: `Client(address)`, which waits for ever.
    pub fn connect<S, R>(address: impl Into<Address>) -> Result<Connection<S, R>, ConnectError> {
        Client::builder(address).connect()
    }

    /// Connecting with a key, time or handshake of one's own choice.
    pub fn builder(address: impl Into<Address>) -> ClientBuilder {
        ClientBuilder {
            address: address.into(),
            key: Key::OfThisProcess,
            form: Form::Own,
            timeout: DEFAULT_TIMEOUT,
            one_user: true,
        }
    }
}

/// The error of connecting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No process listens there: the listener has ended, or has not begun yet.
    ///
    /// Python: `ConnectionRefusedError`, `FileNotFoundError`.
    #[error("no process listens there ({0}): start the listener first, or check the address")]
    NotListening(#[source] OsError),
    /// The two do not have the same key, or do not speak the same handshake.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// The listener did not accept this client in time.
    #[error("the listener did not accept in time: make sure that it calls `accept`")]
    Timeout,
    /// The listener closed the connection: it ended, has too many clients, or admits only processes of its own user.
    #[error(
        "the listener closed the connection before the handshake was done: check that it runs, and which users it \
         admits"
    )]
    Closed,
    /// Another user's process listens there.
    #[error(
        "a process of another user (number {uid}) listens there: check the address, or allow it with \
         `any_user`"
    )]
    OtherUser {
        /// The user's number.
        uid: u32,
    },
    /// No socket can have such an address.
    #[error("{0}")]
    Address(&'static str),
    /// The host has no number.
    #[error("cannot find the host {host}: {source}")]
    Host {
        /// As it was given.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The key has no bytes, so it proves nothing.
    #[error("the authkey is empty: give it at least one byte")]
    EmptyKey,
    /// The system refused.
    #[error(transparent)]
    Os(OsError),
}

impl From<OsError> for ConnectError {
    fn from(error: OsError) -> ConnectError {
        match error.source.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => ConnectError::NotListening(error),
            ErrorKind::TimedOut => ConnectError::Timeout,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => ConnectError::Closed,
            _ => ConnectError::Os(error),
        }
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> ConnectError {
        match error {
            HandshakeError::Authentication(error) => error.into(),
            HandshakeError::OtherUser { uid } => ConnectError::OtherUser { uid },
            HandshakeError::Timeout => ConnectError::Timeout,
            HandshakeError::Os(error) => ConnectError::Os(error),
            HandshakeError::Closed | HandshakeError::CrowdedOut | HandshakeError::TooManyOpen => {
                ConnectError::Closed
            }
        }
    }
}

impl From<AddressError> for ConnectError {
    fn from(error: AddressError) -> ConnectError {
        match error {
            AddressError::Invalid(reason) => ConnectError::Address(reason),
            AddressError::Host { host, source } => ConnectError::Host { host, source },
        }
    }
}

/// How to connect. Made by [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder is not connected"]
pub struct ClientBuilder {
    address: Address,
    key: Key,
    form: Form,
    timeout: Duration,
    one_user: bool,
}

impl ClientBuilder {
    /// The key that each side must prove to have. Without it: this process's own.
    ///
    /// Python: `Client(authkey=key)`.
    pub fn authkey(mut self, key: AuthKey) -> Self {
        self.key = Key::Given(key);
        self
    }

    /// Nothing is proved: to a listener that wants nothing proved. (One that does takes what is sent for a proof.)
    ///
    /// Python: `Client(authkey=None)`, the default there.
    pub fn without_authkey(mut self) -> Self {
        self.key = Key::Without;
        self
    }

    /// Speaks CPython's handshake instead of this library's own: to a listener in a Python program, of 3.12 or later.
    pub fn cpython(mut self) -> Self {
        self.form = Form::CPython;
        self
    }

    /// Speaks CPython's handshake, also with those up to 3.11, which know nothing but MD5.
    #[cfg(feature = "md5")]
    pub fn cpython_and_md5(mut self) -> Self {
        self.form = Form::CPythonAndMd5;
        self
    }

    /// Talks to a listener of any user's. Without it: of this process's own user. (Ports do not know users.)
    pub fn any_user(mut self) -> Self {
        self.one_user = false;
        self
    }

    /// How long connecting and the handshake may take together: a minute. [`Duration::MAX`] is without limit. A
    /// host's name is looked up before, in the time that the system takes for that.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError::NotListening`], [`ConnectError::Authentication`], [`ConnectError::Timeout`] and the others:
    /// nothing stays open.
    ///
    /// Python: `Client(...)`.
    pub fn connect<S, R>(self) -> Result<Connection<S, R>, ConnectError> {
        let key = self.key.resolve()?;
        if key.as_ref().is_some_and(|key| key.as_bytes().is_empty()) {
            return Err(ConnectError::EmptyKey);
        }
        let until = Deadline::after(self.timeout);
        let socket = self.address.at_first(|place| connect_to(place, until))??;
        if !self.address.is_local() {
            send_at_once(socket.as_fd())?;
        } else if self.one_user {
            let uid = user_at_the_other_end(socket.as_fd())?;
            if uid != this_user() {
                return Err(ConnectError::OtherUser { uid });
            }
        }
        if let Some(key) = key {
            shake_hands(&socket, Handshake::of_client(&key, self.form)?, until)?;
        }
        Ok(Connection::from_fd(socket))
    }
}

fn shake_hands(
    socket: &OwnedFd,
    mut handshake: Handshake,
    until: Option<Deadline>,
) -> Result<(), ConnectError> {
    while let Some(interest) = advance(socket.as_fd(), &mut handshake)? {
        if !wait_for(socket.as_fd(), interest, until)? {
            return Err(ConnectError::Timeout);
        }
    }
    Ok(())
}
