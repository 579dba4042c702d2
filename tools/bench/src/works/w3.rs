//! W3: a message of 64 bytes there and another back. Both sides on two CPUs, where each may spin; both on one, where
//! a spinning waiter delays the other; and on two again, each time after a millisecond without a message.

use super::cpus::pin;
use super::crowd::{Crowd, Part, processes, threads};
use super::measure::{nanoseconds_since, need_cpus, text};
use super::peers::Pace;
use super::ways::{Bytes, Channel, Futex, Get, Pipe, Put, Way};
use crate::work::{Figures, Peer, Work};
use mp_queue::Queue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

const BYTES: usize = 64;

pub(super) fn all() -> Vec<Work> {
    vec![
        round_trip("W3.two", Setting { cpus: 2, bytes: BYTES, pause: Duration::ZERO }),
        round_trip("W3.one", Setting { cpus: 1, bytes: BYTES, pause: Duration::ZERO }),
        round_trip("W3.idle", Setting { cpus: 2, bytes: BYTES, pause: Duration::from_millis(1) }),
    ]
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Setting {
    /// How many the two sides have.
    pub(super) cpus: usize,
    /// Of a message.
    pub(super) bytes: usize,
    /// Before each message.
    pub(super) pause: Duration,
}

fn round_trip(metric: &str, setting: Setting) -> Work {
    Work {
        metric: metric.to_owned(),
        unit: "us",
        rate: false,
        peers: vec![
            between_processes("mp", setting, || Queue::<Vec<u8>>::new().map_err(text)),
            between_processes("mp.bytes", setting, Bytes::new),
            peer("crossbeam", setting, || Ok(Channel::bounded()), threads),
            between_processes("pipe", setting, Pipe::new),
            between_processes("futex", setting, Futex::new),
        ],
    }
}

pub(super) fn between_processes<W>(
    name: &'static str,
    setting: Setting,
    new: fn() -> Result<W, String>,
) -> Peer
where
    W: Way<End: Put + Get> + Serialize + DeserializeOwned,
{
    peer(name, setting, new, processes)
}

fn peer<W: Way<End: Put + Get>>(
    name: &'static str,
    setting: Setting,
    new: fn() -> Result<W, String>,
    crowd: Crowd<Side<W>>,
) -> Peer {
    let mut pace = Pace::new(100);
    Peer::of_several(name, move || {
        need_cpus(setting.cpus)?;
        let once = |times| measure([new()?, new()?], setting, times, crowd);
        let times = pace.round(once, |times| 1e6 / (times.p50 + setting.pause.as_secs_f64() * 1e6))?;
        Ok(times.figures())
    })
}

/// Microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) p50: f64,
    p99: f64,
}

impl Times {
    pub(super) fn of(mut nanoseconds: Vec<u32>) -> Times {
        nanoseconds.sort_unstable();
        let at = |part: f64| f64::from(nanoseconds[(nanoseconds.len() as f64 * part) as usize]) / 1e3;
        Times { p50: at(0.5), p99: at(0.99) }
    }

    /// The median, and `.p99`.
    pub(super) fn figures(self) -> Figures {
        Figures { figure: self.p50, further: vec![(".p99", "us", self.p99)] }
    }
}

fn measure<W: Way<End: Put + Get>>(
    [there, back]: [W; 2],
    setting: Setting,
    times: u64,
    crowd: Crowd<Side<W>>,
) -> Result<Times, String> {
    let first = Side { first: true, to: there.clone(), from: back.clone(), setting, times };
    let second = Side { first: false, to: back, from: there, setting, times };
    crowd(&[first, second])?.measured()
}

/// One of the two; the first one measures.
#[derive(Clone, Serialize, Deserialize)]
struct Side<W> {
    first: bool,
    to: W,
    from: W,
    setting: Setting,
    times: u64,
}

/// Round trips before those that count.
const WARMING: u64 = 50;

impl<W: Way<End: Put + Get>> Part for Side<W> {
    type Gives = Option<Times>;

    fn play(self, start: impl FnOnce()) -> Option<Times> {
        let cpu = if self.first { 0 } else { self.setting.cpus - 1 };
        pin(cpu).expect("looked at before");
        let (mut to, mut from) = (self.to.open(), self.from.open());
        start();
        if !self.first {
            for _ in 0..WARMING + self.times {
                from.get(self.setting.bytes);
                to.put(self.setting.bytes);
            }
            return None;
        }
        let once = |_| {
            if !self.setting.pause.is_zero() {
                std::thread::sleep(self.setting.pause);
            }
            let began = Instant::now();
            to.put(self.setting.bytes);
            from.get(self.setting.bytes);
            nanoseconds_since(began)
        };
        let all: Vec<u32> = (0..WARMING + self.times).map(once).collect();
        Some(Times::of(all[WARMING as usize..].to_vec()))
    }
}
