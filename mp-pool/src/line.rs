//! The line between the pool and one worker: a packet socket, for what does not fit into shared memory.
//!
//! ```text
//!   worker ── Fetch { slot } ──────────► pool ── Arguments, beside them the message ──► worker
//!   worker ── Value { failure } + message ──► pool              before the slot is done, so none is missed
//!   worker ── Yielded { slot } + value ──► pool                before the task's own Value, if not in the ring
//!   worker ── Yielded { slot, follows }, Value + value ──► pool       the same, if it has descriptors
//!   worker ── NotReady { reason } ─────► pool                  before it ends
//! ```
//!
//! Long messages go by memory files, so a packet is short, and neither side waits for the other to read.

use crate::error::Failure;
use mp_core::OsError;
use mp_core::process::current_process;
use mp_core::sys::process::write_stderr;
use mp_core::sys::socket::{self, Mode, is_want_of_descriptors, packet_pair, would_block};
use mp_core::transfer::{Handle, Message, ParcelError, Part, pack, receive_parts, send_parts, unpack};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};

/// From a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// The arguments of the slot that it has taken.
    Fetch { slot: u32 },
    /// A value, or why there is none. With so many bytes more of room there would have been room for its buffers.
    Value { failure: Option<Failure>, wanted: u64 },
    /// A value that its task has yielded, in this turn: here, or as the [`Value`](Said::Value) that `follows`.
    Yielded { slot: u32, turn: u32, follows: bool },
    /// Its initializer failed, so it ends.
    NotReady { reason: String },
}

/// What has come from a worker.
pub(crate) type Heard = Result<(Said, Message), ParcelError>;

/// From the pool, to the worker that fetches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fetched {
    Arguments,
    /// They cannot be sent.
    Failed(String),
}

/// One end of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line(Handle);

impl Line {
    pub(crate) fn pair() -> Result<(Line, Line), OsError> {
        let (one, other) = packet_pair()?;
        socket::widen(one.as_fd())?;
        socket::widen(other.as_fd())?;
        Ok((Line(Handle::new(one)), Line(Handle::new(other))))
    }

    pub(crate) fn send(&self, what: &impl Serialize, message: Part<'_>) -> Result<(), ParcelError> {
        // Text and numbers: they can be packed.
        let head = pack(what).unwrap_or_default();
        send_parts(self.as_fd(), (&head).into(), message)
    }

    /// Sends the arguments that a worker has asked for, or why they cannot be sent. An error: it
    /// was sent neither, and waits for them: it is to be killed.
    pub(crate) fn send_arguments(&self, message: Option<&Message>) -> Result<(), ParcelError> {
        let sent = self.send(&Fetched::Arguments, message.map_or(Part::EMPTY, Part::from));
        sent.or_else(|error| self.send(&Fetched::Failed(error.to_string()), Part::EMPTY))
    }

    /// Worker: says why the value does not come that the pool waits for. A worker that cannot even say that (a filter
    /// on system calls refuses to send, or the system has no memory for it) ends: else the pool would wait for ever.
    /// Its end is told by itself.
    pub(crate) fn send_failure(&self, failure: Failure, wanted: u64) {
        let Err(error) = self.send(&Said::Value { failure: Some(failure), wanted }, Part::EMPTY) else {
            return;
        };
        if !matches!(error, ParcelError::Closed) {
            let name = current_process();
            let text =
                format!("Process {}: ends, since it cannot send its pool a result: {error}\n", name.name());
            write_stderr(text.as_bytes());
        }
        std::process::exit(1);
    }

    /// Worker: the arguments of a slot that do not go through shared memory.
    pub(crate) fn fetch(&self, slot: u32) -> Result<Message, String> {
        let cannot = |error: ParcelError| match error {
            ParcelError::Os(error) if is_want_of_descriptors(&error) => {
                format!("the handles of its arguments cannot be opened in the worker: {error}")
            }
            error => format!("its arguments could not be received: {error}"),
        };
        self.send(&Said::Fetch { slot }, Part::EMPTY).map_err(cannot)?;
        match self.receive(Mode::Block).map_err(cannot)? {
            (Fetched::Arguments, message) => Ok(message),
            (Fetched::Failed(reason), _) => Err(format!("its arguments could not be sent: {reason}")),
        }
    }

    pub(crate) fn receive<T: for<'de> Deserialize<'de>>(
        &self,
        mode: Mode,
    ) -> Result<(T, Message), ParcelError> {
        let (head, message) = receive_parts(self.as_fd(), mode)?;
        let what = unpack(&head.bytes, head.handles);
        Ok((what.map_err(|_| ParcelError::Malformed("it says nothing that is known"))?, message))
    }

    /// What there is to receive now; `None`: nothing more, for now or for ever.
    pub(crate) fn next(&self) -> Option<Heard> {
        match self.receive(Mode::Now) {
            Err(ParcelError::Closed) => None,
            Err(ParcelError::Os(error)) if would_block(&error) => None,
            other => Some(other),
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
