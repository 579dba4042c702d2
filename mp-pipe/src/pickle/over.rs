//! The calls of [`Connection`] for CPython's objects: a pickle in a message of bytes.

use super::machine::loads;
use super::value::Value;
use super::write::dumps;
use crate::connection::Connection;
use crate::error::{RecvError, SendError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Sending objects to CPython (feature `pickle`).
impl<S: Serialize, R> Connection<S, R> {
    /// Sends an object, as Python's `send` does; a Python process gets it from `recv`. Waits while the kernel's buffer
    /// is full.
    ///
    /// # Errors
    /// [`SendError::Pickling`]: nothing was sent. Else as [`send_bytes`](Connection::send_bytes).
    ///
    /// Python: `Connection.send`.
    #[doc(alias = "send")]
    pub fn send_pickle(&self, object: &Value) -> Result<(), SendError> {
        self.send_bytes(&dumps(object)?)
    }

    /// Sends an object if there is room for it now.
    ///
    /// # Errors
    /// [`SendError::Pickling`]: nothing was sent. Else as [`try_send`](Connection::try_send).
    pub fn try_send_pickle(&self, object: &Value) -> Result<(), SendError> {
        self.try_send_bytes(&dumps(object)?)
    }

    /// Sends an object; waits for room at most this long.
    ///
    /// # Errors
    /// [`SendError::Pickling`]: nothing was sent. Else as [`send_timeout`](Connection::send_timeout).
    pub fn send_pickle_timeout(&self, object: &Value, timeout: Duration) -> Result<(), SendError> {
        self.send_bytes_timeout(&dumps(object)?, timeout)
    }
}

/// Receiving objects from CPython (feature `pickle`). None of their code is run: see [`pickle`](crate::pickle).
impl<S, R: DeserializeOwned> Connection<S, R> {
    /// Receives an object, as Python's `send` writes it; waits for it. Its size is within
    /// [`Limits::default`](super::Limits::default); for others, receive bytes and read them with
    /// [`loads_within`](super::loads_within).
    ///
    /// # Errors
    /// After [`RecvError::Unpickling`] the next message can be received. Else as [`recv`](Connection::recv).
    ///
    /// Python: `Connection.recv`.
    #[doc(alias = "recv")]
    pub fn recv_pickle(&self) -> Result<Value, RecvError> {
        Ok(loads(&self.recv_bytes()?)?)
    }

    /// Receives an object that has wholly arrived: see [`try_recv`](Connection::try_recv).
    pub fn try_recv_pickle(&self) -> Result<Value, RecvError> {
        Ok(loads(&self.try_recv_bytes()?)?)
    }

    /// Receives an object within the timeout: see [`recv_timeout`](Connection::recv_timeout).
    ///
    /// Python: `poll(timeout)` and `recv`.
    pub fn recv_pickle_timeout(&self, timeout: Duration) -> Result<Value, RecvError> {
        Ok(loads(&self.recv_bytes_timeout(timeout)?)?)
    }
}
