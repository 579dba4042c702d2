//! The turns of a worker: its tasks that yield.

use crate::board::{Chunk, Turn};
use crate::generate::{self, Current, Open, Writer};
use crate::line::Line;
use crate::memory::Memory;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Turns {
    /// The number of the last one.
    last: u32,
    /// The task that runs yields.
    yields: bool,
}

impl Turns {
    /// A chunk begins whose results go to `at`. Gives the room for their records, and what ends the turn when it is
    /// dropped, if the task yields: what it yields goes behind its end.
    pub(super) fn begin(
        &mut self,
        (worker, line): (u32, &Arc<Line>),
        memory: &Memory,
        (slot, chunk): (u32, Chunk),
        at: usize,
    ) -> (usize, Option<Open>) {
        let (room, ahead) = (chunk.room as usize, chunk.ahead);
        self.yields = ahead > 0;
        if !self.yields {
            return (room, None);
        }
        // 0 is none.
        self.last = self.last.wrapping_add(1).max(1);
        let turn = Turn { worker, number: self.last };
        let ring = Writer::new(&memory.bytes, (at, room), ahead, worker, turn.number);
        let (line, board, room) = (Arc::clone(line), memory.board.clone(), ring.end_room());
        let current = Current { line, board, slot, turn, ahead, sent: 0, ring, uses_line: false };
        (room, Some(generate::begin(current)))
    }

    /// A run begins: its tasks do not yield.
    #[inline]
    pub(super) fn none(&mut self) {
        self.yields = false;
    }

    /// The task has ended. Gives whether that is told by a message: behind a value that was.
    #[inline]
    pub(super) fn end_task(&self) -> bool {
        self.yields && generate::end_task()
    }
}
