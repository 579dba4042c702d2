//! One call: a request, and the reply to it.
//!
//! Each thread has its own connection to each manager that it calls. So a call that waits (for a lock) delays no other
//! thread, and what a connection holds ends with its thread. To connect, the client makes a socket pair and sends one end
//! to the server's accept socket.

use crate::error::ManagerError;
use crate::protocol::{Failure, Reply, Request};
use mp_core::OsError;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::socket::{self, Mode, packet_pair};
use mp_core::transfer::{Handle, ParcelError, pack, receive_parcel, send_parcel, unpack};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};

/// A handle of a manager's server: the server's accept socket. It can be sent; each process that has it may call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerHandle {
    accept_socket: Handle,
    /// A random number that identifies the manager.
    manager: u64,
}

thread_local! {
    /// (process, manager, connection): a forked child must not speak on its parent's.
    static CONNECTIONS: RefCell<Vec<(OwningProcess, u64, OwnedFd)>> = const { RefCell::new(Vec::new()) };
}

impl ServerHandle {
    pub(crate) fn new(accept_socket: Handle, manager: u64) -> ServerHandle {
        ServerHandle { accept_socket, manager }
    }

    /// Sends a request and waits for the reply.
    pub(crate) fn call(&self, request: &Request) -> Result<Reply, ManagerError> {
        let connection = self.take_connection()?;
        // Not kept after an error: the next call then makes a new connection.
        let reply = exchange(&connection, request)?;
        self.keep_connection(connection);
        match reply {
            Reply::Failed(failure) => Err(failure.into()),
            reply => Ok(reply),
        }
    }

    /// Sends the request to shut down, and does not wait, even if the server is stopped: its end is the reply.
    pub(crate) fn ask_to_shut_down(&self) {
        // No call will use it again.
        drop(self.take_kept());
        let asked = || -> Result<(), ManagerError> {
            let (ours, theirs) = packet_pair()?;
            let message = pack(&Request::Shutdown)?;
            send_parcel(ours.as_fd(), &message).map_err(|_| ManagerError::Gone)?;
            socket::send(self.accept_socket.as_fd(), &[&[0]], &[theirs.as_fd()], Mode::Now).map_err(gone)?;
            Ok(())
        };
        let _ = asked();
    }

    fn take_connection(&self) -> Result<OwnedFd, ManagerError> {
        self.take_kept().map_or_else(|| self.connect(), Ok)
    }

    /// The connection that this thread has kept from its last call.
    fn take_kept(&self) -> Option<OwnedFd> {
        let kept = CONNECTIONS.try_with(|connections| {
            let mut connections = connections.borrow_mut();
            connections.retain(|(owner, ..)| owner.is_current());
            let at = connections.iter().position(|(_, manager, _)| *manager == self.manager)?;
            Some(connections.swap_remove(at).2)
        });
        kept.ok().flatten()
    }

    fn keep_connection(&self, connection: OwnedFd) {
        let kept = (OwningProcess::current(), self.manager, connection);
        let _ = CONNECTIONS.try_with(|connections| {
            let mut connections = connections.borrow_mut();
            // One that a call within this call has made.
            connections.retain(|(_, manager, _)| *manager != self.manager);
            connections.push(kept);
        });
    }

    fn connect(&self) -> Result<OwnedFd, ManagerError> {
        let (ours, theirs) = packet_pair()?;
        socket::send(self.accept_socket.as_fd(), &[&[0]], &[theirs.as_fd()], Mode::Block).map_err(gone)?;
        Ok(ours)
    }
}

fn exchange(connection: &OwnedFd, request: &Request) -> Result<Reply, ManagerError> {
    let message = pack(request)?;
    let sent = send_parcel(connection.as_fd(), &message)
        .and_then(|()| receive_parcel(connection.as_fd(), Mode::Block));
    let reply = sent.map_err(|error| match error {
        ParcelError::Closed => ManagerError::Gone,
        ParcelError::Os(error) => gone(error),
        other => ManagerError::Codec(other.to_string()),
    })?;
    Ok(unpack(&reply.bytes, reply.handles)?)
}

fn gone(error: OsError) -> ManagerError {
    if socket::is_gone(&error) { ManagerError::Gone } else { ManagerError::Os(error) }
}

impl From<Failure> for ManagerError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoSuchObject => ManagerError::NoSuchObject,
            Failure::IndexOutOfRange { index, len } => {
                ManagerError::IndexOutOfRange { index: index as usize, len: len as usize }
            }
            Failure::OwnerDied => ManagerError::OwnerDied,
            Failure::Busy => ManagerError::Busy,
            Failure::Panicked { message, location } => ManagerError::Panicked { message, location },
            Failure::Codec(reason) => ManagerError::Codec(reason),
        }
    }
}
