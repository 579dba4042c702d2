//! Storage: the words and bytes of the segments, and the system's part in their memory.

use super::circle::Circle;
use mp_core::word::{Long, Owned};

/// What the two sides are generic over.
pub(crate) trait Storage {
    type Owned: Owned;
    type Long: Long;
    /// Segments up to this one keep their pages when drained: steady traffic stays on pages that are in the
    /// caches.
    const WARM: usize;
    /// The number of segments that the queue may have.
    fn segments(&self) -> usize;
    /// Whether it is the whole segment: for a record that fits nowhere else, when the queue is empty.
    fn is_whole(&self, _segment: usize) -> bool {
        false
    }
    /// The length of a segment, and its positions.
    fn circle(&self, segment: usize) -> Circle;
    /// Maps the bytes of a segment into this process, before their first use. `Err`: the error number of the
    /// system.
    fn open(&self, _segment: usize) -> Result<(), i32> {
        Ok(())
    }
    /// Reads one unit, at an offset that is a multiple of 8.
    fn load(&self, segment: usize, offset: usize) -> u64;
    /// Writes one unit, at an offset that is a multiple of 8.
    fn store(&self, segment: usize, offset: usize, unit: u64);
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]);
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>);
    /// Reserves the pages of a segment, and maps it. `false`: there is no memory.
    fn reserve(&self, segment: usize) -> bool;
    /// Returns the pages of a segment to the system.
    fn release(&self, segment: usize);
}

/// A word that sleeps and wakes.
pub(super) type WordOf<S> = <<S as Storage>::Owned as Owned>::Word;
