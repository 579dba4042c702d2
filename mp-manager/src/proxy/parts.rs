//! Iteration over containers in the server, a part at a time.

use super::{DictProxy, IteratorProxy, ListProxy, Proxy, SetProxy};
use crate::error::ManagerError;
use crate::protocol::{Batch, Call, Key, Packed, ResultsCall};
use mp_core::transfer::unpack;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;

/// Elements fetched in one call.
const PART: u64 = 64;

impl<T: DeserializeOwned> ListProxy<T> {
    /// The items by their positions, 64 in a call, so that a long list is never here at once. Items that are inserted
    /// or removed meanwhile move the others, as in Python. It ends behind an error. Python: `iter(l)`.
    pub fn iter(&self) -> ListIter<'_, T> {
        ListIter { list: self, next: 0, fetched: Vec::new().into_iter(), is_over: false }
    }
}

/// The items of a list in a manager: see [`ListProxy::iter`].
pub struct ListIter<'a, T> {
    list: &'a ListProxy<T>,
    next: usize,
    fetched: std::vec::IntoIter<T>,
    is_over: bool,
}

impl<T: DeserializeOwned> Iterator for ListIter<'_, T> {
    type Item = Result<T, ManagerError>;

    fn next(&mut self) -> Option<Result<T, ManagerError>> {
        if self.fetched.len() == 0 && !self.is_over {
            match self.list.get_range(self.next..self.next + PART as usize) {
                Ok(fetched) => self.fetched = fetched.into_iter(),
                Err(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
            self.next += self.fetched.len();
            self.is_over = self.fetched.len() == 0;
        }
        self.fetched.next().map(Ok)
    }
}

impl<K: DeserializeOwned, V> DictProxy<K, V> {
    /// An iterator in the manager over the keys as they are now, which can be sent: processes that have it share the
    /// keys out. Python: `iter(d)`, which raises an exception if the size of the dict changes meanwhile.
    pub fn key_iterator(&self) -> Result<IteratorProxy<K>, ManagerError> {
        self.reference().iterate()
    }
}

impl<T: DeserializeOwned> SetProxy<T> {
    /// An iterator in the manager over the elements as they are now, which can be sent: processes that have it share
    /// the elements out. Python: `iter(s)`.
    pub fn iterator(&self) -> Result<IteratorProxy<T>, ManagerError> {
        self.reference().iterate()
    }
}

impl<K: DeserializeOwned, V: DeserializeOwned> DictProxy<K, V> {
    /// The items, 64 in two calls, so that a large dict is never here at once: the keys as they are now, each with the
    /// value that it has when its part is fetched. Keys that are removed before are left out. It ends behind an error.
    ///
    /// Python: `for key in d: d[key]`, a call for each.
    pub fn iter(&self) -> Result<DictIter<'_, K, V>, ManagerError> {
        let keys = self.key_iterator()?;
        Ok(DictIter { dict: self, keys, fetched: VecDeque::new(), is_over: false })
    }
}

/// The items of a dict in a manager: see [`DictProxy::iter`].
pub struct DictIter<'a, K, V> {
    dict: &'a DictProxy<K, V>,
    keys: IteratorProxy<K>,
    fetched: VecDeque<(K, V)>,
    is_over: bool,
}

impl<K: DeserializeOwned, V: DeserializeOwned> DictIter<'_, K, V> {
    fn fetch(&mut self) -> Result<(), ManagerError> {
        while self.fetched.is_empty() && !self.is_over {
            let keys: Vec<Key> = self
                .keys
                .reference()
                .packed(Call::Results(ResultsCall::Take(PART)))?
                .into_iter()
                .map(bytes)
                .collect();
            self.is_over = keys.is_empty();
            let mut batch = Batch::default();
            keys.iter().try_for_each(|key| {
                batch.get(|bytes| {
                    bytes.extend_from_slice(key);
                    Ok::<_, ManagerError>(())
                })
            })?;
            let values = self.dict.run(batch)?;
            for (key, value) in keys.into_iter().zip(values) {
                if let Some(value) = value {
                    self.fetched.push_back((unpack(&key, Vec::new())?, value));
                }
            }
        }
        Ok(())
    }
}

fn bytes(packed: Packed) -> Key {
    packed.message.bytes
}

impl<K: DeserializeOwned, V: DeserializeOwned> Iterator for DictIter<'_, K, V> {
    type Item = Result<(K, V), ManagerError>;

    fn next(&mut self) -> Option<Result<(K, V), ManagerError>> {
        if let Err(error) = self.fetch() {
            self.is_over = true;
            return Some(Err(error));
        }
        self.fetched.pop_front().map(Ok)
    }
}

impl<T> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListIter").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<K, V> fmt::Debug for DictIter<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DictIter").finish_non_exhaustive()
    }
}
