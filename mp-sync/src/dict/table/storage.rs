//! Storage: a dict's lock and words, and the system's part in their memory.

use super::shape::Shape;
use crate::raw::RawLock;
use mp_core::MemError;
use mp_core::word::Owned;

/// What a table stands on. All words are zero at first. Only the holder of the lock reads or writes them, each
/// position below [`Shape::words`].
pub(crate) trait Storage {
    type Owned: Owned;
    /// Buckets of an empty dict.
    const BUCKETS: u32 = Shape::BUCKETS;

    fn lock(&self) -> &RawLock<Self::Owned>;
    fn shape(&self) -> &Shape;
    fn load(&self, word: u32) -> u32;
    /// Writes a word: after those that were written before it, whenever the process may die.
    fn store(&self, word: u32, value: u32);
    /// Appends bytes from a word on to a vector, which has room for them.
    fn read(&self, word: u32, bytes: usize, to: &mut Vec<u8>);
    /// Writes bytes, at an offset in bytes from a word on.
    fn write_at(&self, word: u32, offset: usize, bytes: &[u8]);
    /// Takes the memory of these words. They may have been taken before.
    fn reserve(&self, from: u32, to: u32) -> Result<(), MemError>;
    /// Gives the memory of these words back, as far as it is whole pages. They are zero afterwards, or as before.
    fn release(&self, from: u32, to: u32);
}
