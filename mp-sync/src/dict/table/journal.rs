//! Journal: several words that change together, whenever a process dies.
//!
//! ```text
//!   set, set, set ── commit: count = 3 ── write, write, write ── count = 0
//!   killed:  nothing happened │ the next holder of the lock writes all three (again)
//! ```
//!
//! Each write is a position and a value, so writing it twice does no harm, and a death of the process that repairs
//! does not either. The commit is one store.
//!
//! # Orderings
//! Only the lock's holder is here, so the lock orders it for other threads. What a process has written when it dies
//! is what its instructions before that one wrote: [`Storage::store`] keeps their order.

use super::shape::{Corrupt, JOURNAL, MOST_WRITES, WRITES};
use super::storage::Storage;

/// A change that is not committed yet.
#[must_use = "what is not committed did not happen"]
pub(super) struct Change<'a, S> {
    storage: &'a S,
    count: u32,
}

impl<'a, S: Storage> Change<'a, S> {
    /// For the lock's holder, after [`repair`].
    pub(super) fn new(storage: &'a S) -> Self {
        Change { storage, count: 0 }
    }

    /// Whether so many more writes fit.
    pub(super) fn has_room(&self, more: u32) -> bool {
        self.count + more <= MOST_WRITES
    }

    /// Adds a write. The caller knows that it fits.
    pub(super) fn set(&mut self, word: u32, value: u32) {
        debug_assert!(self.has_room(1));
        self.storage.store(JOURNAL + 2 * self.count, word);
        self.storage.store(JOURNAL + 2 * self.count + 1, value);
        self.count += 1;
    }

    /// All the writes happen, or none.
    pub(super) fn commit(self) -> Result<(), Corrupt> {
        // The commit: from here on the next holder would do the writes.
        self.storage.store(WRITES, self.count);
        finish(self.storage, self.count)
    }
}

/// Does what a holder that died had committed and not finished.
pub(super) fn repair<S: Storage>(storage: &S) -> Result<(), Corrupt> {
    match storage.load(WRITES) {
        0 => Ok(()),
        count if count <= MOST_WRITES => finish(storage, count),
        _ => Err(Corrupt),
    }
}

fn finish<S: Storage>(storage: &S, count: u32) -> Result<(), Corrupt> {
    for write in 0..count {
        let word = storage.load(JOURNAL + 2 * write);
        if word >= storage.shape().words() {
            return Err(Corrupt);
        }
        storage.store(word, storage.load(JOURNAL + 2 * write + 1));
    }
    // Last, or a death in between would leave some of them undone.
    storage.store(WRITES, 0);
    Ok(())
}
