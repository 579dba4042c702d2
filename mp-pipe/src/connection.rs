//! Connection: one end of a stream of messages (Python: `multiprocessing.connection.Connection`).

use crate::end::End;
use crate::error::{RecvError, RecvIntoError, SendError};
use crate::incoming::{Arrived, Expect, Patience, Terms};
use mp_core::error::{CodecError, OsResult};
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::transfer::scratch;
use mp_core::transfer::{Handle, pack_value_onto, unpack};
use mp_core::word::Deadline;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The longest message that is received, unless [`Connection::with_limit`] says otherwise: 1 GiB.
pub const DEFAULT_LIMIT: usize = 1 << 30;

/// One end of a stream of messages: sends values of type `S`, receives values of type `R`. `Connection` alone
/// is one of bytes.
///
/// Values and bytes use the same stream, so both sides must agree on which comes next: [`send`] goes with [`recv`],
/// [`send_bytes`] with [`recv_bytes`]. The bytes calls use CPython's frames, with any peer that does.
///
/// Handles inside a value (locks, queues, other connections) travel with it, except over TCP.
///
/// # Sharing one end
/// - *Clones* share the end, and threads take turns by whole messages in each direction.
/// - *Sending an end to another process* (as an argument or result, through a queue or another connection)
///   gives that process a copy of it. Close your own afterwards: the other side sees the end of the stream only
///   when no process holds this end any more.
/// - *Processes that go on sharing an end* do not take turns. Still, messages of up to 16 KiB with up to 253
///   handles never mix, since the kernel queues each in one piece: several processes may send such messages to
///   one reader. Longer messages from several processes may mix, and so may receiving in several: use a lock,
///   or a queue.
/// - *A forked child* (start method `Fork`) has copies of all ends that its parent had, whether it was given
///   them or not, since a library cannot close what belongs to its user. Drop in the child what it does not
///   use, or start it by `ForkServer` or `Spawn`.
///
/// # When the other side is slow, or dies
/// `send` waits while the kernel's buffer (about 200 KiB) is full: two sides that both only send wait for each
/// other for ever. When the other end is closed, by its owner's death too, `send` and `recv` end with an error.
///
/// [`send`]: Connection::send
/// [`recv`]: Connection::recv
/// [`send_bytes`]: Connection::send_bytes
/// [`recv_bytes`]: Connection::recv_bytes
///
/// Python: `multiprocessing.connection.Connection`.
pub struct Connection<S = Vec<u8>, R = S> {
    end: Arc<End>,
    limit: usize,
    carries: PhantomData<fn(S) -> R>,
}

impl<S, R> Connection<S, R> {
    /// An end on a connected stream socket, which was made elsewhere.
    ///
    /// Python: `Connection(handle)`.
    pub fn from_fd(socket: OwnedFd) -> Self {
        Connection::on(End::new(Handle::new(socket)), DEFAULT_LIMIT)
    }

    /// One that a listener has let in, and counts for as long as it is open here.
    #[cfg(feature = "listener")]
    pub(crate) fn admitted(socket: OwnedFd, admission: Arc<()>) -> Self {
        Connection::on(End::new(Handle::new(socket)).admitted(admission), DEFAULT_LIMIT)
    }

    fn on(end: End, limit: usize) -> Self {
        Connection { end: Arc::new(end), limit, carries: PhantomData }
    }

    /// Sets the longest message, in bytes, that this clone receives. A longer one is refused before memory is
    /// taken for it, and memory grows with what has arrived, so a wrong length costs none.
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Drops this clone. The end is closed when its last clone is dropped, here and in every process that was
    /// given a copy.
    ///
    /// Python: `Connection.close`.
    pub fn close(self) {}

    fn terms(&self, expect: Expect, patience: Patience) -> Terms {
        Terms { expect, limit: self.limit, patience }
    }
}

/// Sending.
impl<S: Serialize, R> Connection<S, R> {
    /// Sends a value; waits while the kernel's buffer is full.
    ///
    /// # Errors
    /// [`SendError::Encode`], [`SendError::TooManyHandles`] (1,012 fit) and [`SendError::NoHandlesHere`] (over TCP):
    /// nothing was sent.
    /// [`SendError::Closed`]: no process holds the other end.
    ///
    /// Python: `Connection.send`.
    pub fn send(&self, value: &S) -> Result<(), SendError>
    where
        S: DeserializeOwned,
    {
        self.end.send_value(|frame| pack_value_onto(value, frame))
    }

    /// Sends bytes as one message, which may be empty.
    ///
    /// # Errors
    /// [`SendError::Closed`]: no process holds the other end.
    ///
    /// Python: `Connection.send_bytes(buf)`.
    pub fn send_bytes(&self, message: &[u8]) -> Result<(), SendError> {
        self.end.send_bytes(message)
    }

    /// Sends `size` bytes of a buffer from `offset` on, or all that follow where `size` is `None`.
    ///
    /// # Errors
    /// [`SendError::OutOfRange`] if there are no such bytes; else as [`send_bytes`](Connection::send_bytes).
    ///
    /// Python: `Connection.send_bytes(buf, offset, size)`.
    pub fn send_bytes_range(
        &self,
        buffer: &[u8],
        offset: usize,
        size: Option<usize>,
    ) -> Result<(), SendError> {
        let tail = buffer.get(offset..);
        let part = tail.and_then(|tail| tail.get(..size.unwrap_or(tail.len())));
        self.send_bytes(part.ok_or(SendError::OutOfRange { offset, size, length: buffer.len() })?)
    }
}

/// Receiving.
impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Receives a value; waits for it.
    ///
    /// # Errors
    /// [`RecvError::Closed`] at the end of the stream, [`RecvError::Truncated`] at an end within a message.
    /// After [`RecvError::Decode`] and [`RecvError::Handles`] the next message can be received.
    ///
    /// Python: `Connection.recv`.
    pub fn recv(&self) -> Result<R, RecvError> {
        self.value(Patience::Forever)
    }

    /// Receives a value that has wholly arrived; [`RecvError::Timeout`] if there is none, or another thread is
    /// receiving.
    pub fn try_recv(&self) -> Result<R, RecvError> {
        self.value(Patience::Never)
    }

    /// Receives a value; [`RecvError::Timeout`] when it has not wholly arrived in time. The timeout bounds the
    /// whole call, in the middle of a message too: what has arrived is kept, and the next call goes on there.
    ///
    /// Python: `poll(timeout)` and `recv`, which may wait for the rest of a message without limit.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<R, RecvError> {
        self.value(Patience::of(timeout))
    }

    /// Receives a message of bytes; waits for it. Descriptors that come along are closed.
    ///
    /// # Errors
    /// As [`recv`](Connection::recv).
    ///
    /// Python: `Connection.recv_bytes()`.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::Forever))
    }

    /// Receives a message of at most `most` bytes; waits for it.
    ///
    /// # Errors
    /// A longer message is [`FrameError::TooLong`](crate::FrameError::TooLong), and is still there for a call
    /// with a larger limit. (Python cannot receive any more afterwards.)
    ///
    /// Python: `Connection.recv_bytes(maxlength)`.
    pub fn recv_bytes_limited(&self, most: usize) -> Result<Vec<u8>, RecvError> {
        self.bytes(Terms { limit: most, ..self.terms(Expect::Bytes, Patience::Forever) })
    }

    /// As [`try_recv`](Connection::try_recv), for bytes.
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::Never))
    }

    /// As [`recv_timeout`](Connection::recv_timeout), for bytes.
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::of(timeout)))
    }

    /// Receives a message of bytes into a buffer, from `offset` on; waits for it. Gives its length in bytes.
    ///
    /// # Errors
    /// [`RecvIntoError::BufferTooShort`] has the whole message; [`RecvIntoError::BadOffset`] received nothing;
    /// else as [`recv`](Connection::recv).
    ///
    /// Python: `Connection.recv_bytes_into`.
    pub fn recv_bytes_into(&self, buffer: &mut [u8], offset: usize) -> Result<usize, RecvIntoError> {
        let length = buffer.len();
        let room = buffer.get_mut(offset..).ok_or(RecvIntoError::BadOffset { offset, length })?;
        self.end.receive_into(room, self.terms(Expect::Bytes, Patience::Forever))
    }

    /// Waits until there is something to receive, and says whether there is: a message, the beginning of one,
    /// or the end of the stream. `Some(Duration::ZERO)` only looks; `None` waits for ever.
    ///
    /// Python: `Connection.poll`.
    pub fn poll(&self, timeout: Option<Duration>) -> OsResult<bool> {
        wait_for(self.as_fd(), Interest::Read, timeout.and_then(Deadline::after))
    }

    fn bytes(&self, terms: Terms) -> Result<Vec<u8>, RecvError> {
        let Arrived { mut buffer, count, .. } = self.end.receive(terms)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    fn value(&self, patience: Patience) -> Result<R, RecvError> {
        let Arrived { buffer, count, fds, dropped_fds } =
            self.end.receive(self.terms(Expect::Value, patience))?;
        let value = decode(&buffer[..count], fds, dropped_fds);
        scratch::keep_decoding(buffer);
        value
    }
}

/// A value's payload: the count of its handles, then postcard.
fn decode<R: DeserializeOwned>(payload: &[u8], fds: Vec<OwnedFd>, dropped_fds: bool) -> Result<R, RecvError> {
    let (count, postcard) = payload.split_first_chunk().ok_or_else(|| {
        let reason = format!("{} bytes are too few for any value", payload.len());
        RecvError::Decode(CodecError::Decode { type_name: std::any::type_name::<R>(), reason })
    })?;
    let announced = u32::from_be_bytes(*count) as usize;
    if announced != fds.len() || dropped_fds {
        return Err(RecvError::Handles { announced, came: fds.len() });
    }
    unpack(postcard, fds.into_iter().map(Handle::new).collect()).map_err(RecvError::Decode)
}

impl<S, R> Clone for Connection<S, R> {
    fn clone(&self) -> Self {
        Connection { end: Arc::clone(&self.end), limit: self.limit, carries: PhantomData }
    }
}

impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sends, receives) = (std::any::type_name::<S>(), std::any::type_name::<R>());
        write!(f, "Connection<{sends}, {receives}>({:?})", self.as_fd())
    }
}

/// Within a transfer only. An end that has received a part of a message, or has cut one off, cannot travel: the
/// copy would begin in the middle.
impl<S, R> Serialize for Connection<S, R> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        if self.end.mid_message() {
            return Err(Z::Error::custom(
                "a connection cannot be sent while it is in the middle of a message",
            ));
        }
        (self.end.socket(), self.limit as u64).serialize(serializer)
    }
}

impl<'de, S, R> Deserialize<'de> for Connection<S, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (socket, limit) = <(Handle, u64)>::deserialize(deserializer)?;
        let limit = usize::try_from(limit).map_err(D::Error::custom)?;
        Ok(Connection::on(End::new(socket), limit))
    }
}
