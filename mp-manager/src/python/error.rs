//! PythonError: what a call in CPython's manager protocol may end with.

use mp_pipe::ConnectError;
use mp_pipe::pickle::{PickleError, Value};
use mp_shm::SharedMemoryError;
use std::fmt;

/// The error of a call on an object in CPython's manager protocol.
///
/// Python: the exception itself, `RemoteError`, and `EOFError` when the server is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PythonError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server has ended, or has closed the connection.
    #[error("the manager has ended, or has closed the connection: connect to a running one")]
    Gone,
    /// The call raised an exception. The server sends no traceback with it.
    #[error("the call raised {0}")]
    Raised(PythonException),
    /// The server refused the request: there is no such object or method, or the object could not be made.
    ///
    /// Python: `RemoteError`.
    #[error("the manager refused the request: {}", last_line(traceback))]
    Refused {
        /// The server's traceback.
        traceback: String,
    },
    /// The server could not pickle the result.
    ///
    /// Python: `RemoteError`.
    #[error("the manager cannot send the result: {}", last_line(traceback))]
    Unserializable {
        /// The server's traceback.
        traceback: String,
    },
    /// The value is not what its receiver asked for.
    #[error("expected {expected}, and the manager sent {found}: ask for another type")]
    WrongType {
        /// Rust's name for what was asked for.
        expected: &'static str,
        /// Python's name for what came.
        found: String,
    },
    /// It cannot be done now; `try_` calls only. Python: `False`, `queue.Empty`, `queue.Full`.
    #[error("it cannot be done now: try again later, or wait")]
    WouldBlock,
    /// It could not be done in time; `_timeout` calls only. Python: `False`, `queue.Empty`, `queue.Full`.
    #[error("it could not be done in time: try again")]
    Timeout,
    /// The value cannot be pickled. Nothing was sent.
    #[error(transparent)]
    Pickling(PickleError),
    /// The reply cannot be read here.
    #[error(transparent)]
    Unpickling(PickleError),
    /// The named memory cannot be made or opened here.
    #[error(transparent)]
    SharedMemory(#[from] SharedMemoryError),
    /// What listens there does not speak this protocol.
    #[error("what listens there is no Python manager: {0}; check the address")]
    NotAManager(String),
}

/// The line that says what it was.
fn last_line(traceback: &str) -> &str {
    traceback.trim_end().lines().last().unwrap_or_default()
}

/// An exception that a call raised, as data: its class is not made here.
#[derive(Debug, Clone, PartialEq)]
pub struct PythonException {
    pub(super) object: Value,
}

impl PythonException {
    /// The module of its class, and its name: `builtins`, `KeyError`.
    pub fn class(&self) -> (&str, &str) {
        self.object.class().map_or(("builtins", "Exception"), |class| (&class.module, &class.name))
    }

    /// The name of its class: `KeyError`.
    pub fn name(&self) -> &str {
        self.class().1
    }

    /// Its arguments. Python: `args`.
    pub fn args(&self) -> &[Value] {
        match &self.object {
            Value::Object(object) => &object.args,
            _ => &[],
        }
    }

    /// The object as it came, with its attributes.
    pub fn object(&self) -> &Value {
        &self.object
    }
}

/// As the last line of a traceback: `KeyError: 'missing'`.
impl fmt::Display for PythonException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.args() {
            [] => Ok(()),
            [Value::Str(text)] if self.name() != "KeyError" => write!(f, ": {text}"),
            [one] => write!(f, ": {}", crate::pickled::repr(one)),
            more => write!(f, ": {}", crate::pickled::repr(&Value::tuple(more.iter().cloned()))),
        }
    }
}
