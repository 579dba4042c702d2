//! Workers that begin together: processes, or threads for the peers that stay in one.
//!
//! All of them are there before the clock starts, and it stops when the last of them has ended.

use super::measure::text;
use mp_core::{Process, StartMethod};
use mp_sync::{Event, Semaphore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::thread;
use std::time::{Duration, Instant};

/// What a worker does.
pub(super) trait Part: Clone + Send + 'static {
    /// What it has to say in the end.
    type Gives: Send + 'static;
    /// Gets ready, calls `start`, which returns when all are let go, and works.
    fn play(self, start: impl FnOnce()) -> Self::Gives;
}

/// How long all of them took together, and what each gave, in the order of the parts.
pub(super) struct Done<G> {
    pub(super) took: Duration,
    pub(super) gave: Vec<G>,
}

impl<T> Done<Option<T>> {
    /// What the one part gave that measured.
    pub(super) fn measured(self) -> Result<T, String> {
        self.gave.into_iter().flatten().next().ok_or_else(|| "no worker measured".to_owned())
    }
}

/// A worker that is not there by then has ended on its way.
const COMING: Duration = Duration::from_secs(30);

/// Where workers wait for each other and for the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Gate {
    there: Semaphore,
    open: Event,
}

impl Gate {
    pub(super) fn new() -> Result<Gate, String> {
        Ok(Gate { there: Semaphore::new(0).map_err(text)?, open: Event::new().map_err(text)? })
    }

    /// Waits for the others and for the start.
    pub(super) fn pass(&self) {
        self.there.release().expect("far fewer workers than permits");
        self.open.wait();
    }

    /// Lets `count` workers go once they are there; the moment they were let go.
    pub(super) fn let_go(&self, count: usize) -> Result<Instant, String> {
        for _ in 0..count {
            let there = self.there.acquire_timeout(COMING).map_err(|_| "a worker did not come")?;
            there.keep();
        }
        let began = Instant::now();
        self.open.set();
        Ok(began)
    }
}

/// Has all of them work: [`processes`] or [`threads`].
pub(super) type Crowd<P> = fn(&[P]) -> Result<Done<<P as Part>::Gives>, String>;

fn enter<P: Part>(gate: Gate, part: P) -> P::Gives {
    part.play(|| gate.pass())
}

/// Each part in a process of its own.
pub(super) fn processes<P>(parts: &[P]) -> Result<Done<P::Gives>, String>
where
    P: Part + Serialize + DeserializeOwned,
    P::Gives: Serialize + DeserializeOwned,
{
    let gate = Gate::new()?;
    let start = |part: &P| {
        Process::new(enter::<P>, (gate.clone(), part.clone())).method(StartMethod::ForkServer).start()
    };
    let children: Vec<_> = parts.iter().map(start).collect::<Result<_, _>>().map_err(text)?;
    let began = gate.let_go(parts.len())?;
    let gave = children.into_iter().map(|child| child.join().map_err(text)).collect::<Result<_, _>>()?;
    Ok(Done { took: began.elapsed(), gave })
}

/// Each part in a thread of its own, here.
pub(super) fn threads<P: Part>(parts: &[P]) -> Result<Done<P::Gives>, String> {
    let gate = Gate::new()?;
    let start = |part: &P| {
        let (gate, part) = (gate.clone(), part.clone());
        thread::spawn(|| enter(gate, part))
    };
    let workers: Vec<_> = parts.iter().map(start).collect();
    let began = gate.let_go(parts.len())?;
    let joined = |worker: thread::JoinHandle<_>| worker.join().map_err(|_| "a thread panicked".to_owned());
    let gave = workers.into_iter().map(joined).collect::<Result<_, _>>()?;
    Ok(Done { took: began.elapsed(), gave })
}

/// What many may add to.
pub(super) trait Counter: Clone + Send + 'static {
    fn add_one(&self);
    fn total(&self) -> u64;
}

/// A worker that adds one, so many times.
#[derive(Clone, Serialize, Deserialize)]
struct Adding<C> {
    counter: C,
    times: u64,
}

impl<C: Counter> Part for Adding<C> {
    type Gives = ();

    fn play(self, start: impl FnOnce()) {
        start();
        (0..self.times).for_each(|_| self.counter.add_one());
    }
}

/// How often a second `workers` processes add one, over `times` for all of them together.
pub(super) fn add_by_processes<C>(counter: C, workers: u64, times: u64) -> Result<f64, String>
where
    C: Counter + Serialize + DeserializeOwned,
{
    add_by(counter, workers, times, processes)
}

/// The same by threads.
pub(super) fn add_by_threads<C: Counter>(counter: C, workers: u64, times: u64) -> Result<f64, String> {
    add_by(counter, workers, times, threads)
}

fn add_by<C: Counter>(counter: C, workers: u64, times: u64, crowd: Crowd<Adding<C>>) -> Result<f64, String> {
    let times = times / workers;
    let part = Adding { counter, times };
    let took = crowd(&vec![part.clone(); workers as usize])?.took;
    let (sum, total) = (times * workers, part.counter.total());
    if total != sum {
        return Err(format!("{total} of {sum} were counted"));
    }
    Ok(sum as f64 / took.as_secs_f64())
}
