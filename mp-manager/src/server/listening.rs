//! A server at an address: clients that are no relatives prove to have its key.

use super::{LISTENER, Server, signal};
use mp_core::AuthKey;
use mp_core::error::OsResult;
use mp_core::sys::poll::Interest;
use mp_core::transfer::Handle;
use mp_pipe::{BindError, Connection, Listener};
use std::os::fd::AsFd;

/// The main function of the process of a server that also listens: at an address, with a key. It says on the connection
/// whether it does.
pub(crate) fn serve_at(
    manager: u64,
    accept_socket: Handle,
    place: (mp_pipe::Address, Option<Vec<u8>>),
    told: Connection<Option<String>, ()>,
) {
    signal::ignore_interrupts();
    let begun = || -> Result<Server, String> {
        let listener = bind(place.0, place.1.map(AuthKey::new)).map_err(|error| error.to_string())?;
        let mut server = Server::new(manager, Some(accept_socket)).map_err(|error| error.to_string())?;
        server.listen(listener).map_err(|error| error.to_string())?;
        Ok(server)
    };
    match begun() {
        Ok(mut server) => {
            let _ = told.send(&None);
            drop(told);
            let _ = server.run();
        }
        Err(reason) => drop(told.send(&Some(reason))),
    }
}

pub(crate) fn bind(address: mp_pipe::Address, key: Option<AuthKey>) -> Result<Listener, BindError> {
    let builder = Listener::builder().address(address);
    key.into_iter().fold(builder, |builder, key| builder.authkey(key)).bind()
}

impl Server {
    pub(crate) fn listen(&mut self, listener: Listener) -> OsResult<()> {
        self.set.add(listener.as_fd(), LISTENER, Interest::Read)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Goes on with the handshakes, and takes in the clients that have proved to have the key.
    pub(super) fn admit(&mut self) {
        let Some(listener) = &self.listener else { return };
        loop {
            match listener.try_accept() {
                Ok(stream) => {
                    self.last += 1;
                    if self.set.add(stream.as_fd(), self.last, Interest::Read).is_ok() {
                        self.clients.add(self.last, stream, false);
                    }
                }
                // Refused clients are passed over; without descriptors new ones wait in the kernel's queue.
                Err(_) => return,
            }
        }
    }
}
