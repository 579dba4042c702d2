//! A server at an address: clients that are no relatives prove to have its key.

use super::begin::Listening;
use super::{LISTENER, Server};
use mp_core::AuthKey;
use mp_core::error::OsResult;
use mp_core::sys::poll::Interest;
use mp_pipe::{Address, Listener, ListenerBuilder};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;

/// Where a server listens: for this library's clients, and for Python programs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) address: Address,
    pub(crate) python: Option<Address>,
    pub(crate) key: Option<Vec<u8>>,
    /// How many bytes may be held for its clients together.
    pub(crate) memory_limit: u64,
}

fn bind(
    address: Address,
    key: Option<AuthKey>,
    form: impl FnOnce(ListenerBuilder) -> ListenerBuilder,
) -> Result<Listener, String> {
    let builder = form(Listener::builder().address(address));
    let builder = key.into_iter().fold(builder, |builder, key| builder.authkey(key));
    builder.bind().map_err(|error| error.to_string())
}

impl Server {
    /// Listens at one address, and for Python programs at another, if there is one.
    pub(crate) fn listen_at(&mut self, place: Place) -> Result<Listening, String> {
        let Place { address, python, key, memory_limit } = place;
        self.counts.room().set_limit(memory_limit);
        let key = key.map(AuthKey::new);
        let listener = bind(address, key.clone(), |builder| builder)?;
        let address = Some(listener.address().clone());
        self.listen(listener).map_err(|error| error.to_string())?;
        let python = python.map(|python| self.listen_for_python_at(python, key)).transpose()?;
        Ok(Listening { address, python })
    }

    #[cfg(feature = "pickle")]
    fn listen_for_python_at(&mut self, address: Address, key: Option<AuthKey>) -> Result<Address, String> {
        #[cfg(feature = "md5")]
        let listener = bind(address, key, ListenerBuilder::cpython_and_md5)?;
        #[cfg(not(feature = "md5"))]
        let listener = bind(address, key, ListenerBuilder::cpython)?;
        let address = listener.address().clone();
        self.listen_for_python(listener).map_err(|error| error.to_string())?;
        Ok(address)
    }

    #[cfg(not(feature = "pickle"))]
    fn listen_for_python_at(&mut self, _: Address, _: Option<AuthKey>) -> Result<Address, String> {
        Err("this program has no Python protocol: build it with the feature `pickle`".to_owned())
    }

    fn listen(&mut self, listener: Listener) -> OsResult<()> {
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
