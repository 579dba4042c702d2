//! A shareable value as its bytes, and bytes as a value.
//!
//! # Safety
//! The one invariant: a [`Shareable`] type has no padding, and every bit pattern is a value of it.
#![allow(unsafe_code)]

use super::shared_ref::Shareable;
use std::mem::MaybeUninit;
use std::slice;

/// The bytes of a value, in this machine's order.
#[inline]
pub fn bytes_of<T: Shareable>(value: &T) -> &[u8] {
    // SAFETY: the value's own bytes, each of them initialised, since there is no padding.
    unsafe { slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

/// The bytes of all values of a slice, in this machine's order.
#[inline]
pub fn bytes_of_all<T: Shareable>(values: &[T]) -> &[u8] {
    // SAFETY: the values' own bytes, each of them initialised, since there is no padding in them, nor between them.
    unsafe { slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The value of these bytes.
///
/// # Panics
/// If the number of bytes is not the size of the value.
#[inline]
pub fn value_of<T: Shareable>(bytes: &[u8]) -> T {
    assert_eq!(bytes.len(), size_of::<T>(), "a value is as long as its type");
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as many bytes, checked above, into a place of that size.
    unsafe { value.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    // SAFETY: every byte is written, and every bit pattern is a value.
    unsafe { value.assume_init() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_bytes_and_back() {
        let value = [1_u32, u32::MAX, 7];
        assert_eq!(bytes_of(&value).len(), 12);
        // From an odd address too.
        let mut bytes = vec![0];
        bytes.extend_from_slice(bytes_of(&value));
        assert_eq!(value_of::<[u32; 3]>(&bytes[1..]), value);
    }

    #[test]
    #[should_panic(expected = "as long as its type")]
    fn bytes_of_another_length_are_refused() {
        value_of::<u64>(&[0; 7]);
    }
}
