//! Runs: items that a worker takes one by one (`board/run.rs`).

use super::own::{Function, Own, kept};
use super::room::Room;
use crate::board::Run;
use crate::memory::Memory;
use crate::record::{take_code, take_item};

/// An item that is no longer than this needs no buffer.
const SHORT: usize = 16;

impl Own {
    /// Does an item of a run, and those after it that no other worker begins; `false`: this process is to end.
    pub(super) fn run_one_by_one(&mut self, memory: &Memory, slot: u32, first: u32) -> bool {
        self.turns.none();
        let mut next = Some(first);
        while let Some(item) = next {
            // The slot may be used again between two items.
            let run = memory.board.run(slot);
            let message = self.run_one(memory, run, item);
            if !memory.board.done_item(slot, item, self.index, message) {
                return false;
            }
            memory.board.push_finished(self.index, slot);
            next = if self.may_go_on() { memory.board.begin_next(slot, item, self.index) } else { None };
            if next.is_none() {
                memory.board.leave(slot, self.index);
            }
            memory.board.tell_caller();
        }
        true
    }

    /// Does an item of a run; whether its result was sent as a message, whose number lies in its place then.
    fn run_one(&mut self, memory: &Memory, run: Run, item: u32) -> bool {
        let (place, code, stride) = (run.place as usize, run.code as usize, run.stride as usize);
        self.begin_work(memory);
        self.count(1);
        let function = self.function_of_run(memory, run);
        let from = place + code + item as usize * stride;
        let (short, mut buffer) = (memory.bytes.read_array::<SHORT>(from), Vec::new());
        let mut rest: &[u8] = if stride <= SHORT {
            // What is behind it in the slot's memory came along: one load and one store, whatever its length.
            &short[..stride]
        } else {
            buffer = std::mem::take(&mut self.arguments);
            buffer.clear();
            memory.bytes.read_onto(from, stride, &mut buffer);
            &buffer
        };
        let arguments = take_item(&mut rest).unwrap_or_default();
        let results = place + crate::arena::whole(code + run.items as usize * stride);
        let at = results + item as usize * run.room as usize;
        let mut room = Room { at, left: run.room as usize, written: 0 };
        let message = self.run_item(memory, &function, arguments, &mut Vec::new(), &mut None, &mut room);
        if message != 0 {
            memory.bytes.write(at, &message.to_le_bytes());
        }
        if stride > SHORT {
            self.arguments = kept(buffer);
        }
        self.record = kept(std::mem::take(&mut self.record));
        message != 0
    }

    /// The code is read once for a job.
    #[inline]
    fn function_of_run(&mut self, memory: &Memory, run: Run) -> Function {
        if let Some((job, function)) = self.of_run
            && job == run.job
        {
            return Ok(function);
        }
        let mut code = Vec::new();
        memory.bytes.read_onto(run.place as usize, run.code as usize, &mut code);
        let function = self.function(take_code(&mut code.as_slice()).unwrap_or_default())?;
        self.of_run = Some((run.job, function));
        Ok(function)
    }
}
