//! The errors of shared memory blocks and lists, one enum for each call.

use mp_core::{MemError, OsError};

/// The error of a name that no block can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty, apart from a leading slash. Python: `ValueError`, for attaching without a name.
    #[error("the name is empty: give the name of a block")]
    Empty,
    /// A zero byte. Python: `ValueError: embedded null character`.
    #[error("the name contains a zero byte: leave it out")]
    Nul,
    /// A slash that is not the first byte, or a name that means a folder (`.`, `..`). Python: `OSError` (`EINVAL`).
    #[error("the name is a path: give a name without slashes, other than `.` and `..`")]
    Path,
    /// More than 255 bytes. Python: `OSError` (`EINVAL` or `ENAMETOOLONG`).
    #[error("the name has {0} bytes: give one of at most 255")]
    TooLong(usize),
}

/// The error of making a block. Nothing of the block is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Zero bytes were asked for. Python: `ValueError`.
    #[error("a block of zero bytes cannot be made: ask for at least one")]
    NoSize,
    /// Another block has the name. Python: `FileExistsError`.
    #[error("a block named {0:?} exists already: open it, unlink it, or choose another name")]
    Exists(String),
    /// There is not that much memory, or the system refused.
    #[error(transparent)]
    Memory(#[from] MemError),
}

/// The error of opening a block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No block has the name. Python: `FileNotFoundError`.
    #[error("no block is named {0:?}: make it first, or check the name")]
    NotFound(String),
    /// It has no bytes: the process that makes it has not given it a size yet. Python: `ValueError`.
    #[error("the block named {0:?} has no bytes yet: open it after its owner has set its size")]
    Empty(String),
    /// It belongs to another user, which could have made it as a trap.
    #[error("the block named {0:?} belongs to another user: choose another name")]
    Foreign(String),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The error of unlinking a name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// It is gone already. Python: `FileNotFoundError`.
    #[error("no block is named {0:?}: it was unlinked already")]
    NotFound(String),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The error of a read or a write that is not within the block. No byte was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} bytes at offset {offset} are out of range for a block of {len} bytes")]
#[non_exhaustive]
pub struct OutOfRangeError {
    /// The offset of the first byte.
    pub offset: usize,
    /// The number of bytes.
    pub count: usize,
    /// The block's length in bytes.
    pub len: usize,
}

/// The error of a block that does not hold a valid list or item: it was never written as one, or it was overwritten.
///
/// Python: `struct.error`, `UnicodeDecodeError`, `KeyError`, `MemoryError`, or a wrong item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block does not hold a valid list: {0}")]
pub struct CorruptError(pub(crate) &'static str);

/// The error of an index that the list does not have.
///
/// Python: `IndexError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("index {index} is out of range for a list of {len} items")]
#[non_exhaustive]
pub struct IndexError {
    /// The index that was asked for.
    pub index: usize,
    /// The number of items in the list.
    pub len: usize,
}

/// The error of an item that does not fit into its slot of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// Python: `ValueError: bytes/str item exceeds available storage`.
    #[error("the item has {bytes} bytes, and its slot has {room}: store a shorter item, or make a new list")]
    TooLong {
        /// The item's length in bytes.
        bytes: usize,
        /// The slot's length in bytes.
        room: usize,
    },
    /// From a million bytes on, a zero byte at the end would be lost. (Python loses it always.)
    #[error("an item of {bytes} bytes ends in a zero byte, which would be lost: append another byte")]
    EndsInZero {
        /// The item's length in bytes.
        bytes: usize,
    },
}

/// The error of making a list. Nothing of the list is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateListError {
    /// Its block could not be made.
    #[error(transparent)]
    Block(#[from] CreateError),
    /// One of its items does not fit into a slot.
    #[error("item {index}: {source}")]
    Item {
        /// The item's index.
        index: usize,
        /// The reason.
        source: SlotError,
    },
}

/// The error of opening a list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenListError {
    /// Its block could not be opened.
    #[error(transparent)]
    Block(#[from] OpenError),
    /// Its block does not hold a list.
    #[error(transparent)]
    Corrupt(#[from] CorruptError),
}

/// The error of reading an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetItemError {
    /// The list has no item of this index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The block does not hold a valid item there.
    #[error(transparent)]
    Corrupt(#[from] CorruptError),
}

/// The error of changing an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetItemError {
    /// The list has no item of this index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The item does not fit into its slot.
    #[error(transparent)]
    Slot(#[from] SlotError),
}
