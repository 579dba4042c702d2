//! Objects of a user's type: `#[shared]`, the trait behind it, and the proxy of such an object.

use crate::client::Reference;
use crate::error::ManagerError;
use crate::protocol::{Call, Failure, Reply};
use crate::proxy::unexpected;
use crate::server::Hosted;
use mp_core::transfer::{Message, pack, pack_value, unpack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{PoisonError, RwLock};

/// A type whose values can live in a manager, called through a proxy. `#[shared]` on an `impl` block implements it; by
/// hand it can be implemented for methods that are found in another way.
///
/// `&self` methods of one object run side by side, a `&mut self` method runs alone. So a `&mut self` method that comes
/// back to its own object, by a proxy or through another object, waits for itself for ever: no call tells such circles.
///
/// Python: a class that is registered with `BaseManager.register`.
pub trait Shared: Send + Sync + Sized + 'static {
    /// What calls it from any process.
    type Proxy: From<ObjectProxy<Self>>;

    /// Calls a method that does not change the value, by its number.
    ///
    /// # Errors
    /// [`CallMethodError`]: there is no such method, or the arguments are not its.
    fn call_shared(&self, method: u32, arguments: Arguments) -> Result<Returned, CallMethodError>;

    /// Calls a method that may change the value, by its number.
    ///
    /// # Errors
    /// The errors of [`call_shared`](Shared::call_shared).
    fn call_exclusive(&mut self, method: u32, arguments: Arguments) -> Result<Returned, CallMethodError>;
}

/// The packed arguments of a call.
pub struct Arguments(Message);

impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arguments({} bytes)", self.0.bytes.len())
    }
}

impl Arguments {
    /// Unpacks them: a tuple.
    ///
    /// # Errors
    /// The bytes are of another type.
    pub fn read<A: DeserializeOwned>(self) -> Result<A, CallMethodError> {
        let Arguments(message) = self;
        unpack(&message.bytes, message.handles).map_err(|error| CallMethodError(error.to_string()))
    }
}

/// The packed result of a call.
pub struct Returned(Message);

impl fmt::Debug for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Returned({} bytes)", self.0.bytes.len())
    }
}

impl Returned {
    /// Packs it.
    ///
    /// # Errors
    /// The value cannot be packed.
    pub fn new<R: Serialize + DeserializeOwned>(value: &R) -> Result<Returned, CallMethodError> {
        pack_value(value).map(Returned).map_err(|error| CallMethodError(error.to_string()))
    }
}

/// The error of calling a method by its number.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallMethodError(String);

impl CallMethodError {
    /// The type has no such method of this kind.
    pub fn no_such_method(method: u32) -> CallMethodError {
        CallMethodError(format!("the object has no method number {method}: the proxy is of another type"))
    }
}

/// The value in the server.
pub(crate) struct Value<T>(pub(crate) RwLock<T>);

impl<T: Shared> Hosted for Value<T> {
    fn call(&self, method: u32, exclusive: bool, arguments: Message) -> Result<Message, Failure> {
        // After a panic the value is as the method left it.
        let result = if exclusive {
            let mut value = self.0.write().unwrap_or_else(PoisonError::into_inner);
            value.call_exclusive(method, Arguments(arguments))
        } else {
            let value = self.0.read().unwrap_or_else(PoisonError::into_inner);
            value.call_shared(method, Arguments(arguments))
        };
        match result {
            Ok(Returned(message)) => Ok(message),
            Err(CallMethodError(reason)) => Err(Failure::Codec(reason)),
        }
    }
}

/// A proxy of an object of a user's type, without its methods: the generated proxy is made of one.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ObjectProxy<T> {
    pub(crate) reference: Reference,
    value: PhantomData<fn() -> T>,
}

impl<T> ObjectProxy<T> {
    pub(crate) fn new(reference: Reference) -> Self {
        ObjectProxy { reference, value: PhantomData }
    }

    /// Calls a `&self` method by its number, with the tuple of its arguments.
    ///
    /// # Errors
    /// [`ManagerError::Panicked`]: the method panicked. [`ManagerError::ObjectDied`]: the process of a supervised
    /// object ended within the call. Otherwise the errors of any call.
    pub fn call_shared<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u32,
        arguments: &A,
    ) -> Result<R, ManagerError> {
        self.call(method, false, arguments)
    }

    /// Calls a `&mut self` method by its number, with the tuple of its arguments.
    ///
    /// # Errors
    /// The errors of [`call_shared`](ObjectProxy::call_shared).
    pub fn call_exclusive<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u32,
        arguments: &A,
    ) -> Result<R, ManagerError> {
        self.call(method, true, arguments)
    }

    fn call<A: Serialize, R: DeserializeOwned>(
        &self,
        method: u32,
        exclusive: bool,
        arguments: &A,
    ) -> Result<R, ManagerError> {
        let arguments = pack(arguments)?;
        match self.reference.call(Call::Custom { method, exclusive, arguments })? {
            Reply::Returned(message) => Ok(unpack(&message.bytes, message.handles)?),
            other => Err(unexpected(&other)),
        }
    }
}

impl<T> Clone for ObjectProxy<T> {
    fn clone(&self) -> Self {
        ObjectProxy::new(self.reference.clone())
    }
}

impl<T> fmt::Debug for ObjectProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectProxy<{}>", std::any::type_name::<T>())
    }
}
