//! From pending batches to slots on the board.
//!
//! | arguments and room for results | go                                              |
//! |--------------------------------|-------------------------------------------------|
//! | up to 512 bytes                | into the slot's own piece                       |
//! | up to a quarter of the arena   | into a block of the arena                       |
//! | more, or with descriptors      | by message, when the worker asks for them        |
//!
//! A full board or arena holds the rest back until something is finished. That is no task's error.

use super::deadlines::Timed;
use super::leases::lent_bytes;
use super::{Batch, Dispatch, History, Open, Phase};
use crate::arena::{Block, whole};
use crate::board::{Chunk, is_of_run};
use crate::error::SubmitError;
use crate::generate::ring_room;
use crate::job::Job;
use crate::memory::PIECE;
use crate::record::{HEAD, take_item};
use mp_core::transfer::Message;
use std::sync::Arc;

/// A chunk of more bytes than this is cut: workers begin with the first part while the rest is written.
const MOST_BYTES: usize = 64 << 10;
/// A chunk whose results take more bytes than this is cut, too.
const MOST_RESULTS: usize = 1 << 20;
/// A longer result goes by message.
const MOST_ROOM: usize = 8 << 20;
/// Slots that are dealt to one lane together, at most.
const LONGEST_RUN: usize = 32;

impl Dispatch {
    /// Puts as much on the board as it holds.
    pub(crate) fn post(&mut self) {
        if !matches!(self.phase, Phase::Running | Phase::Closed) {
            return;
        }
        let mut posted = !self.undealt.is_empty();
        self.deal(&mut Vec::new());
        if self.is_ranked() {
            if self.post_ranked() || posted {
                self.memory.board.wake_worker();
            }
            return;
        }
        while let Some(mut batch) = self.pending.pop_front() {
            let goes_on = self.post_batch(&mut batch, &mut posted);
            if batch.items > 0 {
                self.pending.push_front(batch);
            }
            if !goes_on {
                break;
            }
        }
        if posted {
            self.memory.board.wake_worker();
        }
    }

    /// Puts as much of a batch on the board as that holds; `false`: it is full.
    fn post_batch(&mut self, batch: &mut Batch, posted: &mut bool) -> bool {
        let chunks = batch.items.div_ceil(batch.chunk) as usize;
        let most = self.items_of_run(batch);
        let longest = (chunks / (4 * self.workers.len() * most as usize)).clamp(1, LONGEST_RUN);
        let mut hints = Vec::with_capacity(longest);
        while batch.items > 0 {
            let run = if most > 1 { self.place_run(batch, most) } else { None };
            let hint = run.or_else(|| self.place(batch));
            hints.extend(hint);
            *posted |= hint.is_some();
            if (hint.is_none() || hints.len() >= longest) && !self.deal(&mut hints) || hint.is_none() {
                return false;
            }
        }
        self.deal(&mut hints)
    }

    /// Tells the workers of slots, and of those that they were not told of before; `false`: not of all, since the lanes
    /// are full. Slots that they are not told of are pending again; runs are kept.
    fn deal(&mut self, hints: &mut Vec<u32>) -> bool {
        hints.append(&mut self.undealt);
        loop {
            self.deal_by_turns(hints);
            if hints.is_empty() {
                return true;
            }
            if !self.memory.board.pass_old() {
                break;
            }
        }
        for slot in hints.drain(..).rev() {
            if is_of_run(slot) {
                self.undealt.push(slot);
            } else if self.memory.board.cancel(slot)
                && let Some(open) = self.close(slot)
            {
                self.put_back(slot, open, 0);
            }
        }
        // The first hint of a lane may have been to one of these. Else it is to a task: the worker that takes that has
        // the caller deal again when it is done.
        self.memory.board.pass_old()
    }

    /// Tells the workers of as many slots as the lanes have room for.
    fn deal_by_turns(&mut self, hints: &mut Vec<u32>) {
        let lanes = self.memory.board.shape().lanes;
        for _ in 0..lanes {
            if hints.is_empty() {
                return;
            }
            let dealt = self.deal_next(hints);
            hints.drain(..dealt);
        }
    }

    /// Tells the workers of as many slots as the next lane has room for. Gives how many.
    fn deal_next(&mut self, hints: &[u32]) -> usize {
        let lane = self.next_lane;
        self.next_lane = (lane + 1) % self.memory.board.shape().lanes;
        self.memory.board.deal_knowing(lane, hints, &mut self.heads[lane as usize])
    }

    /// Puts the next items of a batch into a slot; `None`: there is no room now.
    pub(super) fn place(&mut self, batch: &mut Batch) -> Option<u32> {
        let slot = self.free_slot()?;
        if batch.message.is_some() {
            return Some(self.place_message(slot, batch));
        }
        let fitting = batch.job.result_bytes().map_or(u32::MAX, |each| (MOST_RESULTS / each).max(1) as u32);
        let (items, length) = measure(batch, batch.chunk.min(fitting));
        let code = batch.job.code.len();
        let of_arguments = whole(code + length);
        let lent = lent_bytes(batch.leases.as_ref());
        let Spot { place, room, block } = match self.spot(slot, &batch.job, items, length, lent) {
            Ok(spot) => spot,
            // With nothing on the board, nothing that is finished will make room.
            Err(NoSpot::Now) if self.in_flight > 0 => return None,
            Err(_) => return Some(self.place_without_arena(slot, batch)),
        };
        self.memory.bytes.write(place, &batch.job.code);
        self.memory.bytes.write(place + code, &batch.bytes[batch.at..batch.at + length]);
        let open = Open {
            job: Arc::clone(&batch.job),
            first: batch.first,
            items,
            chunk: batch.chunk,
            arguments: (place + code, length),
            results: place + of_arguments,
            block,
            message: None,
            leases: batch.leases.take(),
            history: std::mem::take(&mut batch.history),
            turn: 0,
            timed: Timed::default(),
            given_up: None,
            run: None,
        };
        batch.at += length;
        batch.first += items;
        batch.items -= items;
        self.open_slot(slot, open, place, code + length, room);
        Some(slot)
    }

    /// Where so many items of so many bytes go, and what comes of them: about as much as they are, and as their
    /// buffers.
    fn spot(&mut self, slot: u32, job: &Job, items: u32, length: usize, lent: usize) -> Result<Spot, NoSpot> {
        let of_arguments = whole(job.code.len() + length);
        // Of results that lie in buffers it is known better what the next one takes.
        let of_buffers = if lent > 0 { self.lent.seen(job) } else { None };
        let seen = of_buffers.or_else(|| job.result_bytes()).or_else(|| self.lent.seen(job));
        let each = seen.unwrap_or(length / items as usize + lent + HEAD);
        let room = match job.ahead() {
            0 => Some(items as usize * each + HEAD).filter(|room| *room <= MOST_ROOM).unwrap_or(HEAD),
            ahead => ring_room(ahead),
        };
        if of_arguments + room <= PIECE {
            return Ok(Spot { place: slot as usize * PIECE, room: PIECE - of_arguments, block: None });
        }
        if of_arguments > self.arena.len() / 4 {
            return Err(NoSpot::Ever);
        }
        self.returned.give_back(&mut self.arena);
        let memory = &self.memory;
        let block = self.arena.take(of_arguments + room, |at, len| memory.reserve(at, len));
        let block = block.ok_or(NoSpot::Now)?;
        Ok(Spot { place: memory.arena() + block.at, room: block.len - of_arguments, block: Some(block) })
    }

    /// Takes an item that its job expects, in two parts.
    pub(crate) fn submit_expected(
        &mut self,
        job: &Arc<Job>,
        first: u32,
        heads: &[u8],
        content: &[u8],
    ) -> Result<(), SubmitError> {
        self.phase.check()?;
        if self.is_full() {
            self.collect();
        }
        if !self.post_block(job, first, heads, content) {
            self.enqueue(Batch::new(job, first, 1, 1, [heads, content].concat()));
            self.post();
        }
        Ok(())
    }

    /// Puts an item on the board, without a copy in between. `false`: it has to wait.
    fn post_block(&mut self, job: &Arc<Job>, first: u32, heads: &[u8], content: &[u8]) -> bool {
        let Some(slot) = self.free_slot() else { return false };
        let by_rank = self.is_ranked() || job.options.priority != 0;
        if self.is_full() || by_rank || !matches!(self.phase, Phase::Running | Phase::Closed) {
            return false;
        }
        let length = heads.len() + content.len();
        let Ok(Spot { place, room, block }) = self.spot(slot, job, 1, length, 0) else { return false };
        let at = place + job.code.len();
        self.memory.bytes.write(place, &job.code);
        self.memory.bytes.write(at, heads);
        self.memory.bytes.write(at + heads.len(), content);
        let results = place + whole(job.code.len() + length);
        let arguments = (at, length);
        let job = Arc::clone(job);
        let open = Open {
            job,
            first,
            items: 1,
            chunk: 1,
            arguments,
            results,
            block,
            message: None,
            leases: None,
            history: History::default(),
            turn: 0,
            timed: Timed::default(),
            given_up: None,
            run: None,
        };
        let code = open.job.code.len();
        self.open_slot(slot, open, place, code + length, room);
        if !self.undealt.is_empty() || self.deal_next(&[slot]) == 0 {
            self.deal(&mut vec![slot]);
        }
        self.memory.board.wake_worker();
        if self.is_full() {
            self.post();
        }
        true
    }

    /// The arena is too small, or the system has no memory for it: one item alone, by message.
    fn place_without_arena(&mut self, slot: u32, batch: &mut Batch) -> u32 {
        let (_, length) = measure(batch, 1);
        let item = take_item(&mut &batch.bytes[batch.at..]).unwrap_or_default().to_vec();
        batch.at += length;
        batch.message = Some(Arc::new(Message { bytes: item, handles: Vec::new() }));
        self.place_message(slot, batch)
    }

    fn place_message(&mut self, slot: u32, batch: &mut Batch) -> u32 {
        let (place, code) = (slot as usize * PIECE, batch.job.code.len());
        self.memory.bytes.write(place, &batch.job.code);
        let results = place + whole(code);
        let open = Open {
            job: Arc::clone(&batch.job),
            first: batch.first,
            items: 1,
            chunk: batch.chunk,
            arguments: (place + code, 0),
            results,
            block: None,
            message: batch.message.take(),
            leases: batch.leases.take(),
            history: std::mem::take(&mut batch.history),
            turn: 0,
            timed: Timed::default(),
            given_up: None,
            run: None,
        };
        batch.first += 1;
        batch.items -= 1;
        self.open_slot(slot, open, place, code, PIECE - whole(code));
        slot
    }

    /// The arguments that do not go through shared memory, for the worker that has the slot.
    pub(crate) fn message(&self, slot: u32) -> Option<Arc<Message>> {
        self.open.get(slot as usize)?.as_ref()?.message.clone()
    }

    fn open_slot(&mut self, slot: u32, mut open: Open, place: usize, length: usize, room: usize) {
        let by_message = open.message.is_some();
        open.timed.limit = open.job.options.limit();
        if let Some(limit) = open.timed.limit {
            self.deadlines.posted(limit);
        }
        let chunk = Chunk {
            items: open.items,
            place: place as u32,
            length: length as u32,
            room: room as u32,
            by_message,
            timed: open.timed.limit.is_some(),
            lends: open.leases.is_some(),
            ahead: open.job.ahead(),
        };
        self.enter(slot, open);
        self.memory.board.post(slot, chunk);
    }

    /// The slot, which is the last free one, stands for this.
    pub(super) fn enter(&mut self, slot: u32, mut open: Open) {
        self.turns += 1;
        open.turn = self.turns;
        open.job.took_slot(open.items);
        self.in_flight += 1;
        self.last_slot = slot;
        self.free.pop();
        self.open[slot as usize] = Some(open);
    }
}

/// Where a chunk goes.
struct Spot {
    place: usize,
    /// Bytes for results.
    room: usize,
    block: Option<Block>,
}

enum NoSpot {
    Now,
    Ever,
}

/// How many items go together, and how many bytes they are.
fn measure(batch: &Batch, most: u32) -> (u32, usize) {
    let all = &batch.bytes[batch.at..];
    // A batch ends when it has that many bytes: what its last item has beyond them is no reason to cut it.
    if batch.items <= most && all.len() <= MOST_BYTES + MOST_BYTES / 8 {
        return (batch.items, all.len());
    }
    let (mut rest, mut items) = (all, 0);
    while items < most.min(batch.items) {
        let mut next = rest;
        // A long one goes alone.
        if take_item(&mut next).is_none() || items > 0 && all.len() - next.len() > MOST_BYTES {
            break;
        }
        (rest, items) = (next, items + 1);
    }
    (items.max(1), all.len() - rest.len())
}
