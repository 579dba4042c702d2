//! From finished slots to results.

use super::{Awaited, Batch, Dispatch, History, MessageId, Open};
use crate::arena::{Block, whole};
use crate::board::Found;
use crate::buffer::Lending;
use crate::error::TaskError;
use crate::job::{Job, Piece, Settled};
use crate::lent::{LONG, Lent};
use crate::record::{HEAD, Short, take_item};
use std::collections::VecDeque;
use std::sync::Arc;

impl Dispatch {
    /// Takes what is finished off the board, and puts what waits on it.
    pub(crate) fn collect(&mut self) {
        match self.only_slot() {
            // What is told of others is old.
            Some(slot) => self.collect_slot(slot),
            None => self.collect_all(),
        }
    }

    /// The slot in use, if it is the only one.
    pub(crate) fn only_slot(&self) -> Option<u32> {
        // What a task yields is told of while its slot is not done.
        let is_one = |open: &Open| open.run.is_none() && open.job.ahead() == 0;
        let is_chunk = |slot: &u32| self.open[*slot as usize].as_ref().is_some_and(is_one);
        Some(self.last_slot).filter(|slot| self.in_flight == 1 && self.trace.is_none() && is_chunk(slot))
    }

    fn collect_slot(&mut self, slot: u32) {
        if let Some(found) = self.memory.board.found(slot, None) {
            self.settle_done(slot, found);
            self.refill();
        }
    }

    fn settle_done(&mut self, slot: u32, found: Found) {
        if !self.settle_short(slot, &found) {
            self.settle_slot(slot, found, None);
        }
    }

    /// As [`collect`](Dispatch::collect). What is told of is old afterwards, whatever is told.
    pub(crate) fn collect_all(&mut self) {
        if !self.memory.board.has_finished() {
            return;
        }
        let mut finished = std::mem::take(&mut self.finished);
        self.memory.board.take_finished(&mut finished, |slot| self.memory.prefetch(slot));
        for &slot in &finished {
            if self.is_run(slot) {
                self.settle_run(slot, None);
            } else if let Some(found) = self.memory.board.found(slot, None) {
                self.settle_done(slot, found);
            } else {
                self.take_yielded(slot);
            }
        }
        self.finished = finished;
        if let Some(trace) = &mut self.trace {
            trace.collect();
        }
        self.refill();
    }

    /// Whether the results of a job are looked at soon after they come, a few together.
    pub(crate) fn is_batched(&self, job: Option<&Job>) -> bool {
        self.reporting > 0 || job.is_some_and(Job::is_stream)
    }

    /// How few hints may be left in the lanes before the thread that waits for this job is woken. It is woken for each
    /// result where others have slots too, and where few are left: one of those may be what it waits for. Where a slot
    /// has many items, it is woken for a few slots: it decodes them while workers go on.
    pub(crate) fn enough(&self, job: Option<&Job>) -> u32 {
        let few = 2 * self.workers.len();
        // The feeder, which nothing but room on the board concerns: a call that submits collects by itself, too.
        let feeds = job.is_none() && self.callbacks.waiting == 0 && (self.is_full() || self.reporting > 0);
        let yields = job.is_some_and(|job| job.ahead() > 0);
        if self.in_flight <= few || yields || !feeds && job.is_none_or(|job| job.slots() < self.in_flight) {
            return u32::MAX;
        }
        let enough = if job.is_some_and(Job::is_coarse) {
            self.in_flight - few
        } else if self.is_full() || self.is_batched(job) {
            // It reads on while the workers do the other half.
            self.in_flight / 2
        } else {
            0
        };
        enough as u32
    }

    /// Puts what waits on the board, which has room again.
    pub(super) fn refill(&mut self) {
        if self.pending.is_empty() && self.undealt.is_empty() && !self.is_ranked() {
            return;
        }
        let first = |pending: &VecDeque<Batch>| pending.front().map(Batch::priority);
        let before = first(&self.pending);
        self.post();
        // A thread that waits for room is to look.
        self.settled |= before.is_some() && first(&self.pending) != before;
    }

    /// Takes what a slot stood for off it. No worker may have the slot any more.
    pub(super) fn close(&mut self, slot: u32) -> Option<Open> {
        let open = self.open[slot as usize].take();
        if let Some(open) = &open {
            self.left(open);
        }
        open
    }

    /// A slot stands for nothing any more.
    pub(super) fn left(&mut self, open: &Open) {
        open.job.gave_slot();
        self.in_flight -= 1;
    }

    /// The slot and its block may be used again.
    pub(super) fn give_back(&mut self, slot: u32, open: &Open) {
        self.memory.board.free(slot);
        self.free.push(slot);
        self.give_back_block(open);
    }

    /// The block of a slot may be used again.
    pub(super) fn give_back_block(&mut self, open: &Open) {
        if let Some(block) = open.block {
            self.arena.give_back(block);
        }
    }

    /// Settles a slot of one item that a worker has done, if what came of it is a short value. `false`: it is to be
    /// settled as any other.
    fn settle_short(&mut self, slot: u32, found: &Found) -> bool {
        let Some(open) = &self.open[slot as usize] else { return false };
        // A value is no failure, so it is not tried again.
        if open.items != 1 || found.done != 1 || found.message != 0 || open.message.is_some() {
            return false;
        }
        if self.concerns_kept(open) || open.job.ahead() > 0 {
            return false;
        }
        let (written, mut record) = (found.written as usize, [0; Short::MOST + 2]);
        let Some(record) = record.get_mut(..written) else { return false };
        self.memory.bytes.read(open.results, record);
        let Some(value) = Short::of(record) else { return false };
        let Some(open) = self.close(slot) else { return false };
        if let Some(counts) = self.counts.get_mut(found.worker as usize) {
            counts.came_back(1, open.arguments.1, written);
        }
        open.job.saw(written, 1);
        self.settle_item(&open.job, open.first, Settled::Short(value));
        self.give_back(slot, &open);
        true
    }

    /// Settles what a worker has left in a slot. `died`: how it ended, if it is dead.
    pub(super) fn settle_slot(&mut self, slot: u32, mut found: Found, died: Option<&TaskError>) {
        self.take_yielded(slot);
        // No thread waits for it any more: everything was failed, and the slot stays out of use.
        let Some(mut open) = self.close(slot) else { return };
        let lending = self.lending(&mut open, &mut found);
        if died.is_none() {
            self.keep_what_is_kept(found.worker, &mut open, lending.as_deref());
        }
        if let Some(counts) = self.counts.get_mut(found.worker as usize) {
            let bytes_in = open.message.as_ref().map_or(open.arguments.1, |message| message.bytes.len());
            counts.came_back(found.done.min(open.items), bytes_in, found.written as usize);
        }
        let Some(mut open) = self.retry_result(slot, open, &found) else { return };
        let done = found.done.min(open.items);
        if done > 0 {
            self.settle_results(slot, &mut open, &found, done, lending);
        }
        let mut settled = done;
        if let Some(died) = died
            && done < open.items
        {
            self.ends_by_death(slot);
            let begun = found.begun || found.condemned;
            // What several were killed before they began it is what kills them.
            let kills = !begun && done == 0 && open.history.losses + 1 >= super::deaths::MOST_LOSSES;
            if begun || kills {
                open.history.deaths += 1;
                let error = Dispatch::end_of(&open, died);
                if begun {
                    self.trace_died(&open.job, open.first + done, &error);
                }
                let Some(of_retry) = self.retry_slot(slot, open, &error) else { return };
                open = of_retry;
                self.settle_item(&open.job, open.first + done, Settled::Failed(error));
                settled += 1;
            }
        }
        if settled < open.items && self.abandoned {
            self.fail(&open.job, open.first + settled, open.items - settled, &TaskError::Cancelled);
            self.give_back(slot, &open);
        } else if settled < open.items {
            let mut batch = self.take_back(slot, open, settled);
            batch.history.losses += u32::from(died.is_some() && settled == 0);
            self.requeue(batch);
        } else {
            self.give_back(slot, &open);
        }
    }

    fn settle_results(
        &mut self,
        slot: u32,
        open: &mut Open,
        found: &Found,
        done: u32,
        lending: Option<Arc<Lending>>,
    ) {
        // A wild write may have made it anything.
        let most = self.memory.bytes.len() - open.results;
        let written = (found.written as usize).min(most);
        let by_message = found.message != 0;
        let sender = self.latest.get(found.worker as usize).map(|(number, _)| *number);
        self.ends(slot, open, sender.filter(|_| by_message).map(|number| (number, found.message)));
        let records = done - u32::from(by_message);
        if records > 0
            && let Some(outcome) = self.records(open, records, written, found.worker)
        {
            self.saw(open, written + lending.as_ref().map_or(0, |lending| lending.room), records);
            let outcome = outcome.in_lending(lending.as_ref());
            self.settle(&open.job, Piece { first: open.first, items: records, outcome });
        }
        if by_message && let Some((number, _)) = self.latest.get(found.worker as usize) {
            let message = (*number, found.message);
            let awaited = Awaited {
                job: Arc::clone(&open.job),
                item: open.first + records,
                lending,
                again: self.again(open, found.worker),
            };
            self.await_message(message, awaited);
        }
    }

    /// What a worker has written; `None`: there is no such worker.
    fn records(&mut self, open: &mut Open, records: u32, written: usize, worker: u32) -> Option<Settled> {
        let mut record = [0; Short::MOST + 2];
        if records == 1
            && let Some(record) = record.get_mut(..written)
        {
            self.memory.bytes.read(open.results, record);
            if let Some(value) = Short::of(record) {
                return Some(Settled::Short(value));
            }
        }
        let (_, name) = self.latest.get(worker as usize)?;
        let at = open.results;
        let lent = Block { at: at.saturating_sub(self.memory.arena()), len: whole(written) };
        // A wild write may have made it longer than its block.
        let fits = |block: &mut Block| lent.at + lent.len <= block.at + block.len;
        if open.items == 1
            && written >= LONG
            && let Some(block) =
                open.block.take_if(|block| fits(block) && self.returned.lend(lent.len, self.arena.len() / 4))
        {
            // What is in front of the result and behind it is free.
            for (at, end) in [(block.at, lent.at), (lent.at + lent.len, block.at + block.len)] {
                if at < end {
                    self.arena.give_back(Block { at, len: end - at });
                }
            }
            let (bytes, returned) = (self.memory.bytes.clone(), Arc::clone(&self.returned));
            let worker = Arc::clone(name);
            return Some(Settled::Lent(Lent { bytes, at, written, block: lent, returned, worker }));
        }
        let mut bytes = open.job.spare();
        self.memory.bytes.read_onto(open.results, written, &mut bytes);
        Some(Settled::Records(bytes, Arc::clone(name)))
    }

    pub(super) fn settle_item(&mut self, job: &Arc<Job>, item: u32, outcome: Settled) {
        self.settle(job, Piece { first: item, items: 1, outcome });
    }

    /// An item's value comes by message, or has come.
    pub(super) fn await_message(&mut self, message: MessageId, awaited: Awaited) {
        match self.arrived.remove(&message) {
            Some((arrived, wanted)) => {
                self.ended_by_message(message, &awaited.job, awaited.item);
                self.settle_message(awaited, arrived, wanted);
            }
            None => {
                self.awaited.insert(message, awaited);
            }
        }
    }

    fn settle_message(&mut self, awaited: Awaited, outcome: Settled, wanted: usize) {
        let Awaited { job, item, lending, again } = awaited;
        let Some(outcome) = self.retry_message(again, outcome) else { return };
        if let Settled::Value(message) = &outcome {
            let bytes = (message.bytes.len() + HEAD).saturating_add(wanted);
            job.saw(bytes, 1);
            self.lent.saw_wanted(&job, bytes, wanted);
        }
        self.settle_item(&job, item, outcome.in_lending(lending.as_ref()));
    }

    /// The next message of a worker has arrived, or cannot be received. They come in the order of their numbers. With
    /// so many bytes more of room there would have been room for its buffers.
    pub(crate) fn message_arrived(&mut self, index: u32, outcome: Settled, wanted: usize) {
        let Some(worker) = self.workers.get_mut(index as usize).and_then(Option::as_mut) else { return };
        if let Some(yields) = worker.yields.take() {
            let next = worker.messages + 1;
            return self.yielded(index, yields, next, outcome);
        }
        worker.messages += 1;
        if let Settled::Value(message) = &outcome {
            self.counts[index as usize].came_back(0, 0, message.bytes.len());
        }
        let message = (self.latest[index as usize].0, worker.messages);
        match self.awaited.remove(&message) {
            Some(awaited) => {
                self.ended_by_message(message, &awaited.job, awaited.item);
                self.settle_message(awaited, outcome, wanted);
            }
            None => {
                self.arrived.insert(message, (outcome, wanted));
            }
        }
    }

    /// No message comes any more from this worker.
    pub(super) fn no_more_messages(&mut self, number: u32) {
        self.arrived.retain(|(of, _), _| *of != number);
        self.generators.no_more_messages(number);
        let lost: Vec<MessageId> = self.awaited.keys().filter(|(of, _)| *of == number).copied().collect();
        for message in lost {
            if let Some(Awaited { job, item, .. }) = self.awaited.remove(&message) {
                let reason = "its worker ended before the value was received".to_owned();
                self.settle_item(&job, item, Settled::Failed(TaskError::Value(reason)));
            }
        }
    }

    /// The items of a slot, but for the first `settled` ones, wait again, in front of all others.
    pub(super) fn put_back(&mut self, slot: u32, open: Open, settled: u32) {
        let batch = self.take_back(slot, open, settled);
        self.requeue(batch);
    }

    /// The items of a slot, but for the first `settled` ones. The slot may be used again.
    pub(super) fn take_back(&mut self, slot: u32, open: Open, settled: u32) -> Batch {
        let batch = self.batch_of(&open, settled);
        self.give_back(slot, &open);
        batch
    }

    /// A copy of the items of a slot, but for the first `settled` ones.
    pub(super) fn batch_of(&self, open: &Open, settled: u32) -> Batch {
        let (at, length) = open.arguments;
        let mut bytes = Vec::new();
        self.memory.bytes.read_onto(at, length, &mut bytes);
        let mut rest = bytes.as_slice();
        (0..settled).for_each(|_| {
            take_item(&mut rest);
        });
        let at = bytes.len() - rest.len();
        Batch {
            first: open.first + settled,
            items: open.items - settled,
            chunk: open.chunk,
            at,
            bytes,
            message: open.message.clone(),
            leases: open.leases.clone(),
            history: if settled == 0 { open.history } else { History::default() },
            job: Arc::clone(&open.job),
        }
    }
}
