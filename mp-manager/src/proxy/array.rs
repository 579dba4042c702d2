//! ArrayProxy: an array in the server.

use super::{ListProxy, Number, proxy, show};
use crate::error::ManagerError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::RangeBounds;

proxy! {
    /// A list of fixed length in the manager's process, otherwise as a [`ListProxy`].
    ///
    /// `mp_sync::Array` does the same in shared memory, without a server.
    ///
    /// Python: what `SyncManager.Array` returns.
    ArrayProxy<T>, Array
}

impl<T> ArrayProxy<T> {
    fn list(&self) -> ListProxy<T> {
        ListProxy::of(self)
    }

    /// How many elements there are. Python: `len(a)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.list().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        self.list().is_empty()
    }
}

impl<T: Serialize + DeserializeOwned> ArrayProxy<T> {
    /// The element at a position. Python: `a[index]`.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn get(&self, index: usize) -> Result<T, ManagerError> {
        self.list().get(index)
    }

    /// Replaces the element at a position, and returns the one before. Python: `a[index] = x`.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn set(&self, index: usize, value: T) -> Result<T, ManagerError> {
        self.list().set(index, value)
    }

    /// The elements of a range; what lies beyond the end is left out. Python: `a[from:to]`.
    pub fn get_range(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, ManagerError> {
        self.list().get_range(range)
    }

    /// All elements, copied. Python: `a[:]`.
    pub fn to_vec(&self) -> Result<Vec<T>, ManagerError> {
        self.list().to_vec()
    }

    /// See [`ListProxy::fetch_add`].
    pub fn fetch_add(&self, index: usize, by: T) -> Result<T, ManagerError>
    where
        T: Number,
    {
        self.list().fetch_add(index, by)
    }

    /// See [`ListProxy::compare_exchange`].
    pub fn compare_exchange(&self, index: usize, expected: &T, new: T) -> Result<Result<T, T>, ManagerError> {
        self.list().compare_exchange(index, expected, new)
    }

    /// See [`ListProxy::update`].
    pub fn update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<T, ManagerError> {
        self.list().update(index, change)
    }

    /// Changes the elements in one step, as [`ListProxy::with`].
    pub fn with<R>(&self, change: impl FnOnce(&mut [T]) -> R) -> Result<R, ManagerError> {
        self.list().with(|elements| change(elements))
    }
}

/// Shows the elements: it asks the manager.
impl<T: Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for ArrayProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "ArrayProxy", self.to_vec())
    }
}
