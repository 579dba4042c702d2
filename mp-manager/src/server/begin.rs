//! How a server begins: with an initializer, and a place to listen at, if it has them. It says whether it has begun.

#[cfg(feature = "listener")]
use super::listening::Place;
use super::{Server, signal};
use mp_core::process::call_caught;
use mp_core::transfer::{Code, Handle, Message, unpack};
#[cfg(feature = "listener")]
use mp_pipe::Address;
use mp_pipe::Connection;
use serde::{Deserialize, Serialize};

/// What it does before it serves, in this order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Beginning {
    pub(crate) initializer: Option<Initializer>,
    #[cfg(feature = "listener")]
    pub(crate) place: Option<Place>,
}

/// A function, and its packed arguments. It returns `Result<(), String>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Initializer {
    pub(crate) code: Code,
    pub(crate) arguments: Message,
}

/// What a starting server says: where it listens, or why it does not serve.
pub(crate) type Begun = Result<Listening, NotBegun>;

/// The addresses at which a server listens: for this library's clients, and for Python programs. The kernel may have
/// chosen a port.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Listening {
    #[cfg(feature = "listener")]
    pub(crate) address: Option<Address>,
    #[cfg(feature = "listener")]
    pub(crate) python: Option<Address>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NotBegun {
    Initializer(String),
    Other(String),
}

/// The main function of the server's process. It says on the connection whether it serves.
pub(crate) fn serve(manager: u64, accept_socket: Handle, beginning: Beginning, told: Connection<Begun, ()>) {
    // The owner decides what happens on Ctrl-C.
    signal::ignore_interrupts();
    match begin(manager, Some(accept_socket), beginning) {
        Ok((mut server, listening)) => {
            let _ = told.send(&Ok(listening));
            drop(told);
            let _ = server.run();
        }
        Err(reason) => drop(told.send(&Err(reason))),
    }
}

/// The server, and where it listens.
pub(crate) fn begin(
    manager: u64,
    accept_socket: Option<Handle>,
    beginning: Beginning,
) -> Result<(Server, Listening), NotBegun> {
    if let Some(initializer) = beginning.initializer {
        initializer.call().map_err(NotBegun::Initializer)?;
    }
    #[cfg_attr(not(feature = "listener"), allow(unused_mut, reason = "it listens nowhere"))]
    let mut server =
        Server::new(manager, accept_socket).map_err(|error| NotBegun::Other(error.to_string()))?;
    #[cfg(feature = "listener")]
    if let Some(place) = beginning.place {
        let listening = server.listen_at(place).map_err(NotBegun::Other)?;
        return Ok((server, listening));
    }
    Ok((server, Listening::default()))
}

impl Initializer {
    fn call(self) -> Result<(), String> {
        let returned = call_caught(&self.code, self.arguments).map_err(|error| error.to_string())?;
        unpack(&returned.bytes, returned.handles).map_err(|error| error.to_string())?
    }
}
