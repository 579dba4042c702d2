//! A reference to an object: what every proxy has, and how it travels.
//!
//! | where it is packed             | as                                       | what keeps the object meanwhile      |
//! |--------------------------------|------------------------------------------|--------------------------------------|
//! | in a value for its own manager | its number                               | the value, in the server             |
//! | anywhere else, by a relative   | the accept socket, a voucher, its number | the voucher, until the receiver has  |
//! |                                |                                          | a reference of its own               |
//! | anywhere else, by a client     | the address, its number                  | the sender, while it is connected    |
//! | that has connected by one      |                                          |                                      |

use super::{Client, Route, ServerHandle};
use crate::error::ManagerError;
use crate::packed::{note_outgoing, take_incoming};
use crate::protocol::{Call, ObjectId, Reply, Request, Wait};
use crate::proxy::unexpected;
use mp_core::transfer::Handle;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Clones are one reference of this process.
#[derive(Debug, Clone)]
pub(crate) struct Reference(Arc<Held>);

#[derive(Debug)]
struct Held {
    server: ServerHandle,
    object: ObjectId,
    /// The client that has the reference in the server.
    holder: Option<Arc<Client>>,
    /// What keeps the object where no reference could be had.
    _voucher: Option<Handle>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = &self.holder {
            client.release(&[self.object]);
        }
    }
}

impl Reference {
    /// Takes over a reference that the client has.
    pub(crate) fn new(client: Arc<Client>, object: ObjectId) -> Reference {
        Reference(Arc::new(Held {
            server: client.server.clone(),
            object,
            holder: Some(client),
            _voucher: None,
        }))
    }

    /// The reference to the object that a request makes or finds.
    pub(crate) fn created(client: Arc<Client>, request: Request) -> Result<Reference, ManagerError> {
        match client.call(request)? {
            Reply::Created(object) => Ok(Reference::new(client, object)),
            other => Err(unexpected(&other)),
        }
    }

    /// The reference behind a voucher.
    fn claim(server: ServerHandle, object: ObjectId, voucher: Handle) -> Reference {
        let holder = Client::of(&server)
            .ok()
            .filter(|client| matches!(client.call(Request::Hold(object)), Ok(Reply::Done)));
        match holder {
            // It knows the way: the accept socket that came along is closed.
            Some(client) => Reference::new(client, object),
            None => Reference(Arc::new(Held { server, object, holder: None, _voucher: Some(voucher) })),
        }
    }

    /// This process's connection.
    pub(crate) fn client(&self) -> Result<Arc<Client>, ManagerError> {
        match &self.0.holder {
            Some(client) if client.is_ours() => Ok(Arc::clone(client)),
            _ => Client::of(&self.0.server),
        }
    }

    pub(crate) fn manager(&self) -> u64 {
        self.0.server.manager
    }

    pub(crate) fn object(&self) -> ObjectId {
        self.0.object
    }

    /// Whether both are of one object.
    pub(crate) fn is_same(&self, other: &Reference) -> bool {
        (self.manager(), self.object()) == (other.manager(), other.object())
    }

    /// A call that never waits for another client's.
    pub(crate) fn call(&self, call: Call) -> Result<Reply, ManagerError> {
        self.call_waiting(Wait::Forever, call)
    }

    /// A call that waits at most so long.
    pub(crate) fn call_waiting(&self, wait: Wait, call: Call) -> Result<Reply, ManagerError> {
        self.client()?.call(self.request(wait, call))
    }

    /// A call of the calling thread on this object.
    pub(crate) fn request(&self, wait: Wait, call: Call) -> Request {
        Request::Call { object: self.0.object, thread: thread_number(), wait, call }
    }
}

/// The calling thread, told apart from all others of this process, also from those that have ended.
pub(crate) fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        // ORDERING: Relaxed: a number by itself.
        static NUMBER: u64 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    }
    // While a thread's locals are destroyed it holds no lock that it could take twice.
    NUMBER.try_with(|number| *number).unwrap_or(0)
}

/// As it travels.
#[derive(Serialize, Deserialize)]
enum Travelling {
    Inside(ObjectId),
    // The handle stands first: the trial read of a new type stops there.
    Inherited {
        accept_socket: Handle,
        voucher: Handle,
        manager: u64,
        object: ObjectId,
    },
    #[cfg(feature = "listener")]
    Address {
        address: mp_pipe::Address,
        manager: u64,
        object: ObjectId,
    },
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (manager, object) = (self.manager(), self.object());
        if note_outgoing(manager, object) {
            return Travelling::Inside(object).serialize(serializer);
        }
        let travelling = match self.0.server.route.clone() {
            Route::Inherited(accept_socket) => {
                let voucher = match self.client().and_then(|client| client.lend(object)) {
                    Ok(voucher) => voucher,
                    // Of a manager that has ended a proxy still travels: a call by it says so.
                    Err(ManagerError::Gone) => accept_socket.clone(),
                    // Nothing would keep the object on its way.
                    Err(error) => return Err(ser::Error::custom(error)),
                };
                Travelling::Inherited { accept_socket, voucher, manager, object }
            }
            #[cfg(feature = "listener")]
            Route::Address(address, _) => {
                // Over the network there is no voucher: this process keeps the object as long as it is connected, and
                // stays so, although no proxy may be left here.
                if let Ok(client) = self.client() {
                    client.keep();
                    client.tell(Request::Hold(object)).map_err(ser::Error::custom)?;
                }
                Travelling::Address { address, manager, object }
            }
        };
        travelling.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Travelling::deserialize(deserializer)? {
            Travelling::Inside(object) => match take_incoming(object) {
                Some(client) => Ok(Reference::new(client, object)),
                None => Err(de::Error::custom("the proxy was not stored in the manager that it belongs to")),
            },
            Travelling::Inherited { accept_socket, voucher, manager, object } => {
                let server = ServerHandle { manager, route: Route::Inherited(accept_socket) };
                Ok(Reference::claim(server, object, voucher))
            }
            // It connects at its first call, with the key of its own process.
            #[cfg(feature = "listener")]
            Travelling::Address { address, manager, object } => {
                let server = ServerHandle { manager, route: Route::Address(address, None) };
                Ok(Reference(Arc::new(Held { server, object, holder: None, _voucher: None })))
            }
        }
    }
}
