//! A chunk of several items, in one loop that knows their types.
//!
//! ```text
//!   begin: mark, arguments ──► function ──► next: result, mark ──┐
//!                                 ▲                              │    it does not fit, or is not bytes alone,
//!                                 └─────── mark, arguments ──────┤    or the call has failed: out of the loop,
//!                                                                └──► which begins again behind that item
//! ```
//!
//! Each item is marked as those that are done one by one, so a death costs the item that had begun. What is done once
//! for all of them: the thread's locals are found, panics are caught.

use super::own::Own;
use super::room::Room;
use crate::board::Marks;
use crate::buffer::OfTasks;
use crate::copies::OneProcess;
use crate::error::Failure;
use crate::memory::Memory;
use crate::record::{HEAD, put_value_head, short_value_head, take_item};
use mp_core::mem::Writer;
use mp_core::process::{begin_call, call_many_caught};
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::{Calls, Handle, Resolved};

/// How far a worker is with a chunk.
struct Chunked<'a> {
    /// The arguments of what is not begun.
    rest: &'a [u8],
    items: u32,
    done: u32,
    results: Results<'a>,
}

/// Where its results go.
struct Results<'a> {
    memory: &'a Memory,
    begin: usize,
    written: usize,
    writer: Writer<'a>,
}

impl<'a> Results<'a> {
    fn of(memory: &'a Memory, room: &Room) -> Results<'a> {
        let writer = memory.bytes.writer(room.at, room.left);
        Results { memory, begin: room.at - room.written, written: room.written, writer }
    }

    fn room(&self) -> Room {
        Room { at: self.at(), left: self.writer.left(), written: self.written }
    }

    #[inline]
    fn at(&self) -> usize {
        self.begin + self.written
    }

    /// A task has ended: the record goes in front of the buffers that it has taken. Gives how much is left for it.
    #[inline]
    fn limit(&mut self, of_tasks: &OfTasks) -> usize {
        self.writer.limit(of_tasks.left_for_record(self.at(), self.writer.left()));
        self.writer.left()
    }

    /// Writes a packed value, which fits with its head. The two are not put together before: a load of what two stores
    /// have just written waits for both.
    #[inline]
    fn write_value(&mut self, value: &[u8]) {
        match short_value_head(value.len()) {
            Some(head) => self.write(&head),
            None => self.write_long_head(value.len()),
        }
        self.write(value);
    }

    #[inline(never)]
    fn write_long_head(&mut self, length: usize) {
        let mut head = Vec::with_capacity(HEAD);
        put_value_head(length, &mut head);
        self.write(&head);
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.writer.write(bytes);
        self.written += bytes.len();
    }

    /// What the caller is told of the records written so far.
    #[inline]
    fn told(&self, of_tasks: &OfTasks) -> u32 {
        self.written as u32 | of_tasks.end_item(self.memory, self.at())
    }
}

/// A chunk while its function's loop goes on.
struct Loop<'l, 'a> {
    chunk: Chunked<'a>,
    marks: &'l Marks<'l, FutexWord>,
    of_tasks: &'l OfTasks,
    process: OneProcess,
}

impl<'a> Calls<'a> for Loop<'_, 'a> {
    #[inline]
    fn begin(&mut self) -> Option<&'a [u8]> {
        if self.chunk.done >= self.chunk.items {
            return None;
        }
        begin_call();
        self.marks.begin(self.chunk.done);
        Some(take_item(&mut self.chunk.rest).unwrap_or_default())
    }

    fn next(&mut self, result: &mut Vec<u8>, handles: &mut Vec<Handle>) -> Option<&'a [u8]> {
        self.process.check();
        let chunk = &mut self.chunk;
        let left = chunk.results.limit(self.of_tasks);
        if !handles.is_empty() || result.len() + HEAD > left {
            return None;
        }
        chunk.results.write_value(result);
        result.clear();
        chunk.done += 1;
        self.marks.end(chunk.done, chunk.results.told(self.of_tasks), 0);
        self.begin()
    }
}

impl Own {
    /// Does the items of a chunk, whose arguments are bytes alone.
    pub(super) fn run_many(
        &mut self,
        memory: &Memory,
        marks: &Marks<'_, FutexWord>,
        function: &Resolved,
        (items, rest): (u32, &[u8]),
        room: &Room,
    ) {
        let (mut record, mut handles) = (std::mem::take(&mut self.record), Vec::new());
        let mut chunk = Chunked { rest, items, done: 0, results: Results::of(memory, room) };
        self.begin_work(memory);
        while chunk.done < chunk.items {
            record.clear();
            let before = chunk.done;
            let (of_tasks, process) = (&self.of_tasks, OneProcess::current());
            let mut calls = Loop { chunk, marks, of_tasks, process };
            let called = call_many_caught(function, &mut calls, &mut record, &mut handles);
            calls.process.check();
            chunk = calls.chunk;
            self.count(chunk.done - before);
            if called.is_ok() && chunk.done == chunk.items {
                break;
            }
            self.count(1);
            chunk.results.limit(&self.of_tasks);
            let mut room = chunk.results.room();
            let message = match called {
                Ok(()) => {
                    let handles = std::mem::take(&mut handles);
                    self.send_as_message(memory, (&record, &handles), &mut room)
                }
                Err(error) => self.write_failure(memory, Failure::from(*error), &mut room),
            };
            chunk.results = Results::of(memory, &room);
            chunk.done += 1;
            marks.end(chunk.done, chunk.results.told(&self.of_tasks), message);
            if message != 0 {
                // There was no room for this one: the rest goes back, and is given more.
                break;
            }
        }
        self.record = record;
    }
}
