//! The errors that all crates share: a failed system call, failed shared memory, failed encoding.

use crate::sys::limits::limit_reached;
use std::io;

/// A system call that failed, with the name of the call and, where a limit was reached, its name and what raises
/// it: `mmap: Cannot allocate memory (os error 12): no address space left (RLIMIT_AS, …)`.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {source}{}", source.raw_os_error().map_or("", |errno| limit_reached(call, errno)))]
pub struct OsError {
    /// The name of the system call, as in its manual page.
    pub call: &'static str,
    /// The error that the system returned.
    #[source]
    pub source: io::Error,
}

impl OsError {
    /// The calling thread's `errno`, under the name of the call that set it.
    pub fn last(call: &'static str) -> Self {
        OsError { call, source: io::Error::last_os_error() }
    }

    /// An error number under the name of the call that gave it.
    pub fn new(call: &'static str, errno: i32) -> Self {
        OsError { call, source: io::Error::from_raw_os_error(errno) }
    }

    /// The error number, if the system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

/// As the standard library has it, with the same text.
impl From<OsError> for io::Error {
    fn from(error: OsError) -> io::Error {
        io::Error::new(error.source.kind(), error)
    }
}

/// Shorthand: what a wrapped system call returns.
pub type OsResult<T> = Result<T, OsError>;

/// The error of making or attaching shared memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemError {
    /// There is not that much memory. Refused before the kernel would start its OOM killer.
    #[error(
        "not enough memory: {asked} bytes were asked for, and {available} are available: ask for less, or \
         free some"
    )]
    NoMemory {
        /// Bytes asked for.
        asked: u64,
        /// Bytes that could have been taken at that moment.
        available: u64,
    },
    /// The descriptor is not an object of this library, or its header was overwritten.
    #[error("not a shared object of this library: {0}")]
    NotOurs(&'static str),
    /// The object is of another type than the one asked for.
    #[error("type mismatch: the shared object is not a {expected}")]
    TypeMismatch {
        /// The type that was asked for.
        expected: &'static str,
    },
    /// The object was made in another pid namespace, or in one of the two it cannot be told which one it is (before
    /// Linux 6.11 without `/proc`): ids of processes and threads in it would be taken for those of others.
    #[error(
        "the shared object is of another pid namespace, where ids mean other processes: share it within one namespace \
         (start processes before unshare(CLONE_NEWPID) or setns), or send what is in it over a connection"
    )]
    PidNamespace,
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Elements or bytes that do not all lie in the object. None of them was touched.
///
/// Python: `IndexError`; for a slice of another length than its place, `ValueError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{start}..{end} does not lie within 0..{len}: ask for a range that does")]
#[non_exhaustive]
pub struct OutOfRangeError {
    /// The index or offset of the first that was asked for.
    pub start: usize,
    /// One more than the index or offset of the last.
    pub end: usize,
    /// How many there are.
    pub len: usize,
}

impl OutOfRangeError {
    /// The error of an access to `start..end` of `len`.
    pub const fn new(start: usize, end: usize, len: usize) -> OutOfRangeError {
        OutOfRangeError { start, end, len }
    }
}

/// The error of encoding a value or a function into a message, or of decoding it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The value's own `Serialize` failed, or the format cannot hold it.
    #[error("cannot serialise a {type_name}: {reason}")]
    Serialize {
        /// The Rust type.
        type_name: &'static str,
        /// The serialiser's message.
        reason: String,
    },
    /// The bytes are not such a value.
    #[error("cannot decode a {type_name}: {reason}")]
    Decode {
        /// The Rust type.
        type_name: &'static str,
        /// The decoder's message.
        reason: String,
    },
    /// The function lies in a shared library that was loaded into this program.
    #[error(
        "{0} is in a loaded library, and only functions of the main program can be sent: link it into the \
         program"
    )]
    OutsideImage(&'static str),
    /// The function works on a state of its process, and the process that is to call it has no such state.
    #[error(
        "the function works on a state of type `{0}`, which the process that is to call it does not have: submit it to \
         a pool whose initializer_value gives that type"
    )]
    WantsState(&'static str),
    /// The other process runs another build of the program.
    #[error("the function is of another build of this program: run the same build in both processes")]
    OtherBuild,
    /// The bytes name no function of this program.
    #[error(
        "no function of this program has that address and signature: the message is damaged, or of another \
         program"
    )]
    UnknownFunction,
}

/// The error of making a semaphore, a barrier or a queue. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// An argument with which the object could not be used. Python: `ValueError`.
    #[error("{0}")]
    Argument(String),
    /// A function, or its arguments, that cannot be called in another process.
    #[error("the action cannot be called in other processes: {0}")]
    Action(#[from] CodecError),
    /// Shared memory could not be made, or the system refused.
    #[error(transparent)]
    Memory(#[from] MemError),
}

impl From<OsError> for CreateError {
    fn from(error: OsError) -> Self {
        CreateError::Memory(error.into())
    }
}

/// The error of setting what a program may set once: the default start method, the logger.
///
/// Python: `RuntimeError: context has already been set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AlreadySetError(pub(crate) &'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn as_an_error_of_std_it_keeps_kind_text_and_source() {
        let text = OsError::new("connect", 111).to_string();
        let error = io::Error::from(OsError::new("connect", 111));
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::ConnectionRefused, text));
        assert!(error.get_ref().and_then(|inner| inner.downcast_ref::<OsError>()).is_some());
        assert!(error.source().is_some());
    }
}
