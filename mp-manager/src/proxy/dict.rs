//! DictProxy: a dict in the server.

use super::{Reference, count, done, flag, key_bytes, optional, unexpected, value};
use crate::error::ManagerError;
use crate::protocol::{DictCall, Reply, Request};
use mp_core::transfer::{Callable, Captures, Code, Target, pack_value, unpack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// A dict in the manager's process. Clones, and copies that travel to other processes, are the same dict. Each call is
/// one step there, so calls of several processes do not mix; two calls one after the other are two steps, so
/// `get` then `insert` may lose an update: [`update`](DictProxy::update) does not.
///
/// Keys are equal if they serialise to equal bytes. The order is that of insertion.
///
/// Python: `multiprocessing.managers.DictProxy`.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct DictProxy<K, V> {
    reference: Reference,
    items: PhantomData<Items<K, V>>,
}

/// Takes and gives both, and holds neither.
type Items<K, V> = fn(K, V) -> (K, V);

impl<K, V> DictProxy<K, V> {
    pub(crate) fn new(reference: Reference) -> Self {
        DictProxy { reference, items: PhantomData }
    }

    fn call(&self, call: DictCall) -> Result<Reply, ManagerError> {
        self.reference.call(Request::Dict, call)
    }

    /// How many items there are. Python: `len(d)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        count(self.call(DictCall::Len)?)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Removes all items. Python: `d.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        done(self.call(DictCall::Clear)?)
    }
}

impl<K, V> DictProxy<K, V>
where
    K: Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    /// The value of a key. Python: `d.get(key)`.
    pub fn get(&self, key: K) -> Result<Option<V>, ManagerError> {
        optional(self.call(DictCall::Get(key_bytes(&key)?))?)
    }

    /// Gives a key a value, and the one it had before. Python: `d[key] = value`.
    #[doc(alias = "set")]
    pub fn insert(&self, key: K, new: V) -> Result<Option<V>, ManagerError> {
        optional(self.call(DictCall::Insert(key_bytes(&key)?, pack_value(&new)?))?)
    }

    /// Inserts all items in one call. Python: `d.update(items)`.
    pub fn extend(&self, items: impl IntoIterator<Item = (K, V)>) -> Result<(), ManagerError> {
        let packed = items.into_iter().map(|(key, new)| Ok((key_bytes(&key)?, pack_value(&new)?)));
        done(self.call(DictCall::InsertMany(packed.collect::<Result<_, ManagerError>>()?))?)
    }

    /// The value of a key, which gets `new` first if it has none. Python: `d.setdefault(key, new)`.
    #[doc(alias = "setdefault")]
    pub fn get_or_insert(&self, key: K, new: V) -> Result<V, ManagerError> {
        let found = optional(self.call(DictCall::GetOrInsert(key_bytes(&key)?, pack_value(&new)?))?)?;
        found.ok_or(ManagerError::NoSuchObject)
    }

    /// Removes a key, and gives its value. Python: `d.pop(key, None)`.
    #[doc(alias = "pop")]
    pub fn remove(&self, key: K) -> Result<Option<V>, ManagerError> {
        optional(self.call(DictCall::Remove(key_bytes(&key)?))?)
    }

    /// Whether a key has a value. Python: `key in d`.
    pub fn contains_key(&self, key: K) -> Result<bool, ManagerError> {
        flag(self.call(DictCall::Contains(key_bytes(&key)?))?)
    }

    /// All items, copied. Python: `d.items()`.
    #[doc(alias = "copy")]
    pub fn items(&self) -> Result<Vec<(K, V)>, ManagerError> {
        let Reply::Items(items) = self.call(DictCall::Items)? else { return Err(unexpected(&Reply::Done)) };
        items.into_iter().map(|(key, found)| Ok((unpack(&key, Vec::new())?, value(found)?))).collect()
    }

    /// All keys. Python: `d.keys()`.
    pub fn keys(&self) -> Result<Vec<K>, ManagerError> {
        Ok(self.items()?.into_iter().map(|(key, _)| key).collect())
    }

    /// All values, copied. Python: `d.values()`.
    pub fn values(&self) -> Result<Vec<V>, ManagerError> {
        Ok(self.items()?.into_iter().map(|(_, found)| found).collect())
    }

    /// Changes a key's value in one step: `change` is called *in the manager's process* with what the key has, and
    /// gives what it is to have (`None`: the key is removed). A copy of that comes back. No other call on the dict
    /// comes between, so nothing is lost.
    ///
    /// The function captures nothing. If it panics, nothing is changed, and the error says where.
    ///
    /// Python has no counterpart: `d[key] += 1` through a proxy loses updates.
    pub fn update<F, Kind>(&self, key: K, change: F) -> Result<Option<V>, ManagerError>
    where
        F: Target<(Option<V>,), Output = Option<V>> + Callable<(Option<V>,), Kind>,
    {
        let () = Captures::<F>::NOTHING;
        let code =
            Code::of::<F, (Option<V>,)>(&change).map_err(|error| ManagerError::Codec(error.to_string()))?;
        optional(self.call(DictCall::Update(key_bytes(&key)?, code))?)
    }
}

impl<K, V> Clone for DictProxy<K, V> {
    fn clone(&self) -> Self {
        DictProxy::new(self.reference.clone())
    }
}

impl<K, V> fmt::Debug for DictProxy<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DictProxy<{}, {}>", std::any::type_name::<K>(), std::any::type_name::<V>())
    }
}
