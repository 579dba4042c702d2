//! A value that is nothing but bytes: `Vec<u8>`, which serde would take to pieces, one call for each byte.

use castaway::cast;
use std::cell::Cell;

/// The value's bytes, if its type is `Vec<u8>`.
#[inline]
pub fn as_block<T: ?Sized>(value: &T) -> Option<&Vec<u8>> {
    cast!(value, &Vec<u8>).ok()
}

/// Whether the type is `Vec<u8>`.
#[inline]
pub fn is_block<T>() -> bool {
    from_block::<T>(Vec::new()).is_some()
}

/// The value that is these bytes; `None` if its type is not `Vec<u8>`.
#[inline]
pub fn from_block<T>(bytes: Vec<u8>) -> Option<T> {
    let value = Cell::new(None::<T>);
    // By a shared reference: castaway 0.2 copies a mutable one while the first is still in use.
    if let Ok(slot) = cast!(&value, &Cell<Option<Vec<u8>>>) {
        slot.set(Some(bytes));
    }
    value.into_inner()
}

/// The value's bytes, if it is a `Vec<u8>`, or a tuple of one.
#[inline]
pub fn as_lone_block<T>(value: &T) -> Option<&Vec<u8>> {
    as_block(value).or_else(|| cast!(value, &(Vec<u8>,)).ok().map(|(block,)| block))
}

/// Whether the type is one of the two.
#[inline]
pub(super) fn is_lone_block<T>() -> bool {
    from_lone_block::<T>(Vec::new()).is_some()
}

/// The value that is these bytes; `None` if its type is none of the two.
#[inline]
pub(super) fn from_lone_block<T>(bytes: Vec<u8>) -> Option<T> {
    let value = Cell::new(None::<T>);
    if let Ok(slot) = cast!(&value, &Cell<Option<Vec<u8>>>) {
        slot.set(Some(bytes));
    } else if let Ok(slot) = cast!(&value, &Cell<Option<(Vec<u8>,)>>) {
        slot.set(Some((bytes,)));
    }
    value.into_inner()
}

/// The bytes that the value is, if its type is `Vec<u8>`; else the value.
#[inline]
pub(super) fn into_block<T>(value: T) -> Result<Vec<u8>, T> {
    let value = Cell::new(Some(value));
    let block = cast!(&value, &Cell<Option<Vec<u8>>>).ok().and_then(Cell::take);
    match (block, value.into_inner()) {
        (Some(block), _) => Ok(block),
        (None, Some(value)) => Err(value),
        // A value was there just before.
        (None, None) => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_block_may_stand_in_a_tuple_of_one() {
        assert_eq!(as_lone_block(&(vec![1_u8, 2],)), Some(&vec![1, 2]));
        assert_eq!(as_lone_block(&vec![1_u8]), Some(&vec![1]));
        assert!(
            as_lone_block(&(vec![1_u8], vec![2_u8])).is_none() && as_lone_block(&(vec![1_i8],)).is_none()
        );
        assert_eq!(from_lone_block::<(Vec<u8>,)>(vec![3]), Some((vec![3],)));
        assert!(is_lone_block::<Vec<u8>>() && is_lone_block::<(Vec<u8>,)>() && !is_lone_block::<(u8,)>());
        assert_eq!(into_block(vec![1_u8]), Ok(vec![1]));
        assert_eq!(into_block((vec![1_u8],)), Err((vec![1],)));
    }

    #[test]
    fn only_a_vector_of_bytes_is_a_block() {
        assert_eq!(as_block(&vec![1_u8, 2]), Some(&vec![1, 2]));
        assert_eq!(from_block::<Vec<u8>>(vec![3]), Some(vec![3]));
        assert!(is_block::<Vec<u8>>());
        assert!(
            as_block(&vec![1_i8]).is_none()
                && as_block(&"text").is_none()
                && as_block(&Box::new([1_u8])).is_none()
        );
        assert!(from_block::<String>(vec![]).is_none() && !is_block::<Option<Vec<u8>>>());
    }

    #[test]
    fn a_borrowing_type_is_asked_too() {
        fn ask<'a, T: From<&'a str>>(text: &'a str) -> bool {
            as_block(&T::from(text)).is_some()
        }
        let text = String::from("text");
        assert!(!ask::<&str>(&text) && ask::<Vec<u8>>(&text));
    }
}
