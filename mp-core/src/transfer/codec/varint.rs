//! Varints in a register: no branch and no store for each byte.
//!
//! ```text
//!   value   … cccccccbbbbbbbaaaaaaa   ──spread──►  .ccccccc .bbbbbbb .aaaaaaa   ──top bits──►  0ccccccc 1bbbbbbb 1aaaaaaa
//! ```
//!
//! Seven bits a byte, the lowest first; the top bit says that more follow.

/// The top bit of each byte.
pub(super) const MORE: u64 = 0x8080_8080_8080_8080;

/// What eight bytes hold.
const OF_EIGHT: u32 = 56;
/// The most bytes of a number of 64 bits.
pub(super) const MOST: usize = 10;

/// The bytes of a value, and how many of them are meant.
#[inline]
pub(super) fn to_bytes(value: u64) -> ([u8; MOST], usize) {
    let (low, high) = (spread(value), value >> OF_EIGHT);
    let length = (70 - (value | 1).leading_zeros()) as usize / 7;
    // The last byte has no top bit.
    let more = if high == 0 { MORE & ((1 << (8 * (length - 1))) - 1) } else { MORE };
    let mut bytes = [0; MOST];
    bytes[..8].copy_from_slice(&(low | more).to_le_bytes());
    bytes[8] = high as u8;
    bytes[9] = (high >> 7) as u8;
    (bytes, length)
}

/// The value that bytes begin with, and how many it takes; 0: it does not end within them, or within 64 bits. Out of
/// line: most numbers are one byte, and the code that reads them stays small.
#[inline(never)]
pub(super) fn of_several(bytes: &[u8]) -> (u64, usize) {
    from_front(bytes).unwrap_or((0, 0))
}

/// The value that bytes begin with, and how many it takes; `None`: it does not end within them, or within 64 bits.
#[inline(always)]
fn from_front(bytes: &[u8]) -> Option<(u64, usize)> {
    let word = first_eight(bytes);
    let last = !word & MORE;
    if last == 0 {
        return of_nine_or_ten(gathered(word), bytes.get(8..)?);
    }
    let length = (last.trailing_zeros() / 8 + 1) as usize;
    // Up to and with the byte that ends it.
    let word = word & (last ^ (last - 1));
    (length <= bytes.len()).then(|| (gathered(word), length))
}

fn of_nine_or_ten(low: u64, behind: &[u8]) -> Option<(u64, usize)> {
    match *behind {
        [high @ ..0x80, ..] => Some((low | u64::from(high) << OF_EIGHT, 9)),
        [high, last @ 0..=1, ..] => {
            let high = u64::from(high & 0x7F) | u64::from(last) << 7;
            Some((low | high << OF_EIGHT, MOST))
        }
        _ => None,
    }
}

/// The lowest 56 bits, seven in each byte.
#[inline]
fn spread(value: u64) -> u64 {
    let word = (value & 0x00FF_FFFF_F000_0000) << 4 | value & 0x0FFF_FFFF;
    let word = (word & 0x0FFF_C000_0FFF_C000) << 2 | word & 0x0000_3FFF_0000_3FFF;
    (word & 0x3F80_3F80_3F80_3F80) << 1 | word & 0x007F_007F_007F_007F
}

/// Seven bits of each byte, side by side.
#[inline]
fn gathered(word: u64) -> u64 {
    let word = word & !MORE;
    let word = (word & 0x7F00_7F00_7F00_7F00) >> 1 | word & 0x007F_007F_007F_007F;
    let word = (word & 0x3FFF_0000_3FFF_0000) >> 2 | word & 0x0000_3FFF_0000_3FFF;
    (word & 0x0FFF_FFFF_0000_0000) >> 4 | word & 0x0FFF_FFFF
}

/// Up to eight bytes, the first one lowest; zeros where there are fewer.
#[inline]
pub(super) fn first_eight(bytes: &[u8]) -> u64 {
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
                let (written, count) = to_bytes(value);
                assert_eq!(written[..count], bytes);
                for behind in 0..9 {
                    let found = from_front(&bytes);
                    assert_eq!(found, Some((value, length)), "{value:x}, {behind}");
                    bytes.push(if behind % 2 == 0 { 0xFF } else { 0 });
                }
                for cut in 0..length {
                    assert_eq!(from_front(&plain(value)[..cut]), None);
                }
            }
        }
    }

    #[test]
    fn more_than_64_bits_are_no_number() {
        for last in [2, 3, 0x7F, 0x80, 0x81] {
            assert_eq!(from_front(&[[0xFF; 9].as_slice(), &[last, 0]].concat()), None, "{last:x}");
        }
    }
}
