//! DictBatch: several calls on a dict in one round trip.

use super::{DictProxy, KeyOf, Number};
use crate::error::ManagerError;
use crate::packed::{pack_for, pack_kept_for};
use crate::protocol::Batch;
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
    calls: Batch,
    count: usize,
    /// The values with proxies in them, which keep the objects of these until the calls are done.
    holders: Vec<V>,
}

impl<K, V> fmt::Debug for DictBatch<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DictBatch({} calls)", self.count)
    }
}

impl<'a, K: Serialize, V: Serialize + DeserializeOwned> DictBatch<'a, K, V> {
    pub(super) fn new(dict: &'a DictProxy<K, V>) -> Self {
        DictBatch { dict, calls: Batch::default(), count: 0, holders: Vec::new() }
    }

    /// The value of a key.
    pub fn get<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q) -> Result<(), ManagerError> {
        self.calls.get(self.dict.key_to_batch(key))?;
        self.count += 1;
        Ok(())
    }

    /// Gives a key a value. Its result is the value before.
    pub fn insert(&mut self, key: K, new: V) -> Result<(), ManagerError> {
        let new = pack_kept_for(self.dict.reference().manager(), new, &mut self.holders)?;
        self.calls.insert(self.dict.key_to_batch(&key), new)?;
        self.count += 1;
        Ok(())
    }

    /// Removes a key. Its result is the value that it had.
    pub fn remove<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q) -> Result<(), ManagerError> {
        self.calls.remove(self.dict.key_to_batch(key))?;
        self.count += 1;
        Ok(())
    }

    /// Adds to a number. Its result is the number before, if there was one.
    pub fn fetch_add<Q: KeyOf<K> + ?Sized>(&mut self, key: &Q, by: V) -> Result<(), ManagerError>
    where
        V: Number,
    {
        let by = pack_for(self.dict.reference().manager(), &by)?.message.bytes;
        self.calls.add(self.dict.key_to_batch(key), V::KIND, &by)?;
        self.count += 1;
        Ok(())
    }

    /// Does all of it, and gives a result for each call, in their order. Waits while another client changes one of the
    /// keys.
    ///
    /// # Errors
    /// Of the first call that fails. The calls before it are done, and those after it are not.
    pub fn run(self) -> Result<Vec<Option<V>>, ManagerError> {
        self.dict.run(self.calls)
    }
}
