//! The errors of managed objects.

use mp_core::process::At;
use mp_core::{CodecError, OsError, StartError};

/// The error of a call on a managed object.
///
/// Python: `RemoteError`, the exceptions that the server passes on, and `EOFError` when it is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The manager's process has ended, and its objects with it.
    #[error("the manager process has ended, and its objects with it: start a new manager")]
    Gone,
    /// There is no such position in the list. Python: `IndexError`.
    #[error("index {index} is out of range for a list of {len}")]
    IndexOutOfRange {
        /// The position asked for.
        index: usize,
        /// The list's length at that moment.
        len: usize,
    },
    /// The lock's holder ended without releasing it. Returned once; the lock is free now.
    #[error(
        "the holder of the lock died, and what it guards may be half changed: check it, then acquire again"
    )]
    OwnerDied,
    /// Another holder kept the lock until the timeout passed.
    #[error("another thread or process holds the lock: try again later")]
    Busy,
    /// The function that was to change a value panicked in the server. The value is as it was.
    #[error("the function panicked in the manager{}: {message}", At(location))]
    Panicked {
        /// The message of the panic.
        message: String,
        /// `file:line:column`.
        location: String,
    },
    /// The object is not of that kind, or there is no such object: the proxy is not this manager's.
    #[error(
        "the manager has no object of this kind under this proxy: use proxies with the manager that made \
         them"
    )]
    NoSuchObject,
    /// A value could not be encoded or decoded, here or there.
    #[error("{0}")]
    Codec(String),
    /// The system refused: too many open files, for example.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl From<CodecError> for ManagerError {
    fn from(error: CodecError) -> Self {
        ManagerError::Codec(error.to_string())
    }
}

/// The error of starting a manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartManagerError {
    /// Its process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}
