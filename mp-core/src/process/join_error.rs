//! The error of joining a child.

use crate::error::{CodecError, OsError};
use std::fmt;

/// Why a process gave no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// It still runs; `try_join` only.
    #[error("the process is still running")]
    WouldBlock,
    /// It still ran when the time was over; `join_timeout` only.
    #[error("the process did not end in time: wait longer, or end it by `terminate` or `kill`")]
    Timeout,
    /// Its function panicked. It exited with code 101.
    #[error("the process panicked{}: {message}", At(location))]
    Panicked {
        /// The message of the panic: its payload, if that is text.
        message: String,
        /// `file:line:column`. Empty if it is not known: the payload was made by `resume_unwind`, or the child
        /// has set a panic hook of its own, which alone receives it.
        location: String,
    },
    /// It exited by itself with this code, and its function did not return.
    #[error("the process exited with code {0} before its function returned")]
    Exited(i32),
    /// A signal killed it.
    #[error("the process was killed by signal {0}")]
    Killed(i32),
    /// It has ended, and its exit status is not known: other code in this process reaped it, or the template was
    /// killed on a kernel that does not keep the status (before Linux 6.15).
    #[error(
        "the process has ended, but its exit status is not known: leave its reaping to this library (no \
         waitpid(-1), no ignored SIGCHLD)"
    )]
    Lost,
    /// Its function could not be called, or the returned value could not be sent.
    #[error("the process could not call its function or send the result: {0}")]
    Failed(String),
    /// The returned value arrived, and cannot be decoded.
    #[error("cannot decode what the process returned: {0}")]
    Value(#[from] CodecError),
    /// This process did not start it: the handle is a copy, in a forked child, of the parent's handle.
    #[error("this process did not start that child: join it in the process that started it")]
    NotOurChild,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// ` at PLACE`, where the place of a panic is known.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct At<'a>(pub &'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " at {}", self.0) }
    }
}
