//! Where the segments lie: one after the other, each twice as long as the one before.
//!
//! The segments that may be in use together fit under the ceiling. The *whole* segment lies behind them, if it fits under
//! the ceiling alone: a record that fits nowhere else goes there, once all others were taken.

use super::chain::SEGMENTS;
use super::storage::UNIT;

/// The length of segment 0 in bytes.
const SMALLEST: usize = 256 << 10;

/// The length of a segment in bytes.
pub(crate) const fn segment_bytes(segment: usize) -> usize {
    SMALLEST << segment
}

/// The offset of a segment from the beginning of the first one, in bytes.
pub(crate) const fn segment_offset(segment: usize) -> usize {
    SMALLEST * ((1 << segment) - 1)
}

/// The number of segments that fit under a ceiling of bytes; at least one. With the ceiling this bounds the
/// memory of a queue.
pub(crate) fn segments_within(ceiling: usize) -> usize {
    (1..SEGMENTS)
        .take_while(|&count| segment_offset(count + 1) <= ceiling)
        .last()
        .map_or(1, |count| count + 1)
}

/// Whether there is a whole segment behind so many others.
pub(crate) fn has_whole(ceiling: usize, segments: usize) -> bool {
    segments < SEGMENTS && segment_bytes(segments) <= ceiling
}

/// The length of a segment in units of 8 bytes.
pub(crate) const fn segment_units(segment: usize) -> u32 {
    (segment_bytes(segment) / UNIT) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_each_other_without_a_gap() {
        for segment in 0..12 {
            assert_eq!(segment_offset(segment) + segment_bytes(segment), segment_offset(segment + 1));
        }
    }

    #[test]
    fn a_ceiling_is_not_passed() {
        assert_eq!(segments_within(0), 1);
        assert!(!has_whole(SMALLEST, 1) && has_whole(2 * SMALLEST, 1) && !has_whole(usize::MAX, SEGMENTS));
        for ceiling in [1 << 20, 10 << 20, 1 << 30] {
            let count = segments_within(ceiling);
            assert!(segment_offset(count) <= ceiling);
            assert!(segment_offset(count + 1) > ceiling || count == SEGMENTS);
            assert!(has_whole(ceiling, count) && 2 * segment_bytes(count) > ceiling);
        }
    }
}
