//! Where each word of a board is.
//!
//! ```text
//!  finished | caller: event count, asleep | quit, sentinel | sleepers, dismissed, started: a bit each
//!           | per worker: event count, life, turn
//!           | per worker: its marks | lanes: tail, head, hints | slots: what each is, a word for each item of a run
//! ```
//!
//! Words that different processes write stand `apart` words from each other: two cache lines, since lines are fetched
//! in pairs. In a model, where there are none, as close as they can.

use super::turns::WORKER;
use serde::{Deserialize, Serialize};

/// Words of one slot.
const SLOT: usize = 9;
/// The fewest slots beside those that are spare.
const FEWEST: u32 = 128;
/// The most lanes: a worker without work looks at all of them.
pub(super) const LANES: u32 = 8;

/// How large a board is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    pub(crate) workers: u32,
    /// CPUs that the workers may use all together.
    pub(crate) cpus: u32,
    pub(crate) lanes: u32,
    pub(crate) slots: u32,
    /// Hints of one lane, a power of two.
    pub(crate) hints: u32,
    /// Items of a run, at most 32.
    pub(crate) run: u32,
    /// Words from one hot word to the next, at least 2.
    pub(crate) apart: u32,
}

impl Shape {
    /// For so many workers on so many CPUs: 1024 slots, and 16 for each worker where that is more. And some that are
    /// spare.
    pub(crate) fn for_workers(workers: u32, cpus: u32) -> Shape {
        Shape::with_slots(workers, cpus, (16 * workers).max(1024).next_power_of_two())
    }

    /// So many, a power of two, beside those that are spare.
    fn with_slots(workers: u32, cpus: u32, slots: u32) -> Shape {
        let spare = (8 * workers).max(64).min(slots / 8);
        // More workers than CPUs do not take at once. Each look for work, or at how much there is, is at all lanes.
        let lanes = workers.min(cpus.max(1)).min(LANES);
        Shape { workers, cpus, lanes, slots: slots + spare, hints: 2 * slots, run: 23, apart: 32 }
    }

    /// With half as many slots; `None`: these are the fewest.
    pub(crate) fn halved(self) -> Option<Shape> {
        let slots = self.hints / 4;
        (slots >= FEWEST).then(|| Shape::with_slots(self.workers, self.cpus, slots))
    }

    /// Slots beyond those that tasks without priorities take: a task of a higher one finds a slot though the board is
    /// full.
    pub(crate) fn spare(self) -> u32 {
        self.slots - self.hints / 2
    }

    pub(crate) fn words(self) -> usize {
        Places::of(self).total()
    }
}

/// The first word of each part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) shape: Shape,
    apart: usize,
    workers: usize,
    worker: usize,
    marks: usize,
    mark: usize,
    lanes: usize,
    lane: usize,
    slots: usize,
    slot: usize,
}

impl Places {
    pub(super) fn of(shape: Shape) -> Places {
        let apart = shape.apart as usize;
        let bits = (shape.workers.div_ceil(32) as usize).next_multiple_of(apart);
        let workers = 3 * apart + 3 * bits;
        let worker = WORKER.next_multiple_of(apart);
        let marks = workers + shape.workers as usize * worker;
        let mark = (2 + shape.slots.div_ceil(32) as usize).next_multiple_of(apart);
        let lanes = marks + shape.workers as usize * mark;
        let lane = 2 * apart + (shape.hints as usize).next_multiple_of(apart);
        let slots = lanes + shape.lanes as usize * lane;
        // A slot is one cache line.
        let slot = (SLOT + shape.run as usize).next_multiple_of(apart / 2);
        Places { shape, apart, workers, worker, marks, mark, lanes, lane, slots, slot }
    }

    pub(super) fn total(&self) -> usize {
        self.slots + self.shape.slots as usize * self.slot
    }

    pub(super) fn finished(&self) -> usize {
        0
    }

    pub(super) fn caller(&self) -> usize {
        self.apart
    }

    pub(super) fn quit(&self) -> usize {
        2 * self.apart
    }

    pub(super) fn sentinel(&self) -> usize {
        self.quit() + 1
    }

    pub(super) fn sleepers(&self) -> usize {
        3 * self.apart
    }

    #[inline]
    pub(super) fn dismissed(&self) -> usize {
        self.sleepers() + (self.workers - self.sleepers()) / 3
    }

    pub(super) fn started(&self) -> usize {
        self.dismissed() + (self.workers - self.sleepers()) / 3
    }

    #[inline]
    pub(super) fn worker(&self, worker: u32) -> usize {
        self.workers + worker as usize * self.worker
    }

    #[inline]
    pub(super) fn marks(&self, worker: u32) -> usize {
        self.marks + worker as usize * self.mark
    }

    #[inline]
    pub(super) fn tail(&self, lane: u32) -> usize {
        self.lanes + lane as usize * self.lane
    }

    #[inline]
    pub(super) fn head(&self, lane: u32) -> usize {
        self.tail(lane) + self.apart
    }

    #[inline]
    pub(super) fn hint(&self, lane: u32, number: u32) -> usize {
        self.head(lane) + self.apart + (number & (self.shape.hints - 1)) as usize
    }

    #[inline]
    pub(super) fn slot(&self, slot: u32) -> usize {
        self.slots + slot as usize * self.slot
    }

    #[inline]
    pub(super) fn item(&self, slot: u32, item: u32) -> usize {
        self.slot(slot) + SLOT + item as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_parts_share_a_word() {
        for shape in [
            Shape { workers: 1, cpus: 1, lanes: 1, slots: 1, hints: 1, run: 1, apart: 2 },
            Shape { workers: 3, cpus: 1, lanes: 2, slots: 4, hints: 8, run: 2, apart: 2 },
            Shape::for_workers(40, 2),
            Shape::for_workers(40, 2).halved().unwrap(),
        ] {
            let places = Places::of(shape);
            let mut all = vec![
                places.finished(),
                places.caller(),
                places.caller() + 1,
                places.quit(),
                places.sentinel(),
            ];
            let bits = 0..shape.workers.div_ceil(32) as usize;
            let of = |at| [places.sleepers() + at, places.dismissed() + at, places.started() + at];
            all.extend(bits.flat_map(of));
            all.extend(
                (0..shape.workers).flat_map(|worker| (0..WORKER).map(move |at| places.worker(worker) + at)),
            );
            let bits = 2 + shape.slots.div_ceil(32) as usize;
            all.extend(
                (0..shape.workers).flat_map(|worker| (0..bits).map(move |at| places.marks(worker) + at)),
            );
            for lane in 0..shape.lanes {
                all.extend([places.tail(lane), places.head(lane)]);
                all.extend((0..shape.hints).map(|number| places.hint(lane, number)));
            }
            all.extend((0..shape.slots).flat_map(|slot| (0..SLOT).map(move |at| places.slot(slot) + at)));
            all.extend((0..shape.slots).flat_map(|slot| (0..shape.run).map(move |at| places.item(slot, at))));
            assert!(all.iter().all(|at| *at < places.total()));
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{shape:?}");
        }
    }
}
