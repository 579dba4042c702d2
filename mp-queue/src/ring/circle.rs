//! Circle: the positions of a segment, which go round it.
//!
//! A position is a number of units modulo a multiple of the segment's length, above the length itself: so an
//! empty segment and a full one differ. It is modulo 2^32 where the length is a power of two, as in every
//! segment but the whole one, and modulo twice the length otherwise.
//!
//! Positions come from shared memory, where any process may write over them. Each method has a result in range for
//! every number.

/// The length of a unit in bytes: each record takes whole units.
pub(super) const UNIT: usize = 8;

/// The length of a segment in units, not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Circle(u32);

impl Circle {
    /// Of a segment of so many bytes, a multiple of 8, and less than 16 GiB.
    pub(crate) const fn of_bytes(bytes: usize) -> Circle {
        Circle::of(bytes / UNIT)
    }

    pub(super) const fn of(units: usize) -> Circle {
        assert!(units > 0 && units < 1 << 31);
        Circle(units as u32)
    }

    /// The length in units.
    #[inline]
    pub(super) fn units(self) -> u32 {
        self.0
    }

    /// The length in bytes.
    #[inline]
    pub(super) fn bytes(self) -> usize {
        self.0 as usize * UNIT
    }

    /// The byte offset of a position.
    #[inline]
    pub(super) fn offset(self, position: u32) -> usize {
        let unit = if self.0.is_power_of_two() { position & (self.0 - 1) } else { position % self.0 };
        unit as usize * UNIT
    }

    /// The position `units` behind this one.
    #[inline]
    pub(super) fn after(self, position: u32, units: u32) -> u32 {
        if self.0.is_power_of_two() {
            position.wrapping_add(units)
        } else {
            self.reduced(u64::from(position) + u64::from(units))
        }
    }

    /// The number of units from one position to a later one; more than the length if neither can be.
    #[inline]
    pub(super) fn between(self, from: u32, to: u32) -> u32 {
        if self.0.is_power_of_two() {
            to.wrapping_sub(from)
        } else {
            self.reduced(u64::from(to) + self.turn() - u64::from(self.reduced(from.into())))
        }
    }

    /// The number of positions, where the length is no power of two.
    fn turn(self) -> u64 {
        2 * u64::from(self.0)
    }

    /// The position in front of position 0.
    #[cfg(test)]
    pub(super) fn last(self) -> u32 {
        if self.0.is_power_of_two() { u32::MAX } else { (self.turn() - 1) as u32 }
    }

    /// A sum as a position, where the length is no power of two.
    #[cold]
    fn reduced(self, sum: u64) -> u32 {
        (sum % self.turn()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring of marks, one for each unit: what is written is read in the same order, and nothing is written over.
    #[test]
    fn positions_go_round_segments_of_every_length() {
        for units in 1..=9 {
            let circle = Circle::of(units);
            for size in 1..=units as u32 {
                let mut marks = vec![None; units];
                let (mut head, mut tail, mut next) = (0, 0, 0);
                for _ in 0..5 * units {
                    while circle.between(head, tail) + size <= circle.units() {
                        for unit in 0..size {
                            let at = circle.offset(circle.after(tail, unit)) / UNIT;
                            assert_eq!(marks[at].replace(next + unit), None);
                        }
                        (tail, next) = (circle.after(tail, size), next + size);
                    }
                    let first = next - circle.between(head, tail);
                    for unit in 0..size {
                        let at = circle.offset(circle.after(head, unit)) / UNIT;
                        assert_eq!(marks[at].take(), Some(first + unit));
                    }
                    head = circle.after(head, size);
                }
            }
        }
    }

    #[test]
    fn a_full_segment_is_not_an_empty_one() {
        for units in [1, 2, 3, 4, 7, 12, (1 << 31) - 1] {
            let circle = Circle::of(units);
            for head in [0, 1, units as u32 - 1, 2 * units as u32 - 1] {
                let tail = circle.after(head, circle.units());
                assert_eq!((circle.between(head, tail), circle.between(head, head)), (circle.units(), 0));
            }
        }
    }

    #[test]
    fn every_number_has_an_offset_within() {
        for units in [1, 3, 8, 12, (1 << 31) - 1] {
            let circle = Circle::of(units);
            for position in [0, 1, 23, 24, 1 << 31, u32::MAX] {
                assert!(circle.offset(position) < circle.bytes());
                let others = [0, 25, u32::MAX];
                for other in others {
                    assert!(circle.offset(circle.after(position, other)) < circle.bytes());
                    let _ = circle.between(position, other);
                }
            }
        }
    }
}
