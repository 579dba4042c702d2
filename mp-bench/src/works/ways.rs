//! The ways a message goes from one side to the other: ours, and the peers that each side merely opens.
//!
//! A message is made where it is put, and ends in memory of him who gets it.

use super::text;
use mp_core::mem::Place;
use mp_core::sys::fd::pipe;
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::Handle;
use mp_core::word::Word;
use mp_queue::Queue;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// What carries messages, as it is handed to a worker.
pub(super) trait Way: Clone + Send + 'static {
    type End;
    /// What the worker works with. It is opened by the worker itself, before the clock starts.
    fn open(self) -> Self::End;
}

/// What messages of so many bytes are put into.
pub(super) trait Put {
    fn put(&mut self, bytes: usize);
}

/// What messages of so many bytes are got from.
pub(super) trait Get {
    fn get(&mut self, bytes: usize);
}

/// The general queue: any value, serialised; here bytes, one by one.
impl Way for Queue<Vec<u8>> {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Queue<Vec<u8>> {
    fn put(&mut self, bytes: usize) {
        Queue::put(self, vec![7; bytes]).expect("somebody gets them all");
    }
}

impl Get for Queue<Vec<u8>> {
    fn get(&mut self, bytes: usize) {
        let message = Queue::get(self).expect("somebody puts them all");
        assert_eq!(message.len(), bytes);
    }
}

/// The same with bytes that serialise as one block.
impl Way for Queue<ByteBuf> {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Queue<ByteBuf> {
    fn put(&mut self, bytes: usize) {
        Queue::put(self, ByteBuf::from(vec![7; bytes])).expect("somebody gets them all");
    }
}

impl Get for Queue<ByteBuf> {
    fn get(&mut self, bytes: usize) {
        let message = Queue::get(self).expect("somebody puts them all");
        assert_eq!(message.len(), bytes);
    }
}

/// A pipe of the system's, without frames: each side knows how long a message is. One of at most `PIPE_BUF` bytes is
/// whole whatever the number of workers.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Pipe {
    read: Handle,
    write: Handle,
}

impl Pipe {
    pub(super) fn new() -> Result<Pipe, String> {
        let (read, write) = pipe().map_err(text)?;
        Ok(Pipe { read: Handle::new(read), write: Handle::new(write) })
    }
}

impl Way for Pipe {
    type End = PipeEnd;

    fn open(self) -> PipeEnd {
        let file = |end: Handle| File::from(end.as_fd().try_clone_to_owned().expect("a descriptor to spare"));
        PipeEnd { read: file(self.read), write: file(self.write), buffer: Vec::new() }
    }
}

/// A pipe in the hands of one side.
pub(super) struct PipeEnd {
    read: File,
    write: File,
    buffer: Vec<u8>,
}

impl Put for PipeEnd {
    fn put(&mut self, bytes: usize) {
        self.buffer.resize(bytes, 7);
        self.write.write_all(&self.buffer).expect("somebody gets them all");
    }
}

impl Get for PipeEnd {
    fn get(&mut self, bytes: usize) {
        self.buffer.resize(bytes, 0);
        self.read.read_exact(&mut self.buffer).expect("somebody puts them all");
    }
}

/// A word that one sleeps on at once, and 64 bytes beside it: the least that a sleeper's message costs. There is room
/// for one message, and it is for the worker to know when it is free.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Futex {
    full: Place<FutexWord>,
    message: Place<[AtomicU64; 8]>,
}

impl Futex {
    pub(super) fn new() -> Result<Futex, String> {
        let (full, message) =
            (Place::create("futex").map_err(text)?, Place::create("message").map_err(text)?);
        Ok(Futex { full, message })
    }
}

impl Way for Futex {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Futex {
    fn put(&mut self, bytes: usize) {
        assert_eq!(bytes, size_of_val(&*self.message));
        // ORDERING: Relaxed: published by the word.
        self.message.iter().for_each(|part| part.store(7, Ordering::Relaxed));
        // ORDERING: Release, pairs with the Acquire in `get`.
        self.full.store(1, Ordering::Release);
        self.full.wake(1);
    }
}

impl Get for Futex {
    fn get(&mut self, bytes: usize) {
        assert_eq!(bytes, size_of_val(&*self.message));
        // ORDERING: Acquire, pairs with the Release in `put`.
        while self.full.load(Ordering::Acquire) == 0 {
            self.full.wait(0, None);
        }
        // ORDERING: Relaxed: ordered by the word.
        let message: Vec<u64> = self.message.iter().map(|part| part.load(Ordering::Relaxed)).collect();
        black_box(message);
        // ORDERING: Relaxed: the answer, which the other side waits for, publishes it.
        self.full.store(0, Ordering::Relaxed);
    }
}

/// crossbeam's channel, between threads of one process: the anchor, not a replacement.
#[derive(Clone)]
pub(super) struct Channel {
    send: crossbeam_channel::Sender<Vec<u8>>,
    receive: crossbeam_channel::Receiver<Vec<u8>>,
}

impl Channel {
    /// Of at most 1024 messages.
    pub(super) fn bounded() -> Channel {
        let (send, receive) = crossbeam_channel::bounded(1024);
        Channel { send, receive }
    }

    pub(super) fn unbounded() -> Channel {
        let (send, receive) = crossbeam_channel::unbounded();
        Channel { send, receive }
    }
}

impl Way for Channel {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Channel {
    fn put(&mut self, bytes: usize) {
        self.send.send(vec![7; bytes]).expect("somebody gets them all");
    }
}

impl Get for Channel {
    fn get(&mut self, bytes: usize) {
        let message = self.receive.recv().expect("somebody puts them all");
        assert_eq!(message.len(), bytes);
    }
}
