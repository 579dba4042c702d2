//! W1: one producer in another process, one consumer here; the consumer ends with the bytes in its own memory.

use super::rate;
use crate::python::{Shared, ask};
use crate::{Peer, Work};
use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{Process, StartMethod};
use mp_queue::Queue;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

const BYTES: usize = 64;
const MESSAGES: u64 = 300_000;
const PYTHON_MESSAGES: u64 = 20_000;

fn produce(queue: Queue<Vec<u8>>) {
    for _ in 0..MESSAGES {
        queue.put(vec![7; BYTES]).expect("the consumer takes them all");
    }
}

fn produce_into_pipe(end: Handle) {
    let mut file = File::from(end.into_fd().expect("its only copy"));
    for _ in 0..MESSAGES {
        file.write_all(&[7; BYTES]).expect("the consumer takes them all");
    }
}

/// The general queue: any value, serialised; here bytes.
fn ours() -> Result<f64, String> {
    let queue = Queue::new().map_err(|error| error.to_string())?;
    let process = Process::new(produce, (queue.clone(),)).method(StartMethod::ForkServer);
    let began = Instant::now();
    let child = process.start().map_err(|error| error.to_string())?;
    for _ in 0..MESSAGES {
        let message: Vec<u8> = queue.get().map_err(|error| error.to_string())?;
        assert_eq!(message.len(), BYTES);
    }
    let rate = rate(MESSAGES, began);
    child.join().map_err(|error| error.to_string())?;
    Ok(rate)
}

fn os_pipe() -> Result<f64, String> {
    let (read, write) = pipe().map_err(|error| error.to_string())?;
    let process = Process::new(produce_into_pipe, (Handle::new(write),)).method(StartMethod::ForkServer);
    let began = Instant::now();
    let child = process.start().map_err(|error| error.to_string())?;
    let (mut file, mut message) = (File::from(read), [0; BYTES]);
    for _ in 0..MESSAGES {
        file.read_exact(&mut message).map_err(|error| error.to_string())?;
    }
    let rate = rate(MESSAGES, began);
    child.join().map_err(|error| error.to_string())?;
    Ok(rate)
}

/// Between threads of one process: the anchor, not a replacement.
fn between_threads() -> Result<f64, String> {
    let (send, receive) = sync_channel::<Vec<u8>>(1024);
    let began = Instant::now();
    let producer = std::thread::spawn(move || (0..MESSAGES).all(|_| send.send(vec![7; BYTES]).is_ok()));
    for _ in 0..MESSAGES {
        receive.recv().map_err(|error| error.to_string())?;
    }
    let rate = rate(MESSAGES, began);
    let _ = producer.join();
    Ok(rate)
}

pub(crate) fn queue_64_bytes(python: &Shared) -> Work {
    let python = python.clone();
    Work {
        metric: "W1.64B".to_owned(),
        unit: "msg/s",
        rate: true,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("CPython", move || ask(&python, &format!("W1.64B {PYTHON_MESSAGES}"))),
            Peer::new("pipe", os_pipe),
            Peer::new("std-channel", between_threads),
        ],
    }
}
