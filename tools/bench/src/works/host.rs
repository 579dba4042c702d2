//! What the machine itself takes, so that figures of two hosts can be told apart: a wake, a cache line's way, a yield.

use super::busy::Busy;
use super::cpus::pin;
use super::crowd::{Part, processes};
use super::measure::{need_cpus, text};
use crate::work::{Peer, Work};
use mp_core::mem::SharedRef;
use mp_core::sys::futex::FutexWord;
use mp_core::word::{Machine, Ordering, Word};
use serde::{Deserialize, Serialize};
use std::fs;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// The kernel and the CPU.
pub(crate) fn describe() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of =
        |key: &str| cpus.lines().find(|line| line.starts_with(key)).and_then(|line| line.split(": ").nth(1));
    let name = of("model name").or_else(|| of("CPU implementer")).unwrap_or("unknown CPU");
    format!("Linux {}, {name}, {} CPUs", kernel.trim(), mp_core::usable_cpu_count())
}

pub(super) fn all() -> Vec<Work> {
    let work = |metric: &str, unit, round: fn() -> Result<f64, String>| Work {
        metric: metric.to_owned(),
        unit,
        rate: false,
        peers: vec![Peer::new("host", round)],
    };
    vec![
        work("host.wake", "us", || wake(1)),
        work("host.wake.same", "us", || wake(0)),
        work("host.line", "ns", line),
        work("host.yield", "ns", || yields(0)),
        work("host.yield.busy", "ns", || yields(1)),
    ]
}

/// The kind of exchange of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Kind {
    /// The second side sleeps until it is woken.
    Wake,
    /// Both spin.
    Line,
}

#[derive(Clone, Serialize, Deserialize)]
struct Side {
    first: bool,
    cpu: usize,
    kind: Kind,
    there: SharedRef<FutexWord>,
    back: SharedRef<FutexWord>,
    /// When the second side ran.
    ran: SharedRef<AtomicU64>,
}

const TIMES: u32 = 500;
const LINES: u32 = 200_000;
/// Until the sleeper sleeps.
const SILENCE: Duration = Duration::from_micros(200);

impl Part for Side {
    /// Nanoseconds.
    type Gives = Vec<u64>;

    fn play(self, start: impl FnOnce()) -> Vec<u64> {
        pin(self.cpu).expect("looked at before");
        start();
        let times = if self.kind == Kind::Wake { TIMES } else { LINES };
        let exchange = |round| if self.first { self.send(round) } else { self.answer(round) };
        let began = Instant::now();
        let all: Vec<u64> = (1..=times).map(exchange).collect();
        let line = began.elapsed().as_nanos() as u64 / u64::from(2 * times);
        match (self.first, self.kind) {
            (true, Kind::Wake) => all,
            (true, Kind::Line) => vec![line],
            (false, _) => Vec::new(),
        }
    }
}

impl Side {
    fn send(&self, round: u32) -> u64 {
        if self.kind == Kind::Line {
            // ORDERING: Relaxed: nothing but the number is passed on; the same below.
            self.there.store(round, Ordering::Relaxed);
            while self.back.load(Ordering::Relaxed) != round {}
            return 0;
        }
        std::thread::sleep(SILENCE);
        let sent = FutexWord::now();
        self.there.store(round, Ordering::Release);
        self.there.wake(1);
        // ORDERING: Acquire, pairs with the Release in `answer`.
        while self.back.load(Ordering::Acquire) != round {
            self.back.wait(round - 1, None);
        }
        self.ran.load(Ordering::Relaxed).saturating_sub(sent)
    }

    fn answer(&self, round: u32) -> u64 {
        // ORDERING: Acquire, pairs with the Release in `send`.
        while self.there.load(Ordering::Acquire) != round {
            if self.kind == Kind::Wake {
                self.there.wait(round - 1, None);
            }
        }
        if self.kind == Kind::Wake {
            self.ran.store(FutexWord::now(), Ordering::Relaxed);
        }
        // ORDERING: Release, pairs with the Acquire in `send`.
        self.back.store(round, Ordering::Release);
        if self.kind == Kind::Wake {
            self.back.wake(1);
        }
        0
    }
}

fn exchange(cpu: usize, kind: Kind) -> Result<u64, String> {
    need_cpus(cpu + 1)?;
    let place = |name| SharedRef::create(name).map_err(text);
    let first = Side {
        first: true,
        cpu: 0,
        kind,
        there: place("there")?,
        back: place("back")?,
        ran: SharedRef::create("ran").map_err(text)?,
    };
    let second = Side { first: false, cpu, ..first.clone() };
    let mut all = processes(&[first, second])?.gave.into_iter().flatten().collect::<Vec<_>>();
    all.sort_unstable();
    all.get(all.len() / 2).copied().ok_or_else(|| "no worker measured".to_owned())
}

/// One way, from the waker's call to the sleeper's first instruction.
fn wake(cpu: usize) -> Result<f64, String> {
    Ok(exchange(cpu, Kind::Wake)? as f64 / 1e3)
}

fn line() -> Result<f64, String> {
    Ok(exchange(1, Kind::Line)? as f64)
}

/// A yield, beside so many processes for each CPU that compute.
fn yields(others: usize) -> Result<f64, String> {
    let _busy = Busy::start(others * mp_core::usable_cpu_count())?;
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(300) {
        std::thread::yield_now();
        count += 1;
    }
    Ok(began.elapsed().as_nanos() as f64 / f64::from(count))
}
