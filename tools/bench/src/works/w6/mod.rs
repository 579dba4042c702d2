//! W6: a pool of two: tiny tasks one by one and in default chunks, as a stream, by futures, seen in several ways; one
//! call and its answer, a mebibyte in and out, tasks that compute; what 64 workers cost; and what a pool of four costs
//! until its first map is done.
//!
//! | file         | what                                                      |
//! |--------------|-----------------------------------------------------------|
//! | `tasks.rs`   | what the workers do                                       |
//! | `workers.rs` | whose workers: ours, threads, rayon's, procspawn's        |
//! | `place.rs`   | on which CPUs                                             |
//! | `streams.rs` | streams and futures                                       |
//! | `copies.rs`  | copies alone                                              |
//! | `seen.rs`    | tasks that yield, or are seen                             |
//!
//! The python peers are in `python/pools.py`.

mod copies;
mod place;
mod seen;
mod streams;
mod tasks;
mod workers;

use super::measure::{nanoseconds_since, rate};
use super::peers::{Pace, lasting, pythons_once};
use super::processes::{cpu_time_of, own_cpu_time};
use super::waits::median;
use crate::python::{Shared, ask};
use crate::work::{Peer, Work};
use copies::{Copies, Plan};
use mp_pool::Pool;
use place::Place;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tasks::{BURNT, Task, square};
use workers::{Chunks, Procspawn, Rayon, Results, Threads, Values, Workers, pass_buffers};

const WORKERS: usize = 2;
/// Those that python has by itself, and those that `python/peers.sh` installs.
pub(super) const PYTHONS: [&str; 4] = ["CPython", "PPE", "mpire", "loky"];

pub(super) fn all(python: &Shared) -> Vec<Work> {
    let mut works = Vec::new();
    works.extend(place::ALL.map(|place| tiny(python, "W6.chunk1", Chunks::One, 1000, place)));
    works.extend(place::ALL.map(|place| tiny(python, "W6.default", Chunks::Default, 10_000, place)));
    works.extend([ten_million(python), many()]);
    works.extend(streams::all(python));
    works.extend(seen::all());
    works.extend(place::ALL.map(|place| apply(python, place)));
    works.extend(place::ALL.map(|place| mebibytes(python, "W6.1MiB", Results::Consumed, place)));
    works.extend([
        mebibytes(python, "W6.1MiB.kept", Results::Kept, Place::Free),
        cpu(python),
        speedup(python),
        uneven(python),
        create(python),
    ]);
    works
}

/// A value that is made when it is used first: works that are not asked for start no process.
fn lazily<T>(make: impl Fn() -> Result<T, String>) -> impl FnMut() -> Result<Rc<T>, String> {
    let mut made: Option<Rc<T>> = None;
    move || match &made {
        Some(value) => Ok(Rc::clone(value)),
        None => Ok(Rc::clone(made.insert(Rc::new(make()?)))),
    }
}

fn check(values: Values, count: u64) -> Result<(), String> {
    let (values, last) = (values?, count - 1);
    let is_right = values.len() as u64 == count && values.last() == Some(&square(last));
    if is_right { Ok(()) } else { Err("a wrong result".to_owned()) }
}

/// Every kind of worker that is not python's, in the order of the table.
macro_rules! every {
    ($peer:ident($($argument:expr),*)) => {
        vec![
            $peer::<Pool>($($argument),*),
            $peer::<Threads>($($argument),*),
            $peer::<Rayon>($($argument),*),
            $peer::<Procspawn>($($argument),*),
        ]
    };
}

/// The pythons, each asked for so much; what the figure is called there is `metric@peer`.
fn pythons(python: &Shared, metric: &str, count: u64) -> Vec<Peer> {
    let peer = |name: &'static str| {
        let (python, metric) = (python.clone(), metric.to_owned());
        Peer::new(name, move || ask(&python, &format!("{metric}@{name} {count}")))
    };
    PYTHONS.map(peer).into()
}

fn pythons_rates(python: &Shared, metric: &str, pilot: u64) -> Vec<Peer> {
    let peer = |name: &'static str| {
        let (python, metric) = (python.clone(), metric.to_owned());
        lasting(name, pilot, move |count| ask(&python, &format!("{metric}@{name} {count}")))
    };
    PYTHONS.map(peer).into()
}

fn tiny(python: &Shared, metric: &str, chunks: Chunks, pilot: u64, place: Place) -> Work {
    fn peer<W: Workers>(chunks: Chunks, pilot: u64, place: Place) -> Peer {
        let mut workers = lazily(move || place.for_workers(|| W::start(WORKERS)));
        lasting(W::NAME, pilot, move |count| {
            let workers = workers()?;
            place.for_caller(|| {
                let began = Instant::now();
                check(workers.map(Task::Square, count, chunks), count)?;
                Ok(rate(count, began))
            })
        })
    }
    let metric = place.metric(metric);
    let mut peers = every!(peer(chunks, pilot, place));
    peers.extend(pythons_rates(python, &metric, pilot));
    Work { metric, unit: "tasks/s", rate: true, peers }
}

fn ten_million(python: &Shared) -> Work {
    const COUNT: u64 = 10_000_000;
    let mut pool = lazily(|| Pool::start(WORKERS));
    let ours = move || {
        let (pool, began) = (pool()?, Instant::now());
        check(Workers::map(&*pool, Task::Square, COUNT, Chunks::Default), COUNT)?;
        Ok(rate(COUNT, began))
    };
    Work {
        metric: "W6.default.10M".to_owned(),
        unit: "tasks/s",
        rate: true,
        peers: vec![Peer::new("mp", ours), pythons_once(python, format!("W6.default@CPython {COUNT}"))],
    }
}

/// Far more workers than CPUs, and a pool of two in the same run.
fn many() -> Work {
    fn peer(name: &'static str, workers: usize) -> Peer {
        let mut pool = lazily(move || Pool::start(workers));
        lasting(name, 1000, move |count| {
            let (pool, began) = (pool()?, Instant::now());
            check(Workers::map(&*pool, Task::Square, count, Chunks::One), count)?;
            Ok(rate(count, began))
        })
    }
    Work {
        metric: "W6.many".to_owned(),
        unit: "tasks/s",
        rate: true,
        peers: vec![peer("mp", 64), peer("mp.two", WORKERS)],
    }
}

fn apply(python: &Shared, place: Place) -> Work {
    const TIMES: u64 = 20_000;
    fn peer<W: Workers>(place: Place) -> Peer {
        let mut workers = lazily(move || place.for_workers(|| W::start(WORKERS)));
        Peer::new(W::NAME, move || {
            let workers = workers()?;
            let mut pace = Pace::new(500);
            let once = |times: u64| median_of(times.min(TIMES), |x| workers.apply(x));
            place.for_caller(|| pace.round(once, |us| 1e6 / us))
        })
    }
    let (mut peers, metric) = (every!(peer(place)), place.metric("W6.apply"));
    for name in PYTHONS {
        let (python, metric) = (python.clone(), metric.clone());
        let mut pace = Pace::new(200);
        let once = move |times| ask(&python, &format!("{metric}@{name} {times}"));
        peers.push(Peer::new(name, move || pace.round(&once, |us| 1e6 / us)));
    }
    Work { metric, unit: "us", rate: false, peers }
}

/// The median of so many, in microseconds.
fn median_of(count: u64, mut once: impl FnMut(u64) -> Result<u64, String>) -> Result<f64, String> {
    let mut times = Vec::new();
    for x in 0..count {
        let began = Instant::now();
        if once(x)? != square(x) {
            return Err("a wrong result".to_owned());
        }
        times.push(nanoseconds_since(began));
    }
    Ok(median(&times))
}

fn mebibytes(python: &Shared, metric: &str, results: Results, place: Place) -> Work {
    const TIMES: u64 = 100;
    fn peer<W: Workers>(results: Results, place: Place) -> Peer {
        let mut workers = lazily(move || place.for_workers(|| W::start(WORKERS)));
        Peer::new(W::NAME, move || {
            let (workers, mine) = (workers()?, vec![7_u8; 1 << 20]);
            place.for_caller(|| {
                let began = Instant::now();
                workers.pass(&mine, TIMES as usize, results)?;
                // In and out together.
                Ok(rate(TIMES, began) * 2.0 * f64::from(1 << 20) / 1e9)
            })
        })
    }
    fn copies(plan: Plan, place: Place) -> Peer {
        let start = plan.clone();
        let mut workers = lazily(move || place.for_workers(|| Ok(Copies::start(start.clone(), WORKERS))));
        let mut free = Vec::new();
        Peer::new(plan.name, move || {
            let (workers, mine) = (workers()?, vec![7_u8; 1 << 20]);
            if free.is_empty() {
                free = workers.buffers(mine.len());
            }
            place.for_caller(|| {
                let began = Instant::now();
                workers.pass(&mine, TIMES as usize, &mut free)?;
                Ok(rate(TIMES, began) * 2.0 * f64::from(1 << 20) / 1e9)
            })
        })
    }
    let buffers = move || {
        let mut workers = lazily(move || place.for_workers(|| Pool::start(WORKERS)));
        Peer::new("mp.buffer", move || {
            let (pool, mine) = (workers()?, vec![7_u8; 1 << 20]);
            place.for_caller(|| {
                let began = Instant::now();
                pass_buffers(&pool, &mine, TIMES as usize, results)?;
                Ok(rate(TIMES, began) * 2.0 * f64::from(1 << 20) / 1e9)
            })
        })
    };
    let metric = place.metric(metric);
    let mut peers = every!(peer(results, place));
    peers.insert(1, buffers());
    if results == Results::Consumed {
        peers.extend(copies::plans().map(|plan| copies(plan, place)));
    }
    peers.extend(pythons(python, &metric, TIMES / 2));
    Work { metric, unit: "GB/s", rate: true, peers }
}

/// What all processes take of the CPUs for a tiny task, one by one.
fn cpu(python: &Shared) -> Work {
    const COUNT: u64 = 50_000;
    fn peer<W: Workers>(count: u64) -> Peer {
        let mut workers = lazily(|| W::start(WORKERS));
        Peer::new(W::NAME, move || {
            let workers = workers()?;
            let pids = workers.pids();
            let taken = || Ok::<_, String>(own_cpu_time()? + cpu_time_of(pids.iter().copied())?);
            let before = taken()?;
            check(workers.map(Task::Square, count, Chunks::One), count)?;
            Ok(taken()?.saturating_sub(before).as_secs_f64() * 1e6 / count as f64)
        })
    }
    let mut peers = vec![peer::<Pool>(COUNT), peer::<Threads>(COUNT), peer::<Rayon>(COUNT)];
    peers.extend(pythons(python, "W6.cpu", 5000));
    Work { metric: "W6.cpu".to_owned(), unit: "us", rate: false, peers }
}

/// How many times as fast as one after the other, and how long: tasks that compute.
fn timed<W: Workers>(task: Task, count: u64, chunks: Chunks, figure: fn(Duration) -> f64) -> Peer {
    let mut workers = lazily(|| W::start(WORKERS));
    Peer::new(W::NAME, move || {
        let (workers, began) = (workers()?, Instant::now());
        check(workers.map(task, count, chunks), count)?;
        Ok(figure(began.elapsed()))
    })
}

const BURNS: u64 = 64;
const UNEVEN: u64 = 1000;

fn speedup(python: &Shared) -> Work {
    let figure: fn(Duration) -> f64 = |took| BURNT.as_secs_f64() * BURNS as f64 / took.as_secs_f64();
    let mut peers = every!(timed(Task::Burn, BURNS, Chunks::One, figure));
    peers.extend(pythons(python, "W6.speedup", BURNS));
    Work { metric: "W6.speedup".to_owned(), unit: "x", rate: true, peers }
}

fn uneven(python: &Shared) -> Work {
    let mut peers = every!(timed(Task::Uneven, UNEVEN, Chunks::Default, |took| took.as_secs_f64()));
    peers.extend(pythons(python, "W6.uneven", UNEVEN));
    Work { metric: "W6.uneven".to_owned(), unit: "s", rate: false, peers }
}

/// A pool of four, whose first map is done.
fn four_at_work<W: Workers>() -> Result<W, String> {
    let workers = W::start(4)?;
    check(workers.map(Task::Square, 100, Chunks::Default), 100)?;
    Ok(workers)
}

pub(super) fn four_of_ours() -> Result<impl Sized, String> {
    four_at_work::<Pool>()
}

pub(super) fn four_of_procspawn() -> Result<impl Sized, String> {
    four_at_work::<Procspawn>()
}

/// A pool of four made, and its first map.
fn create(python: &Shared) -> Work {
    fn peer<W: Workers>() -> Peer {
        Peer::new(W::NAME, || {
            let began = Instant::now();
            let _workers = four_at_work::<W>()?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        })
    }
    let mut peers = every!(peer());
    peers.extend(pythons(python, "W6.create", 1));
    Work { metric: "W6.create".to_owned(), unit: "ms", rate: false, peers }
}
