//! Errors of connections, by what the caller can do next.

use crate::frame::FrameError;
use mp_core::error::{CodecError, OsError};
use mp_core::sys::socket;

/// The error of sending a message. No part of the message was sent, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The kernel's buffer has no room, or another thread is sending; `try_` calls only.
    #[error("there is no room for the message: wait until the other side receives")]
    Full,
    /// There was no room in time; `_timeout` calls only.
    #[error("there was no room for the message in time: wait until the other side receives")]
    Timeout,
    /// The time was over in the middle of the message; `try_` and `_timeout` calls only. The rest is kept in this end.
    /// [`flush`](crate::Connection::flush), or the next message, sends it first: do not send this message again.
    #[error(
        "a part of the message was sent in time, and the rest is kept: call `flush`, and do not send it again"
    )]
    Partial,
    /// No process holds the other end any more (`EPIPE` or `ECONNRESET`). No signal is raised.
    ///
    /// Python: `BrokenPipeError`.
    #[error("every process has closed the other end, so nothing can be sent: {0}")]
    Closed(#[source] OsError),
    /// The value cannot be serialised.
    #[error(transparent)]
    Encode(#[from] CodecError),
    /// The object cannot be written as a pickle.
    #[cfg(feature = "pickle")]
    #[error(transparent)]
    Pickling(#[from] crate::pickle::PickleError),
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

/// The error of receiving a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// There is no whole message, or another thread is receiving; `try_` calls only. What has arrived of one is kept,
    /// and the next call goes on from there.
    #[error("there is no whole message yet: try again later, or wait with recv")]
    Empty,
    /// No whole message came in time; `_timeout` calls only. What has arrived of one is kept, and the next call goes
    /// on from there.
    #[error("no whole message arrived in time: receive again")]
    Timeout,
    /// Every process has closed the other end, and every message was received.
    ///
    /// Python: `EOFError`.
    #[error("every process has closed the other end, and no message is left: stop receiving")]
    Closed,
    /// The other end was closed in the middle of a message.
    ///
    /// Python: `OSError: got end of file during message`.
    #[error("the other end was closed in the middle of a message: its process ended while it sent")]
    Truncated,
    /// No message has such a length, so no message boundary can be found any more: every later call returns this error
    /// too.
    #[error("bad message length {0}: the other side speaks another protocol")]
    BadLength(i32),
    /// The message is longer than the limit. A call with a larger limit can still receive it.
    #[error("message of {length} bytes is longer than the limit of {limit}: receive it with a larger limit")]
    TooLong {
        /// Bytes that the other side has announced.
        length: u64,
        /// Bytes that would have been taken.
        limit: usize,
    },
    /// Not the descriptors that the message announced. It is dropped, they are closed, and the next message can
    /// be received.
    #[error(
        "{announced} handles were sent, {came} arrived: if this process has no descriptors left, close some, or raise \
         RLIMIT_NOFILE (`ulimit -n`)"
    )]
    Handles {
        /// Descriptors that the message was to bring.
        announced: usize,
        /// Descriptors that came, as far as they could be taken.
        came: usize,
    },
    /// The bytes are not such a value. The message is dropped, and the next one can be received.
    #[error(transparent)]
    Decode(CodecError),
    /// The bytes are no pickle, or none that is taken. The message is dropped, and the next one can be received.
    #[cfg(feature = "pickle")]
    #[error(transparent)]
    Unpickling(#[from] crate::pickle::PickleError),
    /// The message is longer than the buffer for it. It has been received and is here, whole.
    ///
    /// Python: `multiprocessing.BufferTooShort`.
    #[error("a message of {} bytes does not fit into a buffer of {room}", message.len())]
    BufferTooShort {
        /// The message.
        message: Vec<u8>,
        /// The buffer's length, in bytes.
        room: usize,
    },
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl RecvError {
    /// Of a frame that is not received.
    pub(crate) fn of_frame(error: FrameError) -> RecvError {
        match error {
            FrameError::BadLength(length) => RecvError::BadLength(length),
            FrameError::TooLong { length, limit } => RecvError::TooLong { length, limit },
        }
    }
}

/// The error of a wait for several objects of which none is ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollError {
    /// None is ready; `try_wait` only.
    #[error("none of the objects is ready: try again later, or wait")]
    WouldBlock,
    /// None became ready in time; `wait_timeout` only.
    #[error("none of the objects became ready in time: wait again")]
    Timeout,
    /// The system refused: the list is longer than the limit of open files, or there is no memory.
    #[error(transparent)]
    Os(#[from] OsError),
}
