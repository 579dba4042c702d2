//! What a table stands on in a model: words of which each access is a point of death.

use super::super::shape::{CELL, COUNT, FIRST, WRITES, cells_of};
use super::super::{Expected, Found, Key, Refused, Shape, Storage, Table};
use crate::raw::RawLock;
use mp_core::MemError;
use mp_core::word::Ordering;
use mp_model::{AnyOwned, Fault, thorough, threads};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// A word that the processes share.
pub(in super::super) trait Unit: Default {
    fn get(&self) -> u32;
    fn set(&self, value: u32);
}

/// A cell that loom tracks: a read beside a write without an order between the two is a data race.
#[derive(Default)]
pub(in super::super) struct Tracked(::loom::cell::Cell<u32>);

impl Unit for Tracked {
    fn get(&self) -> u32 {
        thorough::point();
        self.0.get()
    }
    fn set(&self, value: u32) {
        thorough::point();
        self.0.set(value);
    }
}

/// For one thread after the other.
#[derive(Default)]
pub(in super::super) struct Plain(AtomicU32);

impl Unit for Plain {
    fn get(&self) -> u32 {
        threads::point();
        // ORDERING: Relaxed: one thread.
        self.0.load(Ordering::Relaxed)
    }
    fn set(&self, value: u32) {
        threads::point();
        // ORDERING: Relaxed: as above.
        self.0.store(value, Ordering::Relaxed);
    }
}

/// The words, and the fault in them: none, unless a mutant sets one.
pub(in super::super) trait World: 'static {
    type Owned: AnyOwned;
    type Unit: Unit;
    /// Fault: a change is never committed, and its writes are done all the same.
    const NEVER_COMMITS: bool = false;
    /// Fault: what a dead holder had committed is left as it is.
    const NEVER_REPAIRS: bool = false;
    /// Fault: the number of entries is never written.
    const NEVER_COUNTS: bool = false;
}

/// Without a fault, in loom.
pub(in super::super) struct Sound;
impl World for Sound {
    type Owned = thorough::ModelOwned;
    type Unit = Tracked;
}

/// Without a fault, one thread after the other.
pub(in super::super) struct Alone;
impl World for Alone {
    type Owned = threads::ModelOwned;
    type Unit = Plain;
}

/// In loom, with a fault in the lock's words.
pub(in super::super) struct Broken<F>(PhantomData<F>);
impl<F: Fault> World for Broken<F> {
    type Owned = thorough::FaultyOwned<F>;
    type Unit = Tracked;
}

macro_rules! faults {
    ($($name:ident: $fault:ident;)*) => {$(
        pub(in super::super) struct $name;
        impl World for $name {
            type Owned = thorough::ModelOwned;
            type Unit = Tracked;
            const $fault: bool = true;
        }
    )*};
}
faults! {
    NeverCommits: NEVER_COMMITS;
    NeverRepairs: NEVER_REPAIRS;
    NeverCounts: NEVER_COUNTS;
}

pub(in super::super) struct Memory<W: World> {
    lock: Box<RawLock<W::Owned>>,
    words: Vec<W::Unit>,
    shape: Shape,
    /// There is no memory for more buckets.
    buckets_are_refused: AtomicBool,
}

impl<W: World> Storage for Memory<W> {
    type Owned = W::Owned;
    const BUCKETS: u32 = 1;

    fn lock(&self) -> &RawLock<W::Owned> {
        &self.lock
    }
    fn shape(&self) -> &Shape {
        &self.shape
    }
    fn load(&self, word: u32) -> u32 {
        let value = self.words[word as usize].get();
        if W::NEVER_REPAIRS && word == WRITES { 0 } else { value }
    }
    fn store(&self, word: u32, value: u32) {
        if !(W::NEVER_COMMITS && word == WRITES || W::NEVER_COUNTS && word == COUNT) {
            self.words[word as usize].set(value);
        }
    }
    fn read(&self, word: u32, bytes: usize, to: &mut Vec<u8>) {
        let units = self.words[word as usize..].iter().take(bytes.div_ceil(4));
        let read: Vec<u8> = units.flat_map(|unit| unit.get().to_le_bytes()).collect();
        to.extend_from_slice(&read[..bytes]);
    }
    fn write_at(&self, word: u32, offset: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let unit = &self.words[word as usize + at / 4];
            let now = rest.len().min(4 - at % 4);
            let mut value = unit.get().to_le_bytes();
            value[at % 4..][..now].copy_from_slice(&rest[..now]);
            unit.set(u32::from_le_bytes(value));
            (rest, at) = (&rest[now..], at + now);
        }
    }
    fn reserve(&self, from: u32, _: u32) -> Result<(), MemError> {
        // ORDERING: Relaxed: the test's own thread writes it.
        if from < self.shape.cell(1) && self.buckets_are_refused.load(Ordering::Relaxed) {
            return Err(MemError::NoMemory { asked: 0, available: 0 });
        }
        Ok(())
    }
    fn release(&self, _: u32, _: u32) {}
}

pub(in super::super) type Shared<W> = Arc<Table<Memory<W>>>;

/// A table of so many entries and cells.
pub(in super::super) fn table<W: World>(entries: u32, cells: u32) -> Shared<W> {
    let shape = Shape::of(entries, cells).expect("a few");
    let words = (0..shape.words()).map(|_| W::Unit::default()).collect();
    let buckets_are_refused = AtomicBool::new(false);
    Arc::new(Table::new(Memory { lock: Box::default(), words, shape, buckets_are_refused }))
}

/// Its hash is its first byte.
pub(in super::super) fn key(bytes: &[u8]) -> Key<'_> {
    Key { bytes, hash: u32::from(bytes[0]) }
}

/// What a table holds.
pub(in super::super) type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

impl<W: World> Table<Memory<W>> {
    pub(in super::super) fn set(&self, name: &[u8], value: &[u8]) -> Result<Found, Refused> {
        self.swap(key(name), Expected::Anything, Some(value), &mut Vec::new())
    }

    pub(in super::super) fn take(&self, name: &[u8]) -> Result<Found, Refused> {
        self.swap(key(name), Expected::Anything, None, &mut Vec::new())
    }

    /// The value of a key.
    pub(in super::super) fn value(&self, name: &[u8]) -> Option<Vec<u8>> {
        let mut payload = Vec::new();
        let found = self.get(key(name), &mut payload).expect("it is whole");
        found.then(|| payload[name.len()..].to_vec())
    }

    /// All there is, having found that nothing is wrong: each cell is in one entry or free, and each entry is found.
    pub(in super::super) fn contents(&self) -> Contents {
        let all = self.all().expect("it is whole");
        let contents: Contents = all.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(contents.len(), all.iter().len(), "a key is there twice");
        assert_eq!(
            contents.len(),
            self.len().expect("it is whole") as usize,
            "the number of entries is wrong"
        );
        for (name, value) in &contents {
            assert_eq!(self.value(name).as_ref(), Some(value), "an entry is in another bucket");
        }
        let used: u32 = contents.iter().map(|(name, value)| cells_of(name.len() + value.len())).sum();
        let (free, top) = self.cells_that_are_free();
        assert_eq!(used + free, top, "a cell is lost, or in two places");
        contents
    }

    /// The free ones, each seen once, and the number of all that were ever used.
    fn cells_that_are_free(&self) -> (u32, u32) {
        use super::super::shape::{FREE, FREE_COUNT, LINK, TOP};
        let inside = self.enter().expect("it is whole");
        let load = |word| inside.storage.load(word);
        let mut seen = vec![false; self.storage().shape.cells as usize + 1];
        let mut cell = load(FREE);
        for _ in 0..load(FREE_COUNT) {
            assert!(!std::mem::replace(&mut seen[cell as usize], true), "a cell is free twice");
            cell = load(self.storage().shape.cell(cell) + LINK);
        }
        (load(FREE_COUNT), load(TOP))
    }

    /// From now on there is no memory for more buckets, or there is.
    pub(in super::super) fn refuse_buckets(&self, refused: bool) {
        // ORDERING: Relaxed: the test's own thread reads it.
        self.storage().buckets_are_refused.store(refused, Ordering::Relaxed);
    }

    /// Writes any number anywhere.
    pub(in super::super) fn overwrite(&self, at: usize, value: u32) {
        self.storage().words[at].set(value);
    }

    pub(in super::super) fn words(&self) -> usize {
        self.storage().words.len()
    }
}

const _: () = assert!(FIRST.is_multiple_of(CELL));
