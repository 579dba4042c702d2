//! Round trips under other conditions than two idle CPUs: the answering side computes first (`W3.think`), both were put
//! to sleep (`W3.recover`), CPU-bound processes want the CPUs too (`W3.busy`), a wake is dearer than here (`W3.wake`).
//!
//! The peer `spin` is a place for one message whose sides always spin, `futex` the same with sides that always sleep.
//! `mp.spin` and `mp.sleep` are our queue with sides that do so by force: what the policy itself costs is the
//! difference.

use super::busy::{Busy, pythons_beside};
use super::cpus::pin;
use super::crowd::{Crowd, Part, processes, threads};
use super::measure::{nanoseconds_since, need_cpus, text};
use super::processes::thread_cpu_time;
use super::ways::{Channel, Futex, Get, Pipe, Put, Spin, Way};
use crate::python::Shared;
use crate::work::{Figures, Peer, Work};
use mp_core::mem::SharedRef;
use mp_core::sys::forced::{Spin as Force, delay_wakes, force_spin};
use mp_queue::Queue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const BYTES: usize = 64;
/// Rounds before those that count.
const WARMING: usize = 200;
const NAP: Duration = Duration::from_millis(5);
/// For the rounds of a busy machine.
const SECOND: Duration = Duration::from_secs(1);

pub(super) fn all(python: &Shared) -> Vec<Work> {
    let mut works: Vec<Work> = [0, 1, 5, 20, 50, 100, 200].map(think).into();
    works.push(recover());
    works.extend([1, 2, 4, 8].map(|count| busy(python, count)));
    works.push(pairs());
    works.extend([5, 20, 50, 100].map(dear_wakes));
    works
}

/// What the two sides do, and for how long.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Terms {
    pinned: bool,
    think: Duration,
    wakes_take: Duration,
    force: Forced,
    /// Both sleep for so long after the rounds that warm.
    nap: Duration,
    last: Duration,
}

/// Whether each wait of both sides spins so.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Forced {
    No,
    Never,
    Always,
}

const TERMS: Terms = Terms {
    pinned: true,
    force: Forced::No,
    think: Duration::ZERO,
    wakes_take: Duration::ZERO,
    nap: Duration::ZERO,
    last: Duration::from_millis(250),
};

/// The nanoseconds of each round that counts, as a side saw it, and what the side took of the CPUs.
type Seen = (Vec<u32>, Duration);

/// One of the two; the first one measures, and says when it ends.
#[derive(Clone, Serialize, Deserialize)]
struct Side<W> {
    first: bool,
    to: W,
    from: W,
    terms: Terms,
    end: SharedRef<AtomicU32>,
}

impl<W: Way<End: Put + Get>> Part for Side<W> {
    type Gives = Seen;

    fn play(self, start: impl FnOnce()) -> Seen {
        let terms = self.terms;
        if terms.pinned {
            pin(usize::from(!self.first)).expect("looked at before");
        }
        let (mut to, mut from) = (self.to.open(), self.from.open());
        start();
        delay_wakes(terms.wakes_take);
        force_spin(match terms.force {
            Forced::No => Force::Learned,
            Forced::Never => Force::Never,
            Forced::Always => Force::Always,
        });
        let (before, mut all) = (thread_cpu_time(), Vec::new());
        if self.first {
            let mut began = Instant::now();
            while all.len() <= WARMING || began.elapsed() < terms.last {
                if all.len() == WARMING {
                    std::thread::sleep(terms.nap);
                    began = Instant::now();
                }
                let sent = Instant::now();
                to.put(BYTES);
                from.get(BYTES);
                all.push(nanoseconds_since(sent));
            }
            // ORDERING: Relaxed: published by the message.
            self.end.store(1, Ordering::Relaxed);
            to.put(BYTES);
        } else {
            loop {
                from.get(BYTES);
                // ORDERING: Relaxed: as above.
                if self.end.load(Ordering::Relaxed) != 0 {
                    break;
                }
                burn(terms.think);
                to.put(BYTES);
            }
        }
        delay_wakes(Duration::ZERO);
        force_spin(Force::Learned);
        (all.split_off(WARMING.min(all.len())), thread_cpu_time() - before)
    }
}

/// Computes for so long.
pub(super) fn burn(time: Duration) {
    if !time.is_zero() {
        let began = Instant::now();
        while began.elapsed() < time {}
    }
}

fn pair<W: Way<End: Put + Get>>(
    new: fn() -> Result<W, String>,
    terms: Terms,
) -> Result<[Side<W>; 2], String> {
    let (there, back, end) = (new()?, new()?, SharedRef::create("end").map_err(text)?);
    let first = Side { first: true, to: there.clone(), from: back.clone(), terms, end };
    let second = Side { first: false, to: back, from: there, end: first.end.clone(), terms };
    Ok([first, second])
}

/// Rounds of one pair, and what both sides took of the CPUs for one, in microseconds.
fn measure<W: Way<End: Put + Get>>(
    new: fn() -> Result<W, String>,
    terms: Terms,
    crowd: Crowd<Side<W>>,
) -> Result<(Vec<u32>, f64), String> {
    if terms.pinned {
        need_cpus(2)?;
    }
    let gave = crowd(&pair(new, terms)?)?.gave;
    let cpu: Duration = gave.iter().map(|(_, cpu)| cpu).sum();
    let all = gave.into_iter().map(|(all, _)| all).find(|all| !all.is_empty()).ok_or("no worker measured")?;
    let rounds = all.len() + WARMING;
    Ok((all, cpu.as_secs_f64() * 1e6 / rounds as f64))
}

/// Microseconds.
pub(super) fn median(nanoseconds: &[u32]) -> f64 {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    f64::from(sorted[sorted.len() / 2]) / 1e3
}

/// A peer for each way, whose rounds become figures by `figures`.
fn peers(names: &[&str], terms: Terms, figures: fn(Terms, &[u32], f64) -> Figures) -> Vec<Peer> {
    fn of<W: Way<End: Put + Get>>(
        name: &'static str,
        new: fn() -> Result<W, String>,
        crowd: Crowd<Side<W>>,
        terms: Terms,
        figures: fn(Terms, &[u32], f64) -> Figures,
    ) -> Peer {
        Peer::of_several(name, move || {
            let (all, cpu) = measure(new, terms, crowd)?;
            Ok(figures(terms, &all, cpu))
        })
    }
    let mut all = vec![
        of("mp", ours, processes, terms, figures),
        of("mp.spin", ours, processes, Terms { force: Forced::Always, ..terms }, figures),
        of("mp.sleep", ours, processes, Terms { force: Forced::Never, ..terms }, figures),
        of("spin", Spin::new, processes, terms, figures),
        of("futex", Futex::new, processes, terms, figures),
        of("pipe", Pipe::new, processes, terms, figures),
        of("crossbeam", || Ok(Channel::bounded()), threads, terms, figures),
    ];
    all.retain(|peer| names.contains(&peer.name));
    all
}

fn ours() -> Result<Queue<Vec<u8>>, String> {
    Queue::new().map_err(text)
}

fn times(metric: String, peers: Vec<Peer>) -> Work {
    Work { metric, unit: "us", rate: false, peers }
}

/// The median without the thinking; `.round` with it, and `.cpu` with it, of both sides.
fn beside_the_thinking(terms: Terms, all: &[u32], cpu: f64) -> Figures {
    let waited = (median(all) - terms.think.as_secs_f64() * 1e6).max(0.0);
    Figures { figure: waited, further: vec![(".round", "us", median(all)), (".cpu", "us", cpu)] }
}

fn think(micros: u64) -> Work {
    let terms = Terms { think: Duration::from_micros(micros), ..TERMS };
    let names = ["mp", "mp.spin", "mp.sleep", "spin", "futex", "crossbeam"];
    let peers = peers(&names, terms, beside_the_thinking);
    times(format!("W3.think.{micros}"), peers)
}

fn dear_wakes(micros: u64) -> Work {
    let terms = Terms { wakes_take: Duration::from_micros(micros), nap: NAP, ..TERMS };
    let peers = peers(&["mp", "spin", "futex"], terms, beside_the_thinking);
    times(format!("W3.wake{micros}"), peers)
}

/// After a nap of both sides: from which round on ten have a median of at most twice the last thousand's.
fn recover() -> Work {
    let rounds = |_: Terms, all: &[u32], _: f64| {
        let usual = 2.0 * median(&all[all.len().saturating_sub(1_000)..]);
        let back = all.windows(10).position(|ten| median(ten) <= usual).unwrap_or(all.len());
        Figures { figure: back as f64, further: vec![(".p50", "us", median(all))] }
    };
    let peers = peers(&["mp", "crossbeam", "pipe"], Terms { nap: NAP, ..TERMS }, rounds);
    Work { metric: "W3.recover".to_owned(), unit: "rounds", rate: false, peers }
}

/// Rounds a second of so many pairs together, which run where they come.
fn rate_of<W>(name: &'static str, new: fn() -> Result<W, String>, pairs: usize, others: usize) -> Peer
where
    W: Way<End: Put + Get> + Serialize + DeserializeOwned,
{
    Peer::new(name, move || {
        let _busy = Busy::start(others)?;
        let terms = Terms { pinned: false, last: SECOND, ..TERMS };
        let mut sides = Vec::new();
        for _ in 0..pairs {
            sides.extend(pair(new, terms)?);
        }
        let rounds: usize = processes(&sides)?.gave.iter().map(|(all, _)| all.len()).sum();
        Ok(rounds as f64 / SECOND.as_secs_f64())
    })
}

fn rates(metric: String, pairs: usize, others: usize) -> Work {
    let peers = vec![
        rate_of("mp", ours, pairs, others),
        rate_of("pipe", Pipe::new, pairs, others),
        rate_of("futex", Futex::new, pairs, others),
    ];
    Work { metric, unit: "rounds/s", rate: true, peers }
}

fn busy(python: &Shared, others: usize) -> Work {
    let mut work = rates(format!("W3.busy.{others}"), 1, others);
    work.peers.push(pythons_beside(others, python, format!("{} 1", work.metric)));
    work
}

/// Four pairs at once.
fn pairs() -> Work {
    rates("W3.pairs4".to_owned(), 4, 0)
}
