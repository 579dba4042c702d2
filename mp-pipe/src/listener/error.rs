//! Why there is no listener, or no connection from it.

use crate::address::{Address, InvalidAddress};
use crate::handshake::AuthenticationError;
use crate::handshake::socket::Broken;
use mp_core::OsError;

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Somebody listens there; or there is a file that is no socket, or one that belongs to another user.
    ///
    /// Python: `OSError: [Errno 98] Address already in use`, also after a listener that was killed.
    #[error("the address {0} is in use")]
    InUse(Address),
    /// Nothing can listen at such an address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// A key of no bytes proves nothing.
    #[error("an empty key")]
    EmptyKey,
    /// A port and an abstract name can be reached by everybody, so they need a key; and at an abstract name users are
    /// told apart.
    #[error("at {0} there must be a key, and at an abstract name only one user")]
    Unprotected(Address),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Why no connection was accepted. The listener is as it was, and can be asked again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Nobody has connected and proved to have the key in time; `try_` and `_timeout` calls only. Who has begun to is
    /// kept, and goes on with the next call.
    #[error("no connection in time")]
    TimedOut,
    /// The system refused. Where it has no descriptor or memory to spare (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`),
    /// whoever wants to connect goes on waiting, and the next call looks for newcomers after a pause of 10 ms, then
    /// of twice as much, up to a second; so a loop of calls that goes on does not spin.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Why somebody who connected was not let in. His connection is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// He does not have the key, or does not speak the handshake.
    ///
    /// Python: `AuthenticationError`, from `accept`.
    #[error(transparent)]
    Authentication(AuthenticationError),
    /// He took longer than the handshake may.
    #[error("not authenticated in time")]
    TimedOut,
    /// He was the oldest of too many that had not proved anything yet.
    #[error("crowded out by newer connections")]
    CrowdedOut,
    /// There are as many open connections as there may be.
    #[error("too many open connections")]
    TooManyOpen,
    /// His process is another user's.
    #[error("a process of user {uid}")]
    OtherUser {
        /// The user's number.
        uid: u32,
    },
    /// He has gone before he had proved anything.
    #[error("closed before it was authenticated")]
    Closed,
    /// The system refused.
    #[error(transparent)]
    Os(OsError),
}

impl From<Broken> for Refused {
    fn from(broken: Broken) -> Refused {
        match broken {
            Broken::Authentication(error) => Refused::Authentication(error),
            Broken::Closed => Refused::Closed,
            Broken::Os(error) => Refused::Os(error),
        }
    }
}
