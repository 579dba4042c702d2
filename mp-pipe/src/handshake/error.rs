//! Why the two sides of a connection do not trust each other, or cannot find out.

use mp_core::OsError;

/// The error of authenticating the other side.
///
/// Python: `multiprocessing.AuthenticationError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The digest from the other side does not match our key: it has another key.
    ///
    /// Python: `digest received was wrong`.
    #[error("the other side has another authkey (the digest it sent is wrong): give both sides the same key")]
    WrongKey,
    /// The other side refused our digest: this side has another key.
    ///
    /// Python: `digest sent was rejected`.
    #[error("the other side refused our authkey: give both sides the same key")]
    Rejected,
    /// The other side does not speak this handshake.
    #[error("the other side does not follow this handshake: {0}")]
    Protocol(&'static str),
    /// The other side uses this library's handshake in another version.
    #[error(
        "the other side uses version {theirs} of the handshake, this one {ours}: use one version of this \
         library"
    )]
    Version {
        /// The version of the other side.
        theirs: u8,
        /// The version of this side.
        ours: u8,
    },
    /// The other side wants HMAC-MD5, as CPython up to 3.11 does, and that was not allowed.
    #[error("the other side asks for MD5, which is off: allow it with `cpython_and_md5` (feature `md5`)")]
    Md5,
}

/// The error of a handshake: why a client was refused, or a challenge was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The other side does not have the key, or does not follow the handshake.
    ///
    /// Python: `AuthenticationError`, from `accept`.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It took longer than the handshake, or the call, may.
    #[error("the other side did not finish the handshake in time: try again, or allow it more time")]
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
    /// It closed the connection before the handshake was done.
    #[error("the other side closed the connection before it was authenticated")]
    Closed,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}
