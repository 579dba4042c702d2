//! Proxies: handles on objects in the server, typed here, that travel.

mod dict;
mod list;
mod lock;

pub use dict::DictProxy;
pub use list::ListProxy;
pub use lock::{LockProxy, LockProxyGuard};

use crate::client::ServerHandle;
use crate::error::ManagerError;
use crate::protocol::{ObjectId, Reply, Request};
use mp_core::transfer::{Handle, Message, pack, unpack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What every proxy has. The object lives as long as any copy of it, in any process or on the way to one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reference {
    handle: ServerHandle,
    object: ObjectId,
    /// Its closing is what the server sees.
    _held: Handle,
}

impl Reference {
    pub(crate) fn new(handle: ServerHandle, object: ObjectId, held: Handle) -> Reference {
        Reference { handle, object, _held: held }
    }

    fn call<C>(&self, request: fn(ObjectId, C) -> Request, call: C) -> Result<Reply, ManagerError> {
        self.handle.call(&request(self.object, call))
    }
}

/// A reply that no such request has.
pub(crate) fn unexpected(reply: &Reply) -> ManagerError {
    ManagerError::Codec(format!("unexpected reply: {reply:?}"))
}

fn value<T: DeserializeOwned>(message: Message) -> Result<T, ManagerError> {
    Ok(unpack(&message.bytes, message.handles)?)
}

fn optional<T: DeserializeOwned>(reply: Reply) -> Result<Option<T>, ManagerError> {
    match reply {
        Reply::Value(found) => found.map(value).transpose(),
        other => Err(unexpected(&other)),
    }
}

fn count(reply: Reply) -> Result<usize, ManagerError> {
    match reply {
        Reply::Count(count) => Ok(count as usize),
        other => Err(unexpected(&other)),
    }
}

fn flag(reply: Reply) -> Result<bool, ManagerError> {
    match reply {
        Reply::Flag(flag) => Ok(flag),
        other => Err(unexpected(&other)),
    }
}

fn done(reply: Reply) -> Result<(), ManagerError> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// A key's bytes. A handle in it would be another one each time.
fn key_bytes<K: Serialize>(key: &K) -> Result<Vec<u8>, ManagerError> {
    let message = pack(key)?;
    if message.handles.is_empty() {
        Ok(message.bytes)
    } else {
        Err(ManagerError::Codec("a key cannot hold a handle".to_owned()))
    }
}
