//! Cursor: a count of items and a position, in one 64-bit word; and the cached cursor of the other side.

use super::circle::Circle;
use mp_core::word::{Long, Ordering, Word};

/// The progress of one side. Both parts wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Items so far.
    pub(crate) items: u32,
    /// The position in the segment, in units of 8 bytes: see circle.rs.
    pub(crate) position: u32,
}

impl Cursor {
    pub(crate) fn of(packed: u64) -> Cursor {
        Cursor { items: (packed >> 32) as u32, position: packed as u32 }
    }

    pub(crate) fn packed(self) -> u64 {
        u64::from(self.items) << 32 | u64::from(self.position)
    }

    /// The cursor after one more item of `units` in a segment.
    #[inline]
    pub(crate) fn advanced(self, circle: Circle, units: u32) -> Cursor {
        Cursor { items: self.items.wrapping_add(1), position: circle.after(self.position, units) }
    }
}

/// The other side's cursor as last read. It spares most calls the other side's cache lines. Written under the
/// lock of one's own side. It is never ahead of the real cursor, so it is wrong on the safe side only.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct CachedCursor<W, L> {
    /// 1 + the segment of `cursor`; 0: no segment.
    about: W,
    cursor: L,
}

impl<W: Word, L: Long> CachedCursor<W, L> {
    /// The cached cursor, if it is about this segment.
    #[inline]
    pub(super) fn seen(&self, segment: usize) -> Option<Cursor> {
        // ORDERING: Relaxed, here and below: the lock orders it; others take it as a hint.
        let about = self.about.load(Ordering::Relaxed);
        (about == segment as u32 + 1).then(|| Cursor::of(self.cursor.load(Ordering::Relaxed)))
    }

    /// Caches a cursor. A death between the two stores leaves no cached cursor, or an older one of the same
    /// segment.
    pub(super) fn set(&self, segment: usize, cursor: Cursor) {
        // ORDERING: as above.
        self.cursor.store(cursor.packed(), Ordering::Relaxed);
        // ORDERING: Release: after the cursor, also for the next holder after a death.
        self.about.store(segment as u32 + 1, Ordering::Release);
    }

    /// Forgets the cached cursor before the segment is left: the segment may be used again from its
    /// beginning.
    pub(super) fn clear(&self) {
        // ORDERING: as above.
        self.about.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_wrap_by_themselves() {
        let last = Cursor { items: u32::MAX, position: u32::MAX };
        assert_eq!(Cursor::of(last.packed()), last);
        assert_eq!(last.advanced(Circle::of(4), 1), Cursor { items: 0, position: 0 });
    }
}
