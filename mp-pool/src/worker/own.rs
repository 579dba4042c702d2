//! What a worker does with what it has taken: one chunk after the other, from the board and back.
//!
//! Before it begins an item it says so on the board. So the pool knows, however the worker ends, which one item that
//! end is attributed to: the one begun and not done.

use super::room::Room;
use super::turn::Turns;
use crate::board::{Chunk, Life, Marks};
use crate::buffer::{OfTasks, take_wanted};
use crate::copies::in_one_process;
use crate::error::Failure;
use crate::line::{Line, Said};
use crate::memory::Memory;
use crate::output::Writer;
use crate::record::{
    HEAD, code_of, put_block_heads, put_failure, put_length, put_value_head, short_value_head, take_code,
    take_item, take_length, take_number,
};
use crate::trace::Tracer;
use mp_core::process::call_caught_onto;
use mp_core::sys::clock::monotonic_millis;
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::{Block, Handle, Message, ParcelError, Part, Resolved};
use std::sync::Arc;

/// What a chunk's code names, or why it names nothing.
pub(super) type Function = Result<Resolved, String>;

/// What a worker has for itself.
pub(super) struct Own {
    pub(super) index: u32,
    line: Arc<Line>,
    /// Items until it ends.
    left: u64,
    /// It has begun an item.
    worked: bool,
    /// Messages with results that it has sent so far.
    messages: u32,
    pub(super) turns: Turns,
    /// The last code, packed, and the function that it names.
    code: (Vec<u8>, Option<Resolved>),
    /// Its output goes to the pool.
    output: Option<Writer>,
    /// The job that the last run was of, and its function.
    pub(super) of_run: Option<(u64, Resolved)>,
    /// When its tasks begin and end is written down.
    trace: Option<Tracer>,
    /// What its tasks have of the pool's memory.
    pub(super) of_tasks: OfTasks,
    // Buffers, kept from chunk to chunk.
    pub(super) arguments: Vec<u8>,
    pub(super) record: Vec<u8>,
}

/// An argument at least as long as this is not copied once more than it must be.
const LONG: usize = 4096;
/// What is in front of it, and perhaps the beginning of itself.
const HEADS: usize = 256;

impl Own {
    pub(super) fn new(
        index: u32,
        line: Line,
        most_tasks: Option<u32>,
        output: Option<Writer>,
        trace: Option<Tracer>,
    ) -> Own {
        Own {
            output,
            trace,
            of_tasks: OfTasks::default(),
            index,
            line: Arc::new(line),
            left: most_tasks.map_or(u64::MAX, u64::from),
            worked: false,
            messages: 0,
            turns: Turns::default(),
            code: (Vec::new(), None),
            of_run: None,
            arguments: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Whether it has not done as many items as it may.
    pub(super) fn may_go_on(&self) -> bool {
        self.left > 0
    }

    /// Does a chunk; `false`: this process is to end.
    pub(super) fn run(&mut self, memory: &Memory, slot: u32) -> bool {
        let chunk = memory.board.chunk(slot);
        let mut buffer = std::mem::take(&mut self.arguments);
        buffer.clear();
        let mut block = self.read(memory, chunk, &mut buffer);
        let goes_on = self.run_items(memory, slot, chunk, &buffer, &mut block);
        self.arguments = kept(buffer);
        self.record = kept(std::mem::take(&mut self.record));
        self.of_tasks.end(memory, self.index);
        // Given up by the caller, it takes nothing more: it is about to be killed, or cannot be, and ends here.
        if !memory.board.done(slot, self.index) {
            return false;
        }
        memory.board.push_finished(self.index, slot);
        memory.board.tell_caller();
        goes_on
    }

    /// Reads a chunk. Bytes that are an argument by themselves go where they stay; the others are to be decoded.
    #[inline]
    fn read(&mut self, memory: &Memory, chunk: Chunk, buffer: &mut Vec<u8>) -> Block {
        let (place, length) = (chunk.place as usize, chunk.length as usize);
        if chunk.items > 1 || length < LONG || self.is_numbered() {
            memory.bytes.read_onto(place, length, buffer);
            return None;
        }
        memory.bytes.read_onto(place, HEADS, buffer);
        if let Some(at) = self.begin_of_block(buffer, length) {
            let mut block = Vec::new();
            memory.bytes.read_onto(place + at, length - at, &mut block);
            return Some(block);
        }
        memory.bytes.read_onto(place + HEADS, length - HEADS, buffer);
        None
    }

    /// Where the bytes begin that are the one argument of a chunk of this length, of which these are the first.
    fn begin_of_block(&mut self, bytes: &[u8], length: usize) -> Option<usize> {
        let mut rest = bytes;
        let function = self.function(take_code(&mut rest)?).ok()?;
        take_length(&mut rest)?;
        let block = take_length(&mut rest)?;
        let at = bytes.len() - rest.len();
        (function.takes_block() && at + block == length).then_some(at)
    }

    fn run_items(
        &mut self,
        memory: &Memory,
        slot: u32,
        chunk: Chunk,
        bytes: &[u8],
        block: &mut Block,
    ) -> bool {
        let mut rest = bytes;
        let function = self.function(take_code(&mut rest).unwrap_or_default());
        let at = chunk.place as usize + crate::arena::whole(chunk.length as usize);
        let of_worker = (self.index, &self.line);
        let (left, _turn) = self.turns.begin(of_worker, memory, (slot, chunk), at);
        let left = self.of_tasks.begin(memory, at, left, chunk.lends);
        let mut room = Room { at, left, written: 0 };
        if chunk.by_message {
            return self.run_fetched(memory, slot, chunk, &function, &mut room);
        }
        let (marks, mut handles) = (memory.board.marks(slot), Vec::new());
        if chunk.timed {
            marks.start(monotonic_millis());
        }
        if let Ok(function) = &function
            && chunk.items > 1
            && function.has_many()
            && !self.is_numbered()
        {
            self.run_many(memory, &marks, function, (chunk.items, rest), &room);
            return true;
        }
        for done in 0..chunk.items {
            self.begin(memory, &marks, done);
            let arguments = take_item(&mut rest).unwrap_or_default();
            let message = self.run_item(memory, &function, arguments, &mut handles, block, &mut room);
            marks.end(done + 1, self.written(memory, &room), message);
            if message != 0 {
                // There was no room for this one: the rest goes back, and is given more.
                break;
            }
        }
        true
    }

    /// Does the one item whose arguments are to be asked for.
    fn run_fetched(
        &mut self,
        memory: &Memory,
        slot: u32,
        chunk: Chunk,
        function: &Function,
        room: &mut Room,
    ) -> bool {
        let fetched = self.line.fetch(slot);
        // What is left of it in the line would be taken for the next answer.
        let goes_on = fetched.is_ok();
        let marks = memory.board.marks(slot);
        if chunk.timed {
            marks.start(monotonic_millis());
        }
        self.begin(memory, &marks, 0);
        let message = match fetched {
            Ok(Message { bytes, mut handles }) => {
                self.run_item(memory, function, &bytes, &mut handles, &mut None, room)
            }
            Err(reason) => self.write_failure(memory, Failure::Failed(reason), room),
        };
        marks.end(1, self.written(memory, room), message);
        goes_on
    }

    /// What the caller is told of the records written so far.
    #[inline]
    fn written(&self, memory: &Memory, room: &Room) -> u32 {
        room.written as u32 | self.of_tasks.end_item(memory, room.at)
    }

    #[inline]
    fn begin(&mut self, memory: &Memory, marks: &Marks<'_, FutexWord>, done: u32) {
        self.begin_work(memory);
        self.count(1);
        marks.begin(done);
    }

    /// An item is about to begin.
    #[inline]
    pub(super) fn begin_work(&mut self, memory: &Memory) {
        if !self.worked {
            memory.board.live(self.index, Life::Working);
            self.worked = true;
        }
    }

    /// So many items more have begun.
    #[inline]
    pub(super) fn count(&mut self, items: u32) {
        self.left = self.left.saturating_sub(items.into());
    }

    /// Whether the number of a task is in front of its arguments.
    #[inline]
    fn is_numbered(&self) -> bool {
        self.output.is_some() || self.trace.is_some()
    }

    /// A task begins, whose arguments are behind its number.
    #[cold]
    fn begin_numbered<'a>(&mut self, item: &'a [u8]) -> &'a [u8] {
        let mut arguments = item;
        if let Some(task) = take_number(&mut arguments) {
            self.output.iter_mut().for_each(|output| output.begin(task));
            self.trace.iter_mut().for_each(|trace| trace.begin(task));
        }
        arguments
    }

    /// The task has ended.
    #[cold]
    fn end_numbered(&mut self) {
        self.output.iter_mut().for_each(Writer::end);
        self.trace.iter_mut().for_each(Tracer::end);
    }

    /// Does an item, and writes what came of it behind the others. Gives the number of the message that it was sent as
    /// instead, if it did not fit; else 0.
    #[inline]
    pub(super) fn run_item(
        &mut self,
        memory: &Memory,
        function: &Function,
        arguments: &[u8],
        handles: &mut Vec<Handle>,
        block: &mut Block,
        room: &mut Room,
    ) -> u32 {
        let function = match function {
            Ok(function) => function,
            Err(reason) => return self.write_failure(memory, Failure::Failed(reason.clone()), room),
        };
        self.record.clear();
        let arguments = if self.is_numbered() { self.begin_numbered(arguments) } else { arguments };
        let record = &mut self.record;
        let called = in_one_process(|| call_caught_onto(function, arguments, record, handles, block));
        // The record goes in front of the buffers that the task has taken, or by message.
        room.left = self.of_tasks.left_for_record(room.at, room.left);
        if self.is_numbered() {
            self.end_numbered();
        }
        if self.turns.end_task() {
            room.left = 0;
        }
        if let Err(error) = called {
            return self.write_failure(memory, Failure::from(*error), room);
        }
        if block.is_some()
            && let Some(value) = block.take()
        {
            return self.write_block(memory, &value, room);
        }
        if let Some(head) = short_value_head(self.record.len())
            && handles.is_empty()
            && head.len() + self.record.len() <= room.left
        {
            room.write(memory, &head);
            room.write(memory, &self.record);
            return 0;
        }
        self.write_value(memory, std::mem::take(handles), room)
    }

    /// As [`run_item`](Own::run_item), for a value that is long, has handles, or does not fit.
    #[inline(never)]
    fn write_value(&mut self, memory: &Memory, handles: Vec<Handle>, room: &mut Room) -> u32 {
        let length = self.record.len();
        if !handles.is_empty() || length + HEAD > room.left {
            let record = std::mem::take(&mut self.record);
            let sent = self.send_value(&record, &handles);
            self.record = record;
            return self.sent_or_failed(sent, memory, room);
        }
        let mut head = Vec::with_capacity(HEAD);
        put_value_head(length, &mut head);
        room.write(memory, &head);
        room.write(memory, &self.record);
        0
    }

    /// As [`run_item`](Own::run_item), for bytes that are a value by themselves.
    fn write_block(&mut self, memory: &Memory, value: &[u8], room: &mut Room) -> u32 {
        self.record.clear();
        put_block_heads(value.len(), put_value_head, &mut self.record);
        if self.record.len() + value.len() > room.left {
            self.record.clear();
            put_length(value.len(), &mut self.record);
            self.record.extend_from_slice(value);
            let sent = self.send_value(&self.record, &[]);
            return self.sent_or_failed(sent, memory, room);
        }
        room.write(memory, &self.record);
        room.write(memory, value);
        0
    }

    /// As [`run_item`](Own::run_item), for an item that gave no value.
    #[cold]
    pub(super) fn write_failure(&mut self, memory: &Memory, failure: Failure, room: &mut Room) -> u32 {
        self.record.clear();
        put_failure(&failure, &mut self.record);
        if self.record.len() > room.left {
            self.line.send_failure(failure, take_wanted() as u64);
            return self.next_message();
        }
        room.write(memory, &self.record);
        0
    }

    /// Sends a packed value, or writes why that cannot be done. Gives the number of the message, if it is one.
    pub(super) fn send_as_message(
        &mut self,
        memory: &Memory,
        (bytes, handles): (&[u8], &[Handle]),
        room: &mut Room,
    ) -> u32 {
        let sent = self.send_value(bytes, handles);
        self.sent_or_failed(sent, memory, room)
    }

    fn send_value(&self, bytes: &[u8], handles: &[Handle]) -> Result<(), ParcelError> {
        let said = Said::Value { failure: None, wanted: take_wanted() as u64 };
        self.line.send(&said, Part { bytes, handles })
    }

    fn sent_or_failed(&mut self, sent: Result<(), ParcelError>, memory: &Memory, room: &mut Room) -> u32 {
        match sent {
            Ok(()) => self.next_message(),
            Err(error) => self.write_failure(memory, Failure::Failed(format!("result: {error}")), room),
        }
    }

    fn next_message(&mut self) -> u32 {
        self.messages += 1;
        self.messages
    }

    /// The function that packed code names: most often the one of the chunk before.
    pub(super) fn function(&mut self, packed: &[u8]) -> Function {
        if let (last, Some(function)) = &self.code
            && last == packed
        {
            return Ok(*function);
        }
        let code = code_of(packed).map_err(|error| error.to_string())?;
        let function = code.resolve().map_err(|error| error.to_string())?;
        self.code = (packed.to_vec(), Some(function));
        Ok(function)
    }
}

/// A buffer to use again, if it is not so long that the system had better have it back.
pub(super) fn kept(buffer: Vec<u8>) -> Vec<u8> {
    const MOST_KEPT: usize = 4 << 20;
    if buffer.capacity() <= MOST_KEPT { buffer } else { Vec::new() }
}
