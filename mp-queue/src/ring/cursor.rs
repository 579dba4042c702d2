//! Cursor: a count of items and a position, in one 64-bit word.

/// The progress of one side. Both parts wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Items so far.
    pub(crate) items: u32,
    /// The position in the segment, in units of 8 bytes, modulo 2^32. The length of each segment divides
    /// that.
    pub(crate) position: u32,
}

impl Cursor {
    pub(crate) fn of(packed: u64) -> Cursor {
        Cursor { items: (packed >> 32) as u32, position: packed as u32 }
    }

    pub(crate) fn packed(self) -> u64 {
        u64::from(self.items) << 32 | u64::from(self.position)
    }

    /// The cursor after one more item of `units`.
    pub(crate) fn advanced(self, units: u32) -> Cursor {
        Cursor { items: self.items.wrapping_add(1), position: self.position.wrapping_add(units) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_wrap_by_themselves() {
        let last = Cursor { items: u32::MAX, position: u32::MAX };
        assert_eq!(Cursor::of(last.packed()), last);
        assert_eq!(last.advanced(1), Cursor { items: 0, position: 0 });
    }
}
