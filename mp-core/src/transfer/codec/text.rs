//! Text from bytes. Most texts are short and in ASCII: for those `str::from_utf8` takes three times as long as to look
//! at eight bytes at once does.
//!
//! # Safety
//! The one invariant: bytes become a `str` unchecked only if no byte has its top bit.
#![allow(unsafe_code)]

use super::varint::{MORE, first_eight};

/// Bytes up to which a text counts as short.
const SHORT: usize = 64;

/// The text that these bytes are in UTF-8.
#[inline]
pub(super) fn of(bytes: &[u8]) -> Option<&str> {
    if bytes.len() <= SHORT && is_ascii(bytes) {
        // SAFETY: every byte of ASCII is a character in UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes).ok()
}

#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else { return first_eight(bytes) & MORE == 0 };
    let (eights, _) = bytes.as_chunks::<8>();
    // The last eight overlap those before them.
    let all = eights.iter().fold(u64::from_le_bytes(*last), |all, eight| all | u64::from_le_bytes(*eight));
    all & MORE == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_text_where_the_standard_library_says_so() {
        for length in 0..SHORT + 9 {
            let mut bytes = vec![b'x'; length];
            assert_eq!(of(&bytes), std::str::from_utf8(&bytes).ok());
            for at in 0..length {
                for other in [0x7F, 0x80, 0xC3, 0xFF] {
                    bytes[at] = other;
                    assert_eq!(of(&bytes), std::str::from_utf8(&bytes).ok(), "{other:x} at {at} of {length}");
                }
                bytes[at] = b'x';
            }
            for at in 1..length {
                bytes[at - 1..=at].copy_from_slice("é".as_bytes());
                assert_eq!(of(&bytes), std::str::from_utf8(&bytes).ok());
                bytes[at - 1..=at].fill(b'x');
            }
        }
    }
}
