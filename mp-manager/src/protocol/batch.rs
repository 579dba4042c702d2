//! Calls on a dict that are sent together, and what they give: bytes that are read where they lie.
//!
//! ```text
//!   call    kind, key [, value or number]     kind: a byte
//!   result  none | a value
//!   value   length, bytes | BESIDE: the next one of `beside`
//!   length  a byte, or LONG and eight of them
//! ```
//! A value with handles, or with objects of the manager, stands beside the bytes.

#[cfg(test)]
mod tests;

use super::{Failure, Number, Packed};
use serde::{Deserialize, Serialize};

/// The calls, in their order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Batch(Parts);

/// What each of them gives, in the same order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Results(Parts);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Parts {
    bytes: Vec<u8>,
    beside: Vec<Packed>,
}

/// One of the calls.
#[derive(Debug)]
pub(crate) enum BatchCall<'a> {
    Get(&'a [u8]),
    Insert(&'a [u8], BatchValue<'a>),
    Remove(&'a [u8]),
    Add(&'a [u8], Number, &'a [u8]),
}

/// A value in a batch or in its results.
#[derive(Debug)]
pub(crate) enum BatchValue<'a> {
    Plain(&'a [u8]),
    Beside(&'a Packed),
}

const GET: u8 = 0;
const INSERT: u8 = 1;
const REMOVE: u8 = 2;
const ADD: u8 = 3;

/// In place of a length: there is no value.
const NONE: u8 = 253;
/// In place of a length: the value stands beside the bytes.
const BESIDE: u8 = 254;
/// In place of a length, which follows.
const LONG: u8 = 255;

/// By their places in the enum.
const NUMBERS: [Number; 12] = [
    Number::I8,
    Number::I16,
    Number::I32,
    Number::I64,
    Number::I128,
    Number::U8,
    Number::U16,
    Number::U32,
    Number::U64,
    Number::U128,
    Number::F32,
    Number::F64,
];

/// Bytes that no client of this library has sent.
fn damaged() -> Failure {
    Failure::Codec("the batch is damaged: nothing of it from there on was done".to_owned())
}

impl Parts {
    /// Appends bytes that `write` appends, behind their length. After an error there may be more.
    #[inline]
    fn append<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let at = self.bytes.len();
        self.bytes.push(0);
        write(&mut self.bytes)?;
        let length = self.bytes.len() - at - 1;
        if length < usize::from(NONE) {
            self.bytes[at] = length as u8;
        } else {
            self.lengthen(at, length);
        }
        Ok(())
    }

    #[cold]
    fn lengthen(&mut self, at: usize, length: usize) {
        self.bytes[at] = LONG;
        self.bytes.splice(at + 1..at + 1, (length as u64).to_le_bytes());
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() < usize::from(NONE) {
            self.bytes.push(bytes.len() as u8);
        } else {
            self.bytes.push(LONG);
            self.bytes.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        }
        self.bytes.extend_from_slice(bytes);
    }

    #[inline]
    fn put_value(&mut self, value: Packed) {
        if value.message.handles.is_empty() && value.objects.is_empty() {
            self.put(&value.message.bytes);
        } else {
            self.bytes.push(BESIDE);
            self.beside.push(value);
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.bytes, beside: self.beside.iter() }
    }
}

impl Batch {
    /// A call that reads a key, whose bytes `key` appends.
    #[inline]
    pub(crate) fn get<E>(&mut self, key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        self.call(GET, key)
    }

    /// A call that removes one.
    pub(crate) fn remove<E>(&mut self, key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        self.call(REMOVE, key)
    }

    /// A call that gives one a value.
    pub(crate) fn insert<E>(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        value: Packed,
    ) -> Result<(), E> {
        self.call(INSERT, key)?;
        self.0.put_value(value);
        Ok(())
    }

    /// A call that adds to one's number.
    pub(crate) fn add<E>(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
        kind: Number,
        by: &[u8],
    ) -> Result<(), E> {
        self.call(ADD, key)?;
        self.0.bytes.push(kind as u8);
        self.0.put(by);
        Ok(())
    }

    /// An error leaves the batch as it was.
    #[inline]
    fn call<E>(&mut self, kind: u8, key: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let at = self.0.bytes.len();
        self.0.bytes.push(kind);
        self.0.append(key).inspect_err(|_| self.0.bytes.truncate(at))
    }

    /// The calls. An error: the bytes from there on are none.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Result<BatchCall<'_>, Failure>> {
        let mut reader = self.0.reader();
        std::iter::from_fn(move || {
            let (kind, rest) = reader.bytes.split_first()?;
            reader.bytes = rest;
            let call = reader.call(*kind);
            if call.is_none() {
                reader.bytes = &[];
            }
            Some(call.ok_or_else(damaged))
        })
    }
}

impl Results {
    /// A call that gives nothing.
    #[inline]
    pub(crate) fn none(&mut self) {
        self.0.bytes.push(NONE);
    }

    /// One that gives a value without handles and objects.
    #[inline]
    pub(crate) fn plain(&mut self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    /// One that gives any value.
    pub(crate) fn value(&mut self, value: Packed) {
        self.0.put_value(value);
    }

    /// The values that stand beside the bytes.
    pub(crate) fn beside(&self) -> &[Packed] {
        &self.0.beside
    }

    /// What each call gave. An error: the bytes from there on are none.
    pub(crate) fn values(&self) -> impl Iterator<Item = Result<Option<BatchValue<'_>>, Failure>> {
        let mut reader = self.0.reader();
        std::iter::from_fn(move || {
            let first = *reader.bytes.first()?;
            if first == NONE {
                reader.bytes = &reader.bytes[1..];
                return Some(Ok(None));
            }
            let value = reader.value();
            if value.is_none() {
                reader.bytes = &[];
            }
            Some(value.map(Some).ok_or_else(damaged))
        })
    }
}

/// What is left of the parts.
struct Reader<'a> {
    bytes: &'a [u8],
    beside: std::slice::Iter<'a, Packed>,
}

impl<'a> Reader<'a> {
    #[inline]
    fn call(&mut self, kind: u8) -> Option<BatchCall<'a>> {
        let key = self.block()?;
        Some(match kind {
            GET => BatchCall::Get(key),
            INSERT => BatchCall::Insert(key, self.value()?),
            REMOVE => BatchCall::Remove(key),
            ADD => {
                let (kind, rest) = self.bytes.split_first()?;
                self.bytes = rest;
                BatchCall::Add(key, *NUMBERS.get(usize::from(*kind))?, self.block()?)
            }
            _ => return None,
        })
    }

    #[inline]
    fn value(&mut self) -> Option<BatchValue<'a>> {
        if *self.bytes.first()? == BESIDE {
            self.bytes = &self.bytes[1..];
            return self.beside.next().map(BatchValue::Beside);
        }
        self.block().map(BatchValue::Plain)
    }

    /// Bytes behind their length.
    #[inline]
    fn block(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.bytes.split_first()?;
        let (length, rest) = match *first {
            NONE | BESIDE => return None,
            LONG => {
                let (length, rest) = rest.split_first_chunk()?;
                (usize::try_from(u64::from_le_bytes(*length)).ok()?, rest)
            }
            length => (usize::from(length), rest),
        };
        let (block, rest) = rest.split_at_checked(length)?;
        self.bytes = rest;
        Some(block)
    }
}
