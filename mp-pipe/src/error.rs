//! Errors of connections, by what the caller can do next.

use crate::frame::FrameError;
use mp_core::error::{CodecError, OsError};
use mp_core::sys::socket;

/// Why a message was not sent. No part of it was, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No process holds the other end any more (`EPIPE` or `ECONNRESET`). No signal is raised.
    ///
    /// Python: `BrokenPipeError`.
    #[error("the other end is closed: {0}")]
    Closed(#[source] OsError),
    /// The value cannot be serialised.
    #[error(transparent)]
    Encode(#[from] CodecError),
    /// The object cannot be written as a pickle.
    #[cfg(feature = "pickle")]
    #[error(transparent)]
    Pickling(#[from] crate::pickle::PicklingError),
    /// More handles in one value than a frame can carry.
    #[error("the value has {count} handles, and one message carries at most {most}: send it in parts")]
    TooManyHandles {
        /// Handles in the value.
        count: usize,
        /// Handles that one message can carry.
        most: usize,
    },
    /// The value has handles, and TCP carries none: they belong to this host.
    #[error("the value has {count} handles, and TCP carries none: use a Unix socket, or send plain data")]
    NoHandlesHere {
        /// Handles in the value.
        count: usize,
    },
    /// The part that was to be sent does not lie within the buffer.
    ///
    /// Python: `ValueError`.
    #[error("offset {offset} with size {size:?} does not lie within the buffer of {length} bytes")]
    OutOfRange {
        /// Where the part was to begin.
        offset: usize,
        /// Its length; `None` means up to the end.
        size: Option<usize>,
        /// The buffer's length.
        length: usize,
    },
    /// An earlier message was cut off in the middle by an error, so this direction is finished. The other side
    /// has been told: it receives [`RecvError::Truncated`].
    #[error("an error cut off an earlier message, so no more can be sent on this connection: make a new one")]
    Torn,
    /// The system refused: too many descriptors in flight (`ETOOMANYREFS`), no memory.
    #[error(transparent)]
    Os(OsError),
}

impl From<OsError> for SendError {
    fn from(error: OsError) -> SendError {
        if socket::is_gone(&error) { SendError::Closed(error) } else { SendError::Os(error) }
    }
}

/// Why no message was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// No whole message came in time; `try_` and `_timeout` calls only. What has arrived of one is kept, and the
    /// next call goes on from there.
    #[error("no message in time")]
    Timeout,
    /// Every process has closed the other end, and every message was received.
    ///
    /// Python: `EOFError`.
    #[error("the other end is closed")]
    Closed,
    /// The other end was closed in the middle of a message.
    ///
    /// Python: `OSError: got end of file during message`.
    #[error("the other end was closed in the middle of a message")]
    Truncated,
    /// A bad length, after which no message boundary can be found (every later call says so again); or a length
    /// above the limit, which a call with a larger limit can still receive.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Not the descriptors that the message announced. It is dropped, they are closed, and the next message can
    /// be received.
    #[error(
        "{announced} handles were sent, {came} arrived: if this process has no descriptors left, close some, or raise \
         the limit (RLIMIT_NOFILE, `ulimit -n`)"
    )]
    Handles {
        /// Descriptors that the message was to bring.
        announced: usize,
        /// Descriptors that came, as far as they could be taken.
        came: usize,
    },
    /// The bytes are no such value. The message is dropped, and the next one can be received.
    #[error(transparent)]
    Decode(CodecError),
    /// The bytes are no pickle, or none that is taken. The message is dropped, and the next one can be received.
    #[cfg(feature = "pickle")]
    #[error(transparent)]
    Unpickling(#[from] crate::pickle::UnpicklingError),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Why nothing was received into a buffer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvIntoError {
    /// The message is longer than the room for it. It has been received and is here, whole.
    ///
    /// Python: `multiprocessing.BufferTooShort`.
    #[error("a message of {} bytes does not fit into {room}", message.len())]
    BufferTooShort {
        /// The message.
        message: Vec<u8>,
        /// Bytes that there was room for.
        room: usize,
    },
    /// The offset lies behind the buffer's end. Nothing was received.
    ///
    /// Python: `ValueError`.
    #[error("offset {offset} in a buffer of {length} bytes")]
    BadOffset {
        /// Where the message was to be put.
        offset: usize,
        /// The buffer's length.
        length: usize,
    },
    /// No message was received.
    #[error(transparent)]
    Recv(#[from] RecvError),
}
