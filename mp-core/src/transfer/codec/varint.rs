//! Varints of up to eight bytes in a register: no branch and no store for each byte.
//!
//! ```text
//!   value   … cccccccbbbbbbbaaaaaaa   ──spread──►  .ccccccc .bbbbbbb .aaaaaaa   ──top bits──►  0ccccccc 1bbbbbbb 1aaaaaaa
//! ```
//!
//! Seven bits a byte, the lowest first; the top bit says that more follow.

/// The top bit of each byte.
const MORE: u64 = 0x8080_8080_8080_8080;

/// The bytes of a value, the first one lowest, and how many they are; `None`: more than eight.
#[inline]
pub(super) fn to_word(value: u64) -> Option<(u64, usize)> {
    if value >> 56 != 0 {
        return None;
    }
    let length = (70 - (value | 1).leading_zeros()) / 7;
    let word = (value & 0x00FF_FFFF_F000_0000) << 4 | value & 0x0FFF_FFFF;
    let word = (word & 0x0FFF_C000_0FFF_C000) << 2 | word & 0x0000_3FFF_0000_3FFF;
    let word = (word & 0x3F80_3F80_3F80_3F80) << 1 | word & 0x007F_007F_007F_007F;
    // The last byte has none.
    let more = MORE & ((1 << (8 * (length - 1))) - 1);
    Some((word | more, length as usize))
}

/// The value that bytes begin with, and how many it takes; `None`: it does not end within them, or within eight.
#[inline]
pub(super) fn from_front(bytes: &[u8]) -> Option<(u64, usize)> {
    let word = first_eight(bytes);
    let last = !word & MORE;
    let length = (last.trailing_zeros() / 8 + 1) as usize;
    if last == 0 || length > bytes.len() {
        return None;
    }
    // Up to and with the byte that ends it.
    let word = word & (last ^ (last - 1)) & !MORE;
    let word = (word & 0x7F00_7F00_7F00_7F00) >> 1 | word & 0x007F_007F_007F_007F;
    let word = (word & 0x3FFF_0000_3FFF_0000) >> 2 | word & 0x0000_3FFF_0000_3FFF;
    Some(((word & 0x0FFF_FFFF_0000_0000) >> 4 | word & 0x0FFF_FFFF, length))
}

/// Up to eight bytes, the first one lowest; zeros where there are fewer.
#[inline]
fn first_eight(bytes: &[u8]) -> u64 {
    if let Some(eight) = bytes.first_chunk() {
        return u64::from_le_bytes(*eight);
    }
    if let (Some(low), Some(high)) = (bytes.first_chunk(), bytes.last_chunk()) {
        // Two halves, which overlap where there are fewer than eight.
        let (low, high) = (u32::from_le_bytes(*low), u32::from_le_bytes(*high));
        return u64::from(low) | u64::from(high) << (8 * (bytes.len() - 4));
    }
    let byte = |at: usize| bytes.get(at).map_or(0, |byte| u64::from(*byte) << (8 * at));
    byte(0) | byte(1) | byte(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        bytes
    }

    #[test]
    fn every_length_is_written_and_read_as_byte_by_byte() {
        for bits in 0..64 {
            for value in [1 << bits, (1 << bits) - 1, 0xDEAD_BEEF_DEAD_BEEF >> bits] {
                let mut bytes = plain(value);
                let length = bytes.len();
                match to_word(value) {
                    Some((word, count)) => assert_eq!(word.to_le_bytes()[..count], bytes),
                    None => assert!(length > 8),
                }
                for behind in 0..9 {
                    let found = from_front(&bytes);
                    assert_eq!(found, (length <= 8).then_some((value, length)), "{value:x}, {behind}");
                    bytes.push(if behind % 2 == 0 { 0xFF } else { 0 });
                }
                for cut in 0..length {
                    assert_eq!(from_front(&plain(value)[..cut]), None);
                }
            }
        }
    }
}
