//! The format of a value: postcard's (<https://postcard.jamesmunns.com/wire-format>), written and read here so that
//! the reason of a failure is kept: what the value's own `Serialize` or `Deserialize` said, which field, which type.
//!
//! ```text
//!  u8, i8, bool     one byte              str, bytes   length, bytes        struct, tuple   their fields, no names
//!  other integers   varint (zigzag: i…)   Option       0 | 1, value         enum            varint index, content
//!  f32, f64         little-endian         seq, map     length, elements     unit            nothing
//! ```
//!
//! The format does not describe itself: the reader must ask for what the writer wrote, in the same order.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod text;
mod varint;

pub(super) use decode::{decode, needs_description};
pub(super) use encode::encode_onto;

use std::fmt;

/// Why a value could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// What the value's own code, or this library's, said.
    Said(String),
    /// The reader asks what comes next.
    NotDescribed,
    /// The writer leaves out a field that the reader expects.
    Skipped { structure: &'static str, field: &'static str },
    /// The writer does not know how many elements there are.
    UnknownLength,
    /// The bytes end within the value.
    End,
    /// The bytes are not what the reader asks for.
    Not(&'static str),
}

/// The cause when the bytes do not fit the type, and what to do.
pub(crate) const OTHER_TYPE: &str = "it was written as another type, so send and receive the same type";

/// What to do with a type that needs names beside its values.
const REMEDY: &str =
    "send it as mp::SelfDescribing(value) (feature `self-describing`), or without the attribute";

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Said(what) => f.write_str(what),
            Reason::NotDescribed => write!(
                f,
                "it can only be read from a format that describes itself (serde_json::Value, #[serde(untagged)], \
                 #[serde(tag)], #[serde(flatten)]): {REMEDY}"
            ),
            Reason::Skipped { structure, field } => write!(
                f,
                "field `{field}` of {structure} is left out (#[serde(skip_serializing_if)]), and the receiver would \
                 read the next field in its place: {REMEDY}"
            ),
            Reason::UnknownLength => write!(
                f,
                "the format cannot hold a sequence or map of unknown length, as #[serde(flatten)] makes one: {REMEDY}"
            ),
            Reason::End => write!(f, "the bytes end within the value: {OTHER_TYPE}"),
            Reason::Not(what) => write!(f, "no {what} was found where one is expected: {OTHER_TYPE}"),
        }
    }
}

/// A [`Reason`] behind one word. A result of a field then fits into registers, so that reading the field is inlined
/// and the field goes straight to its place: through memory it costs more than the decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure(Box<Reason>);

impl Failure {
    /// The bytes end within the value.
    #[cold]
    #[inline(never)]
    fn end() -> Failure {
        Reason::End.into()
    }

    /// The bytes are no such thing.
    #[cold]
    #[inline(never)]
    fn not(what: &'static str) -> Failure {
        Reason::Not(what).into()
    }
}

impl From<Reason> for Failure {
    #[cold]
    #[inline(never)]
    fn from(reason: Reason) -> Failure {
        Failure(Box::new(reason))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl serde::ser::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(what: T) -> Failure {
        Reason::Said(what.to_string()).into()
    }
}

impl serde::de::Error for Failure {
    #[cold]
    fn custom<T: fmt::Display>(what: T) -> Failure {
        Reason::Said(what.to_string()).into()
    }
}
