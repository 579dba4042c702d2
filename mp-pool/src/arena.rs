//! The arena: which bytes of the pool's memory are in use. Kept by the pool alone, in memory of its own.
//!
//! ```text
//!   first fit from the beginning, so that warm pages are used again; neighbours that are free are one
//!   bytes beyond the frontier have no pages yet: a block that reaches there moves it, in steps, if the system agrees
//! ```

use std::collections::BTreeMap;

/// Blocks begin at multiples of this.
pub(crate) const UNIT: usize = 16;
/// Pages are taken so many bytes at a time.
const STEP: usize = 256 << 10;

/// Bytes in use by one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) at: usize,
    pub(crate) len: usize,
}

#[derive(Debug)]
pub(crate) struct Arena {
    /// Where each free range begins, and how long it is.
    free: BTreeMap<usize, usize>,
    len: usize,
    /// Up to here there are pages.
    frontier: usize,
}

/// Rounds up to whole units.
pub(crate) fn whole(bytes: usize) -> usize {
    bytes.next_multiple_of(UNIT)
}

impl Arena {
    pub(crate) fn new(len: usize) -> Arena {
        Arena { free: BTreeMap::from([(0, len)]), len, frontier: 0 }
    }

    /// A block of at least `bytes` bytes; `None`: there is none now. `reserve` takes the pages of a range, and says
    /// whether there were any left.
    pub(crate) fn take(
        &mut self,
        bytes: usize,
        mut reserve: impl FnMut(usize, usize) -> bool,
    ) -> Option<Block> {
        let len = whole(bytes.max(1));
        let (&at, &free) = self.free.iter().find(|(_, free)| **free >= len)?;
        let end = at + len;
        if end > self.frontier {
            let frontier = end.next_multiple_of(STEP).min(self.len);
            if !reserve(self.frontier, frontier - self.frontier) {
                return None;
            }
            self.frontier = frontier;
        }
        self.free.remove(&at);
        if free > len {
            self.free.insert(end, free - len);
        }
        Some(Block { at, len })
    }

    pub(crate) fn give_back(&mut self, block: Block) {
        let (mut at, mut len) = (block.at, block.len);
        if let Some((&before, &free)) = self.free.range(..at).next_back()
            && before + free == at
        {
            self.free.remove(&before);
            (at, len) = (before, len + free);
        }
        if let Some(after) = self.free.remove(&(block.at + block.len)) {
            len += after;
        }
        self.free.insert(at, len);
    }

    /// Whether all blocks have come back.
    #[cfg(any(test, feature = "steps"))]
    pub(crate) fn is_unused(&self) -> bool {
        self.free == BTreeMap::from([(0, self.len)])
    }

    /// The longest block that there can be.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yes(_: usize, _: usize) -> bool {
        true
    }

    #[test]
    fn blocks_never_overlap_and_all_comes_back() {
        let mut arena = Arena::new(1 << 20);
        let mut held: Vec<Block> = Vec::new();
        let mut random = 0x9E37_79B9_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (random >> 33) as usize;
            if number.is_multiple_of(2) && !held.is_empty() {
                let block = held.swap_remove(number % held.len());
                arena.give_back(block);
            } else if let Some(block) = arena.take(number % 20_000, yes) {
                assert!(block.at + block.len <= 1 << 20 && block.at.is_multiple_of(UNIT));
                let apart =
                    |other: &Block| block.at + block.len <= other.at || other.at + other.len <= block.at;
                assert!(held.iter().all(apart));
                held.push(block);
            }
        }
        held.into_iter().for_each(|block| arena.give_back(block));
        assert!(arena.is_unused());
    }

    #[test]
    fn pages_are_taken_once_and_before_they_are_used() {
        let mut arena = Arena::new(4 * STEP);
        let mut taken = Vec::new();
        let first = arena
            .take(10, |at, len| {
                taken.push((at, len));
                true
            })
            .unwrap();
        let second = arena
            .take(STEP, |at, len| {
                taken.push((at, len));
                true
            })
            .unwrap();
        assert_eq!(taken, [(0, STEP), (STEP, STEP)]);
        arena.give_back(first);
        arena.give_back(second);
        assert!(arena.take(2 * STEP, |_, _| unreachable!()).is_some());
    }

    #[test]
    fn without_pages_nothing_is_taken() {
        let mut arena = Arena::new(4 * STEP);
        assert_eq!(arena.take(10, |_, _| false), None);
        assert!(arena.take(10, yes).is_some());
        assert_eq!(arena.take(5 * STEP, yes), None);
    }
}
