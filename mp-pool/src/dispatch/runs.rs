//! Runs: items that go to the workers one by one, several in a slot (`board/run.rs`).
//!
//! ```text
//!   a slot's piece:  code │ arguments, each in `stride` bytes │ results, each in `room` bytes
//! ```
//!
//! | what                                           | goes                                                 |
//! |------------------------------------------------|------------------------------------------------------|
//! | chunks of one item, many for each worker       | in runs, once it is known what a result takes        |
//! | few for each worker; long arguments or results | a slot for each (post.rs)                            |
//! | with a deadline, retries or a priority         | a slot for each: what is asked is asked of that task |

use super::deadlines::Timed;
use super::{Awaited, Batch, Dispatch, GivenUp, History, Open};
use crate::arena::whole;
use crate::board::{Item, Run, hint_of_run};
use crate::error::TaskError;
use crate::job::{Piece, Settled};
use crate::memory::PIECE;
use crate::options::TaskOptions;
use crate::record::{Short, record_length, take_item};
use std::sync::Arc;

/// What a slot's items have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenRun {
    /// The items that are not settled, a bit each.
    left: u32,
    stride: usize,
    room: usize,
}

/// Results of one worker, side by side.
#[derive(Default)]
struct Gathered {
    first: u32,
    items: u32,
    worker: u32,
    bytes: Vec<u8>,
}

/// The items whose bits these are.
fn items_of(mut bits: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let item = (bits != 0).then(|| bits.trailing_zeros());
        bits &= bits.wrapping_sub(1);
        item
    })
}

impl Dispatch {
    /// How many of a batch's items are to be in a slot together and taken one by one; 1: each has its slot.
    pub(super) fn items_of_run(&self, batch: &Batch) -> u32 {
        let job = &batch.job;
        let is_plain =
            job.options == TaskOptions::new() && batch.message.is_none() && batch.history.losses == 0;
        if batch.chunk > 1 || !is_plain || job.ahead() > 0 || job.result_bytes().is_none() {
            return 1;
        }
        // Others take from the end of a run, so a long one costs no worker its work. Where slots wait for each already,
        // the last items of a batch are in runs as long as all others.
        let (workers, most) = (self.workers.len(), self.memory.board.shape().run as usize);
        if self.in_flight >= 2 * workers {
            return most as u32;
        }
        ((self.in_flight + batch.items as usize) / workers).clamp(1, most) as u32
    }

    /// Puts so many of the next items of a batch into a slot, or fewer, and gives the hint to it. `None`: there is no
    /// slot, or they are too long.
    pub(super) fn place_run(&mut self, batch: &mut Batch, most: u32) -> Option<u32> {
        let slot = self.free_slot()?;
        let code = batch.job.code.len();
        // Half as much again as one may take, and at least what a number takes, or that of a message.
        let result = (batch.job.result_bytes()? * 3 / 2).max(SHORT);
        let measured =
            measure(&batch.bytes[batch.at..], most.min(batch.items), PIECE.checked_sub(code + 16)?, result);
        let Measured { items, stride, length } = measured;
        if items < 2 {
            return None;
        }
        let place = slot as usize * PIECE;
        self.memory.bytes.write(place, &batch.job.code);
        self.write_arguments(place + code, &batch.bytes[batch.at..batch.at + length], items as usize, stride);
        let of_arguments = whole(code + items as usize * stride);
        let room = (PIECE - of_arguments) / items as usize;
        let job = batch.job.number(&mut self.jobs);
        let open = Open {
            job: Arc::clone(&batch.job),
            first: batch.first,
            items,
            chunk: 1,
            arguments: (place + code, length),
            results: place + of_arguments,
            block: None,
            message: None,
            leases: None,
            history: History::default(),
            turn: 0,
            timed: Timed::default(),
            given_up: None,
            run: Some(OpenRun { left: u32::MAX >> (32 - items), stride, room }),
        };
        batch.at += length;
        batch.first += items;
        batch.items -= items;
        self.enter(slot, open);
        let (place, code, stride, room) = (place as u32, code as u32, stride as u32, room as u32);
        self.memory.board.post_run(slot, Run { items, place, code, stride, room, job });
        Some(hint_of_run(slot))
    }

    /// Writes so many packed items, each in `stride` bytes.
    fn write_arguments(&self, at: usize, mut packed: &[u8], items: usize, stride: usize) {
        // They lie so already where all are as long: most are as long as those beside them.
        if packed.len() == items * stride {
            return self.memory.bytes.write(at, packed);
        }
        for item in 0..items {
            let before = packed;
            take_item(&mut packed);
            // What is behind a shorter one is left as it is: its length is in front of it.
            self.memory.bytes.write(at + item * stride, &before[..before.len() - packed.len()]);
        }
    }

    /// Whether a slot's items are taken one by one.
    pub(super) fn is_run(&self, slot: u32) -> bool {
        self.open[slot as usize].as_ref().is_some_and(|open| open.run.is_some())
    }

    /// The items of a slot, if they are taken one by one, that are not settled.
    pub(super) fn left_of(&self, slot: u32) -> impl Iterator<Item = u32> + use<> {
        let run = self.open[slot as usize].as_ref().and_then(|open| open.run);
        items_of(run.map_or(0, |run| run.left))
    }

    /// Settles what is done of a slot's items, and what a dead worker had begun.
    pub(super) fn settle_run(&mut self, slot: u32, dead: Option<(u32, &TaskError)>) {
        let Some(mut open) = self.open[slot as usize].take() else { return };
        let Some(mut run) = open.run else { return };
        let dead_worker = dead.map(|(worker, _)| worker);
        let mut ends = [Item::Open; u32::BITS as usize];
        items_of(run.left)
            .for_each(|item| ends[item as usize] = self.memory.board.item(slot, item, dead_worker));
        // Read after the words that say what is there.
        let (mut results, mut gathered) = (std::mem::take(&mut self.buffer), Gathered::default());
        results.clear();
        self.memory.bytes.read_onto(open.results, open.items as usize * run.room, &mut results);
        let (mut bytes, mut items) = (0, 0);
        for (item, record) in (0..).zip(results.chunks_exact(run.room)) {
            let position = open.first + item;
            match ends[item as usize] {
                Item::Open => continue,
                Item::Done { worker, sent: false } => {
                    let length = record_length(record).unwrap_or(0);
                    (bytes, items) = (bytes + length, items + 1);
                    self.gather(&open, &mut gathered, (position, worker), record, length);
                }
                Item::Done { worker, sent: true } => {
                    self.count(&open, worker, 1, 0);
                    let message = record.first_chunk().map_or(0, |number| u32::from_le_bytes(*number));
                    if let Some((number, _)) = self.latest.get(worker as usize) {
                        let awaited = Awaited {
                            job: Arc::clone(&open.job),
                            item: position,
                            lending: None,
                            again: None,
                        };
                        self.await_message((*number, message), awaited);
                    }
                }
                Item::Lost { condemned } => {
                    let died = dead.map_or(TaskError::Terminated, |(_, died)| died.clone());
                    let why = dead_worker.and_then(|worker| self.given_up_in_runs.get(&worker).copied());
                    open.given_up = why.filter(|_| condemned);
                    let error = if condemned { Dispatch::end_of(&open, &died) } else { died };
                    self.trace_died(&open.job, position, &error);
                    self.settle_item(&open.job, position, Settled::Failed(error));
                }
            }
            run.left &= !(1 << item);
        }
        self.settle_gathered(&open, &mut gathered);
        self.buffer = results;
        open.job.saw(bytes, items);
        open.run = Some(run);
        self.put_run(slot, open, run.left);
    }

    /// The slot stands for what is left of it.
    fn put_run(&mut self, slot: u32, open: Open, left: u32) {
        if left > 0 {
            self.open[slot as usize] = Some(open);
            return;
        }
        self.left(&open);
        self.memory.board.free_run(slot);
        self.give_back(slot, &open);
    }

    fn gather(
        &mut self,
        open: &Open,
        gathered: &mut Gathered,
        (position, worker): (u32, u32),
        room: &[u8],
        length: usize,
    ) {
        let is_next = position == gathered.first + gathered.items && worker == gathered.worker;
        if !is_next || gathered.items == 0 {
            self.settle_gathered(open, gathered);
            (gathered.first, gathered.worker) = (position, worker);
            // Those that may follow are about as long.
            let most = open.first + open.items - position;
            gathered.bytes.reserve(most as usize * (length + 2) + SHORT);
        }
        if length == 0 {
            // A wild write.
            self.settle_gathered(open, gathered);
            let reason = "what its worker wrote is damaged".to_owned();
            self.settle_item(&open.job, position, Settled::Failed(TaskError::Value(reason)));
            return;
        }
        push_record(&mut gathered.bytes, room, length);
        gathered.items += 1;
    }

    fn settle_gathered(&mut self, open: &Open, gathered: &mut Gathered) {
        let Gathered { first, items, worker, bytes } = std::mem::take(gathered);
        if items == 0 {
            return;
        }
        self.count(open, worker, items, bytes.len());
        let outcome = match (items, Short::of(&bytes)) {
            (1, Some(value)) => Settled::Short(value),
            _ => {
                // A wild write may have made it any worker's.
                let name = self.latest.get(worker as usize).map(|(_, name)| Arc::clone(name));
                Settled::Records(bytes, name.unwrap_or_else(|| "a worker".into()))
            }
        };
        self.settle(&open.job, Piece { first, items, outcome });
    }

    /// So many items of a slot came back from a worker, in so many bytes; their arguments as long as all are on
    /// average.
    fn count(&mut self, open: &Open, worker: u32, items: u32, bytes: usize) {
        if let Some(counts) = self.counts.get_mut(worker as usize) {
            counts.came_back(items, open.arguments.1 * items as usize / open.items as usize, bytes);
        }
    }

    /// What no worker has begun of a slot's items is not begun any more.
    pub(super) fn withdraw_run(&mut self, slot: u32) {
        let left = self.left_of(slot);
        let Some(mut open) = self.open[slot as usize].take() else { return };
        let Some(mut run) = open.run else { return };
        for item in left.filter(|item| self.memory.board.cancel_item(slot, *item)).collect::<Vec<_>>() {
            run.left &= !(1 << item);
            self.fail(&open.job, open.first + item, 1, &TaskError::Cancelled);
        }
        open.run = Some(run);
        self.put_run(slot, open, run.left);
    }

    /// Takes back what no worker has begun of a slot's items: it waits again. Gives the slot if that was all of it.
    pub(super) fn retract_run(&mut self, slot: u32) -> Option<u32> {
        let left = self.left_of(slot);
        let mut open = self.open[slot as usize].take()?;
        let mut run = open.run?;
        let taken_back: Vec<u32> = left.filter(|item| self.memory.board.cancel_item(slot, *item)).collect();
        for item in taken_back.into_iter().rev() {
            run.left &= !(1 << item);
            let mut bytes = Vec::new();
            self.memory.bytes.read_onto(
                open.arguments.0 + item as usize * run.stride,
                run.stride,
                &mut bytes,
            );
            let mut rest = bytes.as_slice();
            take_item(&mut rest);
            let length = bytes.len() - rest.len();
            bytes.truncate(length);
            self.requeue(Batch::new(&open.job, open.first + item, 1, 1, bytes));
        }
        open.run = Some(run);
        if run.left > 0 {
            self.open[slot as usize] = Some(open);
            return None;
        }
        self.left(&open);
        self.memory.board.free_run(slot);
        Some(slot)
    }

    /// Whether a worker is at an item of a slot.
    pub(super) fn is_run_taken(&self, slot: u32) -> bool {
        self.left_of(slot).any(|item| self.memory.board.is_item_taken(slot, item))
    }

    /// Gives up what workers are at of a slot's items, and kills these workers.
    pub(super) fn condemn_run(&mut self, slot: u32) {
        for item in self.left_of(slot) {
            self.condemn_item(slot, item, GivenUp::Cancelled);
        }
    }

    /// Gives up the item of a run that this worker is at, if it is at one, and kills it.
    pub(super) fn condemn_in_runs(&mut self, worker: u32, why: GivenUp) {
        let is_at = |(slot, item): &(u32, u32)| self.memory.board.is_item_taken_by(*slot, *item, worker);
        let items = |slot| self.left_of(slot).map(move |item| (slot, item));
        let found = (0..self.open.len() as u32).flat_map(items).find(is_at);
        if let Some((slot, item)) = found {
            self.condemn_item(slot, item, why);
        }
    }

    fn condemn_item(&mut self, slot: u32, item: u32, why: GivenUp) {
        if let Some(worker) = self.memory.board.condemn_item(slot, item) {
            self.given_up_in_runs.insert(worker, why);
            self.kill(worker);
        }
    }

    /// Whether a worker is at an item that was given up.
    pub(super) fn is_condemned_in_run(&self, slot: u32, worker: u32) -> bool {
        self.left_of(slot).any(|item| self.memory.board.is_item_condemned(slot, item, worker))
    }

    /// Fails what is left of what a slot stood for.
    pub(super) fn fail_open(&mut self, open: &Open, error: &TaskError) {
        match open.run {
            None => self.fail(&open.job, open.first, open.items, error),
            Some(run) => {
                items_of(run.left).for_each(|item| self.fail(&open.job, open.first + item, 1, error));
            }
        }
    }
}

/// A record that is no longer is copied by one store, of which what is meant stays.
const SHORT: usize = 16;

/// Appends the record of this length that is at the front of a room.
#[inline]
fn push_record(bytes: &mut Vec<u8>, room: &[u8], length: usize) {
    match room.first_chunk::<SHORT>() {
        Some(short) if length <= SHORT => {
            let end = bytes.len() + length;
            bytes.extend_from_slice(short);
            bytes.truncate(end);
        }
        _ => bytes.extend_from_slice(&room[..length]),
    }
}

struct Measured {
    items: u32,
    /// The bytes of the longest.
    stride: usize,
    /// The bytes of all.
    length: usize,
}

/// How many items at the front fit into so many bytes with their results.
fn measure(bytes: &[u8], most: u32, space: usize, result: usize) -> Measured {
    let (mut rest, mut measured) = (bytes, Measured { items: 0, stride: 0, length: 0 });
    while measured.items < most {
        let before = rest.len();
        if take_item(&mut rest).is_none() {
            break;
        }
        let stride = measured.stride.max(before - rest.len());
        if (measured.items as usize + 1) * (stride + result) > space {
            break;
        }
        measured = Measured { items: measured.items + 1, stride, length: bytes.len() - rest.len() };
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;

    #[test]
    fn runs_are_short_only_where_workers_lack_slots() {
        let mut dispatch = Dispatch::new(64, 2).unwrap();
        let job = Job::new(Vec::new(), TaskOptions::new());
        job.saw(3, 1);
        let most = |dispatch: &Dispatch, items| {
            dispatch.items_of_run(&Batch::new(&job, 0, items, 1, vec![0; items as usize]))
        };
        assert_eq!(most(&dispatch, 64), 1);
        assert_eq!(most(&dispatch, 640), 10);
        let longest = dispatch.memory.board.shape().run;
        assert_eq!(most(&dispatch, 64 * 64), longest);
        dispatch.in_flight = 128;
        assert_eq!(most(&dispatch, 64), longest);
    }

    #[test]
    fn as_many_items_go_together_as_fit_with_their_results() {
        let bytes = [&[1, 7][..], &[3, 7, 7, 7], &[2, 7, 7], &[9; 10]].concat();
        let of = |most, space| {
            let Measured { items, stride, length } = measure(&bytes, most, space, 6);
            (items, stride, length)
        };
        assert_eq!(of(2, 100), (2, 4, 6));
        assert_eq!(of(9, 30), (3, 4, 9));
        assert_eq!(of(9, 29), (2, 4, 6));
        assert_eq!(of(9, 1000), (4, 10, 19));
        assert_eq!(of(9, 7), (0, 0, 0));
    }

    #[test]
    fn records_come_side_by_side_whatever_their_length() {
        for room in [2, SHORT - 1, SHORT, SHORT + 1, 40] {
            for length in
                [0, 1, 2, SHORT - 1, SHORT, SHORT + 1, 40].into_iter().filter(|length| *length <= room)
            {
                let (first, second) = (vec![1; room], vec![2; room]);
                let mut bytes = Vec::new();
                push_record(&mut bytes, &first, length);
                push_record(&mut bytes, &second, length);
                assert_eq!(bytes, [vec![1; length], vec![2; length]].concat());
            }
        }
    }

    #[test]
    fn bits_are_items() {
        assert_eq!(items_of(0b1000_0101).collect::<Vec<_>>(), [0, 2, 7]);
        assert_eq!(items_of(u32::MAX).count(), 32);
        assert_eq!(items_of(0).count(), 0);
    }
}
