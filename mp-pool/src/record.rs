//! Items and outcomes as bytes, one after the other.
//!
//! ```text
//!   arguments:  code, once | length, packed arguments | length, packed arguments | …
//!               where tasks are numbered: length, the call's number, the item's number, packed arguments
//!   results:    0, length, packed value | 1, length, packed failure | …
//! ```
//!
//! A length is seven bits a byte, the lowest first; the top bit says that more follow.

use crate::error::Failure;
use crate::output::TaskNumber;
use mp_core::CodecError;
use mp_core::transfer::{Code, Handle, pack, pack_value_with, unpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What begins a record of a result.
const VALUE: u8 = 0;
const FAILURE: u8 = 1;

/// The most bytes that a record has beside its content.
pub(crate) const HEAD: usize = 1 + 10;

/// Appends a length.
#[inline]
pub(crate) fn put_length(mut length: usize, bytes: &mut Vec<u8>) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// Takes a length off the front; `None`: it is none.
#[inline]
pub(crate) fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for at in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7F).checked_shl(7 * at)?;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

#[inline(never)]
fn take_long_length(bytes: &mut &[u8]) -> Option<usize> {
    take_length(bytes)
}

/// Takes what a length is in front of off the front. Most lengths are one byte.
#[inline]
fn take_content<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match **bytes {
        [length @ 0..0x80, ref rest @ ..] => {
            *bytes = rest;
            length.into()
        }
        _ => take_long_length(bytes)?,
    };
    let (content, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(content)
}

/// Appends an item, with its number in front of its arguments if that is wanted, and its handles to a vector that has
/// none.
#[inline]
pub(crate) fn put_item<T: Serialize + DeserializeOwned>(
    number: Option<TaskNumber>,
    item: &T,
    bytes: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CodecError>> {
    let before = bytes.len();
    // Most are shorter than 128 bytes: one byte for their length.
    bytes.push(0);
    if let Some(number) = number {
        put_number(number, bytes);
    }
    if let Err(error) = pack_value_with(item, bytes, handles) {
        bytes.truncate(before);
        return Err(error);
    }
    let length = bytes.len() - before - 1;
    if length < 0x80 {
        bytes[before] = length as u8;
    } else {
        put_long_head(length, before, bytes);
    }
    Ok(())
}

#[cold]
fn put_number(TaskNumber { call, item }: TaskNumber, bytes: &mut Vec<u8>) {
    put_length(call as usize, bytes);
    put_length(item as usize, bytes);
}

/// Puts a length that takes more than the one byte that was left for it.
#[inline(never)]
fn put_long_head(length: usize, at: usize, bytes: &mut Vec<u8>) {
    let mut head = Vec::with_capacity(HEAD);
    put_length(length, &mut head);
    bytes.splice(at..=at, head);
}

/// What is in front of bytes of this length that are an item, or a value, by themselves: the head of the item, and the
/// length that begins the packed bytes.
pub(crate) fn put_block_heads(
    length: usize,
    put_head: impl FnOnce(usize, &mut Vec<u8>),
    bytes: &mut Vec<u8>,
) {
    let inner = (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize;
    put_head(inner + length, bytes);
    put_length(length, bytes);
}

/// Takes an item off the front.
#[inline]
pub(crate) fn take_item<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    take_content(bytes)
}

/// Takes the number off the front of an item.
pub(crate) fn take_number(item: &mut &[u8]) -> Option<TaskNumber> {
    let (call, item) = (take_length(item)? as u64, take_length(item)? as u64);
    Some(TaskNumber { call, item })
}

/// The code as the beginning of a chunk.
pub(crate) fn code_to_bytes(code: &Code) -> Result<Vec<u8>, CodecError> {
    let packed = pack(code)?.bytes;
    let mut bytes = Vec::with_capacity(packed.len() + 1);
    put_length(packed.len(), &mut bytes);
    bytes.extend_from_slice(&packed);
    Ok(bytes)
}

/// Takes the packed code off the front of a chunk.
pub(crate) fn take_code<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    take_content(bytes)
}

pub(crate) fn code_of(packed: &[u8]) -> Result<Code, CodecError> {
    unpack(packed, Vec::new())
}

/// The bytes in front of a packed value of less than 128 bytes.
pub(crate) const SHORT_HEAD: usize = 2;

/// What is in front of a packed value of this length, if that is less than 128.
#[inline]
pub(crate) fn short_value_head(length: usize) -> Option<[u8; SHORT_HEAD]> {
    (length < 0x80).then_some([VALUE, length as u8])
}

/// Appends what is in front of a packed value of this length.
#[inline]
pub(crate) fn put_value_head(length: usize, bytes: &mut Vec<u8>) {
    bytes.push(VALUE);
    put_length(length, bytes);
}

pub(crate) fn put_failure(failure: &Failure, bytes: &mut Vec<u8>) {
    // Nothing but text and lengths: it can be packed.
    let packed = pack(failure).map(|message| message.bytes).unwrap_or_default();
    bytes.push(FAILURE);
    put_length(packed.len(), bytes);
    bytes.extend_from_slice(&packed);
}

/// A value of less than 128 bytes at the front, and what is behind it; `None`: another record is there, or none.
#[inline]
pub(crate) fn split_short_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [VALUE, length @ 0..0x80, rest @ ..] = bytes else { return None };
    rest.split_at_checked(usize::from(*length))
}

/// How long the record at the front is; `None`: there is no whole one.
#[inline]
pub(crate) fn record_length(bytes: &[u8]) -> Option<usize> {
    // A value of less than 128 bytes.
    if let [VALUE, length @ 0..0x80, rest @ ..] = bytes {
        let length = usize::from(*length);
        return (length <= rest.len()).then_some(SHORT_HEAD + length);
    }
    let (&(VALUE | FAILURE), mut rest) = bytes.split_first()? else { return None };
    take_content(&mut rest)?;
    Some(bytes.len() - rest.len())
}

/// Whether a record is a value's.
pub(crate) fn is_value(record: &[u8]) -> bool {
    record.first() == Some(&VALUE)
}

/// Where the bytes begin that are the whole value of a record of this length, of which these are the first.
pub(crate) fn begin_of_block_value(record: &[u8], length: usize) -> Option<usize> {
    let (&VALUE, mut rest) = record.split_first()? else { return None };
    take_length(&mut rest)?;
    let block = take_length(&mut rest)?;
    let at = record.len() - rest.len();
    (at + block == length).then_some(at)
}

/// A packed value so short that it needs no memory of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short {
    length: u8,
    bytes: [u8; Short::MOST],
}

impl Short {
    pub(crate) const MOST: usize = 31;

    /// The value of a record; `None`: it is none, or too long.
    #[inline]
    pub(crate) fn of(record: &[u8]) -> Option<Short> {
        let (value, _) = split_short_value(record).filter(|(value, _)| value.len() <= Short::MOST)?;
        let mut bytes = [0; Short::MOST];
        bytes[..value.len()].copy_from_slice(value);
        Some(Short { length: value.len() as u8, bytes })
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// What a record says.
#[derive(Debug)]
pub(crate) enum Outcome<'a> {
    Value(&'a [u8]),
    Failure(Failure),
}

/// Takes an outcome off the front; `None`: there is no whole one.
#[inline]
pub(crate) fn take_outcome<'a>(bytes: &mut &'a [u8]) -> Option<Outcome<'a>> {
    let (&kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match kind {
        VALUE => take_content(bytes).map(Outcome::Value),
        FAILURE => unpack(take_content(bytes)?, Vec::new()).ok().map(Outcome::Failure),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Deserializer, Serializer};

    #[test]
    fn items_come_back_in_their_order_whatever_their_length() {
        let items: Vec<String> = [0, 1, 126, 127, 128, 129, 20_000].map(|length| "x".repeat(length)).to_vec();
        let mut bytes = Vec::new();
        for item in &items {
            put_item(None, item, &mut bytes, &mut vec![]).unwrap();
        }
        let mut rest = bytes.as_slice();
        for item in &items {
            assert_eq!(unpack::<String>(take_item(&mut rest).unwrap(), vec![]).unwrap(), *item);
        }
        assert_eq!(take_item(&mut rest), None);
    }

    #[test]
    fn a_block_is_an_item_as_any_other() {
        for length in [0, 1, 126, 127, 128, 20_000] {
            let mut bytes = Vec::new();
            put_item(None, &(vec![7_u8; length],), &mut bytes, &mut vec![]).unwrap();
            let mut rest = bytes.as_slice();
            let item = take_item(&mut rest).unwrap();
            assert_eq!(unpack::<(Vec<u8>,)>(item, vec![]).unwrap().0, vec![7; length]);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn an_item_that_cannot_be_packed_leaves_nothing() {
        struct Unwilling;
        impl Serialize for Unwilling {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("unwilling"))
            }
        }
        impl<'de> Deserialize<'de> for Unwilling {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Unwilling)
            }
        }
        let mut bytes = vec![7];
        let refused = put_item(None, &(1_u8, Unwilling), &mut bytes, &mut vec![]);
        assert!(refused.is_err());
        assert_eq!(bytes, [7]);
    }

    #[test]
    fn the_heads_of_a_block_are_those_of_a_packed_one() {
        for length in [0, 127, 128, 20_000] {
            let block = vec![7_u8; length];
            let (mut packed, mut by_hand) = (Vec::new(), Vec::new());
            put_item(None, &(block.clone(),), &mut packed, &mut vec![]).unwrap();
            put_block_heads(length, put_length, &mut by_hand);
            by_hand.extend_from_slice(&block);
            assert_eq!(by_hand, packed);
        }
    }

    #[test]
    fn a_short_value_is_told_from_other_records() {
        for length in [0, 1, Short::MOST, Short::MOST + 1, 127, 128] {
            let mut record = Vec::new();
            put_value_head(length, &mut record);
            record.resize(record.len() + length, 7);
            let split = split_short_value(&record);
            assert_eq!(split, (length < 0x80).then_some((&[7; 128][..length], &[][..])));
            assert_eq!(record_length(&record), Some(record.len()));
            assert_eq!(
                record_length(&record[..record.len() - usize::from(length > 0)]).is_some(),
                length == 0
            );
            let short = Short::of(&record).map(|short| short.as_slice().to_vec());
            assert_eq!(short, (length <= Short::MOST).then(|| vec![7; length]));
            assert!(length == 0 || Short::of(&record[..record.len() - 1]).is_none());
        }
        let mut failure = Vec::new();
        put_failure(&Failure::Failed("so".to_owned()), &mut failure);
        assert!(Short::of(&failure).is_none() && Short::of(&[]).is_none());
    }

    #[test]
    fn outcomes_come_back_and_half_ones_do_not() {
        let mut bytes = Vec::new();
        put_value_head(3, &mut bytes);
        bytes.extend([1, 2, 3]);
        put_failure(&Failure::Failed("so".to_owned()), &mut bytes);
        let mut rest = bytes.as_slice();
        assert!(matches!(take_outcome(&mut rest), Some(Outcome::Value([1, 2, 3]))));
        assert!(
            matches!(take_outcome(&mut rest), Some(Outcome::Failure(Failure::Failed(why))) if why == "so")
        );
        assert!(take_outcome(&mut rest).is_none());
        for cut in 1..5 {
            assert!(take_outcome(&mut &bytes[..cut]).is_none());
        }
        assert!(take_outcome(&mut &[9, 9, 9][..]).is_none());
        assert!(take_item(&mut &[0xFF; 12][..]).is_none());
    }
}
