//! Where the segments lie: one after the other, each twice as long as the one before.
//!
//! The segments that may be in use together fit under the ceiling. The *whole* segment lies behind them. It is as
//! long as the ceiling, so it need not be a power of two: a record that fits nowhere else goes there, once all
//! others were taken.

use super::chain::SEGMENTS;
use super::circle::Circle;
use mp_core::sys::memory::PAGE;

/// The length of segment 0 in bytes.
const SMALLEST: usize = 256 << 10;

/// The longest whole segment: no record is longer than 4 GiB.
const LONGEST: usize = u32::MAX as usize / PAGE * PAGE;

/// The number of segments of a queue, and their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segments {
    count: usize,
    /// The length of the last one in pages, if that is the whole one; 0: it is not.
    whole_pages: usize,
}

impl Segments {
    /// The segments under a ceiling of bytes, of which there is at least one, in a file that has room for
    /// `longest` bytes of segments. The ceiling bounds the memory of a queue.
    pub(crate) fn within(ceiling: usize, longest: usize) -> Segments {
        let more = (1..SEGMENTS).take_while(|&count| offset(count + 1) <= ceiling);
        let count = more.last().map_or(1, |count| count + 1);
        let whole = ceiling.min(longest.saturating_sub(offset(count))).min(LONGEST);
        let with_whole = Segments { count: count + 1, whole_pages: whole / PAGE };
        if with_whole.can_have_whole() { with_whole } else { Segments { count, whole_pages: 0 } }
    }

    /// The segments that a queue's memory names; `None`: it was written by other code.
    pub(crate) fn read(count: usize, whole_pages: usize) -> Option<Segments> {
        let segments = Segments { count, whole_pages };
        let is_right = (1..=SEGMENTS).contains(&count) && (whole_pages == 0 || segments.can_have_whole());
        is_right.then_some(segments)
    }

    /// Whether the last segment can be a whole one of this length: it is longer than all others.
    fn can_have_whole(self) -> bool {
        (2..=SEGMENTS).contains(&self.count)
            && self.whole_pages <= LONGEST / PAGE
            && self.whole_pages * PAGE > ordinary_bytes(self.count - 2)
    }

    pub(crate) fn count(self) -> usize {
        self.count
    }

    pub(crate) fn whole_pages(self) -> usize {
        self.whole_pages
    }

    /// Whether it is the whole segment.
    #[inline]
    pub(crate) fn is_whole(self, segment: usize) -> bool {
        self.whole_pages != 0 && segment + 1 == self.count
    }

    /// The length of a segment in bytes.
    pub(crate) fn bytes(self, segment: usize) -> usize {
        if self.is_whole(segment) { self.whole_pages * PAGE } else { ordinary_bytes(segment) }
    }

    /// The offset of a segment from the beginning of the first one, in bytes.
    pub(crate) fn offset(self, segment: usize) -> usize {
        offset(segment)
    }

    /// The end of the last segment.
    pub(crate) fn end(self) -> usize {
        self.offset(self.count - 1) + self.bytes(self.count - 1)
    }

    /// The positions of each segment.
    pub(crate) fn circles(self) -> [Circle; SEGMENTS] {
        let mut circles = [Circle::of_bytes(SMALLEST); SEGMENTS];
        for (segment, circle) in circles.iter_mut().enumerate().take(self.count) {
            *circle = Circle::of_bytes(self.bytes(segment));
        }
        circles
    }
}

/// The length of a segment that is not the whole one, in bytes.
pub(crate) const fn ordinary_bytes(segment: usize) -> usize {
    SMALLEST << segment
}

const fn offset(segment: usize) -> usize {
    SMALLEST * ((1 << segment) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_each_other_without_a_gap() {
        for ceiling in [0, 1 << 20, 3 << 20, 1 << 30] {
            let segments = Segments::within(ceiling, usize::MAX);
            for segment in 0..segments.count() - 1 {
                assert_eq!(segments.offset(segment) + segments.bytes(segment), segments.offset(segment + 1));
            }
        }
    }

    #[test]
    fn the_whole_segment_is_the_ceiling_in_pages() {
        let has = |ceiling, longest| {
            let segments = Segments::within(ceiling, longest);
            (segments.count(), segments.whole_pages() * PAGE)
        };
        assert_eq!([has(0, usize::MAX), has(SMALLEST + PAGE - 1, usize::MAX)], [(1, 0); 2]);
        assert_eq!(has(SMALLEST + PAGE, usize::MAX), (2, SMALLEST + PAGE));
        assert_eq!(has(2 * SMALLEST, usize::MAX), (2, 2 * SMALLEST));
        assert_eq!(has((3 << 20) + 100, usize::MAX), (4, 3 << 20));
        assert_eq!(has(1 << 40, usize::MAX), (SEGMENTS, 0));
        // A short file shortens it, down to none.
        let others = 7 * SMALLEST;
        assert_eq!(has(3 << 20, others + (2 << 20) + 100), (4, 2 << 20));
        assert_eq!(has(3 << 20, others + 4 * SMALLEST), (3, 0));
        for ceiling in (0..200).map(|step| (step * step * step * 977) << 10) {
            let segments = Segments::within(ceiling, usize::MAX);
            let ordinary = segments.count() - usize::from(segments.whole_pages() > 0);
            assert!(offset(ordinary) <= ceiling.max(SMALLEST));
            let largest = (0..segments.count()).map(|segment| segments.bytes(segment)).max().unwrap();
            assert!(largest <= ceiling.max(SMALLEST) && largest + PAGE > ceiling.min(LONGEST), "{ceiling}");
        }
    }

    #[test]
    fn impossible_segments_are_not_read() {
        let pages = (1 << 20) / PAGE;
        assert!(Segments::read(3, pages).is_some() && Segments::read(3, 0).is_some());
        let most = u32::MAX as usize;
        for (count, whole) in [(0, 0), (SEGMENTS + 1, 0), (1, pages), (3, 1), (3, most), (most, pages)] {
            assert_eq!(Segments::read(count, whole), None, "{count}, {whole}");
        }
    }
}
