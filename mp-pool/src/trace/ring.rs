//! Rings: the records of tasks that a worker has begun, in shared memory, one ring for each index.
//!
//! ```text
//!   [ pid | begun | lost |   taken ]  [ record 0 | record 1 | … ]
//!     worker writes          pool      call, first item, items begun, items done, when they began, when the last ended
//! ```
//!
//! | word    | by     | what                                                                            |
//! |---------|--------|---------------------------------------------------------------------------------|
//! | begun   | worker | records begun: the last one may be changed still, those before it are whole     |
//! | taken   | pool   | records taken: their room may be used again                                      |
//!
//! A record is written before `begun` counts it, and read when another one was begun after it, or its worker is dead.
//!
//! # When a process dies
//! A worker: its last record says which items were done, and whether one more had begun.

use crate::output::TaskNumber;
use mp_core::MemError;
use mp_core::mem::{Kind, Mapping, SharedSlice};
use mp_core::sys::clock::monotonic_nanos;
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::attach;
use mp_core::word::{Ordering, Word};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

// The words of a ring before its records.
const PID: usize = 0;
const BEGUN: usize = 1;
const LOST: usize = 2;
/// Two cache lines behind what the worker writes.
const TAKEN: usize = 32;
const HEAD: usize = 64;

// The words of a record: longer numbers have two, the lower half first.
const CALL: usize = 0;
const FIRST: usize = 2;
const ITEMS_BEGUN: usize = 4;
const ITEMS_DONE: usize = 5;
const BEGAN: usize = 6;
const ENDED: usize = 8;
const RECORD: usize = 10;

/// Bytes of the records of all rings together, at most.
const MOST_BYTES: usize = 64 << 20;
/// Nanoseconds within which tasks share a record.
const TOGETHER: u64 = 50_000;

/// Tasks that followed each other in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) call: u64,
    pub(super) first: u64,
    pub(super) begun: u32,
    pub(super) done: u32,
    /// Of the monotonic clock.
    pub(super) began: u64,
    /// When the last of those that are done ended.
    pub(super) ended: u64,
}

struct Contents;

#[derive(Clone)]
pub(crate) struct Rings {
    mapping: Arc<Mapping>,
    words: SharedSlice<FutexWord>,
    pub(super) workers: u32,
    /// Records of one ring, a power of two.
    room: u32,
}

impl Rings {
    pub(super) fn create(workers: u32) -> Result<Rings, MemError> {
        let most = MOST_BYTES / (RECORD * size_of::<FutexWord>()) / workers.max(1) as usize;
        let room = 1 << most.clamp(256, 8192).ilog2();
        let payload = words(workers, room) * size_of::<FutexWord>();
        Rings::over(Mapping::create("mp-pool-trace", Kind::of::<Contents>(), payload)?, workers, room)
    }

    fn over(mapping: Arc<Mapping>, workers: u32, room: u32) -> Result<Rings, MemError> {
        let words = SharedSlice::at(Arc::clone(&mapping), 0, words(workers, room))?;
        Ok(Rings { mapping, words, workers, room })
    }

    fn word(&self, worker: u32, at: usize) -> &FutexWord {
        &self.words[worker as usize * ring_words(self.room) + at]
    }

    /// Where a record begins in its ring.
    fn at(&self, number: u32) -> usize {
        HEAD + (number % self.room) as usize * RECORD
    }

    fn put(&self, worker: u32, at: usize, value: u64) {
        // ORDERING: Relaxed, both: published by `begun`, or read when the worker is dead.
        self.word(worker, at).store(value as u32, Ordering::Relaxed);
        // ORDERING: as above.
        self.word(worker, at + 1).store((value >> 32) as u32, Ordering::Relaxed);
    }

    fn get(&self, worker: u32, at: usize) -> u64 {
        // ORDERING: Relaxed, both: after `begun`, or the worker is dead.
        let low = self.word(worker, at).load(Ordering::Relaxed);
        // ORDERING: as above.
        u64::from(low) | u64::from(self.word(worker, at + 1).load(Ordering::Relaxed)) << 32
    }

    /// Pool: the process that writes to a ring.
    pub(super) fn pid(&self, worker: u32) -> u32 {
        // ORDERING: Relaxed: before the first record; the same until the worker is dead.
        self.word(worker, PID).load(Ordering::Relaxed)
    }

    /// Pool: records that found no room, since this was last asked of this worker.
    pub(super) fn take_lost(&self, worker: u32) -> u32 {
        // ORDERING: Relaxed: a number by itself.
        self.word(worker, LOST).swap(0, Ordering::Relaxed)
    }

    /// Pool: takes the records that are whole; all of them, if the worker is dead.
    pub(super) fn take(&self, worker: u32, dead: bool, mut each: impl FnMut(Record)) {
        // ORDERING: Acquire, pairs with the Release in `Tracer::begin`: the records are there.
        let begun = self.word(worker, BEGUN).load(Ordering::Acquire);
        // ORDERING: Relaxed: the pool alone writes it, under its lock.
        let taken = self.word(worker, TAKEN).load(Ordering::Relaxed);
        if begun == taken {
            return;
        }
        let whole = if dead { begun } else { begun.wrapping_sub(1) };
        // A wild write may have made it anything.
        let count = Some(whole.wrapping_sub(taken)).filter(|count| *count <= self.room);
        for number in 0..count.unwrap_or(0) {
            let at = self.at(taken.wrapping_add(number));
            // ORDERING: Relaxed, both: as in `get`.
            let word = |what: usize| self.word(worker, at + what).load(Ordering::Relaxed);
            each(Record {
                call: self.get(worker, at + CALL),
                first: self.get(worker, at + FIRST),
                begun: word(ITEMS_BEGUN),
                done: word(ITEMS_DONE),
                began: self.get(worker, at + BEGAN),
                ended: self.get(worker, at + ENDED),
            });
        }
        // ORDERING: Release, pairs with the Acquire in `Tracer::is_full`: the records were read.
        self.word(worker, TAKEN).store(whole, Ordering::Release);
    }
}

fn ring_words(room: u32) -> usize {
    (HEAD + room as usize * RECORD).next_multiple_of(32)
}

fn words(workers: u32, room: u32) -> usize {
    workers as usize * ring_words(room)
}

/// What a worker writes to its ring.
pub(crate) struct Tracer {
    rings: Rings,
    worker: u32,
    /// Records begun.
    begun: u32,
    /// The last of them.
    last: Option<Record>,
    /// The task that runs has no record.
    lost: bool,
}

impl Tracer {
    /// Of the worker of this index, whose predecessor is dead.
    pub(crate) fn new(rings: Rings, worker: u32) -> Tracer {
        // ORDERING: Relaxed, both: no other process writes them now.
        rings.word(worker, PID).store(std::process::id(), Ordering::Relaxed);
        // ORDERING: as above.
        let begun = rings.word(worker, BEGUN).load(Ordering::Relaxed);
        Tracer { rings, worker, begun, last: None, lost: false }
    }

    fn is_full(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `take`: the record was read before it is written again.
        let taken = self.rings.word(self.worker, TAKEN).load(Ordering::Acquire);
        self.begun.wrapping_sub(taken) >= self.rings.room
    }

    fn set(&self, number: u32, what: usize, value: u32) {
        // ORDERING: Relaxed: as in `put`.
        self.rings.word(self.worker, self.rings.at(number) + what).store(value, Ordering::Relaxed);
    }

    /// A task begins.
    pub(crate) fn begin(&mut self, task: TaskNumber) {
        let now = monotonic_nanos();
        let full = self.is_full();
        if let Some(last) = &mut self.last
            && last.call == task.call
            && last.first + u64::from(last.done) == task.item
            && (full || now.saturating_sub(last.began) < TOGETHER)
        {
            last.begun = last.done + 1;
            let begun = last.begun;
            return self.set(self.begun.wrapping_sub(1), ITEMS_BEGUN, begun);
        }
        self.lost = full;
        if full {
            // ORDERING: Relaxed: a number by itself.
            self.rings.word(self.worker, LOST).fetch_add(1, Ordering::Relaxed);
            return;
        }
        let at = self.rings.at(self.begun);
        for (what, value) in [(CALL, task.call), (FIRST, task.item), (BEGAN, now), (ENDED, now)] {
            self.rings.put(self.worker, at + what, value);
        }
        self.set(self.begun, ITEMS_BEGUN, 1);
        self.set(self.begun, ITEMS_DONE, 0);
        self.begun = self.begun.wrapping_add(1);
        // ORDERING: Release, pairs with the Acquire in `take`: this record is there, and the one before is whole.
        self.rings.word(self.worker, BEGUN).store(self.begun, Ordering::Release);
        let (call, first) = (task.call, task.item);
        self.last = Some(Record { call, first, begun: 1, done: 0, began: now, ended: now });
    }

    /// The task has ended.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.lost) {
            return;
        }
        if let Some(last) = &mut self.last {
            (last.done, last.ended) = (last.begun, monotonic_nanos());
            let Record { done, ended, .. } = *last;
            let number = self.begun.wrapping_sub(1);
            self.rings.put(self.worker, self.rings.at(number) + ENDED, ended);
            self.set(number, ITEMS_DONE, done);
        }
    }
}

impl fmt::Debug for Rings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rings").field("workers", &self.workers).finish_non_exhaustive()
    }
}

impl Serialize for Rings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.mapping, self.workers, self.room).serialize(serializer)
    }
}

struct Attached(Arc<Mapping>);

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        attach(deserializer, Kind::of::<Contents>(), "the trace of a pool").map(Attached)
    }
}

impl<'de> Deserialize<'de> for Rings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Attached(mapping), workers, room) = <(Attached, u32, u32)>::deserialize(deserializer)?;
        Rings::over(mapping, workers, room).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rings: &Rings, dead: bool) -> Vec<(u64, u64, u32, u32)> {
        let mut taken = Vec::new();
        rings.take(0, dead, |record| taken.push((record.call, record.first, record.begun, record.done)));
        taken
    }

    fn do_task(tracer: &mut Tracer, call: u64, item: u64) {
        tracer.begin(TaskNumber { call, item });
        tracer.end();
    }

    #[test]
    fn a_record_is_taken_once_and_the_last_one_when_its_worker_is_dead() {
        let rings = Rings::create(1).unwrap();
        let mut tracer = Tracer::new(rings.clone(), 0);
        assert!(taken(&rings, true).is_empty());
        do_task(&mut tracer, 1 << 40, 7);
        assert!(taken(&rings, false).is_empty());
        do_task(&mut tracer, 5, 9);
        tracer.begin(TaskNumber { call: 5, item: 3 });
        assert_eq!(taken(&rings, false), [(1 << 40, 7, 1, 1), (5, 9, 1, 1)]);
        assert_eq!((taken(&rings, true), taken(&rings, true)), (vec![(5, 3, 1, 0)], vec![]));
        // Its successor.
        let mut tracer = Tracer::new(rings.clone(), 0);
        do_task(&mut tracer, 6, 1);
        assert_eq!((taken(&rings, true), rings.pid(0)), (vec![(6, 1, 1, 1)], std::process::id()));
    }

    #[test]
    fn a_full_ring_loses_what_cannot_share_a_record() {
        let rings = Rings::create(1).unwrap();
        let mut tracer = Tracer::new(rings.clone(), 0);
        // No two follow each other.
        (0..10_000).for_each(|at| do_task(&mut tracer, 0, 2 * at));
        assert_eq!(rings.take_lost(0), 10_000 - rings.room);
        // What follows the last one is counted with it.
        do_task(&mut tracer, 0, 2 * u64::from(rings.room) - 1);
        assert_eq!((rings.take_lost(0), taken(&rings, true).pop().map(|last| last.3)), (0, Some(2)));
    }
}
