//! Listener: accepts connections from other processes (Python: `multiprocessing.connection.Listener`).
//!
//! | file         | what                                                                          |
//! |--------------|-------------------------------------------------------------------------------|
//! | `mod.rs`     | [`Listener`]: the calls                                                       |
//! | `builder.rs` | [`ListenerBuilder`]: address, key, limits                                     |
//! | `acceptor.rs` | incoming connections and their handshakes, side by side                      |
//! | `file.rs`    | the socket's file: created, told from a stale one, removed                    |
//! | `error.rs`   | [`BindError`], [`AcceptError`]                                                   |

mod acceptor;
mod builder;
mod error;
mod file;

pub use builder::ListenerBuilder;
pub use error::{AcceptError, BindError};

use crate::address::Address;
use crate::connection::Connection;
use crate::handshake::HandshakeError;
use crate::patience::Patience;
use acceptor::{Accepted, Acceptor};
use file::SocketFile;
use mp_core::process::TARGET;
use parking_lot::Mutex;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// A socket that other processes connect to.
///
/// ```
/// use mp_pipe::{Client, Connection, Listener};
///
/// let listener = Listener::new()?; // at a generated address
/// let address = listener.address().clone();
/// let client = std::thread::spawn(move || {
///     let connection: Connection<u32, String> = Client::connect(&address).unwrap();
///     connection.send(&7).unwrap();
///     connection.recv().unwrap()
/// });
/// let connection: Connection<String, u32> = listener.accept()?;
/// let number = connection.recv()?;
/// connection.send(&format!("got {number}"))?;
/// assert_eq!(client.join().unwrap(), "got 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With another program, and with CPython's:
///
/// ```no_run
/// use mp_core::AuthKey;
/// use mp_pipe::{Connection, Listener};
///
/// // Python: Client(("localhost", 6000), authkey=b"a secret of the two")
/// let listener = Listener::builder()
///     .address(("localhost", 6000))
///     .authkey(AuthKey::new(*b"a secret of the two"))
///     .cpython()
///     .bind()?;
/// let connection: Connection = listener.accept()?;
/// connection.send_bytes(b"hello")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Which clients are admitted
/// A client proves that it has the key, and the listener proves it to the client: see `handshake/mod.rs`.
/// Without a key of its own each uses its process's, which the processes of one family share and no other process
/// knows. A local client must also be a process of the same user.
///
/// Handshakes run side by side, inside `accept` and its variants, each with its own deadline (5 s): a silent client
/// delays no other. There is no helper thread, so a client waits while the program is in none of these calls, as in
/// Python. Its deadline does not pass meanwhile.
///
/// # The socket's file
/// A path is created with mode 0600 and removed when the listener is dropped or its process exits. The file of a killed
/// listener is recognised and replaced by the next listener at the same path. The file of a live listener, and a file
/// that is no socket, is never replaced. A port can be used again at once.
///
/// # Threads and forked children
/// Threads can share it by reference and take turns. A forked child has a copy and can accept from the same socket; the
/// file stays the parent's. Drop the copy there if it is not used: otherwise clients may wait for a process that never
/// accepts.
///
/// To wait for a listener and for other things at once, pass it to [`wait`](crate::wait), then call
/// [`try_accept`](Listener::try_accept) whenever it is ready. It is also ready when a handshake can advance.
///
/// Accept after close does not compile:
///
/// ```compile_fail,E0382
/// let listener = mp_pipe::Listener::new().unwrap();
/// listener.close();
/// let connection: mp_pipe::Connection = listener.accept().unwrap();
/// ```
///
/// Python: `multiprocessing.connection.Listener`.
pub struct Listener {
    acceptor: Acceptor,
    address: Address,
    file: Option<Arc<SocketFile>>,
    last_accepted: Mutex<Option<Address>>,
}

/// Listening.
impl Listener {
    /// Listens at a generated path, in a directory that only this user can enter.
    ///
    /// # Errors
    /// The errors of [`ListenerBuilder::bind`].
    ///
    /// Python: `Listener()`.
    pub fn new() -> Result<Listener, BindError> {
        Listener::builder().bind()
    }

    /// Listens at an address: a path, `"\0name"`, or `(host, port)`, where port 0 is any that is free.
    ///
    /// # Errors
    /// The errors of [`ListenerBuilder::bind`].
    ///
    /// Python: `Listener(address)`.
    pub fn bind(address: impl Into<Address>) -> Result<Listener, BindError> {
        Listener::builder().address(address).bind()
    }

    /// For a listener with another key, other limits or another handshake.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder::new()
    }

    /// Where it listens: what a client needs. For port 0 this is the port that the kernel chose.
    ///
    /// Python: `Listener.address`.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The address of the last accepted client; `None` before the first, and for local clients, which have no address.
    ///
    /// Python: `Listener.last_accepted`.
    pub fn last_accepted(&self) -> Option<Address> {
        self.last_accepted.lock().clone()
    }

    /// Stops listening. Clients that were not accepted yet get an error.
    ///
    /// Python: `Listener.close`.
    pub fn close(self) {}
}

/// Accepting.
impl Listener {
    /// Waits for a client that proves to have the key. Others are refused and passed over, with a record (`info`) in
    /// the [log](mp_core::get_logger).
    ///
    /// # Errors
    /// [`AcceptError::Os`] alone; see there what to do.
    ///
    /// Python: `Listener.accept`, which raises `AuthenticationError` for a wrong key, and waits for a silent client
    /// while all others wait. [`accept_or_refuse`](Listener::accept_or_refuse) also reports refusals.
    pub fn accept<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::Forever)
    }

    /// Waits for a client at most this long; then [`AcceptError::Timeout`]. Handshakes under way are kept and go on in
    /// the next call.
    pub fn accept_timeout<S, R>(&self, timeout: Duration) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::of(timeout))
    }

    /// Does what can be done without waiting. [`AcceptError::WouldBlock`] if no handshake is complete; then wait until
    /// the listener is ready, and call again.
    pub fn try_accept<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::Never)
    }

    /// Waits for the next client, and also reports a refused one.
    ///
    /// # Errors
    /// [`AcceptError::Refused`]: why the client was refused. Else as [`accept`](Listener::accept).
    ///
    /// ```
    /// use mp_core::AuthKey;
    /// use mp_pipe::{AcceptError, AuthenticationError, Client, ConnectError, Listener, HandshakeError};
    ///
    /// let listener = Listener::new()?;
    /// let address = listener.address().clone();
    /// let client = std::thread::spawn(move || {
    ///     let other = AuthKey::new(*b"another key");
    ///     Client::builder(address).authkey(other).connect::<(), ()>().unwrap_err()
    /// });
    /// let refused = listener.accept_or_refuse::<(), ()>().unwrap_err();
    /// let wrong_key = HandshakeError::Authentication(AuthenticationError::WrongKey);
    /// assert_eq!(refused.to_string(), wrong_key.to_string());
    /// let told = client.join().unwrap();
    /// assert!(matches!(told, ConnectError::Authentication(AuthenticationError::Rejected)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `Listener.accept`.
    pub fn accept_or_refuse<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.next(Patience::Forever)
    }

    /// Does what can be done without waiting, and also reports a refused client.
    ///
    /// # Errors
    /// [`AcceptError::Refused`]: why the client was refused. Else as [`try_accept`](Listener::try_accept).
    pub fn try_accept_or_refuse<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.next(Patience::Never)
    }

    /// Waits for the next client at most this long, and also reports a refused one.
    ///
    /// # Errors
    /// [`AcceptError::Refused`]: why the client was refused. Else as [`accept_timeout`](Listener::accept_timeout).
    pub fn accept_or_refuse_timeout<S, R>(&self, timeout: Duration) -> Result<Connection<S, R>, AcceptError> {
        self.next(Patience::of(timeout))
    }

    fn next<S, R>(&self, patience: Patience) -> Result<Connection<S, R>, AcceptError> {
        Ok(self.connection(self.acceptor.next(patience, Some)?))
    }

    fn accepted<S, R>(&self, patience: Patience) -> Result<Connection<S, R>, AcceptError> {
        let passed_over = |reason: HandshakeError| {
            log::info!(target: TARGET, "{self:?} has refused a client: {reason}");
            None
        };
        Ok(self.connection(self.acceptor.next(patience, passed_over)?))
    }

    fn connection<S, R>(&self, accepted: Accepted) -> Connection<S, R> {
        *self.last_accepted.lock() = accepted.from.map(Address::from);
        Connection::admitted(accepted.socket, accepted.admission)
    }
}

/// The file is removed before the socket is closed: while the socket is open no other file can get the same inode
/// number.
impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}

/// For [`wait`](crate::wait).
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.as_fd()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}
