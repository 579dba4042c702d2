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
/// Lengths that differ by less than this part are one.
const STEADY: usize = 64;
/// After so many that are alike the next one is not expected to be longer.
const ENOUGH: u32 = 3;
/// For a record, and for what is left to begin at a multiple of [`Mapping::ALIGNMENT`](mp_core::mem::Mapping).
const AROUND: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Lent {
    /// By worker: what it may have something of.
    kept: HashMap<u32, Vec<Arc<Lease>>>,
    /// By code: what a result took of a function that has to do with buffers. A call of one task knows no other result.
    seen: HashMap<Arc<[u8]>, Seen>,
}

/// What results of a function took.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The last one.
    bytes: usize,
    /// So many before it, one after the other, took about as much.
    alike: u32,
}

impl Seen {
    fn again(self, bytes: usize) -> Seen {
        let is_alike = bytes.abs_diff(self.bytes) <= self.bytes / STEADY;
        Seen { bytes, alike: if is_alike { self.alike.saturating_add(1) } else { 0 } }
    }

    /// The room for the next one. Where all are as long as the arguments, it is as long as a buffer's block: so a
    /// result can lie where an argument lay, and the other way round.
    fn room(self) -> usize {
        let more = if self.alike < ENOUGH { self.bytes / 4 } else { self.bytes / STEADY };
        self.bytes + more + AROUND
    }
}

impl Lent {
    /// What a result of this job may take, for all that other jobs tell.
    #[inline]
    pub(super) fn seen(&self, job: &Job) -> Option<usize> {
        if self.seen.is_empty() { None } else { self.seen.get(&job.code).map(|seen| seen.room()) }
    }

    fn saw(&mut self, job: &Job, bytes: usize) {
        if let Some(seen) = self.seen.get_mut(&job.code) {
            *seen = seen.again(bytes);
            return;
        }
        if self.seen.len() >= MOST_SEEN {
            self.seen.clear();
        }
        self.seen.insert(Arc::clone(&job.code), Seen { bytes, alike: 0 });
    }

    /// A result took so many bytes, and there was no room for so many of them.
    pub(super) fn saw_wanted(&mut self, job: &Job, bytes: usize, wanted: usize) {
        if wanted > 0 {
            self.saw(job, bytes);
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
        let lease = self.try_lease(bytes);
        if lease.is_none() || self.memory.board.has_finished() {
            // The slots that are done give their blocks back. That is worth a look though there is a block: the next
            // result goes where the argument lay that a worker has just read, which is in its caches. With more blocks
            // in use each would have left the caches before it is used again.
            self.collect();
        }
        lease.or_else(|| self.try_lease(bytes))
    }

    fn try_lease(&mut self, bytes: usize) -> Option<Arc<Lease>> {
        self.returned.give_back(&mut self.arena);
        let memory = &self.memory;
        let block = self.arena.take(bytes, |at, len| memory.reserve(at, len))?;
        if !self.returned.lend(block.len, self.arena.len() / 2) {
            self.arena.give_back(block);
            return None;
        }
        Some(self.lease_of(block, self.memory.arena() + block.at, bytes))
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
        if open.leases.is_some()
            && let Some(each) = bytes.checked_div(records as usize)
        {
            self.lent.saw(&open.job, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_for_longer_results_until_several_were_alike() {
        let mut seen = Seen { bytes: 1 << 20, alike: 0 };
        for _ in 0..ENOUGH {
            assert!(seen.room() > (1 << 20) + (1 << 18));
            seen = seen.again((1 << 20) + 100);
        }
        assert!(((1 << 20) + AROUND..(1 << 20) + (1 << 15)).contains(&seen.room()));
        seen = seen.again(2 << 20);
        assert!(seen.room() > (2 << 20) + (1 << 19));
    }
}
