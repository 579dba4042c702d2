//! Listener: who wants to connect comes here (Python: `multiprocessing.connection.Listener`).
//!
//! | file         | what                                                                          |
//! |--------------|-------------------------------------------------------------------------------|
//! | `mod.rs`     | [`Listener`]: the calls                                                       |
//! | `builder.rs` | [`ListenerBuilder`]: where, whom, how many                                    |
//! | `door.rs`    | newcomers and handshakes under way; nobody waits for anybody                  |
//! | `file.rs`    | the socket's file: made, told from a dead one's, taken away                   |
//! | `error.rs`   | [`BindError`], [`AcceptError`], [`Refused`]                                   |

mod builder;
mod door;
mod error;
mod file;

pub use builder::ListenerBuilder;
pub use error::{AcceptError, BindError, Refused};

use crate::address::Address;
use crate::connection::Connection;
use crate::incoming::Patience;
use door::{Door, Guest};
use file::SocketFile;
use mp_core::process::TARGET;
use parking_lot::Mutex;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// A place where others can connect to.
///
/// ```
/// use mp_pipe::{Client, Connection, Listener};
///
/// let listener = Listener::new()?; // at an address made up for it
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
/// # Who is let in
/// A client proves that it has the key, and the listener proves it to the client: see [`handshake`](crate::handshake).
/// Without a key of their own both have their process's, which the processes of one family share and nobody else
/// knows. A local client must be a process of the same user, too.
///
/// Handshakes go on side by side, inside `accept` and its kin, each within its own time (5 s): a client that says
/// nothing delays nobody. There is no helper thread: so a client waits while the program is not in one of these calls,
/// as in Python. Its time is not over then.
///
/// # The socket's file
/// A path is made with mode 0600, and is removed when the listener is dropped or its process ends. What a killed one
/// has left is recognised and replaced by the next one at the same path; a living listener's file, and one that is no
/// socket, never is. A port can be used again at once.
///
/// # Several users
/// Threads can share it by reference, and take turns. A forked child has a copy and can accept from the same socket,
/// too; the file stays its parent's. Drop it there if it is not needed, or clients wait for one who never accepts.
///
/// To wait for a listener and for other things at once, pass it to [`wait`](crate::wait), then call
/// [`try_accept`](Listener::try_accept) whenever it is ready: it is ready for handshakes that can go on, too.
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
    door: Door,
    address: Address,
    file: Option<Arc<SocketFile>>,
    last_accepted: Mutex<Option<Address>>,
}

/// Listening.
impl Listener {
    /// Listens at a path made up for it, in a directory that only this user can enter.
    ///
    /// # Errors
    /// As [`ListenerBuilder::bind`].
    ///
    /// Python: `Listener()`.
    pub fn new() -> Result<Listener, BindError> {
        Listener::builder().bind()
    }

    /// Listens at an address: a path, `"\0name"`, or `(host, port)`, where port 0 is any that is free.
    ///
    /// # Errors
    /// As [`ListenerBuilder::bind`].
    ///
    /// Python: `Listener(address)`.
    pub fn bind(address: impl Into<Address>) -> Result<Listener, BindError> {
        Listener::builder().address(address).bind()
    }

    /// A listener with a key, limits or a handshake of one's own choice.
    pub fn builder() -> ListenerBuilder {
        ListenerBuilder::new()
    }

    /// Where it listens: what a client needs. A free port's number is the one that was found.
    ///
    /// Python: `Listener.address`.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Where the last accepted client came from; `None` before the first, and for local ones, who have no address.
    ///
    /// Python: `Listener.last_accepted`.
    pub fn last_accepted(&self) -> Option<Address> {
        self.last_accepted.lock().clone()
    }

    /// Listens no more. Clients that were not accepted yet are told so.
    ///
    /// Python: `Listener.close`.
    pub fn close(self) {}
}

/// Accepting.
impl Listener {
    /// Waits for a client that proves to have the key. Those that do not are turned away and passed over, with a record
    /// (`info`) in the [log](mp_core::get_logger).
    ///
    /// # Errors
    /// [`AcceptError::Os`] alone; see there what to do.
    ///
    /// Python: `Listener.accept`, which raises `AuthenticationError` for one with a wrong key, and waits for one that
    /// says nothing while all others wait. [`accept_or_refuse`](Listener::accept_or_refuse) tells, too.
    pub fn accept<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::Forever)
    }

    /// As [`accept`](Listener::accept); [`AcceptError::TimedOut`] if nobody has come so far in time.
    pub fn accept_timeout<S, R>(&self, timeout: Duration) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::of(timeout))
    }

    /// Does what can be done without waiting. [`AcceptError::TimedOut`] if nobody is through with it; then wait until
    /// the listener is ready, and call again.
    pub fn try_accept<S, R>(&self) -> Result<Connection<S, R>, AcceptError> {
        self.accepted(Patience::Never)
    }

    /// The next client, whether it is let in or not, and then why not. `None` waits for ever.
    ///
    /// # Errors
    /// As [`accept_timeout`](Listener::accept_timeout).
    ///
    /// ```
    /// use mp_core::AuthKey;
    /// use mp_pipe::{AuthenticationError, Client, ConnectError, Connection, Listener, Refused};
    ///
    /// let listener = Listener::new()?;
    /// let address = listener.address().clone();
    /// let client = std::thread::spawn(move || {
    ///     let other = AuthKey::new(*b"another key");
    ///     Client::builder(address).authkey(other).connect::<(), ()>().unwrap_err()
    /// });
    /// let refused = listener.accept_or_refuse::<(), ()>(None)?.unwrap_err();
    /// assert!(matches!(refused, Refused::Authentication(AuthenticationError::WrongKey)));
    /// let told = client.join().unwrap();
    /// assert!(matches!(told, ConnectError::Authentication(AuthenticationError::Rejected)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `Listener.accept`.
    pub fn accept_or_refuse<S, R>(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Result<Connection<S, R>, Refused>, AcceptError> {
        let patience = timeout.map_or(Patience::Forever, Patience::of);
        Ok(self.door.next(patience, Some)?.map(|guest| self.welcome(guest)))
    }

    fn accepted<S, R>(&self, patience: Patience) -> Result<Connection<S, R>, AcceptError> {
        let passed_over = |reason: Refused| {
            log::info!(target: TARGET, "{self:?} has turned somebody away: {reason}");
            None
        };
        match self.door.next(patience, passed_over)? {
            Ok(guest) => Ok(self.welcome(guest)),
            Err(_) => unreachable!("those who are refused are passed over"),
        }
    }

    fn welcome<S, R>(&self, guest: Guest) -> Connection<S, R> {
        *self.last_accepted.lock() = guest.from.map(Address::from);
        Connection::admitted(guest.socket, guest.admission)
    }
}

/// The file goes before the socket does, whose life keeps another file from having the same number.
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
        self.door.as_fd()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}
