//! W11: connections. 64 bytes there and back on two CPUs and on one; values of 1 KiB there and back, and one way, as
//! values with a structure do, and bytes of 1 MiB, from one CPU to another. The peer `socketpair` is the same kernel
//! socket under the same framing, by hand: what a connection adds is the difference.

use super::by_hand::ByHand;
use super::cpus::pin;
use super::crowd::{Part, processes};
use super::measure::{need_cpus, rate, text};
use super::peers::{lasting, pythons, pythons_times};
use super::w1::Load;
use super::w3::{Setting, between_processes};
use super::ways::{Get, MESSAGE, Put, Way};
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::sys::socket::stream_pair;
use mp_core::transfer::Handle;
use mp_pipe::{Receiver, Sender, pipe_simplex};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![
        round_trip("W11.two", 2),
        round_trip("W11.one", 1),
        values_and_back(python),
        values(python),
        structured(python),
        large(python),
    ]
}

fn round_trip(metric: &str, cpus: usize) -> Work {
    let setting = Setting { cpus, bytes: 64, pause: Duration::ZERO };
    Work {
        metric: metric.to_owned(),
        unit: "us",
        rate: false,
        peers: vec![
            between_processes("mp", setting, Ours::<Vec<u8>, Bytes>::new),
            between_processes("socketpair", setting, Framed::new),
        ],
    }
}

/// A value of 1 KiB there and back, on two CPUs.
fn values_and_back(python: &Shared) -> Work {
    let metric = "W11.1KiB";
    let setting = Setting { cpus: 2, bytes: 1 << 10, pause: Duration::ZERO };
    Work {
        unit: "us",
        rate: false,
        peers: vec![
            between_processes("mp", setting, Ours::<Vec<u8>, Values>::new),
            between_processes("socketpair", setting, Framed::new),
            pythons_times(python, metric, 100),
        ],
        metric: metric.to_owned(),
    }
}

fn values(python: &Shared) -> Work {
    let metric = "W11.1KiB.stream";
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            one_way("mp", 1 << 10, Ours::<Vec<u8>, Values>::new),
            one_way("socketpair", 1 << 10, Framed::new),
            pythons(python, metric.to_owned(), PILOT),
        ],
        metric: metric.to_owned(),
    }
}

/// Values of 1 KiB that are made of many: packed by one side, and put together by the other.
fn structured(python: &Shared) -> Work {
    let metric = "W11.1KiB.records";
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            one_way("mp", 1 << 10, Ours::<Vec<Record>, Records>::new),
            one_way("socketpair", 1 << 10, Framed::new),
            one_way("socketpair.built", 1 << 10, || Framed::new().map(ByHand)),
            pythons(python, metric.to_owned(), PILOT),
        ],
        metric: metric.to_owned(),
    }
}

fn large(python: &Shared) -> Work {
    let metric = "W11.1MiB";
    Work {
        unit: "msg/s",
        rate: true,
        peers: vec![
            one_way("mp", 1 << 20, Ours::<Vec<u8>, Bytes>::new),
            one_way("mp.vec", 1 << 20, Ours::<Vec<u8>, FreshBytes>::new),
            one_way("socketpair", 1 << 20, Framed::new),
            pythons(python, metric.to_owned(), 100),
        ],
        metric: metric.to_owned(),
    }
}

/// Messages of a try.
const PILOT: u64 = 1_000;

fn one_way<W>(name: &'static str, bytes: usize, new: fn() -> Result<W, String>) -> Peer
where
    W: Way<End: Put + Get> + Serialize + DeserializeOwned,
{
    lasting(name, PILOT.min((64 << 20) / bytes as u64), move |messages| {
        need_cpus(2)?;
        let way = new()?;
        let load = Load { messages, bytes };
        let side = |puts| Side { way: way.clone(), puts, load };
        let done = processes(&[side(true), side(false)])?;
        done.gave.last().copied().ok_or_else(|| "no worker measured".to_owned())
    })
}

/// A producer on the first CPU, or a consumer on the second.
#[derive(Clone, Serialize, Deserialize)]
struct Side<W> {
    way: W,
    puts: bool,
    load: Load,
}

impl<W: Way<End: Put + Get>> Part for Side<W> {
    /// Messages a second, as this side saw it.
    type Gives = f64;

    fn play(self, start: impl FnOnce()) -> f64 {
        let Load { messages, bytes } = self.load;
        pin(usize::from(!self.puts)).expect("looked at before");
        let mut end = self.way.open();
        start();
        let began = Instant::now();
        for _ in 0..messages {
            if self.puts { end.put(bytes) } else { end.get(bytes) }
        }
        rate(messages, began)
    }
}

/// A one-way pipe of ours, used by the calls that `Calls` says, with what these keep.
#[derive(Clone, Serialize, Deserialize)]
struct Ours<T, Calls> {
    receiver: Receiver<T>,
    sender: Sender<T>,
    calls: Calls,
}

impl<T, Calls: Default> Ours<T, Calls> {
    fn new() -> Result<Self, String> {
        let (receiver, sender) = pipe_simplex().map_err(text)?;
        Ok(Ours { receiver, sender, calls: Calls::default() })
    }
}

impl<T: Clone + Send + 'static, Calls: Clone + Send + 'static> Way for Ours<T, Calls> {
    type End = Self;

    fn open(self) -> Self {
        self
    }
}

/// Bytes, from memory that is kept into memory that is kept.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Bytes {
    buffer: Vec<u8>,
}

impl Put for Ours<Vec<u8>, Bytes> {
    fn put(&mut self, bytes: usize) {
        self.sender.send_bytes(&MESSAGE[..bytes]).expect("a consumer gets them all");
    }
}

impl Get for Ours<Vec<u8>, Bytes> {
    fn get(&mut self, bytes: usize) {
        let buffer = &mut self.calls.buffer;
        buffer.resize(bytes, 0);
        let got = self.receiver.recv_bytes_into(buffer).expect("a producer puts them all");
        assert_eq!(got, bytes);
    }
}

/// Bytes, into a vector for each message.
#[derive(Clone, Default, Serialize, Deserialize)]
struct FreshBytes;

impl Put for Ours<Vec<u8>, FreshBytes> {
    fn put(&mut self, bytes: usize) {
        self.sender.send_bytes(&MESSAGE[..bytes]).expect("a consumer gets them all");
    }
}

impl Get for Ours<Vec<u8>, FreshBytes> {
    fn get(&mut self, bytes: usize) {
        let message = self.receiver.recv_bytes().expect("a producer puts them all");
        assert_eq!(message.len(), bytes);
    }
}

/// Values, each a vector of its own on both sides.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Values;

impl Put for Ours<Vec<u8>, Values> {
    fn put(&mut self, bytes: usize) {
        self.sender.send(&MESSAGE[..bytes].to_vec()).expect("a consumer gets them all");
    }
}

impl Get for Ours<Vec<u8>, Values> {
    fn get(&mut self, bytes: usize) {
        let message = self.receiver.recv().expect("a producer puts them all");
        assert_eq!(message.len(), bytes);
    }
}

/// A number, another one, and a name of 16 letters: 32 of them are a message of 1 KiB.
pub(super) type Record = (u64, f64, String);

/// Such a message again and again, which the producer keeps.
#[derive(Clone, Serialize, Deserialize)]
struct Records {
    message: Vec<Record>,
}

impl Default for Records {
    fn default() -> Records {
        Records { message: records() }
    }
}

pub(super) fn records() -> Vec<Record> {
    let record =
        |number: u32| (u64::MAX - u64::from(number), f64::from(number), format!("record {number:09}"));
    (0..32).map(record).collect()
}

impl Put for Ours<Vec<Record>, Records> {
    fn put(&mut self, _: usize) {
        self.sender.send(&self.calls.message).expect("a consumer gets them all");
    }
}

impl Get for Ours<Vec<Record>, Records> {
    fn get(&mut self, _: usize) {
        let message = self.receiver.recv().expect("a producer puts them all");
        assert_eq!(message.len(), self.calls.message.len());
    }
}

/// A pair of the system's sockets, with a length of four bytes before each message: one write for both, and a read for
/// each, from memory that is kept into memory that is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Framed {
    read: Handle,
    write: Handle,
}

impl Framed {
    fn new() -> Result<Framed, String> {
        let (read, write) = stream_pair().map_err(text)?;
        Ok(Framed { read: Handle::new(read), write: Handle::new(write) })
    }
}

impl Way for Framed {
    type End = FramedEnd;

    fn open(self) -> FramedEnd {
        let stream =
            |end: Handle| UnixStream::from(end.as_fd().try_clone_to_owned().expect("a descriptor to spare"));
        FramedEnd { read: stream(self.read), write: stream(self.write), buffer: Vec::new() }
    }
}

/// Such a pair in the hands of one side.
pub(super) struct FramedEnd {
    pub(super) read: UnixStream,
    pub(super) write: UnixStream,
    pub(super) buffer: Vec<u8>,
}

/// Bytes before a message.
pub(super) const HEADER: usize = 4;

impl Put for FramedEnd {
    fn put(&mut self, bytes: usize) {
        self.buffer.resize(HEADER + bytes, 7);
        self.buffer[..HEADER].copy_from_slice(&(bytes as i32).to_be_bytes());
        self.write.write_all(&self.buffer).expect("a consumer gets them all");
    }
}

impl Get for FramedEnd {
    fn get(&mut self, bytes: usize) {
        let mut header = [0; HEADER];
        self.read.read_exact(&mut header).expect("a producer puts them all");
        let length = i32::from_be_bytes(header) as usize;
        self.buffer.resize(length, 0);
        self.read.read_exact(&mut self.buffer).expect("a producer puts them all");
        assert_eq!(length, bytes);
    }
}
