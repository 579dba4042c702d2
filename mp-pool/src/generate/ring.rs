//! The ring of a task that yields: a part of its slot's memory, through which its values go.
//!
//! ```text
//!   [ the task's end | worker, turn, both inverted | how many values | number, length, value | … ]
//!                               round and round, each at a multiple of 8: ▲ taken                ▲ end
//! ```
//!
//! The worker writes a value behind the others and then says on the board up to where the ring is written
//! ([`say_yielded`](crate::board::Board::say_yielded)); the caller copies what is there. A value with descriptors, or
//! for which there is no room, goes over the worker's line. So each in the ring has its number: where one is missing,
//! the next message is that one. The record of the task's end lies in front, unless it is long or a value went over the
//! line: then it comes by a message, behind them.
//!
//! The room of a value is used again when the consumer has said that it has taken it. Both sides count as many bytes as
//! were ever written, which wraps.
//!
//! The caller checks each word of the ring. What is new ends with a whole value, and is no longer than the ring. The
//! number of a value is the next one, or a later one where those between went over the line, by less than the task may
//! be ahead. When the task has ended, as many values have come as the ring says. Where one of these does not hold, a
//! wild write has hit the ring: the task ends as [`TaskError::Value`](crate::TaskError::Value), and is told to stop if
//! it still runs.
//! # When a process dies
//! The worker: what it has said to be written stands. The caller: its workers die with it.
//! # Tested by
//! below; `board/model/turns.rs`; `mp-pool/tests/generate.rs`

use mp_core::mem::Bytes;
use std::collections::VecDeque;

/// About so many bytes for each value that a task may be ahead.
const EACH: usize = 1 << 10;
/// The least and the most bytes of a ring.
const LEAST: usize = 4 << 10;
const MOST: usize = 64 << 10;
/// In front of the ring: room for the record of the task's end.
pub(super) const END: usize = 128;
/// Then the worker's index and the number of its turn, and both once more, inverted.
const TURN: usize = 16;
/// Then how many values the task has yielded, once it has ended.
const COUNT: usize = 8;
/// In front of the values.
pub(super) const FRONT: usize = END + TURN + COUNT;
/// In front of a value: its number, and its length.
pub(super) const HEAD: usize = 8;

/// What the ring of a task takes that may be so many values ahead.
pub(crate) fn ring_room(ahead: u32) -> usize {
    FRONT + ring_bytes(ahead)
}

/// A power of two, so that a count of bytes that wraps goes on at the right place.
fn ring_bytes(ahead: u32) -> usize {
    (ahead as usize).saturating_mul(EACH).clamp(LEAST, MOST).next_power_of_two()
}

fn words(bytes: [u8; 8]) -> (u32, u32) {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    (word(0), word(4))
}

fn bytes_of(first: u32, second: u32) -> [u8; 8] {
    (u64::from(first) | u64::from(second) << 32).to_le_bytes()
}

/// What a value takes of the ring.
fn whole(length: usize) -> usize {
    HEAD + length.next_multiple_of(8)
}

/// The worker's side.
pub(crate) struct Writer {
    bytes: Bytes,
    at: usize,
    /// 0: there is no ring.
    size: usize,
    /// Up to here it is written.
    end: u32,
    /// From here on values may not have been taken.
    begin: u32,
    /// The number of each value behind that, and where it ends.
    values: VecDeque<(u32, u32)>,
}

impl Writer {
    /// The ring of a task that may be so many values ahead, in this room, if that is large enough; of this turn of this
    /// worker.
    pub(crate) fn new(
        bytes: &Bytes,
        (at, room): (usize, usize),
        ahead: u32,
        worker: u32,
        turn: u32,
    ) -> Writer {
        let has_ring = room >= ring_room(ahead);
        if has_ring {
            bytes.write(at + END, &bytes_of(worker, turn));
            bytes.write(at + END + TURN / 2, &bytes_of(!worker, !turn));
        }
        let size = if has_ring { ring_bytes(ahead) } else { 0 };
        let (bytes, values) = (bytes.clone(), VecDeque::new());
        let writer = Writer { bytes, at: at + FRONT, size, end: 0, begin: 0, values };
        writer.say_yielded_in_all(0);
        writer
    }

    /// The task has ended, and has yielded so many values, over the line included.
    pub(crate) fn say_yielded_in_all(&self, values: u32) {
        if self.size > 0 {
            self.bytes.write(self.at - COUNT, &bytes_of(values, 0));
        }
    }

    /// Room for the record of the task's end, if there is a ring.
    pub(crate) fn end_room(&self) -> usize {
        if self.size > 0 { END } else { 0 }
    }

    /// Writes the value of this number, where so many were taken. Gives up to where the ring is written now; `None`:
    /// there is no room.
    pub(crate) fn put(&mut self, number: u32, taken: u32, value: &[u8]) -> Option<u32> {
        let need = whole(value.len());
        if need > self.room() {
            while let Some((number, end)) = self.values.front()
                && (taken.wrapping_sub(*number) as i32) > 0
            {
                self.begin = *end;
                self.values.pop_front();
            }
            if need > self.room() {
                return None;
            }
        }
        self.write(self.end, &bytes_of(number, value.len() as u32));
        self.write(self.end.wrapping_add(HEAD as u32), value);
        self.end = self.end.wrapping_add(need as u32);
        self.values.push_back((number, self.end));
        Some(self.end)
    }

    fn room(&self) -> usize {
        self.size - self.end.wrapping_sub(self.begin) as usize
    }

    fn write(&self, position: u32, bytes: &[u8]) {
        let at = position as usize & (self.size - 1);
        let (before, after) = bytes.split_at(bytes.len().min(self.size - at));
        self.bytes.write(self.at + at, before);
        if !after.is_empty() {
            self.bytes.write(self.at, after);
        }
    }
}

/// The caller's side.
#[derive(Debug)]
pub(crate) struct Reader {
    at: usize,
    /// 0: there is no ring.
    size: usize,
    /// The number of a value that comes by message is less than so many before that of the next one here.
    ahead: u32,
    /// Up to here it was copied.
    copied: u32,
    /// What was copied, and comes behind a value that is to come by message.
    rest: Vec<u8>,
    /// The number of the value that comes next.
    next: u32,
    /// A wild write has hit it: nothing more of it is taken.
    damaged: bool,
}

impl Reader {
    /// The ring at this place, if there is one, of a task that may be so many values ahead.
    pub(crate) fn new(at: Option<usize>, ahead: u32) -> Reader {
        let size = if at.is_some() { ring_bytes(ahead) } else { 0 };
        let at = at.unwrap_or_default() + FRONT;
        Reader { at, size, ahead, copied: 0, rest: Vec::new(), next: 0, damaged: false }
    }

    /// Which turn of which worker the ring at this place is of, once something was written. `None`: it is damaged.
    pub(crate) fn turn(bytes: &Bytes, at: usize) -> Option<(u32, u32)> {
        let turn = words(bytes.read_array(at + END));
        let (worker, number) = words(bytes.read_array(at + END + TURN / 2));
        (turn == (!worker, !number)).then_some(turn)
    }

    /// Copies what is there. The ring is written up to `end`.
    pub(crate) fn copy(&mut self, bytes: &Bytes, end: u32) {
        let length = end.wrapping_sub(self.copied) as usize;
        if self.damaged || length == 0 {
            return;
        }
        if length > self.size || !length.is_multiple_of(8) {
            self.damage();
            return;
        }
        let at = self.copied as usize & (self.size - 1);
        let before = length.min(self.size - at);
        bytes.read_onto(self.at + at, before, &mut self.rest);
        bytes.read_onto(self.at, length - before, &mut self.rest);
        self.copied = end;
    }

    /// Takes the values that come next of what was copied; `None`: there is none, or one is to come by message first.
    pub(crate) fn take(&mut self) -> Option<Several> {
        let (mut at, mut items) = (0, 0);
        let is_damaged = loop {
            if at == self.rest.len() {
                break false;
            }
            let Some((number, value)) = value_at(&self.rest, at) else { break true };
            let missing = number.wrapping_sub(self.next.wrapping_add(items));
            if missing > 0 {
                break missing >= self.ahead;
            }
            (at, items) = (at + whole(value.len()), items + 1);
        };
        self.next = self.next.wrapping_add(items);
        let rest = self.rest.split_off(at);
        let bytes = std::mem::replace(&mut self.rest, rest);
        if is_damaged {
            self.damage();
        }
        (items > 0).then_some(Several { bytes, at: 0, left: items })
    }

    /// Nothing more of it is taken.
    pub(crate) fn damage(&mut self) {
        self.damaged = true;
        self.rest = Vec::new();
    }

    /// Whether a wild write has hit it.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// The value that comes next has come by message.
    pub(crate) fn came(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    /// How many values its task has yielded, which has ended.
    pub(crate) fn yielded_in_all(&self, bytes: &Bytes) -> u32 {
        if self.size > 0 { words(bytes.read_array(self.at - COUNT)).0 } else { self.next }
    }

    /// Whether so many values were taken, and nothing is left.
    pub(crate) fn has_taken(&self, values: u32) -> bool {
        self.next == values && self.rest.is_empty()
    }
}

/// The number and the bytes of the value that begins there; `None`: there is no whole one.
#[inline]
fn value_at(bytes: &[u8], at: usize) -> Option<(u32, &[u8])> {
    let (head, after) = bytes.get(at..)?.split_first_chunk()?;
    let (number, length) = words(*head);
    // What it takes of the ring is there, too.
    let value = after.get(..(length as usize).next_multiple_of(8))?;
    Some((number, &value[..length as usize]))
}

/// Values of one task, side by side.
#[derive(Debug)]
pub(crate) struct Several {
    bytes: Vec<u8>,
    at: usize,
    left: u32,
}

impl Several {
    /// No value.
    pub(crate) fn none() -> Several {
        Several { bytes: Vec::new(), at: 0, left: 0 }
    }

    /// The bytes of the next one.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        self.left = self.left.checked_sub(1)?;
        let (_, value) = value_at(&self.bytes, self.at)?;
        self.at += whole(value.len());
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Shape;
    use crate::memory::Memory;

    const AHEAD: u32 = 100;

    fn memory() -> Memory {
        Memory::create(Shape::for_workers(1, 1)).unwrap()
    }

    fn value(number: u32) -> Vec<u8> {
        vec![number as u8; number as usize * 37 % 300]
    }

    fn taken(several: Option<Several>) -> Vec<Vec<u8>> {
        let Some(mut several) = several else { return Vec::new() };
        std::iter::from_fn(|| several.next().map(<[u8]>::to_vec)).collect()
    }

    /// The ring goes round many times, from where its count wraps.
    #[test]
    fn values_come_back_in_their_order_wherever_the_ring_is() {
        let (memory, at) = (memory(), 3000);
        let mut writer = Writer::new(&memory.bytes, (at, ring_room(AHEAD)), AHEAD, 3, 7);
        let mut reader = Reader::new(Some(at), AHEAD);
        assert_eq!(Reader::turn(&memory.bytes, at), Some((3, 7)));
        let begin = 0_u32.wrapping_sub(5 * ring_bytes(AHEAD) as u32);
        (writer.end, writer.begin, reader.copied) = (begin, begin, begin);
        for first in (0..3000).step_by(3) {
            for number in first..first + 3 {
                assert!(writer.put(number, first, &value(number)).is_some());
            }
            reader.copy(&memory.bytes, writer.end);
            assert_eq!(taken(reader.take()), [value(first), value(first + 1), value(first + 2)]);
            assert!(reader.take().is_none() && reader.has_taken(first + 3));
        }
        assert!(writer.end < begin, "it has wrapped");
    }

    #[test]
    fn what_is_not_taken_is_not_written_over() {
        let (memory, at) = (memory(), 0);
        let mut writer = Writer::new(&memory.bytes, (at, ring_room(AHEAD)), AHEAD, 0, 1);
        let value = [7; 1000];
        let fit = (0..).take_while(|number| writer.put(*number, 0, &value).is_some()).count() as u32;
        assert_eq!(fit as usize, ring_bytes(AHEAD) / whole(1000));
        assert!(writer.put(fit, 0, &value).is_none());
        assert!(writer.put(fit, 1, &value).is_some() && writer.put(fit + 1, 1, &value).is_none());
        assert!(writer.put(fit + 1, 3, &vec![0; ring_bytes(AHEAD)]).is_none());
        let mut none = Writer::new(&memory.bytes, (at, ring_room(AHEAD) - 1), AHEAD, 0, 1);
        assert!(none.put(0, 0, &[]).is_none());
    }

    #[test]
    fn a_value_that_comes_by_message_holds_up_those_behind_it() {
        let (memory, at) = (memory(), 0);
        let mut writer = Writer::new(&memory.bytes, (at, ring_room(AHEAD)), AHEAD, 0, 1);
        let mut reader = Reader::new(Some(at), AHEAD);
        [0, 1, 3, 4, 6]
            .into_iter()
            .for_each(|number| assert!(writer.put(number, 0, &value(number)).is_some()));
        reader.copy(&memory.bytes, writer.end);
        assert_eq!(taken(reader.take()), [value(0), value(1)]);
        assert!(reader.take().is_none() && !reader.has_taken(2) && !reader.is_damaged());
        reader.came();
        assert_eq!(taken(reader.take()), [value(3), value(4)]);
        reader.came();
        assert_eq!(taken(reader.take()), [value(6)]);
    }

    #[test]
    fn the_values_in_front_of_one_that_was_hit_are_taken() {
        let (memory, at) = (memory(), 0);
        for number in [1, AHEAD - 1, AHEAD, AHEAD + 1, u32::MAX] {
            let mut writer = Writer::new(&memory.bytes, (at, ring_room(AHEAD)), AHEAD, 0, 1);
            let mut reader = Reader::new(Some(at), AHEAD);
            let first = writer.put(0, 0, &[7; 100]).unwrap();
            let end = writer.put(1, 0, &[7; 100]).unwrap();
            memory.bytes.write(at + FRONT + first as usize, &(1_u32.wrapping_add(number)).to_le_bytes());
            reader.copy(&memory.bytes, end);
            assert_eq!(taken(reader.take()), [[7; 100]]);
            // As many may be missing, and come by message.
            assert_eq!(reader.is_damaged(), number >= AHEAD, "{number}");
            assert!(!reader.has_taken(2));
        }
    }

    #[test]
    fn nothing_more_is_taken_of_a_ring_that_was_hit() {
        let (memory, at) = (memory(), 0);
        let mut writer = Writer::new(&memory.bytes, (at, ring_room(AHEAD)), AHEAD, 0, 1);
        let end = writer.put(0, 0, &[1; 100]).unwrap();
        for wild in [4, end - 8, ring_bytes(AHEAD) as u32 + 8, u32::MAX, 0_u32.wrapping_sub(8)] {
            let mut reader = Reader::new(Some(at), AHEAD);
            reader.copy(&memory.bytes, wild);
            assert!(reader.take().is_none() && reader.is_damaged(), "{wild}");
            reader.copy(&memory.bytes, end);
            assert!(reader.take().is_none());
        }
    }
}
