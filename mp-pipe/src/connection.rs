//! Connection: one end of a stream of messages (Python: `multiprocessing.connection.Connection`).

use crate::end::End;
use crate::error::{RecvError, SendError};
use crate::incoming::{Arrived, Expect, Terms};
use crate::patience::Patience;
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
#[doc(alias = "fileno")]
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
    /// taken for it ([`RecvError::TooLong`]), and is still there for a clone with a larger
    /// limit. Memory grows with what has arrived, so a wrong length costs none.
    ///
    /// Python: `Connection.recv_bytes(maxlength)`.
    #[doc(alias = "maxlength")]
    #[must_use = "it is the returned connection that has the limit"]
    pub fn with_limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Drops this clone. The end is closed when its last clone is dropped, in this process and in every process that
    /// has a copy.
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
        self.send_value(value, Patience::Forever)
    }

    /// Sends a value if there is room for it now.
    ///
    /// # Errors
    /// [`SendError::Full`] if there is no room, or another thread is sending: nothing was sent. [`SendError::Partial`]
    /// if a part was sent: see [`flush`](Connection::flush). Messages of up to 16 KiB over a Unix socket are sent whole
    /// or not at all. Otherwise the errors of [`send`](Connection::send).
    pub fn try_send(&self, value: &S) -> Result<(), SendError>
    where
        S: DeserializeOwned,
    {
        self.send_value(value, Patience::Never)
    }

    /// Sends a value; waits for room at most this long.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if there was no room in time: nothing was sent. [`SendError::Partial`] if a part was
    /// sent: see [`try_send`](Connection::try_send). Otherwise the errors of [`send`](Connection::send).
    pub fn send_timeout(&self, value: &S, timeout: Duration) -> Result<(), SendError>
    where
        S: DeserializeOwned,
    {
        self.send_value(value, Patience::of(timeout))
    }

    fn send_value(&self, value: &S, patience: Patience) -> Result<(), SendError>
    where
        S: DeserializeOwned,
    {
        self.end.send_value(patience, |frame| pack_value_onto(value, frame))
    }

    /// Sends bytes as one message, which may be empty; waits while the kernel's buffer is full. A part of a buffer is a
    /// slice of it.
    ///
    /// # Errors
    /// [`SendError::Closed`]: no process holds the other end.
    ///
    /// Python: `Connection.send_bytes(buf, offset, size)`.
    pub fn send_bytes(&self, message: &[u8]) -> Result<(), SendError> {
        self.end.send_bytes(message, Patience::Forever)
    }

    /// Sends bytes as one message if there is room now.
    ///
    /// # Errors
    /// The errors of [`try_send`](Connection::try_send).
    pub fn try_send_bytes(&self, message: &[u8]) -> Result<(), SendError> {
        self.end.send_bytes(message, Patience::Never)
    }

    /// Sends bytes as one message; waits for room at most this long.
    ///
    /// # Errors
    /// The errors of [`send_timeout`](Connection::send_timeout).
    pub fn send_bytes_timeout(&self, message: &[u8], timeout: Duration) -> Result<(), SendError> {
        self.end.send_bytes(message, Patience::of(timeout))
    }

    /// Sends the rest of a message of which only a part was sent ([`SendError::Partial`]); waits for room. The next
    /// send does this too. Until then this end cannot be sent to another process. If it is closed, the other side
    /// receives [`RecvError::Truncated`].
    ///
    /// # Errors
    /// [`SendError::Closed`]: no process holds the other end.
    pub fn flush(&self) -> Result<(), SendError> {
        self.end.flush(Patience::Forever)
    }

    /// Sends as much of the rest of a message as there is room for now.
    ///
    /// # Errors
    /// [`SendError::Full`] if a part is left. Otherwise the errors of [`flush`](Connection::flush).
    pub fn try_flush(&self) -> Result<(), SendError> {
        self.end.flush(Patience::Never)
    }

    /// Sends the rest of a message; waits for room at most this long.
    ///
    /// # Errors
    /// [`SendError::Timeout`] if a part is left. Otherwise the errors of [`flush`](Connection::flush).
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), SendError> {
        self.end.flush(Patience::of(timeout))
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

    /// Receives a value that has wholly arrived; [`RecvError::Empty`] if there is none, or another thread is receiving.
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
    /// The errors of [`recv`](Connection::recv).
    ///
    /// Python: `Connection.recv_bytes()`.
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::Forever))
    }

    /// Receives a message of bytes that has wholly arrived; [`RecvError::Empty`] if there is none, or another thread is
    /// receiving.
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::Never))
    }

    /// Receives a message of bytes; [`RecvError::Timeout`] when it has not wholly arrived in time. What has arrived is
    /// kept, and the next call goes on there.
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
        self.bytes(self.terms(Expect::Bytes, Patience::of(timeout)))
    }

    /// Receives a message of bytes into a buffer; waits for it. Gives its length in bytes. To leave the buffer's
    /// beginning as it is, pass a slice of the rest.
    ///
    /// # Errors
    /// [`RecvError::BufferTooShort`] has the whole message. Otherwise the errors of [`recv`](Connection::recv).
    ///
    /// Python: `Connection.recv_bytes_into(buf, offset)`.
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.end.receive_into(buffer, self.terms(Expect::Bytes, Patience::Forever))
    }

    /// Receives a message of bytes that has wholly arrived into a buffer; [`RecvError::Empty`] if there is none, or
    /// another thread is receiving. Else as [`recv_bytes_into`](Connection::recv_bytes_into).
    pub fn try_recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.end.receive_into(buffer, self.terms(Expect::Bytes, Patience::Never))
    }

    /// Receives a message of bytes into a buffer; [`RecvError::Timeout`] when it has not wholly arrived in time. What
    /// has arrived is kept, and the next call goes on there. Else as [`recv_bytes_into`](Connection::recv_bytes_into).
    pub fn recv_bytes_into_timeout(&self, buffer: &mut [u8], timeout: Duration) -> Result<usize, RecvError> {
        self.end.receive_into(buffer, self.terms(Expect::Bytes, Patience::of(timeout)))
    }

    /// Whether there is something to receive now: a message, the beginning of one, or the end of the stream.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    ///
    /// Python: `Connection.poll()`.
    pub fn poll(&self) -> OsResult<bool> {
        self.poll_timeout(Duration::ZERO)
    }

    /// Waits at most this long until there is something to receive, and says whether there is. [`Duration::MAX`] is
    /// without limit.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    ///
    /// Python: `Connection.poll(timeout)`.
    pub fn poll_timeout(&self, timeout: Duration) -> OsResult<bool> {
        wait_for(self.as_fd(), Interest::Read, Deadline::after(timeout))
    }

    fn bytes(&self, terms: Terms) -> Result<Vec<u8>, RecvError> {
        Ok(self.end.receive(terms)?.payload)
    }

    /// As [`try_recv`](Connection::try_recv), for one that answers each message, also one whose handles were lost.
    #[doc(hidden)]
    pub fn try_recv_whole(&self) -> Result<Whole<R>, RecvError> {
        let Arrived { payload, fds, dropped_fds } =
            self.end.receive(self.terms(Expect::Value, Patience::Never))?;
        match decode(&payload, fds, dropped_fds) {
            Err(RecvError::Handles { .. }) if dropped_fds => {
                Ok(Whole::WithoutHandles(payload.get(HANDLES_COUNTED..).unwrap_or_default().to_vec()))
            }
            other => {
                let bytes = payload.len();
                scratch::keep_decoding(payload);
                other.map(|value| Whole::Value(value, bytes))
            }
        }
    }

    fn value(&self, patience: Patience) -> Result<R, RecvError> {
        let Arrived { payload, fds, dropped_fds } = self.end.receive(self.terms(Expect::Value, patience))?;
        let value = decode(&payload, fds, dropped_fds);
        scratch::keep_decoding(payload);
        value
    }
}

/// What was received in place of a value.
#[doc(hidden)]
#[derive(Debug)]
pub enum Whole<R> {
    /// And of how many bytes it was.
    Value(R, usize),
    /// The bytes of one whose handles could not be taken. The next message can be received.
    WithoutHandles(Vec<u8>),
}

/// Bytes of the count of a value's handles.
const HANDLES_COUNTED: usize = size_of::<u32>();

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
    let handles = if fds.is_empty() { Vec::new() } else { fds.into_iter().map(Handle::new).collect() };
    unpack(postcard, handles).map_err(RecvError::Decode)
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
                "the connection is in the middle of a message: complete it before sending the connection",
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
