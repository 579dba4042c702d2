//! DictProxy: a dict in the server.

use super::{DictBatch, KeyOf, Number, proxy, show, unexpected};
use crate::error::ManagerError;
use crate::packed::{key_bytes, key_onto, pack_for, pack_kept_for};
use crate::protocol::{Batch, Call, DictCall, Key, Packed, Reply};
use mp_core::transfer::unpack;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fmt;

proxy! {
    /// A dict in the manager's process. Clones, and copies that travel to other processes, are the same dict. Each call
    /// is one step there, so calls of several processes do not mix; two calls one after the other are two steps, so
    /// `get` then `insert` may lose an update: [`update`](DictProxy::update) does not.
    ///
    /// Keys are equal if they serialise to equal bytes. The order is that of insertion.
    ///
    /// Values may be proxies of the same manager, which live as long as they are stored. A value that comes out is a
    /// copy: a change of it is not seen by the dict.
    ///
    /// Python: `multiprocessing.managers.DictProxy`.
    DictProxy<K, V>, Dict
}

impl<K, V> DictProxy<K, V> {
    pub(super) fn key<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<Key, ManagerError> {
        key_bytes(self.reference.manager(), key)
    }

    /// What appends a key's bytes to a batch.
    pub(super) fn key_to_batch<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
    ) -> impl FnOnce(&mut Vec<u8>) -> Result<(), ManagerError> {
        let manager = self.reference.manager();
        move |bytes| key_onto(manager, key, bytes)
    }

    /// How many items there are. Python: `len(d)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Dict(DictCall::Len))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Removes all items. Python: `d.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Dict(DictCall::Clear))
    }

    /// Whether a key has a value. Python: `key in d`.
    pub fn contains_key<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Dict(DictCall::Contains(self.key(key)?)))
    }
}

impl<K: DeserializeOwned, V> DictProxy<K, V> {
    /// All keys. Python: `d.keys()`, `list(d)`.
    pub fn keys(&self) -> Result<Vec<K>, ManagerError> {
        self.reference.keys(Call::Dict(DictCall::Keys))
    }
}

/// Reading.
impl<K, V: DeserializeOwned> DictProxy<K, V> {
    /// The value of a key. Python: `d.get(key)`.
    pub fn get<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<Option<V>, ManagerError> {
        self.reference.optional(Call::Dict(DictCall::Get(self.key(key)?)))
    }

    /// The values of several keys, in their order, in one call.
    pub fn get_many<'a, Q: KeyOf<K> + ?Sized + 'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Q>,
    ) -> Result<Vec<Option<V>>, ManagerError> {
        let mut batch = Batch::default();
        keys.into_iter().try_for_each(|key| batch.get(self.key_to_batch(key)))?;
        self.run(batch)
    }

    /// Has these calls done in one round trip.
    pub(super) fn run(&self, batch: Batch) -> Result<Vec<Option<V>>, ManagerError> {
        match self.reference.call(Call::Dict(DictCall::Batch(batch)))? {
            Reply::Batch(results) => {
                results.values().map(|value| self.reference.unpack_result(value?)).collect()
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Removes a key, and gives its value. Python: `d.pop(key, None)`.
    #[doc(alias = "pop")]
    pub fn remove<Q: KeyOf<K> + ?Sized>(&self, key: &Q) -> Result<Option<V>, ManagerError> {
        self.reference.optional(Call::Dict(DictCall::Remove(self.key(key)?)))
    }

    /// All values, copied. Python: `d.values()`.
    pub fn values(&self) -> Result<Vec<V>, ManagerError> {
        self.reference.values(Call::Dict(DictCall::Values))
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> DictProxy<K, V> {
    /// All items, copied. Python: `d.items()`, `d.copy()`.
    #[doc(alias = "copy")]
    pub fn items(&self) -> Result<Vec<(K, V)>, ManagerError> {
        match self.reference.call(Call::Dict(DictCall::Items))? {
            Reply::Items(items) => items.into_iter().map(|item| self.item(item)).collect(),
            other => Err(unexpected(&other)),
        }
    }

    fn item(&self, (key, packed): (Key, Packed)) -> Result<(K, V), ManagerError> {
        Ok((unpack(&key, Vec::new())?, self.reference.unpack(packed)?))
    }

    /// Removes the item that was inserted last. It takes time in proportion to the size of the dict.
    ///
    /// Python: `d.popitem()`.
    #[doc(alias = "popitem")]
    pub fn remove_last(&self) -> Result<Option<(K, V)>, ManagerError> {
        match self.reference.call(Call::Dict(DictCall::RemoveLast))? {
            Reply::Item(item) => item.map(|item| self.item(item)).transpose(),
            other => Err(unexpected(&other)),
        }
    }
}

/// Writing: each call is one step.
impl<K: Serialize, V: Serialize + DeserializeOwned> DictProxy<K, V> {
    /// Gives a key a value, and returns the one it had before. Python: `d[key] = value`.
    #[doc(alias = "set")]
    pub fn insert(&self, key: K, new: V) -> Result<Option<V>, ManagerError> {
        let new = pack_for(self.reference.manager(), &new)?;
        self.reference.optional(Call::Dict(DictCall::Insert(self.key(&key)?, new)))
    }

    /// Inserts all items in one call. Python: `d.update(items)`.
    #[doc(alias = "update")]
    pub fn extend(&self, items: impl IntoIterator<Item = (K, V)>) -> Result<(), ManagerError> {
        let manager = self.reference.manager();
        let mut holders = Vec::new();
        let pack = |(key, new): (K, V)| Ok((self.key(&key)?, pack_kept_for(manager, new, &mut holders)?));
        let items = items.into_iter().map(pack).collect::<Result<_, ManagerError>>()?;
        self.reference.done(Call::Dict(DictCall::InsertMany(items)))
    }

    /// The value of a key, which gets `new` first if it has none. Python: `d.setdefault(key, new)`.
    #[doc(alias = "setdefault")]
    pub fn get_or_insert(&self, key: K, new: V) -> Result<V, ManagerError> {
        let new = pack_for(self.reference.manager(), &new)?;
        self.reference.value(Call::Dict(DictCall::GetOrInsert(self.key(&key)?, new)))
    }

    /// If the value of a key is `expected` (`None`: it has none), it becomes `new` (`None`: the key is removed).
    /// `Ok(Err(value))`: it is another one, and nothing was changed. Values are equal if they pack to equal bytes.
    ///
    /// Python has no counterpart.
    pub fn compare_exchange<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        new: Option<V>,
    ) -> Result<Result<(), Option<V>>, ManagerError> {
        let manager = self.reference.manager();
        let pack = |value: &V| pack_for(manager, value);
        let expected = expected.map(pack).transpose()?.map(|packed| packed.message.bytes);
        let (key, new) = (self.key(key)?, new.as_ref().map(pack).transpose()?);
        let call = DictCall::CompareExchange { key, expected: expected.clone(), new };
        match self.reference.call(Call::Dict(call))? {
            Reply::Value(before)
                if before.as_ref().map(|value| &value.message.bytes) == expected.as_ref() =>
            {
                self.reference.unpack_option::<V>(before)?;
                Ok(Ok(()))
            }
            Reply::Value(before) => Ok(Err(self.reference.unpack_option(before)?)),
            other => Err(unexpected(&other)),
        }
    }

    /// Adds to a number, and returns the one before; a key without a value has 0. One step, and one round trip.
    ///
    /// # Errors
    /// [`ManagerError::Overflow`]: the number is as it was.
    ///
    /// Python has no counterpart: `d[key] += 1` through a proxy loses updates.
    pub fn fetch_add<Q: KeyOf<K> + ?Sized>(&self, key: &Q, by: V) -> Result<V, ManagerError>
    where
        V: Number,
    {
        let by = pack_for(self.reference.manager(), &by)?.message.bytes;
        let before = self.reference.optional(Call::Dict(DictCall::Add(self.key(key)?, V::KIND, by)))?;
        Ok(before.unwrap_or_default())
    }

    /// Changes a key's value, where Python's `d.update(items)` inserts items: here that is
    /// [`extend`](DictProxy::extend). `change` gets what the key has, and gives what it is to have (`None`: the key is
    /// removed), which is returned. No other write of that key comes between, so nothing is lost.
    ///
    /// The function runs here, in the calling process, and may capture what it likes. It costs two round trips.
    /// Meanwhile readers see the old value, and other writers of this key wait, as does a `clear`; all other keys are
    /// free. If the function panics, or this process dies, nothing is changed.
    ///
    /// # Errors
    /// [`ManagerError::WouldDeadlock`] of a write of this key within `change`, and of one for which a caller is waited
    /// for that waits for this change.
    ///
    /// Python has no counterpart: `d[key] += 1` through a proxy loses updates.
    pub fn update<Q: KeyOf<K> + ?Sized>(
        &self,
        key: &Q,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, ManagerError> {
        let changed = self.change(vec![self.key(key)?], |values| values[0] = change(values[0].take()));
        changed.map(|((), mut values)| values.remove(0))
    }

    /// Changes the values of several keys in one step: a transaction. `change` gets them in the order of the keys
    /// (`None`: the key has none), and what it leaves is written. It runs here, as the function of
    /// [`update`](DictProxy::update), and with the same cost and guarantees.
    ///
    /// # Errors
    /// [`ManagerError::Codec`]: a key is named twice.
    pub fn with<R>(&self, keys: &[K], change: impl FnOnce(&mut [Option<V>]) -> R) -> Result<R, ManagerError> {
        let keys = keys.iter().map(|key| self.key(key)).collect::<Result<Vec<_>, _>>()?;
        if keys.iter().collect::<HashSet<_>>().len() < keys.len() {
            return Err(ManagerError::Codec("a key is named twice: name each key once".to_owned()));
        }
        Ok(self.change(keys, change)?.0)
    }

    fn change<R>(
        &self,
        keys: Vec<Key>,
        change: impl FnOnce(&mut [Option<V>]) -> R,
    ) -> Result<(R, Vec<Option<V>>), ManagerError> {
        let (begin, abort) = (DictCall::Begin(keys.clone()), DictCall::Abort(keys.clone()));
        let (reply, begun) = self.reference.begin(Call::Dict(begin), Call::Dict(abort))?;
        let mut values = self.reference.unpack_options(reply)?;
        let result = change(&mut values);
        let manager = self.reference.manager();
        let pack = |value: &Option<V>| value.as_ref().map(|value| pack_for(manager, value)).transpose();
        let new = values.iter().map(pack).collect::<Result<Vec<_>, _>>()?;
        begun.commit(Call::Dict(DictCall::Commit(keys.into_iter().zip(new).collect())))?;
        Ok((result, values))
    }

    /// Calls to be done in one round trip, one after the other, with no other client's between them.
    pub fn batch(&self) -> DictBatch<'_, K, V> {
        DictBatch::new(self)
    }
}

/// Shows the items: it asks the manager.
impl<K, V> fmt::Debug for DictProxy<K, V>
where
    K: DeserializeOwned + fmt::Debug,
    V: DeserializeOwned + fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Items<K, V>(Vec<(K, V)>);
        impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Items<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(self.0.iter().map(|(key, value)| (key, value))).finish()
            }
        }
        show(f, "DictProxy", self.items().map(Items))
    }
}
