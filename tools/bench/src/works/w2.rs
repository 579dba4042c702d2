//! W2: 2 processes that put and 2 that get, 64 bytes a message, and 4 and 4; from their common start to the last exit.

use super::crowd::{Crowd, Part, processes, threads};
use super::measure::text;
use super::peers::{lasting, pythons};
use super::ways::{Bytes, Channel, Get, Pipe, Put, Way};
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_queue::Queue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const BYTES: usize = 64;
const PILOT: u64 = 20_000;

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![crowded(python, 2), crowded(python, 4)]
}

fn crowded(python: &Shared, each: u64) -> Work {
    let metric = format!("W2.{each}x{each}");
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            between_processes("mp", each, || Queue::<Vec<u8>>::new().map_err(text)),
            between_processes("mp.bounded", each, || Queue::<Vec<u8>>::bounded(1024).map_err(text)),
            between_processes("mp.bytes", each, Bytes::new),
            lasting("crossbeam", PILOT, move |messages| rate(Channel::bounded(), each, messages, threads)),
            between_processes("pipe", each, Pipe::new),
            pythons(python, metric.clone(), PILOT),
        ],
        metric,
    }
}

fn between_processes<W>(name: &'static str, each: u64, new: fn() -> Result<W, String>) -> Peer
where
    W: Way<End: Put + Get> + Serialize + DeserializeOwned,
{
    lasting(name, PILOT, move |messages| rate(new()?, each, messages, processes))
}

/// How many a second go from `each` workers to as many.
fn rate<W: Way<End: Put + Get>>(
    way: W,
    each: u64,
    messages: u64,
    crowd: Crowd<Worker<W>>,
) -> Result<f64, String> {
    let messages = messages / each;
    let worker = |puts| Worker { way: way.clone(), puts, messages };
    let workers: Vec<_> = [true, false].into_iter().cycle().take(2 * each as usize).map(worker).collect();
    Ok((messages * each) as f64 / crowd(&workers)?.took.as_secs_f64())
}

/// A producer of so many messages, or their consumer.
#[derive(Clone, Serialize, Deserialize)]
struct Worker<W> {
    way: W,
    puts: bool,
    messages: u64,
}

impl<W: Way<End: Put + Get>> Part for Worker<W> {
    type Gives = ();

    fn play(self, start: impl FnOnce()) {
        let mut end = self.way.open();
        start();
        for _ in 0..self.messages {
            if self.puts { end.put(BYTES) } else { end.get(BYTES) }
        }
    }
}
