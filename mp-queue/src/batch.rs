//! Batch: items that were taken together.

use crate::channel::Records;
use crate::error::GetError;
use mp_core::transfer::{Handle, from_block, is_block, scratch, unpack};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// Items that were taken from the queue together, in order: see [`Queue::get_many`](crate::Queue::get_many). Each is
/// decoded when it is asked for; what is dropped without is lost.
pub struct Batch<T> {
    records: Records,
    handles: Vec<Handle>,
    next: usize,
    items: PhantomData<fn() -> T>,
}

impl<T> Batch<T> {
    pub(crate) fn new(records: Records, handles: Vec<Handle>) -> Batch<T> {
        Batch { records, handles, next: 0, items: PhantomData }
    }
}

impl<T: DeserializeOwned> Iterator for Batch<T> {
    type Item = Result<T, GetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = (self.next < self.records.len()).then(|| self.records.get(self.next))?;
        self.next += 1;
        if is_block::<T>() {
            return from_block(bytes.to_vec()).map(Ok);
        }
        // Handles come with an item that is alone.
        Some(unpack(bytes, std::mem::take(&mut self.handles)).map_err(GetError::from))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.records.len() - self.next;
        (left, Some(left))
    }
}

impl<T: DeserializeOwned> ExactSizeIterator for Batch<T> {}
impl<T: DeserializeOwned> std::iter::FusedIterator for Batch<T> {}

impl<T> Drop for Batch<T> {
    fn drop(&mut self) {
        scratch::keep_decoding(std::mem::take(&mut self.records.bytes));
    }
}

impl<T> std::fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let left = self.records.len() - self.next;
        write!(f, "Batch<{}>({left} items)", std::any::type_name::<T>())
    }
}
