//! What can go wrong with a pickle.

/// Why bytes were not read as a value. Nothing was called, and no more memory was taken than the bytes justify.
///
/// Python: `pickle.UnpicklingError`, and `EOFError`, `ValueError` or `RecursionError` where CPython raises those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpicklingError {
    /// The bytes end in the middle.
    #[error("the pickle ends in the middle, after {length} bytes")]
    Truncated {
        /// How many bytes there are.
        length: usize,
    },
    /// These bytes are no pickle.
    #[error("no pickle: {why} (byte {at})")]
    Malformed {
        /// Where, in bytes from the beginning.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// A pickle that means something to another reader: of another protocol, or with parts that are not in it.
    #[error("not supported in a pickle: {what} (byte {at})")]
    Unsupported {
        /// Where, in bytes from the beginning.
        at: usize,
        /// What is not supported.
        what: &'static str,
    },
    /// An object that contains itself.
    #[error("an object in the pickle contains itself")]
    Cyclic,
    /// More objects inside of each other than are taken.
    #[error("more than {limit} objects inside of each other")]
    TooDeep {
        /// How many would have been taken: [`Limits::depth`](super::Limits::depth).
        limit: usize,
    },
    /// A value that is too large, counted as if nothing in it were shared.
    #[error("the value takes more than {limit} bytes of memory, or would if nothing in it were shared")]
    TooLarge {
        /// How many bytes would have been taken: [`Limits::memory`](super::Limits::memory).
        limit: usize,
    },
}

/// Why a value was not written. None that [`loads`](super::loads) gave is refused, unless as [`Unhashable`].
///
/// [`Unhashable`]: PicklingError::Unhashable
///
/// Python: `pickle.PicklingError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PicklingError {
    /// More values inside of each other than CPython's own limit lets it send back.
    #[error("more than {limit} values inside of each other")]
    TooDeep {
        /// How many can be written.
        limit: usize,
    },
    /// The key of a dict, or an element of a set, that Python would refuse, since it can change.
    ///
    /// Python: `TypeError: unhashable type`.
    #[error("a {kind} is no key of a dict and no element of a set")]
    Unhashable {
        /// Python's name for what it is.
        kind: &'static str,
    },
    /// The bytes of [`Value::Surrogates`](super::Value::Surrogates) are no UTF-8, even with surrogates.
    #[error("the bytes of a str are no UTF-8, even with surrogates")]
    BadText,
    /// What is to be called, to make an [`Object`](super::Object), is neither a name nor an object.
    #[error("a {kind} cannot be called")]
    NotCallable {
        /// Python's name for what it is.
        kind: &'static str,
    },
    /// An int of 2 GiB or more.
    #[error("an int of {bytes} bytes is longer than a pickle can say")]
    IntTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}
