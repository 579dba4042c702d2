//! DictBatch: several calls on a dict in one round trip.

use super::{DictProxy, KeyOf, Number};
use crate::error::ManagerError;
use crate::packed::pack_for;
use crate::protocol::DictCall;
use crate::proxy::Proxy;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// Calls on a dict that are collected here, and done by [`run`](DictBatch::run) in one round trip. Made by
/// [`DictProxy::batch`].
///
/// ```no_run
/// # let manager = mp_manager::Manager::start()?;
/// let stock = manager.dict::<String, u32>()?;
/// let mut batch = stock.batch();
/// batch.insert("pears".to_owned(), 3)?;
/// batch.fetch_add("apples", 5)?;
/// batch.get("pears")?;
/// assert_eq!(batch.run()?, [None, None, Some(3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python has no counterpart.
#[must_use = "nothing is done before `run`"]
pub struct DictBatch<'a, K, V> {
    dict: &'a DictProxy<K, V>,
    calls: Vec<DictCall>,
}

impl<K, V> fmt::Debug for DictBatch<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DictBatch({} calls)", self.calls.len())
    }
}

impl<'a, K: Serialize, V: Serialize + DeserializeOwned> DictBatch<'a, K, V> {
    pub(super) fn new(dict: &'a DictProxy<K, V>) -> Self {
        DictBatch { dict, calls: Vec::new() }
    }

    /// The value of a key.
    pub fn get<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q) -> Result<(), ManagerError> {
        self.calls.push(DictCall::Get(self.dict.key(key)?));
        Ok(())
    }

    /// Gives a key a value. Its result is the value before.
    pub fn insert(&mut self, key: K, new: V) -> Result<(), ManagerError> {
        let new = pack_for(self.dict.reference().manager(), &new)?;
        self.calls.push(DictCall::Insert(self.dict.key(&key)?, new));
        Ok(())
    }

    /// Removes a key. Its result is the value that it had.
    pub fn remove<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q) -> Result<(), ManagerError> {
        self.calls.push(DictCall::Remove(self.dict.key(key)?));
        Ok(())
    }

    /// Adds to a number. Its result is the number before, if there was one.
    pub fn fetch_add<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q, by: V) -> Result<(), ManagerError>
    where
        V: Number,
    {
        let by = pack_for(self.dict.reference().manager(), &by)?.message.bytes;
        self.calls.push(DictCall::Add(self.dict.key(key)?, V::KIND, by));
        Ok(())
    }

    /// Does all of it, and gives a result for each call, in their order. Waits while another client changes one of the
    /// keys.
    ///
    /// # Errors
    /// Of the first call that fails. The calls before it are done, and those after it are not.
    pub fn run(self) -> Result<Vec<Option<V>>, ManagerError> {
        self.dict.options(DictCall::Batch(self.calls))
    }
}
