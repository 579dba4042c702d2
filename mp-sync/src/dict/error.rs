//! The error of a dict's calls.

use super::table::Refused;
use mp_core::{CodecError, MemError};

/// Why a call of a [`SharedDict`](super::SharedDict) did nothing. The dict is as it was.
///
/// Python has no counterpart: a dict has no bound there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DictError {
    /// The dict holds as many entries, or bytes, as it may.
    #[error("the dict is full: remove entries, or make it for more entries and bytes")]
    Full,
    /// The entry would not fit even if the dict were empty.
    #[error("the entry has {bytes} bytes, more than this dict can hold: make it for more bytes")]
    TooLarge {
        /// Key and value when packed.
        bytes: usize,
    },
    /// The key or the value holds a lock, a queue or another handle, which only a message can carry.
    #[error(
        "a handle (lock, queue, connection, shared value) cannot be stored in a dict: send it as an argument or \
         through a queue"
    )]
    Handles,
    /// The sum is not a number of this type. Of [`fetch_add`](super::SharedDict::fetch_add).
    #[error("the sum is beyond the numbers of this type: nothing was added")]
    Overflow,
    /// A function of [`update`](super::SharedDict::update) or [`retain`](super::SharedDict::retain) has written the
    /// entry itself that it was to change, eight times in a row: no try can succeed. What it wrote is there.
    #[error(
        "the function writes the key that it is called for, so its result cannot be written: have it only return the \
         new value"
    )]
    Nested,
    /// The key or the value could not be packed, or what is stored is no value of this type.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// No memory for the entry, or for the copy that the caller is to get.
    #[error(transparent)]
    Memory(MemError),
    /// The shared memory was overwritten by a process.
    #[error("the dict's shared memory was overwritten: make a new dict")]
    Corrupt,
}

impl DictError {
    /// Of a call with an entry of so many bytes.
    #[cold]
    pub(super) fn of(refused: Refused, bytes: usize) -> DictError {
        match refused {
            Refused::Full => DictError::Full,
            Refused::TooLarge => DictError::TooLarge { bytes },
            Refused::Memory(error) => DictError::Memory(error),
            Refused::Corrupt => DictError::Corrupt,
        }
    }
}
