//! What can go wrong, one enum a call.

use mp_core::{MemError, OsError};

/// Why a text cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// There is nothing in it, apart from a leading slash. Python: `ValueError`, for attaching without a name.
    #[error("a block of shared memory cannot be found without a name")]
    Empty,
    /// A zero byte. Python: `ValueError: embedded null character`.
    #[error("the name holds a zero byte")]
    Nul,
    /// A slash that is not the first byte, or a name that means a folder (`.`, `..`). Python: `OSError` (`EINVAL`).
    #[error("the name is a path")]
    Path,
    /// More than 255 bytes. Python: `OSError` (`EINVAL` or `ENAMETOOLONG`).
    #[error("the name has {0} bytes, more than 255")]
    TooLong(usize),
}

/// Why a block was not made. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Zero bytes were asked for. Python: `ValueError`.
    #[error("a block of shared memory has at least one byte")]
    NoSize,
    /// Another block has the name. Python: `FileExistsError`.
    #[error("a block named {0:?} exists already")]
    Exists(String),
    /// Not that much memory, or the system refused.
    #[error(transparent)]
    Memory(#[from] MemError),
}

/// Why a block was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// No block has the name. Python: `FileNotFoundError`.
    #[error("no block is named {0:?}")]
    NotFound(String),
    /// It has no bytes: whoever made it has not given it a size yet. Python: `ValueError`.
    #[error("the block named {0:?} is empty")]
    Empty(String),
    /// It belongs to another user, who could have put it there for us to find.
    #[error("the block named {0:?} belongs to another user")]
    Foreign(String),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Why a name was not taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// It is gone already. Python: `FileNotFoundError`.
    #[error("no block is named {0:?}")]
    NotFound(String),
    /// The system refused.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// The bytes asked for do not all lie in the block. None of them was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} bytes at offset {offset} do not lie within a block of {len} bytes")]
pub struct OutOfRange {
    /// Where they were to begin.
    pub offset: usize,
    /// How many.
    pub count: usize,
    /// The block's length.
    pub len: usize,
}

/// What is in a block is no list, or no item of one: it was never written as one, or somebody has written
/// over it.
///
/// Python: `struct.error`, `UnicodeDecodeError`, `KeyError`, `MemoryError`, or a wrong item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the block holds no list that makes sense: {0}")]
pub struct Corrupt(pub(crate) &'static str);

/// A list has no item of this index.
///
/// Python: `IndexError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a list of {len} items has none of index {index}")]
pub struct NoItem {
    /// Which was asked for.
    pub index: usize,
    /// How many there are.
    pub len: usize,
}

/// Why an item cannot be put into its place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// Python: `ValueError: bytes/str item exceeds available storage`.
    #[error("{bytes} bytes do not fit into {room}")]
    TooLong {
        /// What it has.
        bytes: usize,
        /// What there is.
        room: usize,
    },
    /// From a million bytes on, a zero byte at the end would be lost. (Python loses it always.)
    #[error("an item of {bytes} bytes cannot end in a zero byte")]
    EndsInZero {
        /// What it has.
        bytes: usize,
    },
}

/// Why a list was not made. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateListError {
    /// There is no block for it.
    #[error(transparent)]
    Block(#[from] CreateError),
    /// One of its items cannot be an item.
    #[error("item {index}: {source}")]
    Item {
        /// Which.
        index: usize,
        /// Why.
        source: Misfit,
    },
}

/// Why a list was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenListError {
    /// Its block was not opened.
    #[error(transparent)]
    Block(#[from] OpenError),
    /// There is no list in it.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why an item was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetItemError {
    /// There is none of this index.
    #[error(transparent)]
    NoItem(#[from] NoItem),
    /// There is something else.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// Why an item was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetItemError {
    /// There is none of this index.
    #[error(transparent)]
    NoItem(#[from] NoItem),
    /// It does not fit.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}
