//! Objects of a user's type.

use super::Manager;
use crate::error::ManagerError;
use crate::protocol::{Kind, Start};
use crate::restart::Restart;
use crate::server;
use crate::shared::{ObjectProxy, Shared, Value};
use mp_core::transfer::{Callable, Captures, Code, Target, pack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::RwLock;

/// Objects of a user's type.
impl Manager {
    /// Moves a value into the manager, and gives the proxy by which it is called. Its methods run in the manager's
    /// process: one that aborts ends the manager with every object, and a slow one holds up its own object alone. See
    /// [`supervised`](Manager::supervised) for a process of its own.
    ///
    /// Python: an object of a registered class.
    pub fn object_of<T>(&self, value: T) -> Result<T::Proxy, ManagerError>
    where
        T: Shared + Serialize + DeserializeOwned,
    {
        self.construct(|value: T| value, (value,))
    }

    /// Makes a value in the manager by a function, which is called there with `arguments`: the value need not be able
    /// to travel. Otherwise as [`object_of`](Manager::object_of).
    ///
    /// # Errors
    /// [`ManagerError::Panicked`]: the function panicked, and there is no object. [`ManagerError::Os`]: the manager
    /// cannot start a thread.
    pub fn construct<T, F, A, Is>(&self, constructor: F, arguments: A) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        self.build(constructor, arguments, None)
    }

    /// Makes a value by a function in a process of its own, which the manager starts and supervises: an actor. A method
    /// that aborts, or is killed, ends that process alone; its caller gets [`ManagerError::ObjectDied`], and the object
    /// is made again as `restart` says. Calls come one after the other. A call costs two hand-overs more than one of an
    /// object in the manager.
    ///
    /// # Errors
    /// As of [`construct`](Manager::construct), and of starting a process.
    pub fn supervised<T, F, A, Is>(
        &self,
        constructor: F,
        arguments: A,
        restart: Restart,
    ) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        self.build(constructor, arguments, Some(restart))
    }

    fn build<T, F, A, Is>(
        &self,
        constructor: F,
        arguments: A,
        restart: Option<Restart>,
    ) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        // Of no size, as the constructor is: only its type travels.
        let make =
            move |arguments: A| server::stash(Box::new(Value(RwLock::new(constructor.call(arguments)))));
        let code = Code::of::<_, (A,)>(&make)?;
        let arguments = pack(&(arguments,))?;
        let reference = self.object(Kind::Custom, Start::Custom { code, arguments, restart })?;
        Ok(ObjectProxy::new(reference).into())
    }
}
