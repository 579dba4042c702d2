//! Batch: items that were taken together.

use crate::channel::{Channel, Records};
use crate::error::GetError;
use mp_core::transfer::{Handle, from_block, is_block, scratch, unpack};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;

/// Items that were taken from the queue together, in order: see [`Queue::get_many`](crate::Queue::get_many).
/// An iterator that decodes each item when it is asked for. Items that are left when it is dropped are lost.
pub struct Batch<T> {
    records: Records,
    handles: Vec<Handle>,
    next: usize,
    /// The channel to which an item that cannot be decoded is reported as done.
    tasks: Option<Arc<Channel>>,
    items: PhantomData<fn() -> T>,
}

impl<T> Batch<T> {
    pub(crate) fn new(records: Records, handles: Vec<Handle>, tasks: Option<Arc<Channel>>) -> Batch<T> {
        Batch { records, handles, next: 0, tasks, items: PhantomData }
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
        // Only an item that was taken alone has handles.
        let item = unpack(bytes, std::mem::take(&mut self.handles));
        Some(item.map_err(|error| match &self.tasks {
            Some(channel) => channel.give_up(error),
            None => error.into(),
        }))
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
