//! What a worker on another host has taken, and what comes back from it: read and settled by its thread in this
//! process, under the dispatch's lock, and not through shared memory.

use super::{Dispatch, History};
use crate::error::Failure;
use crate::job::{Piece, Settled};
use crate::record::{put_length, take_item};

/// A chunk, as it goes to another host.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) items: u32,
    /// Its task has a deadline.
    pub(crate) timed: bool,
    /// The code, and then the arguments of each item.
    pub(crate) bytes: Vec<u8>,
}

impl Dispatch {
    /// What a slot stands for that a worker has taken; `None`: nothing any more.
    pub(crate) fn taken(&self, slot: u32) -> Option<Sent> {
        let open = self.open.get(slot as usize)?.as_ref()?;
        let mut bytes = open.job.code.to_vec();
        match &open.message {
            Some(message) => {
                put_length(message.bytes.len(), &mut bytes);
                bytes.extend_from_slice(&message.bytes);
            }
            None => self.memory.bytes.read_onto(open.arguments.0, open.arguments.1, &mut bytes),
        }
        Some(Sent { items: open.items, timed: open.timed.limit.is_some(), bytes })
    }

    /// The first items of a slot are done, as these records say. If that is all, the slot is free; else its worker has
    /// died, and the slot stands for the others. `false`: the worker is to take nothing more.
    pub(crate) fn came_back(&mut self, slot: u32, worker: u32, done: u32, records: Vec<u8>) -> bool {
        // Everything was failed meanwhile, and the slot stays out of use.
        let Some(mut open) = self.open[slot as usize].take() else { return false };
        let Some((_, name)) = self.latest.get(worker as usize).cloned() else { return false };
        if let Some(counts) = self.counts.get_mut(worker as usize) {
            let bytes_in = open.message.as_ref().map_or(open.arguments.1, |message| message.bytes.len());
            counts.came_back(done, bytes_in, records.len());
        }
        if done < open.items {
            // Those that are left are a chunk of their own.
            let (at, length) = open.arguments;
            let mut bytes = Vec::new();
            self.memory.bytes.read_onto(at, length, &mut bytes);
            let mut rest = bytes.as_slice();
            (0..done).for_each(|_| {
                take_item(&mut rest);
            });
            open.arguments = (at + length - rest.len(), rest.len());
            let first = open.first;
            (open.first, open.items) = (first + done, open.items - done);
            if done > 0 {
                open.history = History::default();
                let outcome = Settled::Records(records, name);
                self.settle(&open.job, Piece { first, items: done, outcome });
            }
            self.open[slot as usize] = Some(open);
            return false;
        }
        // What is done stands, given up or not; a worker that was given up is about to be killed.
        let goes_on = self.memory.board.done(slot, worker);
        self.left(&open);
        let failure =
            || Failure::of_first(&records).filter(|failure| matches!(failure, Failure::Panicked { .. }));
        let panicked =
            if goes_on && done == 1 { failure().map(|failure| failure.in_worker(&name)) } else { None };
        let open = match panicked {
            Some(error) => self.retry_panicked(slot, open, worker, &error),
            None => Some(open),
        };
        if let Some(open) = open {
            let outcome = Settled::Records(records, name);
            self.settle(&open.job, Piece { first: open.first, items: done, outcome });
            self.give_back(slot, &open);
        }
        self.refill();
        goes_on
    }
}
