//! ListProxy: a list in the server.

use super::{Reference, count, done, optional, unexpected, value};
use crate::error::ManagerError;
use crate::protocol::{ListCall, Reply, Request};
use mp_core::transfer::{Callable, Captures, Code, Target, pack_value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// A list in the manager's process. Clones, and copies that travel to other processes, are the same list. Each call is
/// one step there.
///
/// Python: `multiprocessing.managers.ListProxy`.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ListProxy<T> {
    reference: Reference,
    items: PhantomData<fn(T) -> T>,
}

impl<T> ListProxy<T> {
    pub(crate) fn new(reference: Reference) -> Self {
        ListProxy { reference, items: PhantomData }
    }

    fn call(&self, call: ListCall) -> Result<Reply, ManagerError> {
        self.reference.call(Request::List, call)
    }

    /// How many items there are. Python: `len(l)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        count(self.call(ListCall::Len)?)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Removes all items. Python: `l.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        done(self.call(ListCall::Clear)?)
    }
}

impl<T: Serialize + DeserializeOwned> ListProxy<T> {
    /// Adds an item at the end. Python: `l.append(item)`.
    #[doc(alias = "append")]
    pub fn push(&self, item: T) -> Result<(), ManagerError> {
        done(self.call(ListCall::Push(pack_value(&item)?))?)
    }

    /// Adds all items in one call. Python: `l.extend(items)`.
    pub fn extend(&self, items: impl IntoIterator<Item = T>) -> Result<(), ManagerError> {
        let packed = items.into_iter().map(|item| pack_value(&item)).collect::<Result<_, _>>()?;
        done(self.call(ListCall::Extend(packed))?)
    }

    /// A copy of the item at a position. Python: `l[index]`.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn get(&self, index: usize) -> Result<T, ManagerError> {
        optional(self.call(ListCall::Get(index as u64))?)?.ok_or(ManagerError::NoSuchObject)
    }

    /// Puts another item at a position. Python: `l[index] = item`.
    pub fn set(&self, index: usize, item: T) -> Result<(), ManagerError> {
        done(self.call(ListCall::Set(index as u64, pack_value(&item)?))?)
    }

    /// Inserts an item before a position, at most at the end. Python: `l.insert(index, item)`.
    pub fn insert(&self, index: usize, item: T) -> Result<(), ManagerError> {
        done(self.call(ListCall::Insert(index as u64, pack_value(&item)?))?)
    }

    /// Removes the item at a position, and gives it. Python: `l.pop(index)`.
    pub fn remove(&self, index: usize) -> Result<T, ManagerError> {
        optional(self.call(ListCall::Remove(index as u64))?)?.ok_or(ManagerError::NoSuchObject)
    }

    /// Removes the last item, and gives it; `None` if there is none. Python: `l.pop()`.
    pub fn pop(&self) -> Result<Option<T>, ManagerError> {
        optional(self.call(ListCall::Pop)?)
    }

    /// All items, copied. Python: `l[:]`.
    #[doc(alias = "copy")]
    pub fn to_vec(&self) -> Result<Vec<T>, ManagerError> {
        match self.call(ListCall::All)? {
            Reply::Values(items) => items.into_iter().map(value).collect(),
            other => Err(unexpected(&other)),
        }
    }

    /// Changes the item at a position in one step: `change` is called *in the manager's process*; a copy of what it
    /// gives comes back. See [`DictProxy::update`](crate::DictProxy::update).
    pub fn update<F, Kind>(&self, index: usize, change: F) -> Result<T, ManagerError>
    where
        F: Target<(T,), Output = T> + Callable<(T,), Kind>,
    {
        let () = Captures::<F>::NOTHING;
        let code = Code::of::<F, (T,)>(&change).map_err(|error| ManagerError::Codec(error.to_string()))?;
        optional(self.call(ListCall::Update(index as u64, code))?)?.ok_or(ManagerError::NoSuchObject)
    }
}

impl<T> Clone for ListProxy<T> {
    fn clone(&self) -> Self {
        ListProxy::new(self.reference.clone())
    }
}

impl<T> fmt::Debug for ListProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListProxy<{}>", std::any::type_name::<T>())
    }
}
