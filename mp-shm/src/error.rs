//! The errors of shared memory blocks and lists.

use mp_core::{MemError, OsError};

/// The error of making, opening or unlinking a block or a list. Nothing of what was being made is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SharedMemoryError {
    /// No block can have the name: it is empty, a path, too long, or holds a zero byte. Python: `ValueError`, and
    /// `OSError` (`EINVAL`, `ENAMETOOLONG`).
    #[error("{0}")]
    Name(&'static str),
    /// Zero bytes were asked for. Python: `ValueError`.
    #[error("a block of zero bytes cannot be made: ask for at least one")]
    NoSize,
    /// Another block has the name. Python: `FileExistsError`.
    #[error("a block named {0:?} exists already: open it, unlink it, or choose another name")]
    Exists(String),
    /// No block has the name: it was not made, or it was unlinked. Python: `FileNotFoundError`.
    #[error("no block is named {0:?}: make it first, or check the name")]
    NotFound(String),
    /// It has no bytes: the process that makes it has not given it a size yet. Python: `ValueError`.
    #[error("the block named {0:?} has no bytes yet: open it after its owner has set its size")]
    Empty(String),
    /// It belongs to another user, which could have made it as a trap.
    #[error("the block named {0:?} belongs to another user: choose another name")]
    Foreign(String),
    /// An item does not fit into a list, or the block does not hold one.
    #[error(transparent)]
    List(#[from] ListError),
    /// There is not that much memory, or the system refused.
    #[error(transparent)]
    Memory(#[from] MemError),
}

impl From<OsError> for SharedMemoryError {
    fn from(error: OsError) -> Self {
        SharedMemoryError::Memory(error.into())
    }
}

/// The error of a list and its items. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The list has no item of this index. Python: `IndexError`.
    #[error("index {index} is out of range for a list of {len} items")]
    Index {
        /// The index that was asked for.
        index: usize,
        /// The number of items in the list.
        len: usize,
    },
    /// The item does not fit into its slot. Python: `ValueError: bytes/str item exceeds available storage`.
    #[error(
        "item {index} has {bytes} bytes, and its slot has {room}: store a shorter item, or make a new list"
    )]
    TooLong {
        /// The item's index.
        index: usize,
        /// The item's length in bytes.
        bytes: usize,
        /// The slot's length in bytes.
        room: usize,
    },
    /// From a million bytes on, a zero byte at the end would be lost. (Python loses it always.)
    #[error(
        "item {index} has {bytes} bytes and ends in a zero byte, which would be lost: append another byte"
    )]
    EndsInZero {
        /// The item's index.
        index: usize,
        /// The item's length in bytes.
        bytes: usize,
    },
    /// The block does not hold a valid list or item: it was never written as one, or it was overwritten.
    ///
    /// Python: `struct.error`, `UnicodeDecodeError`, `KeyError`, `MemoryError`, or a wrong item.
    #[error("the block does not hold a valid list: {0}")]
    Corrupt(&'static str),
}
