//! Keys and values become bytes, and back. No handle is among them: a dict's memory cannot hold one.

use super::error::DictError;
use mp_core::transfer::{pack_onto, pack_value_onto, scratch, unpack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;

thread_local! {
    /// Not the one of messages on their way in, whose length saves writing zeros.
    static PAYLOAD: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes that a thread keeps between calls.
const MOST_KEPT: usize = 64 << 10;

/// Two buffers of the thread's: one for what goes in, one for what comes out.
pub(super) struct Buffers {
    pub(super) packed: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Buffers {
    /// Empty ones.
    #[inline]
    pub(super) fn take() -> Buffers {
        // The slot is gone while the thread's locals are being torn down.
        let mut payload = PAYLOAD.try_with(Cell::take).unwrap_or_default();
        payload.clear();
        Buffers { packed: scratch::encoding(), payload }
    }
}

impl Drop for Buffers {
    #[inline]
    fn drop(&mut self) {
        scratch::keep_encoding(std::mem::take(&mut self.packed));
        if self.payload.capacity() <= MOST_KEPT {
            let _ = PAYLOAD.try_with(|slot| slot.set(std::mem::take(&mut self.payload)));
        }
    }
}

/// Appends a key's bytes; returns their end.
#[inline]
pub(super) fn pack_key<Q: Serialize + ?Sized>(key: &Q, onto: &mut Vec<u8>) -> Result<usize, DictError> {
    let handles = pack_onto(key, onto)?;
    if handles.is_empty() { Ok(onto.len()) } else { Err(DictError::Handles) }
}

/// Appends a value's bytes; returns their end.
#[inline]
pub(super) fn pack_value<V: Serialize + DeserializeOwned>(
    value: &V,
    onto: &mut Vec<u8>,
) -> Result<usize, DictError> {
    let handles = pack_value_onto(value, onto)?;
    if handles.is_empty() { Ok(onto.len()) } else { Err(DictError::Handles) }
}

/// A key or a value from its bytes.
#[inline]
pub(super) fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DictError> {
    Ok(unpack(bytes, Vec::new())?)
}
