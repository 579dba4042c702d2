//! Proxies: handles on objects in the server, typed here, that travel.

mod array;
mod barrier;
mod batch;
mod condition;
mod dict;
mod event;
mod list;
mod lock;
mod namespace;
mod number;
mod parts;
mod pool;
mod queue;
mod results;
mod semaphore;
mod set;
mod value;

pub use array::ArrayProxy;
pub use barrier::BarrierProxy;
pub use batch::DictBatch;
pub use condition::{ConditionProxy, ConditionProxyGuard};
pub use dict::DictProxy;
pub use event::EventProxy;
pub use list::ListProxy;
pub use lock::{ConditionLock, LockProxy, LockProxyGuard, RLockProxy, RLockProxyGuard};
pub use mp_core::transfer::KeyOf;
pub use namespace::NamespaceProxy;
pub use number::Number;
pub use parts::{DictIter, ListIter};
pub use pool::PoolProxy;
pub use queue::QueueProxy;
pub use results::{AsyncResultProxy, IteratorProxy, MapResultProxy, RemoteIter};
pub use semaphore::{SemaphorePermit, SemaphoreProxy};
pub use set::SetProxy;
pub use value::ValueProxy;

use crate::client::Reference;
use crate::error::{ManagerError, ONE_VERSION};
use crate::packed::unpack_from;
use crate::protocol::{BatchValue, Call, Kind, Packed, Reply, Wait};
use mp_core::transfer::unpack;
use serde::de::DeserializeOwned;
use std::fmt;

/// A proxy of the library's own kinds, which can be published and looked up by name.
pub trait Proxy: Sized {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "no other crate implements it")]
    const KIND: Kind;
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "no other crate implements it")]
    fn from_reference(reference: Reference) -> Self;
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "no other crate implements it")]
    fn reference(&self) -> &Reference;
}

/// A proxy type: a reference, and the types of what is in the object, of which it holds none.
macro_rules! proxy {
    ($(#[$doc:meta])* $name:ident $(<$($type:ident),+>)?, $kind:ident) => {
        $(#[$doc])*
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(bound = "")]
        pub struct $name $(<$($type),+>)? {
            reference: $crate::client::Reference,
            types: std::marker::PhantomData<fn($($($type),+)?) -> ($($($type,)+)?)>,
        }

        impl $(<$($type),+>)? $crate::proxy::Proxy for $name $(<$($type),+>)? {
            #[allow(private_interfaces, reason = "no other crate implements it")]
            const KIND: $crate::protocol::Kind = $crate::protocol::Kind::$kind;

            #[allow(private_interfaces, reason = "no other crate implements it")]
            fn from_reference(reference: $crate::client::Reference) -> Self {
                $name { reference, types: std::marker::PhantomData }
            }

            #[allow(private_interfaces, reason = "no other crate implements it")]
            fn reference(&self) -> &$crate::client::Reference {
                &self.reference
            }
        }

        impl $(<$($type),+>)? Clone for $name $(<$($type),+>)? {
            fn clone(&self) -> Self {
                $crate::proxy::Proxy::from_reference(self.reference.clone())
            }
        }

        /// Proxies are equal if they are of one object.
        impl $(<$($type),+>)? PartialEq for $name $(<$($type),+>)? {
            fn eq(&self, other: &Self) -> bool {
                self.reference.is_same(&other.reference)
            }
        }
    };
}
use proxy;

/// `{proxy:?}` shows the contents: it asks the manager.
macro_rules! shown {
    ($name:ident, $proxy:ident => $contents:expr) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let $proxy = self;
                $crate::proxy::show(f, stringify!($name), $contents)
            }
        }
    };
}
use shown;

/// The contents, or why they cannot be shown.
fn show<T: fmt::Debug>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    contents: Result<T, ManagerError>,
) -> fmt::Result {
    match contents {
        Ok(contents) => f.debug_tuple(name).field(&contents).finish(),
        Err(error) => write!(f, "{name}(<{error}>)"),
    }
}

/// A reply that no such request has.
pub(crate) fn unexpected(reply: &Reply) -> ManagerError {
    ManagerError::Codec(format!(
        "the manager has answered {}: this request has no such reply, so {ONE_VERSION}",
        reply.name()
    ))
}

impl Reference {
    /// Unpacks a value that this object's manager has sent.
    fn unpack<T: DeserializeOwned>(&self, packed: Packed) -> Result<T, ManagerError> {
        if packed.objects.is_empty() {
            return Ok(unpack(&packed.message.bytes, packed.message.handles)?);
        }
        unpack_from(&self.client()?, packed)
    }

    fn optional<T: DeserializeOwned>(&self, call: Call) -> Result<Option<T>, ManagerError> {
        match self.call(call)? {
            Reply::Value(found) => self.unpack_option(found),
            other => Err(unexpected(&other)),
        }
    }

    fn value<T: DeserializeOwned>(&self, call: Call) -> Result<T, ManagerError> {
        self.unpack_one(self.call(call)?)
    }

    /// A call that sets a value if it is `expected`; `Ok(Err(value))`: it is another one.
    fn exchange<T: DeserializeOwned>(
        &self,
        expected: &[u8],
        call: Call,
    ) -> Result<Result<T, T>, ManagerError> {
        match self.call(call)? {
            Reply::Value(Some(before)) => {
                let is_equal = before.message.bytes == expected;
                let before = self.unpack(before)?;
                Ok(if is_equal { Ok(before) } else { Err(before) })
            }
            other => Err(unexpected(&other)),
        }
    }

    fn unpack_one<T: DeserializeOwned>(&self, reply: Reply) -> Result<T, ManagerError> {
        match reply {
            Reply::Value(Some(packed)) => self.unpack(packed),
            other => Err(unexpected(&other)),
        }
    }

    fn values<T: DeserializeOwned>(&self, call: Call) -> Result<Vec<T>, ManagerError> {
        self.unpack_all(self.call(call)?)
    }

    fn packed(&self, call: Call) -> Result<Vec<Packed>, ManagerError> {
        match self.call(call)? {
            Reply::Values(values) => Ok(values),
            other => Err(unexpected(&other)),
        }
    }

    fn unpack_all<T: DeserializeOwned>(&self, reply: Reply) -> Result<Vec<T>, ManagerError> {
        match reply {
            Reply::Values(values) => values.into_iter().map(|packed| self.unpack(packed)).collect(),
            other => Err(unexpected(&other)),
        }
    }

    fn unpack_options<T: DeserializeOwned>(&self, reply: Reply) -> Result<Vec<Option<T>>, ManagerError> {
        match reply {
            Reply::Options(values) => values.into_iter().map(|packed| self.unpack_option(packed)).collect(),
            other => Err(unexpected(&other)),
        }
    }

    fn unpack_option<T: DeserializeOwned>(&self, packed: Option<Packed>) -> Result<Option<T>, ManagerError> {
        packed.map(|packed| self.unpack(packed)).transpose()
    }

    /// Unpacks what a call of a batch gave.
    fn unpack_result<T: DeserializeOwned>(
        &self,
        value: Option<BatchValue<'_>>,
    ) -> Result<Option<T>, ManagerError> {
        match value {
            None => Ok(None),
            Some(BatchValue::Plain(bytes)) => Ok(Some(unpack(bytes, Vec::new())?)),
            Some(BatchValue::Beside(packed)) => self.unpack(packed.clone()).map(Some),
        }
    }

    /// Begins a change. The values in the reply are unpacked afterwards: if that fails, the change is given up.
    fn begin(&self, begin: Call, abort: Call) -> Result<(Reply, Begun<'_>), ManagerError> {
        let reply = self.call(begin)?;
        Ok((reply, Begun { reference: self, abort: Some(abort) }))
    }

    fn keys<T: DeserializeOwned>(&self, call: Call) -> Result<Vec<T>, ManagerError> {
        match self.call(call)? {
            Reply::Keys(keys) => keys.iter().map(|key| Ok(unpack(key, Vec::new())?)).collect(),
            other => Err(unexpected(&other)),
        }
    }

    fn count(&self, call: Call) -> Result<usize, ManagerError> {
        match self.call(call)? {
            Reply::Count(count) => Ok(count as usize),
            other => Err(unexpected(&other)),
        }
    }

    fn flag(&self, call: Call) -> Result<bool, ManagerError> {
        match self.call(call)? {
            Reply::Flag(flag) => Ok(flag),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&self, call: Call) -> Result<(), ManagerError> {
        self.done_waiting(Wait::Forever, call)
    }

    fn done_waiting(&self, wait: Wait, call: Call) -> Result<(), ManagerError> {
        match self.call_waiting(wait, call)? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}

/// A change that was begun and is given up, unless it is committed: also when the function that computes it panics, or
/// what it is to get cannot be unpacked.
struct Begun<'a> {
    reference: &'a Reference,
    abort: Option<Call>,
}

impl Begun<'_> {
    fn commit(mut self, commit: Call) -> Result<(), ManagerError> {
        self.abort = None;
        self.reference.done(commit)
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(abort) = self.abort.take() {
            // A manager that has ended has nothing to give up.
            let _ = self.reference.done(abort);
        }
    }
}
