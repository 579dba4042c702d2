//! Workers that have left for want of work, and when they are started again.
//!
//! ```text
//!   a worker says that it leaves ─► it has ended: has_left ─► more slots in use than workers: is_short
//!                                          ▲                                      │ wakes the watcher, once
//!                                          └──── started ◄── take_wanted ◄───────────┘
//! ```
//!
//! A worker that has said that it leaves takes nothing more, and is not counted as one that is there: its end may take
//! long, and another one is started meanwhile. Its own place is free once the watcher has seen its end, and then the
//! watcher asks again: so a task that came as the last worker left is not forgotten.

use super::Dispatch;
use crate::board::Life;

/// Workers that have left.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Their indices.
    indices: Vec<u32>,
    /// The watcher was told that they are wanted, and has not looked since.
    told: bool,
}

impl Dispatch {
    /// The worker of this index has ended, as it had said.
    pub(crate) fn has_left(&mut self, index: u32) {
        self.left.indices.push(index);
    }

    /// A worker of this index is started, or is not wanted any more. Whether it had left.
    pub(crate) fn has_not_left(&mut self, index: u32) -> bool {
        let before = self.left.indices.len();
        self.left.indices.retain(|left| *left != index);
        self.left.indices.len() < before
    }

    /// A start has ended. Where it gave no worker, and one had left before, the watcher starts it when tasks wait.
    pub(crate) fn start_ended(&mut self, index: u32, is_there: bool, had_left: bool) {
        self.starting[index as usize] = false;
        if !is_there {
            self.counts[index as usize].not_started();
            self.left.indices.extend(had_left.then_some(index));
        }
    }

    /// Whether the watcher is to start workers that have left. Said once, until it looks.
    #[inline]
    pub(super) fn take_short(&mut self) -> bool {
        let is_short = !self.left.indices.is_empty() && !self.left.told && self.missing() > 0;
        self.left.told |= is_short;
        is_short
    }

    /// Watcher: the workers that are to be started, of those that have left. They have not left any more.
    pub(crate) fn take_wanted(&mut self) -> Vec<u32> {
        if self.left.indices.is_empty() {
            return Vec::new();
        }
        self.left.told = false;
        // What is done wants no worker.
        self.collect();
        self.left.indices.sort_unstable();
        let count = self.missing().min(self.left.indices.len());
        self.left.indices.drain(..count).collect()
    }

    /// How many slots and batches there are beyond the workers: a worker has one slot at a time.
    fn missing(&self) -> usize {
        let stays = |index: usize| self.memory.board.life(index as u32) != Life::Left;
        let is_there = |index: &usize| {
            let has_worker = self.starting[*index] || self.workers[*index].is_some() && stays(*index);
            has_worker && !self.dismissed[*index]
        };
        let there = (0..self.workers.len()).filter(is_there).count();
        (self.in_flight + self.pending.len()).saturating_sub(there)
    }
}
