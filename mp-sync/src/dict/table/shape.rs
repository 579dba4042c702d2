//! Where what lies in a dict's memory, counted in words of four bytes.
//!
//! ```text
//!  [ state: 16 | journal: 64 ][ buckets … ][ cell 1: 16 ][ cell 2: 16 ] …
//!
//!  first cell of an entry:  [ link | next | hash | key bytes | value bytes | payload: 44 bytes ]
//!  a further one:           [ link | payload: 60 bytes ]
//! ```
//!
//! A cell is a cache line, so that most entries are one. An entry of several cells is a chain by `link`; so is the
//! list of free cells. An entry's payload is its key and its value, one behind the other.

/// A number in the memory that no call writes there: a process has overwritten it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// Entries in the dict.
pub(super) const COUNT: u32 = 0;
/// Buckets in use.
pub(super) const BUCKETS: u32 = 1;
/// The first free cell, and how many there are: the last one's link means nothing.
pub(super) const FREE: u32 = 2;
pub(super) const FREE_COUNT: u32 = 3;
/// Cells that were ever in use: those behind it are neither in an entry nor in the list.
pub(super) const TOP: u32 = 4;
/// Buckets and cells whose pages are reserved. Each is written by itself: to reserve twice does no harm.
pub(super) const READY_BUCKETS: u32 = 5;
pub(super) const READY_CELLS: u32 = 6;
/// Writes in the journal. Not 0: they are committed, and perhaps not all done.
pub(super) const WRITES: u32 = 7;
/// The journal: a word's position and its new value, for each write.
pub(super) const JOURNAL: u32 = 16;
/// The most writes of one change.
pub(super) const MOST_WRITES: u32 = 32;
/// The first bucket.
pub(super) const FIRST: u32 = JOURNAL + 2 * MOST_WRITES;

/// Words of a cell.
pub(crate) const CELL: u32 = 16;
/// Parts of a cell.
pub(super) const LINK: u32 = 0;
pub(super) const NEXT: u32 = 1;
pub(super) const HASH: u32 = 2;
pub(super) const KEY_BYTES: u32 = 3;
pub(super) const VALUE_BYTES: u32 = 4;
/// Where the payload begins in an entry's first cell, and in the others.
pub(super) const PAYLOAD: u32 = 5;
pub(super) const MORE_PAYLOAD: u32 = 1;
/// Bytes of payload in the first cell, and in each other one.
pub(super) const IN_FIRST: usize = 4 * (CELL - PAYLOAD) as usize;
pub(super) const IN_OTHER: usize = 4 * (CELL - MORE_PAYLOAD) as usize;

/// How many there may be of everything. Never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) entries: u32,
    pub(crate) cells: u32,
    /// At least as many as are in use at the beginning.
    pub(super) buckets: u32,
}

impl Shape {
    /// The buckets of a new dict.
    pub(crate) const BUCKETS: u32 = 16;

    /// `None`: more than positions can count.
    pub(crate) fn of(entries: u32, cells: u32) -> Option<Shape> {
        // Two thirds of the buckets hold an entry on average; a whole number of cells.
        let buckets = entries.checked_add(entries / 2)?.max(Shape::BUCKETS).checked_next_multiple_of(CELL)?;
        let shape = Shape { entries, cells, buckets };
        let words = u64::from(FIRST) + u64::from(buckets) + u64::from(cells) * u64::from(CELL);
        (words <= u64::from(u32::MAX)).then_some(shape)
    }

    /// All words.
    pub(crate) fn words(&self) -> u32 {
        self.cell(self.cells + 1)
    }

    /// The words that are there from the beginning.
    pub(crate) const AT_FIRST: u32 = FIRST + Shape::BUCKETS;

    pub(super) fn bucket(&self, number: u32) -> u32 {
        FIRST + number
    }

    /// The first word of a cell, of those from 1 to one behind the last.
    #[inline]
    pub(super) fn cell(&self, number: u32) -> u32 {
        FIRST + self.buckets + (number - 1) * CELL
    }
}

/// The cells of a payload.
pub(crate) fn cells_of(payload: usize) -> u32 {
    let more = payload.saturating_sub(IN_FIRST).div_ceil(IN_OTHER);
    u32::try_from(more).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_takes_whole_cells() {
        let sizes = [(0, 1), (44, 1), (45, 2), (104, 2), (105, 3), (usize::MAX, u32::MAX)];
        for (payload, cells) in sizes {
            assert_eq!(cells_of(payload), cells, "{payload}");
        }
    }

    #[test]
    fn no_position_is_beyond_what_a_word_counts() {
        let shape = Shape::of(10, 10).unwrap();
        assert_eq!((shape.buckets, shape.cell(1) % CELL), (16, 0));
        assert_eq!(shape.words(), shape.cell(10) + CELL);
        let most = (u32::MAX - FIRST - 16) / CELL;
        assert!(Shape::of(10, most).is_some_and(|shape| shape.words() > u32::MAX - CELL));
        assert!(Shape::of(10, most + 1).is_none());
        assert!(Shape::of(u32::MAX, 1).is_none());
    }
}
