//! Errors of listeners.

use crate::address::{Address, AddressError};
use crate::handshake::HandshakeError;
use mp_core::OsError;
use std::io;

/// The error of making a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket is bound there; or there is a file that is no socket, or one of another user.
    ///
    /// Python: `OSError: [Errno 98] Address already in use`, also after a listener that was killed.
    #[error("the address {0} is in use: choose another one, or stop the program that listens there")]
    InUse(Address),
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

impl From<AddressError> for BindError {
    fn from(error: AddressError) -> BindError {
        match error {
            AddressError::Invalid(reason) => BindError::Address(reason),
            AddressError::Host { host, source } => BindError::Host { host, source },
        }
    }
}

/// The error of accepting a connection. The listener is unchanged, and `accept` can be called again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No client has connected and proved to have the key yet; `try_` calls only. Handshakes under way are kept and go
    /// on in the next call.
    #[error("no client has been admitted yet: try again later, or wait with accept")]
    WouldBlock,
    /// No client connected and proved to have the key in time; `_timeout` calls only. Handshakes under way are kept and
    /// go on in the next call.
    #[error("no client was admitted in time: accept again")]
    Timeout,
    /// A client was refused, and its connection is closed; `accept_or_refuse` and its variants only.
    #[error(transparent)]
    Refused(#[from] HandshakeError),
    /// The system refused. When it is out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) incoming
    /// connections stay in the kernel's queue, and calls accept again after a pause of 10 ms, then of twice as much, up
    /// to a second; so a loop of calls does not spin.
    #[error(transparent)]
    Os(#[from] OsError),
}
