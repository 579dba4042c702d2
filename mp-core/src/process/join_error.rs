//! Why a process gave no value, and why its handle was not closed.

use super::panics::At;
use crate::error::{CodecError, OsError};

/// Why a process gave no value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// Its function panicked; it exited with 101.
    #[error("the process panicked{}: {message}", At(location))]
    Panicked {
        /// What the panic said: its payload, if that is text.
        message: String,
        /// `file:line:column`. Empty where it cannot be known: the payload was made by `resume_unwind`, or the child
        /// has set a panic hook of its own, which alone knows.
        location: String,
    },
    /// It exited by itself, with this code, without returning a value.
    #[error("the process exited with code {0} before its function returned")]
    Exited(i32),
    /// A signal killed it.
    #[error("the process was killed by signal {0}")]
    Killed(i32),
    /// It has ended, and nobody can say how: somebody else reaped it, or the template was killed on a kernel
    /// that does not remember.
    #[error("the process has ended, and its exit status is lost")]
    Lost,
    /// The function could not be called there, or its value could not be sent.
    #[error("the process could not do its work: {0}")]
    Failed(String),
    /// Its value arrived and cannot be decoded here.
    #[error("the value of the process: {0}")]
    Value(#[from] CodecError),
    /// This process did not start it: it is a copy, in a forked child, of the starter's handle.
    #[error("only the process that started a child can join it")]
    NotOurChild,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The process still runs, so its handle cannot be closed.
#[derive(Debug, thiserror::Error)]
#[error("the process is still running; join or kill it first")]
pub struct StillRunning;
