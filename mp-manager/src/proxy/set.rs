//! SetProxy: a set in the server.

use super::{KeyOf, proxy, show};
use crate::error::ManagerError;
use crate::packed::key_bytes;
use crate::protocol::{Call, Key, SetCall};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

proxy! {
    /// A set in the manager's process. Items are equal if they serialise to equal bytes. The order is that of
    /// insertion.
    ///
    /// The operations on two sets take the other one's items: `set.retain_in(other.to_vec()?)`.
    ///
    /// Python: `multiprocessing.managers.SetProxy` (3.14).
    SetProxy<T>, Set
}

impl<T> SetProxy<T> {
    fn key<Q: KeyOf<T> + ?Sized>(&self, item: &Q) -> Result<Key, ManagerError> {
        key_bytes(self.reference.manager(), item)
    }

    /// How many items there are. Python: `len(s)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Set(SetCall::Len))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Removes all items. Python: `s.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Set(SetCall::Clear))
    }

    /// Whether an item is there. Python: `item in s`.
    pub fn contains<Q: KeyOf<T> + ?Sized>(&self, item: &Q) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Set(SetCall::Contains(self.key(item)?)))
    }

    /// Removes an item; whether it was there. Python: `s.discard(item)`, `s.remove(item)`.
    #[doc(alias = "discard")]
    pub fn remove<Q: KeyOf<T> + ?Sized>(&self, item: &Q) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Set(SetCall::Remove(self.key(item)?)))
    }
}

impl<T: DeserializeOwned> SetProxy<T> {
    /// All items, copied. Python: `list(s)`, `s.copy()`.
    #[doc(alias = "copy")]
    pub fn to_vec(&self) -> Result<Vec<T>, ManagerError> {
        self.reference.keys(Call::Set(SetCall::All))
    }

    /// Removes an item, the oldest. It takes time in proportion to the size of the set. Python: `s.pop()`.
    pub fn pop(&self) -> Result<Option<T>, ManagerError> {
        Ok(self.reference.keys(Call::Set(SetCall::Pop))?.pop())
    }
}

impl<T: Serialize> SetProxy<T> {
    fn all(&self, items: impl IntoIterator<Item = T>) -> Result<Vec<Key>, ManagerError> {
        items.into_iter().map(|item| self.key(&item)).collect()
    }

    /// Adds an item; whether it is new. Python: `s.add(item)`.
    #[doc(alias = "add")]
    pub fn insert(&self, item: T) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Set(SetCall::Insert(self.key(&item)?)))
    }

    /// Adds items in one step, and returns how many are new. Python: `s.update(items)`, `s |= items`.
    #[doc(alias = "update")]
    pub fn extend(&self, items: impl IntoIterator<Item = T>) -> Result<usize, ManagerError> {
        self.reference.count(Call::Set(SetCall::InsertMany(self.all(items)?)))
    }

    /// Removes items in one step, and returns how many were there. Python: `s.difference_update(items)`, `s -= items`.
    #[doc(alias = "difference_update")]
    pub fn remove_many(&self, items: impl IntoIterator<Item = T>) -> Result<usize, ManagerError> {
        self.reference.count(Call::Set(SetCall::RemoveMany(self.all(items)?)))
    }

    /// Removes all but these in one step, and returns how many it has removed. Python: `s.intersection_update(items)`,
    /// `s &= items`.
    #[doc(alias = "intersection_update")]
    pub fn retain_in(&self, items: impl IntoIterator<Item = T>) -> Result<usize, ManagerError> {
        self.reference.count(Call::Set(SetCall::Retain(self.all(items)?)))
    }

    /// Whether all of these are there. Python: `s.issuperset(items)`.
    #[doc(alias = "issuperset")]
    pub fn contains_all(&self, items: impl IntoIterator<Item = T>) -> Result<bool, ManagerError> {
        self.reference.flag(Call::Set(SetCall::ContainsAll(self.all(items)?)))
    }
}

/// Shows the items: it asks the manager.
impl<T: DeserializeOwned + fmt::Debug> fmt::Debug for SetProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "SetProxy", self.to_vec())
    }
}
