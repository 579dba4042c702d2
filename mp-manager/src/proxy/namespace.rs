//! NamespaceProxy: values of several types under names.

use super::{proxy, shown, unexpected};
use crate::error::ManagerError;
use crate::packed::{key_bytes, pack_borrowed_for};
use crate::protocol::{Call, DictCall, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

proxy! {
    /// A namespace in the manager's process: attributes of any types.
    ///
    /// ```no_run
    /// # let manager = mp_manager::Manager::start()?;
    /// let shared = manager.namespace()?;
    /// shared.set("name", "Ada")?;
    /// shared.set("age", 36_u32)?;
    /// assert_eq!(shared.get::<String>("name")?, "Ada");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: what `SyncManager.Namespace` returns.
    NamespaceProxy, Namespace
}

impl NamespaceProxy {
    /// Gives an attribute a value. It is read as a type that packs to the same bytes: a `&str` as a `String`.
    /// Python: `namespace.name = value`.
    pub fn set<T: Serialize>(&self, name: &str, value: T) -> Result<(), ManagerError> {
        let manager = self.reference.manager();
        let call =
            DictCall::InsertMany(vec![(key_bytes(manager, name)?, pack_borrowed_for(manager, &value)?)]);
        self.reference.done(Call::Dict(call))
    }

    /// The value of an attribute. Python: `namespace.name`.
    ///
    /// # Errors
    /// [`ManagerError::NoSuchAttribute`]; [`ManagerError::Codec`]: it was set as another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, ManagerError> {
        let call = DictCall::Get(key_bytes(self.reference.manager(), name)?);
        let found = self.reference.optional(Call::Dict(call))?;
        found.ok_or_else(|| ManagerError::NoSuchAttribute { name: name.to_owned() })
    }

    /// Removes an attribute. Python: `del namespace.name`.
    ///
    /// # Errors
    /// [`ManagerError::NoSuchAttribute`].
    pub fn remove(&self, name: &str) -> Result<(), ManagerError> {
        let call = DictCall::Remove(key_bytes(self.reference.manager(), name)?);
        match self.reference.call(Call::Dict(call))? {
            // Its type is not known here; what it refers to is given back.
            Reply::Value(Some(packed)) => {
                self.reference.client()?.release(&packed.objects);
                Ok(())
            }
            Reply::Value(None) => Err(ManagerError::NoSuchAttribute { name: name.to_owned() }),
            other => Err(unexpected(&other)),
        }
    }

    /// The names of all attributes, in the order in which they were first set. Python: `dir(namespace)`.
    pub fn names(&self) -> Result<Vec<String>, ManagerError> {
        self.reference.keys(Call::Dict(DictCall::Keys))
    }
}

shown!(NamespaceProxy, proxy => proxy.names());
