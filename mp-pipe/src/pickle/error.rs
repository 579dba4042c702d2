//! The error of pickles.

/// The error of reading or writing a pickle. When it is read, no code was called, and no more memory was taken than the
/// bytes justify. A value from [`loads`](super::loads) is refused by [`dumps`](super::dumps) only as
/// [`Unhashable`](PickleError::Unhashable).
///
/// Python: `pickle.UnpicklingError`, `pickle.PicklingError`, and `EOFError`, `ValueError` or `RecursionError` where
/// CPython raises those.
#[doc(alias = "UnpicklingError")]
#[doc(alias = "PicklingError")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The bytes end in the middle.
    #[error("the pickle ends in the middle, after {length} bytes")]
    Truncated {
        /// How many bytes there are.
        length: usize,
    },
    /// These bytes are no pickle.
    #[error("not a valid pickle: {why} (byte {at})")]
    Malformed {
        /// Where, in bytes from the beginning.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// A pickle that means something to another reader: of another protocol, or with parts that are not in it.
    #[error("the pickle needs what is not supported: {what} (byte {at})")]
    Unsupported {
        /// Where, in bytes from the beginning.
        at: usize,
        /// What is not supported.
        what: &'static str,
    },
    /// An object that contains itself.
    #[error("an object in the pickle contains itself")]
    Cyclic,
    /// More objects inside of each other than are taken, or than CPython's own limit lets it send back.
    #[error(
        "objects are nested deeper than {limit} levels: nest them less, or raise Limits::depth if the sender is trusted"
    )]
    TooDeep {
        /// How many can be written, or would have been taken: [`Limits::depth`](super::Limits::depth).
        limit: usize,
    },
    /// A value that is too large, counted as if nothing in it were shared.
    #[error(
        "the value takes more than {limit} bytes, counted as if nothing in it were shared: raise \
         Limits::memory"
    )]
    TooLarge {
        /// How many bytes would have been taken: [`Limits::memory`](super::Limits::memory).
        limit: usize,
    },
    /// The key of a dict, or an element of a set, that Python would refuse, since it can change.
    ///
    /// Python: `TypeError: unhashable type`.
    #[error("a {kind} cannot be a key of a dict or an element of a set")]
    Unhashable {
        /// Python's name for what it is.
        kind: &'static str,
    },
    /// The bytes of [`Value::Surrogates`](super::Value::Surrogates) are no UTF-8, even with surrogates.
    #[error("the bytes of a str are not UTF-8, even with surrogates")]
    BadText,
    /// What is to be called, to make an [`Object`](super::Object), is neither a name nor an object.
    #[error("a {kind} cannot be called")]
    NotCallable {
        /// Python's name for what it is.
        kind: &'static str,
    },
    /// An int of 2 GiB or more.
    #[error("an int of {bytes} bytes is longer than a pickle can hold")]
    IntTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}
