//! Errors of listeners.

use crate::address::{Address, AddressError};
use crate::handshake::AuthenticationError;
use crate::handshake::socket::Broken;
use mp_core::OsError;

/// The error of making a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket is bound there; or there is a file that is no socket, or one of another user.
    ///
    /// Python: `OSError: [Errno 98] Address already in use`, also after a listener that was killed.
    #[error("the address {0} is in use: choose another one, or stop the program that listens there")]
    InUse(Address),
    /// Nothing can listen at such an address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The key has no bytes, so it proves nothing.
    #[error("the authkey is empty: give it at least one byte, or use `without_authkey` at a path")]
    EmptyKey,
    /// Every process can reach a port or an abstract name, so a key is needed there; and an abstract name admits only
    /// one user.
    #[error(
        "{0} can be reached by every process: give an authkey, and at an abstract name leave out `any_user`"
    )]
    Unprotected(Address),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The error of accepting a connection. The listener is unchanged, and `accept` can be called again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No client has connected and proved to have the key yet; `try_` calls only. Handshakes under way are kept and go on
    /// in the next call.
    #[error("no client has been admitted yet: try again later, or wait with accept")]
    WouldBlock,
    /// No client connected and proved to have the key in time; `_timeout` calls only. Handshakes under way are kept and
    /// go on in the next call.
    #[error("no client was admitted in time: accept again")]
    Timeout,
    /// A client was refused; `accept_or_refuse` and its variants only.
    #[error(transparent)]
    Refused(#[from] RefusedError),
    /// The system refused. When it is out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) incoming
    /// connections stay in the kernel's queue, and calls accept again after a pause of 10 ms, then of twice as much, up
    /// to a second; so a loop of calls does not spin.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The reason why a client was refused. Its connection is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedError {
    /// It does not have the key, or does not follow the handshake.
    ///
    /// Python: `AuthenticationError`, from `accept`.
    #[error(transparent)]
    Authentication(AuthenticationError),
    /// It took longer than the handshake may.
    #[error("the client did not authenticate in time")]
    Timeout,
    /// It was the oldest of too many unauthenticated clients.
    #[error("the client was dropped for newer connections: too many had not authenticated")]
    CrowdedOut,
    /// The limit of open connections is reached.
    #[error("the client was refused: as many connections are open as `most_open` allows")]
    TooManyOpen,
    /// It is a process of another user.
    #[error("the client is a process of another user ({uid})")]
    OtherUser {
        /// The user's number.
        uid: u32,
    },
    /// It closed its connection before it was authenticated.
    #[error("the client closed its connection before it was authenticated")]
    Closed,
    /// The system refused.
    #[error(transparent)]
    Os(OsError),
}

impl From<Broken> for RefusedError {
    fn from(broken: Broken) -> RefusedError {
        match broken {
            Broken::Authentication(error) => RefusedError::Authentication(error),
            Broken::Closed => RefusedError::Closed,
            Broken::Os(error) => RefusedError::Os(error),
        }
    }
}
