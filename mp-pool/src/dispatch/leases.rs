//! What is lent of the arena: to buffers of the caller's, and to results that have some.
//!
//! At most half of the arena is lent. Beyond it a buffer has memory of its own, and a result is copied out.

use super::{Dispatch, Open, Phase};
use crate::arena::Block;
use crate::board::Found;
use crate::buffer::{LENDS, Lease, Leases, Lending, TAIL};
use crate::job::Job;
use crate::lent::LONG;
use std::collections::HashMap;
use std::sync::Arc;

/// Functions whose results' lengths are remembered.
const MOST_SEEN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Lent {
    /// By worker: what it may have something of.
    kept: HashMap<u32, Vec<Arc<Lease>>>,
    /// By code: what a result took of a function that has to do with buffers. A call of one task knows no other result.
    seen: HashMap<Arc<[u8]>, usize>,
}

impl Lent {
    /// What a result of this job may take, for all that other jobs tell.
    #[inline]
    pub(super) fn seen(&self, job: &Job) -> Option<usize> {
        if self.seen.is_empty() { None } else { self.seen.get(&job.code).copied() }
    }

    fn saw(&mut self, job: &Job) {
        let Some(bytes) = job.result_bytes() else { return };
        if let Some(seen) = self.seen.get_mut(&job.code) {
            *seen = bytes;
            return;
        }
        if self.seen.len() >= MOST_SEEN {
            self.seen.clear();
        }
        self.seen.insert(Arc::clone(&job.code), bytes);
    }

    /// There was no room for so many bytes of a result.
    pub(super) fn saw_wanted(&mut self, job: &Job, wanted: usize) {
        if wanted > 0 {
            self.saw(job);
        }
    }
}

/// Bytes of the buffers in arguments.
pub(super) fn lent_bytes(leases: Option<&Leases>) -> usize {
    leases.map_or(0, |leases| leases.iter().map(|lease| lease.len() + LONG).sum())
}

impl Dispatch {
    /// Lends so many bytes to a buffer; `None`: there are none now, or too much is lent.
    pub(crate) fn lease(&mut self, bytes: usize) -> Option<Arc<Lease>> {
        if bytes > self.arena.len() / 4 || !matches!(self.phase, Phase::Running | Phase::Closed) {
            return None;
        }
        self.try_lease(bytes).or_else(|| {
            // What is done may have had some.
            self.collect();
            self.try_lease(bytes)
        })
    }

    fn try_lease(&mut self, bytes: usize) -> Option<Arc<Lease>> {
        self.returned.give_back(&mut self.arena);
        let memory = &self.memory;
        let block = self.arena.take(bytes, |at, len| memory.reserve(at, len))?;
        if !self.returned.lend(block.len, self.arena.len() / 2) {
            self.arena.give_back(block);
            return None;
        }
        Some(self.lease_of(block, self.memory.arena() + block.at, block.len))
    }

    fn lease_of(&self, block: Block, at: usize, len: usize) -> Arc<Lease> {
        Lease::new(self.memory.bytes_and_base(), at, len, block, &self.returned)
    }

    /// What a slot's results may name, if they name something. The number of bytes written is that number then.
    pub(super) fn lending(&mut self, open: &mut Open, found: &mut Found) -> Option<Arc<Lending>> {
        if found.written & LENDS == 0 {
            return None;
        }
        found.written &= !LENDS;
        let mut lending = Lending::of(open.leases.as_ref());
        if let Some(block) = open.block {
            let end = self.memory.arena() + block.at + block.len;
            let (tail, mut low) = (end.saturating_sub(TAIL), [0; 4]);
            if end - open.results >= LONG {
                self.memory.bytes.read(tail, &mut low);
                let low = u32::from_le_bytes(low) as usize;
                // A wild write may have made it anything.
                if (open.results..tail).contains(&low) {
                    self.lend_room(open, block, low, tail - low, &mut lending);
                }
            }
        }
        Some(Arc::new(lending))
    }

    fn lend_room(&mut self, open: &mut Open, block: Block, at: usize, len: usize, lending: &mut Lending) {
        if self.returned.lend(block.len, self.arena.len() / 2) {
            open.block = None;
            return lending.push(self.lease_of(block, at, len));
        }
        let mut bytes = Vec::new();
        self.memory.bytes.read_onto(at, len, &mut bytes);
        lending.push_copy(at, bytes);
    }

    /// Whether the worker of a slot that is done may have kept something of it, or dropped what it kept of another one.
    #[inline]
    pub(super) fn concerns_kept(&self, open: &Open) -> bool {
        let is_lent = open.leases.is_some() || open.block.is_some_and(|block| block.len >= LONG);
        is_lent || !self.lent.kept.is_empty()
    }

    /// Keeps what the worker of a slot that is done may have something of.
    pub(super) fn keep_what_is_kept(&mut self, worker: u32, open: &mut Open, lending: Option<&Lending>) {
        if lending.is_none() && !self.concerns_kept(open) {
            return;
        }
        if !self.memory.board.keeps(worker) {
            self.lent.kept.remove(&worker);
            return;
        }
        let mut kept: Vec<Arc<Lease>> = lending.into_iter().flat_map(Lending::leases).collect();
        kept.extend(open.leases.iter().flat_map(|leases| leases.iter().cloned()));
        if let Some(block) = open.block.take() {
            // However much is lent: it cannot be used.
            self.returned.lend(block.len, usize::MAX);
            kept.push(self.lease_of(block, self.memory.arena() + block.at, block.len));
        }
        self.lent.kept.entry(worker).or_default().extend(kept);
    }

    /// A worker is dead: nothing is left of what it kept.
    pub(super) fn forget_kept(&mut self, worker: u32) {
        self.lent.kept.remove(&worker);
        self.memory.board.say_keeps(worker, false);
    }

    /// So many bytes were so many results of a slot.
    pub(super) fn saw(&mut self, open: &Open, bytes: usize, records: u32) {
        open.job.saw(bytes, records as usize);
        if open.leases.is_some() {
            self.lent.saw(&open.job);
        }
    }
}
