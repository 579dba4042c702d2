//! The arena: which bytes of the pool's memory are in use. Kept by the pool alone, in memory of its own.
//!
//! ```text
//!   long blocks:   take ◄── the last one of that length ── recent ◄── give_back;  the oldest ──► free
//!   all others:    first fit from the beginning, so that warm pages are used again; neighbours that are free are one
//!   bytes beyond the frontier have no pages yet: a block that reaches there moves it, in steps, if the system agrees
//! ```
//!
//! A process has just read or written what a long block held, so its lines are in that CPU's caches, and its pages are
//! mapped. That is why the last one is taken first: the caller fills a buffer where the result lay that it has dropped,
//! and a worker fills its result where the argument lay that was read last. For this lengths come in classes: buffers
//! and the room for results that are as long have one length.

use crate::lent::LONG;
use std::collections::BTreeMap;

/// Blocks begin at multiples of this.
pub(crate) const UNIT: usize = 16;
/// Pages are taken so many bytes at a time.
const STEP: usize = 256 << 10;
/// A long block is longer than was asked for by less than this part: room for 31 buffers of a mebibyte in half an
/// arena of 64.
const PART: usize = 32;
/// Long blocks that came back and are not joined with their neighbours. More would be cold in any cache.
const MOST_RECENT: usize = 32;

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
    /// Long blocks that are free, too, but not in these ranges: the last one came back last.
    recent: Vec<Block>,
    len: usize,
    /// Up to here there are pages.
    frontier: usize,
}

/// Rounds up to whole units.
pub(crate) fn whole(bytes: usize) -> usize {
    bytes.next_multiple_of(UNIT)
}

/// The length of a block for so many bytes.
fn class(bytes: usize) -> usize {
    if bytes < LONG { whole(bytes.max(1)) } else { bytes.next_multiple_of((1 << bytes.ilog2()) / PART) }
}

impl Arena {
    pub(crate) fn new(len: usize) -> Arena {
        Arena { free: BTreeMap::from([(0, len)]), recent: Vec::new(), len, frontier: 0 }
    }

    /// A block of at least `bytes` bytes; `None`: there is none now. `reserve` takes the pages of a range, and says
    /// whether there were any left.
    pub(crate) fn take(
        &mut self,
        bytes: usize,
        mut reserve: impl FnMut(usize, usize) -> bool,
    ) -> Option<Block> {
        let len = class(bytes);
        if let Some(last) = self.recent.iter().rposition(|block| block.len == len) {
            return Some(self.recent.remove(last));
        }
        let mut at = self.first_fit(len);
        // Before pages are taken, and before there is no block: those that have come back may be one that is as long.
        if at.is_none_or(|at| at + len > self.frontier) && !self.recent.is_empty() {
            self.join_recent();
            at = self.first_fit(len);
        }
        let at = at?;
        let end = at + len;
        if end > self.frontier {
            let frontier = end.next_multiple_of(STEP).min(self.len);
            if !reserve(self.frontier, frontier - self.frontier) {
                return None;
            }
            self.frontier = frontier;
        }
        let free = self.free.remove(&at)?;
        if free > len {
            self.free.insert(end, free - len);
        }
        Some(Block { at, len })
    }

    fn first_fit(&self, len: usize) -> Option<usize> {
        self.free.iter().find(|(_, free)| **free >= len).map(|(at, _)| *at)
    }

    pub(crate) fn give_back(&mut self, block: Block) {
        // Parts of a block, as what is left around a result, are seldom as long as a block can be.
        if block.len < LONG || class(block.len) != block.len {
            return self.join(block);
        }
        if self.recent.len() >= MOST_RECENT {
            let oldest = self.recent.remove(0);
            self.join(oldest);
        }
        self.recent.push(block);
    }

    fn join_recent(&mut self) {
        std::mem::take(&mut self.recent).into_iter().for_each(|block| self.join(block));
    }

    /// It is free, and one with its neighbours that are.
    fn join(&mut self, block: Block) {
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
    pub(crate) fn is_unused(&mut self) -> bool {
        self.join_recent();
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
            // A few lengths that come again, among any.
            let bytes = if number.is_multiple_of(3) { LONG * (1 + number % 5) } else { number % 20_000 };
            if number.is_multiple_of(2) && !held.is_empty() {
                let block = held.swap_remove(number % held.len());
                arena.give_back(block);
            } else if let Some(block) = arena.take(bytes, yes) {
                assert!(block.at + block.len <= 1 << 20 && block.at.is_multiple_of(UNIT));
                assert!((bytes..=bytes + UNIT + bytes / PART).contains(&block.len));
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
    fn the_last_long_block_that_came_back_is_taken_first() {
        let mut arena = Arena::new(64 << 20);
        let blocks: Vec<Block> = (0..4).map(|_| arena.take((1 << 20) + 1, yes).unwrap()).collect();
        [1, 0, 3, 2].into_iter().for_each(|at| arena.give_back(blocks[at]));
        // What is a little longer has the same length.
        let again = [0, 128, 20_000, 0].map(|more| arena.take((1 << 20) + 1 + more, |_, _| unreachable!()));
        assert_eq!(again, [2, 3, 0, 1].map(|at| Some(blocks[at])));
        again.into_iter().flatten().for_each(|block| arena.give_back(block));
        assert!(arena.is_unused());
    }

    #[test]
    fn blocks_that_came_back_are_one_where_a_longer_one_is_wanted() {
        let mut arena = Arena::new(2 << 20);
        let blocks: Vec<Block> = std::iter::from_fn(|| arena.take(64 << 10, yes)).collect();
        assert_eq!(blocks.len(), 32);
        blocks.into_iter().for_each(|block| arena.give_back(block));
        assert!(arena.take(2 << 20, |_, _| unreachable!()).is_some());
        assert_eq!(arena.take(1, yes), None);
    }

    #[test]
    fn without_pages_nothing_is_taken() {
        let mut arena = Arena::new(4 * STEP);
        assert_eq!(arena.take(10, |_, _| false), None);
        assert!(arena.take(10, yes).is_some());
        assert_eq!(arena.take(5 * STEP, yes), None);
    }
}
