//! Table: a hash table of bytes in shared memory, under one lock and a journal.
//!
//! ```text
//!   get      lock ─ repair ─ find ─ copy out ────────────────────────────────── release
//!   swap     lock ─ repair ─ find ─ write the new entry into free cells ─ commit ─ release
//!                                   (reached from nowhere)                the journal's store
//! ```
//!
//! | file         | what                                                                 |
//! |--------------|----------------------------------------------------------------------|
//! | `shape.rs`   | where what lies                                                      |
//! | `journal.rs` | several words change together                                        |
//! | `cells.rs`   | the memory of entries                                                |
//! | `index.rs`   | buckets, and how their number grows                                  |
//! | `storage.rs` | what a table stands on                                               |
//! | `model/`     | every point of death in the model checker, and mutants               |
//! | `tests.rs`   | random calls beside a `BTreeMap`, with a death at each of the writes |
//!
//! Entries are found by the bytes of their keys. Whatever a call changes, it changes in one commit: an entry with its
//! bucket, the number of entries and the free cells. An index that grows is a commit of its own, after the entry's.
//!
//! No user code runs under the lock: it is held for as long as bytes are copied.
//!
//! # When a process dies
//! Before the commit: nothing happened; what it wrote lies in free cells. After it: the next holder of the lock
//! finishes the writes. To do them again does no harm, so a death in the repair does none either. The kernel hands the
//! lock on at once. So a death costs the others a few writes.
//!
//! A process that is stopped (SIGSTOP) within a call keeps the lock, and the others wait until it goes on.
//!
//! # Tested by
//! `model/`, `tests.rs`; mp-sync/tests/dict.rs, tests/dict_kills.rs; tools/sweep: `dict`

mod cells;
mod index;
mod journal;
#[cfg(test)]
mod model;
mod shape;
mod storage;
#[cfg(test)]
mod tests;

use crate::raw::{Acquired, Locked};
use cells::{Cells, Head};
use index::Index;
use journal::Change;
use mp_core::MemError;
use shape::{BUCKETS, COUNT, FREE, FREE_COUNT, NEXT, TOP, cells_of};
pub(crate) use shape::{CELL, Corrupt, Shape};
pub(crate) use storage::Storage;

/// Why a call did nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// As many entries, or cells, as there may be.
    Full,
    /// It would not fit into an empty dict.
    TooLarge,
    Memory(MemError),
    Corrupt,
}

impl Refused {
    #[cold]
    fn no_memory(bytes: usize) -> Refused {
        let available = mp_core::sys::memory::available_memory();
        Refused::Memory(MemError::NoMemory { asked: bytes as u64, available })
    }
}

impl From<Corrupt> for Refused {
    fn from(Corrupt: Corrupt) -> Refused {
        Refused::Corrupt
    }
}

impl From<MemError> for Refused {
    fn from(error: MemError) -> Refused {
        Refused::Memory(error)
    }
}

/// A key's bytes and their hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) hash: u32,
}

/// What a key is to have for a swap to happen.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected<'a> {
    Anything,
    /// This value; `None`: the key is not there.
    Exactly(Option<&'a [u8]>),
}

/// What a swap found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// The key had a value.
    pub(crate) had: bool,
    /// It was as expected, and has the new one now.
    pub(crate) swapped: bool,
}

/// Where an entry is.
struct Place {
    /// The word that holds its cell: a bucket, or the `next` of the entry before it.
    from: u32,
    cell: u32,
    head: Head,
}

/// The table over its storage.
pub(crate) struct Table<S> {
    storage: S,
}

impl<S: Storage> Table<S> {
    pub(crate) fn new(storage: S) -> Self {
        Table { storage }
    }

    pub(crate) fn storage(&self) -> &S {
        &self.storage
    }

    /// Waits for the lock.
    fn enter(&self) -> Result<Inside<'_, S>, Corrupt> {
        loop {
            if let Some(taken) = self.storage.lock().acquire(None) {
                return self.inside(taken);
            }
        }
    }

    fn inside(&self, taken: Acquired) -> Result<Inside<'_, S>, Corrupt> {
        let lock = Locked::new(self.storage.lock());
        journal::repair(&self.storage)?;
        if taken == Acquired::OwnerDied {
            lock.clear_died();
        }
        Ok(Inside { storage: &self.storage, _lock: lock })
    }

    /// Finds a key. Its payload, which begins with the key, is in the vector then.
    pub(crate) fn get(&self, key: Key<'_>, payload: &mut Vec<u8>) -> Result<bool, Refused> {
        Ok(self.enter()?.find(key, payload)?.is_some())
    }

    /// Gives a key a value (`None`: removes it), if it has what is expected. The payload that it had is in the vector
    /// then.
    pub(crate) fn swap(
        &self,
        key: Key<'_>,
        expected: Expected<'_>,
        new: Option<&[u8]>,
        payload: &mut Vec<u8>,
    ) -> Result<Found, Refused> {
        let inside = self.enter()?;
        let place = inside.find(key, payload)?;
        let had = place.is_some();
        let as_expected = match expected {
            Expected::Anything => true,
            Expected::Exactly(value) => value == place.as_ref().map(|_| &payload[key.bytes.len()..]),
        };
        if as_expected {
            match (place, new) {
                (None, None) => {}
                (None, Some(new)) => inside.add(key, new)?,
                (Some(place), Some(new)) => inside.replace(&place, key, new)?,
                (Some(place), None) => inside.remove(&place)?,
            }
        }
        Ok(Found { had, swapped: as_expected })
    }

    pub(crate) fn len(&self) -> Result<u32, Corrupt> {
        self.enter()?.count()
    }

    /// Removes all entries, and gives memory back.
    pub(crate) fn clear(&self) -> Result<(), Corrupt> {
        let inside = self.enter()?;
        let mut change = Change::new(inside.storage);
        [COUNT, BUCKETS, FREE, FREE_COUNT, TOP].into_iter().for_each(|word| change.set(word, 0));
        let bucket = |number| inside.storage.shape().bucket(number);
        (0..S::BUCKETS).for_each(|number| change.set(bucket(number), 0));
        change.commit()?;
        Cells::of(inside.storage).release();
        Index::of(inside.storage).release();
        Ok(())
    }

    /// Copies all payloads, as of one moment.
    pub(crate) fn all(&self) -> Result<Payloads, Refused> {
        self.enter()?.all()
    }

    /// As [`all`](Table::all), if the lock is free now.
    pub(crate) fn try_all(&self) -> Option<Result<Payloads, Refused>> {
        let taken = self.storage.lock().try_acquire()?;
        Some(self.inside(taken).map_err(Refused::from).and_then(|inside| inside.all()))
    }
}

/// Payloads one behind the other, and the lengths of the key and of the value of each.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    bytes: Vec<u8>,
    lengths: Vec<(u32, u32)>,
}

impl Payloads {
    /// Key and value of each.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let mut rest = &self.bytes[..];
        self.lengths.iter().map(move |(key, value)| {
            let (this, behind) = rest.split_at(*key as usize + *value as usize);
            rest = behind;
            this.split_at(*key as usize)
        })
    }
}

/// The lock, held, by a thread that has repaired what a dead holder left.
struct Inside<'a, S: Storage> {
    storage: &'a S,
    _lock: Locked<'a, S::Owned>,
}

impl<'a, S: Storage> Inside<'a, S> {
    /// The entry of a key, with its payload. A chain that was overwritten may be a circle: the walk ends anyhow.
    fn find(&self, key: Key<'_>, payload: &mut Vec<u8>) -> Result<Option<Place>, Refused> {
        let cells = Cells::of(self.storage);
        let mut from = Index::of(self.storage).bucket(key.hash)?;
        let mut cell = self.storage.load(from);
        for _ in 0..=self.count()? {
            if cell == 0 {
                return Ok(None);
            }
            let head = cells.head(cell)?;
            if head.hash == key.hash && head.key as usize == key.bytes.len() {
                payload.clear();
                cells.read(cell, head, payload)?;
                if payload.starts_with(key.bytes) {
                    return Ok(Some(Place { from, cell, head }));
                }
            }
            (from, cell) = (cells.word(cell, NEXT)?, head.next);
        }
        Err(Refused::Corrupt)
    }

    fn count(&self) -> Result<u32, Corrupt> {
        let count = self.storage.load(COUNT);
        if count <= self.storage.shape().entries { Ok(count) } else { Err(Corrupt) }
    }

    /// Writes an entry into free cells: its cell, and the free ones that are left.
    fn write(&self, key: Key<'_>, value: &[u8], next: u32) -> Result<(u32, cells::Free), Refused> {
        let cells = Cells::of(self.storage);
        let lengths = (u32::try_from(key.bytes.len()), u32::try_from(value.len()));
        let (Ok(key_bytes), Ok(value_bytes)) = lengths else { return Err(Refused::TooLarge) };
        let (cell, free) = cells.take(key.bytes.len() + value.len())?;
        let head = Head { next, hash: key.hash, key: key_bytes, value: value_bytes };
        cells.write(cell, head, key.bytes, value)?;
        Ok((cell, free))
    }

    fn add(&self, key: Key<'_>, value: &[u8]) -> Result<(), Refused> {
        let count = self.count()?;
        if count >= self.storage.shape().entries {
            return Err(Refused::Full);
        }
        let index = Index::of(self.storage);
        let bucket = index.bucket(key.hash)?;
        let (cell, free) = self.write(key, value, self.storage.load(bucket))?;
        let mut change = Change::new(self.storage);
        change.set(bucket, cell);
        change.set(COUNT, count + 1);
        Cells::of(self.storage).set_free(&mut change, free);
        change.commit()?;
        Ok(index.grow()?)
    }

    fn replace(&self, place: &Place, key: Key<'_>, value: &[u8]) -> Result<(), Refused> {
        let (cell, free) = self.write(key, value, place.head.next)?;
        let mut change = Change::new(self.storage);
        change.set(place.from, cell);
        self.give_back(change, place, free)
    }

    fn remove(&self, place: &Place) -> Result<(), Refused> {
        let count = self.count()?.checked_sub(1).ok_or(Corrupt)?;
        let mut change = Change::new(self.storage);
        change.set(place.from, place.head.next);
        change.set(COUNT, count);
        self.give_back(change, place, Cells::of(self.storage).free()?)
    }

    /// Commits a change after which an entry's cells are free.
    fn give_back(&self, mut change: Change<'a, S>, place: &Place, free: cells::Free) -> Result<(), Refused> {
        let cells = Cells::of(self.storage);
        let free = cells.give_back(&mut change, place.cell, place.head.payload(), free)?;
        cells.set_free(&mut change, free);
        Ok(change.commit()?)
    }

    fn all(&self) -> Result<Payloads, Refused> {
        let (cells, mut all) = (Cells::of(self.storage), Payloads::default());
        // Entries that share cells, in memory that was overwritten, would come to more than there is.
        let (mut left, mut cells_left) = (self.count()?, cells.free()?.in_use());
        all.lengths.try_reserve(left as usize).map_err(|_| Refused::no_memory(8 * left as usize))?;
        for number in 0..Index::of(self.storage).buckets()? {
            let mut cell = self.storage.load(self.storage.shape().bucket(number));
            while cell != 0 {
                left = left.checked_sub(1).ok_or(Corrupt)?;
                let head = cells.head(cell)?;
                cells_left = cells_left.checked_sub(cells_of(head.payload())).ok_or(Corrupt)?;
                cells.read(cell, head, &mut all.bytes)?;
                all.lengths.push((head.key, head.value));
                cell = head.next;
            }
        }
        if left == 0 { Ok(all) } else { Err(Refused::Corrupt) }
    }
}
