//! Where the segments lie: each twice as long as the one before, one after the other.

use super::UNIT;

/// Bytes in segment 0.
const SMALLEST: usize = 256 << 10;

/// Bytes in a segment.
pub(crate) const fn segment_bytes(segment: usize) -> usize {
    SMALLEST << segment
}

/// Where a segment begins, counted from the first one's beginning.
pub(crate) const fn segment_offset(segment: usize) -> usize {
    SMALLEST * ((1 << segment) - 1)
}

/// How many segments fit under a ceiling; at least one.
pub(crate) fn segments_within(ceiling: usize) -> usize {
    (1..super::SEGMENTS)
        .take_while(|&count| segment_offset(count + 1) <= ceiling)
        .last()
        .map_or(1, |count| count + 1)
}

/// Units of 8 bytes in a segment.
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
        for ceiling in [1 << 20, 10 << 20, 1 << 30] {
            let count = segments_within(ceiling);
            assert!(segment_offset(count) <= ceiling);
            assert!(segment_offset(count + 1) > ceiling || count == super::super::SEGMENTS);
        }
    }
}
