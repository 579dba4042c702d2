//! Line: a queue of numbered items, of whatever form.

use mp_core::sys::fd::pipe;
use mp_core::sys::socket::{Mode, peek_bytes};
use mp_core::transfer::{Handle, pack};
use mp_pipe::wait;
use mp_queue::{FixedQueue, GetError, PutError, Queue, QueueBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// A queue whose items tell their number, and whether they are whole.
pub(super) trait Line {
    type Item;
    /// The item of that number.
    fn item(&self, number: usize) -> Self::Item;
    /// The number of an item; `None`: it is not whole.
    fn number(&self, item: Self::Item) -> Option<usize>;
    /// Waits for room so long, or for ever.
    fn put(&self, item: Self::Item, timeout: Option<Duration>) -> Result<(), PutError>;
    /// All at once.
    fn put_many(&self, items: Vec<Self::Item>) -> Result<(), PutError>;
    /// Waits for an item so long, or for ever.
    fn get(&self, timeout: Option<Duration>) -> Result<Self::Item, GetError>;
    /// Up to so many at once; waits for the first.
    fn get_many(&self, most: usize) -> Result<Vec<Self::Item>, GetError>;
    fn items(&self) -> usize;
    fn is_full(&self) -> bool;
    /// What stands on the first packet beside the queue, and nothing if there is none; `None`: of these items, none
    /// has one.
    fn beside(&self) -> Option<Vec<u8>> {
        None
    }
}

const NO_MEMORY: &str = "a sweep needs shared memory";

/// A queue that has its first segment, and no other.
pub(super) fn small() -> QueueBuilder {
    QueueBuilder::new().max_bytes(1 << 18)
}

/// A queue that can grow once.
pub(super) fn growing() -> QueueBuilder {
    QueueBuilder::new().max_bytes(1 << 20)
}

/// Items that are serialised, of whatever type.
pub(super) struct Values<T> {
    queue: Queue<T>,
    make: fn(usize) -> T,
    number: fn(T) -> Option<usize>,
    /// Consumers wait in `wait()`.
    polled: bool,
    /// Items have handles.
    handles: bool,
}

/// Its number, again and again: half of one item and half of another is none.
pub(super) type Block = [u64; 8];

fn block(number: usize) -> Block {
    [number as u64; 8]
}

fn number_of(block: Block) -> Option<usize> {
    (block == [block[0]; 8]).then_some(block[0] as usize)
}

impl<T> Values<T> {
    fn new(builder: QueueBuilder, make: fn(usize) -> T, number: fn(T) -> Option<usize>) -> Self {
        Values { queue: builder.build().expect(NO_MEMORY), make, number, polled: false, handles: false }
    }
}

impl Values<Block> {
    pub(super) fn blocks(builder: QueueBuilder) -> Self {
        Values::new(builder, block, number_of)
    }

    pub(super) fn polled() -> Self {
        Values { polled: true, ..Values::blocks(small()) }
    }
}

/// Bytes in the first segment of a queue.
const SEGMENT: usize = 256 << 10;
/// In one that is given back when it is drained: the fourth after it, and longer than those in between.
const TO_LEAVE: usize = (SEGMENT << 3) + 1;

impl Values<Vec<u8>> {
    /// Short items, but for this one, which is longer than the first segment.
    pub(super) fn large<const NUMBER: usize>() -> Self {
        Self::bytes(growing(), |number| vec![number as u8; if number == NUMBER { SEGMENT } else { 64 }])
    }

    /// Short items, but for number 1: that one leaves no room for another in the first segment.
    pub(super) fn full() -> Self {
        Self::bytes(growing(), |number| vec![number as u8; if number == 1 { SEGMENT - 64 } else { 64 }])
    }

    /// The first consumer leaves a large segment.
    pub(super) fn to_leave() -> Self {
        let builder = QueueBuilder::new().max_bytes(8 << 20);
        let line = Self::bytes(builder, |number| vec![number as u8; if number == 0 { TO_LEAVE } else { 64 }]);
        line.put(line.item(0), None).expect("there is room");
        line.get(None).expect("it was just put");
        line
    }

    fn bytes(builder: QueueBuilder, make: fn(usize) -> Vec<u8>) -> Self {
        Values::new(builder, make, |item| {
            let first = *item.first()?;
            item.iter().all(|byte| *byte == first).then_some(first as usize)
        })
    }
}

/// A number, and a pipe that holds the same number and no more.
#[derive(Serialize, Deserialize)]
pub(super) struct Parcel {
    number: u64,
    pipe: Handle,
}

impl Parcel {
    fn new(number: usize) -> Parcel {
        let (pipe, tells) = pipe().expect("a sweep needs descriptors");
        File::from(tells).write_all(&(number as u64).to_le_bytes()).expect("an empty pipe has room");
        Parcel { number: number as u64, pipe: Handle::new(pipe) }
    }

    /// `None` too if the pipe is another one's, or was handed over before.
    fn number(self) -> Option<usize> {
        let mut held = Vec::new();
        File::from(self.pipe.into_fd().ok()?).read_to_end(&mut held).ok()?;
        (held == self.number.to_le_bytes()).then_some(self.number as usize)
    }
}

impl Values<Parcel> {
    pub(super) fn parcels() -> Self {
        Values { handles: true, ..Values::new(small(), Parcel::new, Parcel::number) }
    }
}

impl<T: Serialize + DeserializeOwned> Line for Values<T> {
    type Item = T;

    fn item(&self, number: usize) -> T {
        (self.make)(number)
    }

    fn number(&self, item: T) -> Option<usize> {
        (self.number)(item)
    }

    fn put(&self, item: T, timeout: Option<Duration>) -> Result<(), PutError> {
        let put = match timeout {
            None => self.queue.put(item),
            Some(timeout) => self.queue.put_timeout(item, timeout),
        };
        put.map_err(|error| error.reason)
    }

    fn put_many(&self, items: Vec<T>) -> Result<(), PutError> {
        self.queue.put_many(items).map_err(|error| error.reason)
    }

    fn get(&self, timeout: Option<Duration>) -> Result<T, GetError> {
        match timeout {
            Some(timeout) => self.queue.get_timeout(timeout),
            None if !self.polled => self.queue.get(),
            None => loop {
                wait(&[&self.queue]).expect("the system can poll");
                match self.queue.try_get() {
                    Err(GetError::Empty) => {}
                    got => return got,
                }
            },
        }
    }

    fn get_many(&self, most: usize) -> Result<Vec<T>, GetError> {
        self.queue.get_many(most)?.collect()
    }

    fn items(&self) -> usize {
        self.queue.qsize()
    }

    fn is_full(&self) -> bool {
        self.queue.full()
    }

    fn beside(&self) -> Option<Vec<u8>> {
        if !self.handles {
            return None;
        }
        // What travels of a queue: its memory, the socket that sends, the one that receives.
        let socket = pack(&self.queue).expect("a queue can travel").handles.swap_remove(2);
        let mut bytes = vec![0; 64];
        let length = peek_bytes(socket.as_fd(), &mut bytes, Mode::Now).unwrap_or(0);
        bytes.truncate(length);
        Some(bytes)
    }
}

/// Items as they are.
pub(super) struct Fixed(FixedQueue<Block>);

impl Fixed {
    pub(super) fn new() -> Fixed {
        Fixed(small().build().expect(NO_MEMORY))
    }
}

impl Line for Fixed {
    type Item = Block;

    fn item(&self, number: usize) -> Block {
        block(number)
    }

    fn number(&self, item: Block) -> Option<usize> {
        number_of(item)
    }

    fn put(&self, item: Block, timeout: Option<Duration>) -> Result<(), PutError> {
        let put = match timeout {
            None => self.0.put(item),
            Some(timeout) => self.0.put_timeout(item, timeout),
        };
        put.map_err(|error| error.reason)
    }

    fn put_many(&self, items: Vec<Block>) -> Result<(), PutError> {
        self.0.put_many(&items).map_err(|error| error.reason)
    }

    fn get(&self, timeout: Option<Duration>) -> Result<Block, GetError> {
        match timeout {
            None => self.0.get(),
            Some(timeout) => self.0.get_timeout(timeout),
        }
    }

    fn get_many(&self, most: usize) -> Result<Vec<Block>, GetError> {
        let mut items = Vec::new();
        self.0.get_many_into(&mut items, most)?;
        Ok(items)
    }

    fn items(&self) -> usize {
        self.0.qsize()
    }

    fn is_full(&self) -> bool {
        self.0.full()
    }
}
