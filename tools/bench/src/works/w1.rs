//! W1: one producer in another process, one consumer here; the consumer ends with the bytes in its own memory. Both
//! are there before the clock starts.

use super::crowd::Gate;
use super::ipc;
use super::measure::{rate, text};
use super::peers::{faster_fifo, lasting, pythons};
use super::ways::{Batches, Bytes, Channel, Get, Pipe, Put, Way};
use crate::python::Shared;
use crate::work::Work;
use mp_core::{Process, StartMethod};
use mp_queue::{FixedQueue, Queue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const SIZES: [(&str, usize); 5] =
    [("16B", 16), ("64B", 64), ("1KiB", 1 << 10), ("64KiB", 64 << 10), ("1MiB", 1 << 20)];

pub(super) fn all(python: &Shared) -> Vec<Work> {
    let mut works: Vec<Work> = SIZES.iter().map(|&(name, bytes)| stream(python, name, bytes)).collect();
    works.extend([fixed(python), many(python)]);
    works
}

/// Items of a fixed size, without serialisation.
fn fixed(python: &Shared) -> Work {
    let metric = "W1.64B.fixed";
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            lasting("mp", PILOT, |messages| {
                from_process(FixedQueue::<[u64; 8]>::new().map_err(text)?, Load { messages, bytes: 64 })
            }),
            lasting("crossbeam", PILOT, |messages| between_threads(Load { messages, bytes: 64 })),
            faster_fifo(python, "W1.64B", PILOT),
        ],
        metric: metric.to_owned(),
    }
}

/// So many of them at once.
fn many(python: &Shared) -> Work {
    let metric = "W1.64B.many32";
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            lasting("mp", PILOT, |messages| from_process(Batches::new()?, Load { messages, bytes: 64 })),
            lasting("crossbeam", PILOT, |messages| between_threads(Load { messages, bytes: 64 })),
            faster_fifo(python, metric, PILOT),
        ],
        metric: metric.to_owned(),
    }
}

const PILOT: u64 = 20_000;

/// How many messages, of how many bytes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) messages: u64,
    pub(super) bytes: usize,
}

fn stream(python: &Shared, name: &str, bytes: usize) -> Work {
    let metric = format!("W1.{name}");
    // The try touches as much memory as a round does: in the first one of a process all of it is new, and that would be
    // counted for the peer that comes first.
    let pilot = ((256 << 20) / bytes as u64).min(PILOT);
    let peer = |name, rate: fn(Load) -> Result<f64, String>| {
        lasting(name, pilot, move |messages| rate(Load { messages, bytes }))
    };
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            peer("mp", ours),
            peer("mp.bounded", ours_bounded),
            peer("mp.bytes", ours_as_block),
            peer("crossbeam", between_threads),
            peer("pipe", os_pipe),
            peer("ipc-channel", ipc_channel),
            peer("iceoryx2", iceoryx2),
            pythons(python, metric.clone(), pilot),
            faster_fifo(python, &metric, pilot),
        ],
        metric,
    }
}

fn ours(load: Load) -> Result<f64, String> {
    from_process(Queue::<Vec<u8>>::new().map_err(text)?, load)
}

/// As many as crossbeam's holds.
fn ours_bounded(load: Load) -> Result<f64, String> {
    from_process(Queue::<Vec<u8>>::bounded(1024).map_err(text)?, load)
}

fn ours_as_block(load: Load) -> Result<f64, String> {
    from_process(Bytes::new()?, load)
}

fn os_pipe(load: Load) -> Result<f64, String> {
    from_process(Pipe::new()?, load)
}

fn ipc_channel(load: Load) -> Result<f64, String> {
    let (putter, server) = ipc::new()?;
    from_other_end(putter, || server.accept(), load)
}

#[cfg(feature = "iceoryx2")]
fn iceoryx2(load: Load) -> Result<f64, String> {
    let topic = super::iceoryx::Topic::new(load.bytes);
    from_other_end(topic.clone(), || topic.subscribe(), load)
}

#[cfg(not(feature = "iceoryx2"))]
fn iceoryx2(_: Load) -> Result<f64, String> {
    Err("built without --features iceoryx2".to_owned())
}

/// Both sides open the same.
fn from_process<W>(way: W, load: Load) -> Result<f64, String>
where
    W: Way<End: Put + Get> + Serialize + DeserializeOwned,
{
    from_other_end(way.clone(), || Ok(way.open()), load)
}

/// How many a second are got here of those that are put by a process.
fn from_other_end<W, G>(way: W, open: impl FnOnce() -> Result<G, String>, load: Load) -> Result<f64, String>
where
    W: Way<End: Put> + Serialize + DeserializeOwned,
    G: Get,
{
    let gate = Gate::new()?;
    let producer = Process::new(produce::<W>, (way, gate.clone(), load)).method(StartMethod::ForkServer);
    let producer = producer.start().map_err(text)?;
    let rate = consume(open()?, &gate, load)?;
    producer.join().map_err(text)?;
    Ok(rate)
}

fn between_threads(load: Load) -> Result<f64, String> {
    let (way, gate) = (Channel::bounded(), Gate::new()?);
    let producer = std::thread::spawn({
        let (way, gate) = (way.clone(), gate.clone());
        move || produce(way, gate, load)
    });
    let rate = consume(way.open(), &gate, load)?;
    producer.join().map_err(|_| "the producer panicked")?;
    Ok(rate)
}

fn produce<W: Way<End: Put>>(way: W, gate: Gate, load: Load) {
    let mut end = way.open();
    gate.pass();
    (0..load.messages).for_each(|_| end.put(load.bytes));
}

fn consume(mut end: impl Get, gate: &Gate, load: Load) -> Result<f64, String> {
    let began = gate.let_go(1)?;
    (0..load.messages).for_each(|_| end.get(load.bytes));
    Ok(rate(load.messages, began))
}
