//! The ways a message goes from one side to the other: ours, and the peers that each side merely opens.
//!
//! A message is a copy of bytes that the producer keeps. It ends in the consumer's memory, and the consumer reads it.
//! (Over W11's sockets the kernel copies both ways in any case.)

use super::measure::text;
use mp_core::mem::SharedRef;
use mp_core::sys::fd::pipe;
use mp_core::sys::futex::FutexWord;
use mp_core::transfer::Handle;
use mp_core::word::Word;
use mp_queue::{FixedQueue, Queue};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

/// Reads each cache line of a message. Otherwise nothing of it would have to be moved by a channel that only passes on
/// where it lies.
pub(super) fn look_at(message: &[u8]) {
    black_box(message.iter().step_by(64).fold(0, |all, byte| all ^ byte));
}

/// What carries messages, as it is handed to a worker.
pub(super) trait Way: Clone + Send + 'static {
    type End;
    /// What the worker works with. It is opened by the worker itself, before the clock starts.
    fn open(self) -> Self::End;
}

/// What is put, or the beginning of it.
pub(super) static MESSAGE: [u8; 1 << 20] = [7; 1 << 20];

/// What messages of so many bytes are put into.
pub(super) trait Put {
    fn put(&mut self, bytes: usize);
}

/// What messages of so many bytes are got from.
pub(super) trait Get {
    fn get(&mut self, bytes: usize);
}

/// The general queue: any value; here a vector of bytes for each message.
impl Way for Queue<Vec<u8>> {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Queue<Vec<u8>> {
    fn put(&mut self, bytes: usize) {
        Queue::put(self, MESSAGE[..bytes].to_vec()).expect("a consumer gets them all");
    }
}

impl Get for Queue<Vec<u8>> {
    fn get(&mut self, bytes: usize) {
        let message = Queue::get(self).expect("a producer puts them all");
        assert_eq!(message.len(), bytes);
        look_at(&message);
    }
}

/// The same without a vector for each message: from memory that is kept into memory that is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Bytes(Queue<Vec<u8>>);

impl Bytes {
    pub(super) fn new() -> Result<Bytes, String> {
        Queue::new().map(Bytes).map_err(text)
    }
}

impl Way for Bytes {
    type End = BytesEnd;

    fn open(self) -> BytesEnd {
        BytesEnd { queue: self.0, buffer: Vec::new() }
    }
}

/// Such a queue in the hands of one side.
pub(super) struct BytesEnd {
    queue: Queue<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Put for BytesEnd {
    fn put(&mut self, bytes: usize) {
        self.queue.put_bytes(&MESSAGE[..bytes]).expect("a consumer gets them all");
    }
}

impl Get for BytesEnd {
    fn get(&mut self, bytes: usize) {
        let got = self.queue.get_bytes_into(&mut self.buffer).expect("a producer puts them all");
        assert_eq!(got, bytes);
        look_at(&self.buffer);
    }
}

/// What a message of a fixed size is: 64 bytes.
type Message = [u64; 8];

/// The form without serialisation.
impl Way for FixedQueue<Message> {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for FixedQueue<Message> {
    fn put(&mut self, bytes: usize) {
        assert_eq!(bytes, size_of::<Message>());
        FixedQueue::put(self, [7; 8]).expect("a consumer gets them all");
    }
}

impl Get for FixedQueue<Message> {
    fn get(&mut self, _: usize) {
        black_box(FixedQueue::get(self).expect("a producer puts them all"));
    }
}

/// The same, `BATCH` at once. A side passes on what it has when it has as many, or ends.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Batches(FixedQueue<Message>);

const BATCH: usize = 32;

impl Batches {
    pub(super) fn new() -> Result<Batches, String> {
        FixedQueue::new().map(Batches).map_err(text)
    }
}

impl Way for Batches {
    type End = BatchesEnd;

    fn open(self) -> BatchesEnd {
        BatchesEnd { queue: self.0, batch: Vec::with_capacity(BATCH), put: 0 }
    }
}

/// Such a queue in the hands of one side.
pub(super) struct BatchesEnd {
    queue: FixedQueue<Message>,
    batch: Vec<Message>,
    /// Of the batch, how many were put into it and not passed on.
    put: usize,
}

impl Put for BatchesEnd {
    fn put(&mut self, bytes: usize) {
        assert_eq!(bytes, size_of::<Message>());
        self.batch.push([7; 8]);
        self.put += 1;
        if self.put == BATCH {
            self.pass_on();
        }
    }
}

impl BatchesEnd {
    fn pass_on(&mut self) {
        self.queue.put_many(&self.batch).expect("a consumer gets them all");
        self.batch.clear();
        self.put = 0;
    }
}

impl Drop for BatchesEnd {
    fn drop(&mut self) {
        if self.put > 0 {
            self.pass_on();
        }
    }
}

impl Get for BatchesEnd {
    fn get(&mut self, _: usize) {
        if self.batch.is_empty() {
            self.queue.get_many_into(&mut self.batch, BATCH).expect("a producer puts them all");
        }
        black_box(self.batch.pop());
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
        self.write.write_all(&MESSAGE[..bytes]).expect("a consumer gets them all");
    }
}

impl Get for PipeEnd {
    fn get(&mut self, bytes: usize) {
        self.buffer.resize(bytes, 0);
        self.read.read_exact(&mut self.buffer).expect("a producer puts them all");
        look_at(&self.buffer);
    }
}

/// A word that one sleeps on at once, and 64 bytes beside it: the least that a sleeper's message costs. There is room
/// for one message, and it is for the worker to know when it is free.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Futex {
    full: SharedRef<FutexWord>,
    message: SharedRef<[AtomicU64; 8]>,
}

impl Futex {
    pub(super) fn new() -> Result<Futex, String> {
        let (full, message) =
            (SharedRef::create("futex").map_err(text)?, SharedRef::create("message").map_err(text)?);
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

/// As [`Futex`], and both sides spin for as long as it takes: the least that a message costs between two CPUs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Spin(Futex);

impl Spin {
    pub(super) fn new() -> Result<Spin, String> {
        Futex::new().map(Spin)
    }
}

impl Way for Spin {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

impl Put for Spin {
    fn put(&mut self, _: usize) {
        // ORDERING: Relaxed: published by the word.
        self.0.message.iter().for_each(|part| part.store(7, Ordering::Relaxed));
        // ORDERING: Release, pairs with the Acquire in `get`.
        self.0.full.store(1, Ordering::Release);
    }
}

impl Get for Spin {
    fn get(&mut self, bytes: usize) {
        // ORDERING: Acquire, pairs with the Release in `put`.
        while self.0.full.load(Ordering::Acquire) == 0 {
            std::hint::spin_loop();
        }
        self.0.get(bytes);
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
        self.send.send(MESSAGE[..bytes].to_vec()).expect("a consumer gets them all");
    }
}

impl Get for Channel {
    fn get(&mut self, bytes: usize) {
        let message = self.receive.recv().expect("a producer puts them all");
        assert_eq!(message.len(), bytes);
        look_at(&message);
    }
}
