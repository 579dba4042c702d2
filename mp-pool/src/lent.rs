//! A long result that stays in the arena until it is read: it is copied once, to where the program wants it.
//!
//! ```text
//!   slot's block:  arguments │ result │ room that was left
//!                  └─ free ──┘   │    └─ free
//!                                └─► Lent, in the job ── dropped ──► Returned ── next block ──► arena
//! ```
//!
//! At most a quarter of the arena is lent, so results that are never read hold up nothing.

use crate::arena::{Arena, Block};
use crate::copies::lost_to_copy;
use crate::error::TaskError;
use crate::job::value_of;
use crate::record::{begin_of_block_value, is_value, take_outcome};
use mp_core::mem::Bytes;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::transfer::{from_block, is_block, scratch};
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A result shorter than this is copied.
pub(crate) const LONG: usize = 16 << 10;

/// A worker's record of one result.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) bytes: Bytes,
    pub(crate) at: usize,
    pub(crate) written: usize,
    pub(crate) block: Block,
    pub(crate) returned: Arc<Returned>,
    pub(crate) worker: Arc<str>,
}

impl Lent {
    pub(crate) fn value<R: DeserializeOwned>(&self) -> Result<R, TaskError> {
        // The original may have given the bytes to another result.
        if !self.returned.is_here() {
            return Err(lost_to_copy());
        }
        if is_block::<R>()
            && let Some(begin) = begin_of_block_value(&self.heads(), self.written)
        {
            let mut block = Vec::new();
            self.bytes.read_onto(self.at + begin, self.written - begin, &mut block);
            if let Some(value) = from_block(block) {
                return Ok(value);
            }
        }
        let mut buffer = scratch::decoding();
        buffer.clear();
        self.bytes.read_onto(self.at, self.written, &mut buffer);
        let value = value_of(take_outcome(&mut buffer.as_slice()), &self.worker);
        scratch::keep_decoding(buffer);
        value
    }

    /// All of it.
    pub(crate) fn record(&self) -> Vec<u8> {
        let mut record = Vec::new();
        self.bytes.read_onto(self.at, self.written, &mut record);
        record
    }

    pub(crate) fn is_value(&self) -> bool {
        is_value(&self.heads())
    }

    fn heads(&self) -> [u8; 32] {
        let mut heads = [0; 32];
        let length = self.written.min(heads.len());
        self.bytes.read(self.at, &mut heads[..length]);
        heads
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.returned.push(self.block);
    }
}

/// Blocks of results that were dropped. The arena is behind the dispatch's lock, which a thread that drops a result may
/// have.
#[derive(Debug)]
pub(crate) struct Returned {
    owner: OwningProcess,
    /// The caller's part goes from process to process.
    #[cfg(feature = "steps")]
    is_stepped: std::sync::atomic::AtomicBool,
    blocks: Mutex<Vec<Block>>,
    /// Bytes that are lent.
    lent: AtomicUsize,
}

impl Default for Returned {
    fn default() -> Self {
        Returned {
            owner: OwningProcess::current(),
            #[cfg(feature = "steps")]
            is_stepped: false.into(),
            blocks: Mutex::default(),
            lent: AtomicUsize::new(0),
        }
    }
}

impl Returned {
    /// Whether the arena is this process's, and not the original's of a forked copy.
    pub(crate) fn is_here(&self) -> bool {
        #[cfg(feature = "steps")]
        // ORDERING: Relaxed: set before there is a second process.
        if self.is_stepped.load(Ordering::Relaxed) {
            return true;
        }
        self.owner.is_current()
    }

    /// Whichever process calls has the caller's part.
    #[cfg(feature = "steps")]
    pub(crate) fn step(&self) {
        // ORDERING: as above.
        self.is_stepped.store(true, Ordering::Relaxed);
    }

    /// What was lent is not used any more. Not so in a forked copy, which may do what it likes with its handles: the
    /// block is the original's, and a thread that is not there may have had the lock.
    pub(crate) fn push(&self, block: Block) {
        if self.is_here() {
            self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        }
    }

    /// Whether so many bytes more may be lent, of so many at most. They are then.
    pub(crate) fn lend(&self, bytes: usize, most: usize) -> bool {
        // ORDERING: Relaxed, here and below: under the dispatch's lock.
        let lent = self.lent.load(Ordering::Relaxed) + bytes;
        let may = lent <= most;
        if may {
            self.lent.store(lent, Ordering::Relaxed);
        }
        may
    }

    /// Gives the arena what was returned.
    pub(crate) fn give_back(&self, arena: &mut Arena) {
        // ORDERING: as above.
        if self.lent.load(Ordering::Relaxed) == 0 {
            return;
        }
        for block in std::mem::take(&mut *self.blocks.lock().unwrap_or_else(PoisonError::into_inner)) {
            // ORDERING: as above.
            self.lent.fetch_sub(block.len, Ordering::Relaxed);
            arena.give_back(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_lent_at_most_and_comes_back() {
        let (returned, mut arena) = (Returned::default(), Arena::new(1 << 20));
        let mut lent = Vec::new();
        while let Some(block) =
            arena.take(60_000, |_, _| true).filter(|block| returned.lend(block.len, (1 << 20) / 4))
        {
            lent.push(block);
        }
        assert_eq!(lent.len(), 4);
        returned.blocks.lock().unwrap().append(&mut lent);
        returned.give_back(&mut arena);
        assert!(returned.lend((1 << 20) / 4, (1 << 20) / 4) && !returned.lend(1, (1 << 20) / 4));
    }
}
