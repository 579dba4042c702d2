//! Index: which bucket a hash belongs to. The number of buckets grows by one at a time (linear hashing), so no call
//! waits while a table is copied, and the memory of buckets that are not needed yet is not touched.
//!
//! ```text
//!  16 + 3 buckets:  buckets 0, 1, 2 are split: the hash's last 5 bits say which half
//!                   3 … 15 are not yet:        its last 4 bits
//!  the next split:  3 ──► 3 and 19
//! ```
//!
//! A bucket is a chain of entries by `next`, most often of one. A split moves those of one chain whose next bit is
//! set into a new one: a change of two buckets and a few links. While there is no memory for more buckets, chains
//! become longer. One that is too long for one change is sorted first, entry by entry, each by a change of its own.

use super::cells::Cells;
use super::journal::Change;
use super::shape::{BUCKETS, COUNT, Corrupt, NEXT, READY_BUCKETS};
use super::storage::Storage;

/// Buckets are reserved in steps: an eighth of what there is, and at least these.
const LEAST_STEP: u32 = (16 << 10) / 4;

/// The bucket of a hash among so many, at least one.
fn bucket_of(hash: u32, buckets: u32) -> u32 {
    let last = u32::MAX >> buckets.leading_zeros();
    let bucket = hash & last;
    if bucket < buckets { bucket } else { bucket & last >> 1 }
}

/// The buckets of a dict, for the holder of its lock.
pub(super) struct Index<'a, S> {
    storage: &'a S,
}

impl<'a, S: Storage> Index<'a, S> {
    pub(super) fn of(storage: &'a S) -> Self {
        Index { storage }
    }

    /// How many there are. Zero in memory: as many as at the beginning.
    pub(super) fn buckets(&self) -> Result<u32, Corrupt> {
        let buckets = self.storage.load(BUCKETS).max(S::BUCKETS);
        if buckets <= self.storage.shape().buckets { Ok(buckets) } else { Err(Corrupt) }
    }

    /// The word of the bucket of a hash.
    pub(super) fn bucket(&self, hash: u32) -> Result<u32, Corrupt> {
        Ok(self.storage.shape().bucket(bucket_of(hash, self.buckets()?)))
    }

    /// Splits a bucket or two, if there are more entries than buckets should hold. Without memory for more buckets it
    /// is left for the next call.
    pub(super) fn grow(&self) -> Result<(), Corrupt> {
        let entries = self.storage.load(COUNT);
        for _ in 0..2 {
            let buckets = self.buckets()?;
            let wanted = entries.saturating_add(entries / 2).min(self.storage.shape().buckets);
            if buckets >= wanted || !self.make_ready(buckets + 1) {
                break;
            }
            self.split(buckets)?;
        }
        Ok(())
    }

    /// Reserves the pages of so many buckets. `false`: there is no memory.
    fn make_ready(&self, buckets: u32) -> bool {
        let (shape, ready) = (self.storage.shape(), self.storage.load(READY_BUCKETS).max(S::BUCKETS));
        if buckets <= ready {
            return true;
        }
        let end = buckets.max(ready.saturating_add((ready / 8).max(LEAST_STEP))).min(shape.buckets);
        let reserved = self.storage.reserve(shape.bucket(ready), shape.bucket(end)).is_ok();
        if reserved {
            self.storage.store(READY_BUCKETS, end);
        }
        reserved
    }

    /// Makes bucket `new`, the next one, out of the one that has its entries.
    fn split(&self, new: u32) -> Result<(), Corrupt> {
        let bit = (u32::MAX >> new.leading_zeros() >> 1) + 1;
        if self.split_at_once(new, bit)? {
            return Ok(());
        }
        self.sort(new - bit, bit)?;
        if self.split_at_once(new, bit)? { Ok(()) } else { Err(Corrupt) }
    }

    /// Moves the entries of a chain whose bit is set to its front, so that few links lead from one half to the other.
    /// Their order means nothing. Each move is a commit, so a death leaves a chain of the same entries.
    fn sort(&self, bucket: u32, bit: u32) -> Result<(), Corrupt> {
        let (first, cells) = (self.storage.shape().bucket(bucket), Cells::of(self.storage));
        let (mut from, mut cell, mut left) = (first, self.storage.load(first), self.storage.load(COUNT));
        // The front has ended.
        let mut has_ended = false;
        while cell != 0 {
            left = left.checked_sub(1).ok_or(Corrupt)?;
            let (head, next) = (cells.head(cell)?, cells.word(cell, NEXT)?);
            if has_ended && head.hash & bit != 0 {
                let mut change = Change::new(self.storage);
                change.set(from, head.next);
                change.set(next, self.storage.load(first));
                change.set(first, cell);
                change.commit()?;
            } else {
                has_ended |= head.hash & bit == 0;
                from = next;
            }
            cell = head.next;
        }
        Ok(())
    }

    /// Splits by one change. `false`: the chain is too long for that.
    fn split_at_once(&self, new: u32, bit: u32) -> Result<bool, Corrupt> {
        let (shape, cells) = (self.storage.shape(), Cells::of(self.storage));
        let old = new - bit;
        let mut change = Change::new(self.storage);
        change.set(BUCKETS, new + 1);
        // The words that the next entry of each half is to be linked from, and what is there now.
        let mut from = [shape.bucket(old), shape.bucket(new)];
        let mut there = [self.storage.load(from[0]), u32::MAX];
        let (mut cell, mut left) = (there[0], self.storage.load(COUNT));
        while cell != 0 {
            left = left.checked_sub(1).ok_or(Corrupt)?;
            let head = cells.head(cell)?;
            let half = usize::from(head.hash & bit != 0);
            // Room for this one, and for the two ends.
            if !change.has_room(3) {
                return Ok(false);
            }
            if there[half] != cell {
                change.set(from[half], cell);
            }
            (from[half], there[half], cell) = (cells.word(cell, NEXT)?, head.next, head.next);
        }
        for (from, there) in from.into_iter().zip(there) {
            if there != 0 {
                change.set(from, 0);
            }
        }
        change.commit()?;
        Ok(true)
    }

    /// Gives the pages back of all buckets but the first ones, when the dict is empty.
    pub(super) fn release(&self) {
        let (shape, ready) = (self.storage.shape(), self.storage.load(READY_BUCKETS));
        let ready = ready.min(shape.buckets);
        if ready > LEAST_STEP {
            self.storage.store(READY_BUCKETS, LEAST_STEP);
            self.storage.release(shape.bucket(LEAST_STEP), shape.bucket(ready));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_split_by_the_next_bit() {
        for buckets in 1..200_u32 {
            for hash in 0..2000_u32 {
                let (now, then) = (bucket_of(hash, buckets), bucket_of(hash, buckets + 1));
                assert!(now < buckets);
                let bit = (u32::MAX >> buckets.leading_zeros() >> 1) + 1;
                let moves = now == buckets - bit && hash & bit != 0;
                assert_eq!(then, if moves { buckets } else { now }, "{hash} of {buckets}");
            }
        }
    }
}
