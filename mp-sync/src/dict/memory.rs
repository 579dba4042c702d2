//! A dict's memory in this process: a sparse memfd, all of it mapped, of which pages are reserved as they are needed.
//!
//! ```text
//!  payload:  [ lock, shape, seed ][ words … ]
//!            0                    128
//! ```
//!
//! The addresses of the whole dict are taken when it is made or received, so no later call fails for want of them.

use super::table::{CELL, Shape, Storage};
use crate::cell::{DictHead, LockCell};
use mp_core::mem::{Bytes, Extent, Kind, Mapping, SharedRef, SharedSlice};
use mp_core::sys::robust::RobustWord;
use mp_core::{CreateError, MemError};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The offset of the words. A cell begins on a cache line, since they begin on two.
const WORDS: usize = 128;
const _: () = assert!(size_of::<DictHead>() <= WORDS);
const WORD: usize = size_of::<u32>();

/// The shared memory of one dict, as mapped in this process.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    mapping: Arc<Mapping>,
    head: SharedRef<DictHead>,
    words: SharedSlice<AtomicU32>,
    bytes: Bytes,
    shape: Shape,
    seed: u64,
}

/// The kind of a dict's memory, with such keys and values.
pub(super) fn kind<K, V>() -> Kind {
    Kind::of_items::<DictHead, (K, V)>()
}

impl Memory {
    /// The memory of a new dict, for so many entries in so many bytes.
    pub(super) fn create(kind: Kind, entries: usize, bytes: usize) -> Result<Memory, CreateError> {
        let argument = |words: &str| Err(CreateError::Argument(words.to_owned()));
        if entries == 0 || bytes == 0 {
            return argument("a dict without room holds nothing: give at least one entry and 64 bytes");
        }
        let cells = (bytes / (WORD * CELL as usize)).saturating_add(1);
        let shape = u32::try_from(entries).ok().zip(u32::try_from(cells).ok());
        let Some(shape) = shape.and_then(|(entries, cells)| Shape::of(entries, cells)) else {
            return argument("a dict has at most 16 GiB, index included: give fewer entries and bytes");
        };
        let payload = WORDS + shape.words() as usize * WORD;
        let extent = Extent { payload, mapped: payload, reserved: WORDS + Shape::AT_FIRST as usize * WORD };
        let mapping = Mapping::create_sparse("mp-dict", kind, extent)?;
        let head = SharedRef::<DictHead>::at(Arc::clone(&mapping), 0)?;
        // So that keys from outside cannot be chosen to share a bucket.
        let seed = RandomState::new().build_hasher().finish();
        // ORDERING: Relaxed, all three: it is not shared yet; sending it orders what was written before.
        head.entries.store(shape.entries, Ordering::Relaxed);
        head.cells.store(shape.cells, Ordering::Relaxed);
        head.seed.store(seed, Ordering::Relaxed);
        Ok(Memory::attach(mapping)?)
    }

    /// The memory of a dict that another process made.
    pub(super) fn attach(mapping: Arc<Mapping>) -> Result<Memory, MemError> {
        let head = SharedRef::<DictHead>::at(Arc::clone(&mapping), 0)?;
        // ORDERING: Relaxed, all three: written before it was sent; whatever is read is checked, below.
        let [entries, cells] = [&head.entries, &head.cells].map(|number| number.load(Ordering::Relaxed));
        let seed = head.seed.load(Ordering::Relaxed);
        let shape = Shape::of(entries, cells).ok_or(MemError::NotOurs("it names an impossible size"))?;
        let words = SharedSlice::at(Arc::clone(&mapping), WORDS, shape.words() as usize)?;
        let bytes = Bytes::at(Arc::clone(&mapping), WORDS, shape.words() as usize * WORD)?;
        // If this process crashes, others wait for the lock until its core is written.
        mapping.leave_out_of_core_dumps();
        Ok(Memory { mapping, head, words, bytes, shape, seed })
    }

    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// What differs from dict to dict in the hashes of keys.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }
}

impl Storage for Memory {
    type Owned = RobustWord;

    #[inline]
    fn lock(&self) -> &LockCell {
        &self.head.lock
    }

    #[inline]
    fn shape(&self) -> &Shape {
        &self.shape
    }

    #[inline]
    fn load(&self, word: u32) -> u32 {
        // ORDERING: Relaxed: the lock orders it.
        self.words[word as usize].load(Ordering::Relaxed)
    }

    #[inline]
    fn store(&self, word: u32, value: u32) {
        // ORDERING: Release: no earlier store comes after it, or a death between the two would leave the later one
        // alone. For other threads the lock orders it.
        self.words[word as usize].store(value, Ordering::Release);
    }

    #[inline]
    fn read(&self, word: u32, bytes: usize, to: &mut Vec<u8>) {
        self.bytes.read_onto(word as usize * WORD, bytes, to);
    }

    #[inline]
    fn write_at(&self, word: u32, offset: usize, bytes: &[u8]) {
        self.bytes.write(word as usize * WORD + offset, bytes);
    }

    fn reserve(&self, from: u32, to: u32) -> Result<(), MemError> {
        self.mapping.reserve(WORDS + from as usize * WORD, (to - from) as usize * WORD)
    }

    fn release(&self, from: u32, to: u32) {
        // On an error the pages stay with the dict, and are used again.
        let _ = self.mapping.punch(WORDS + from as usize * WORD, (to - from) as usize * WORD);
    }
}
