//! A busy machine: processes that compute, and `W4.busy`: two processes that want one lock all the time beside them.

use super::crowd::{Part, processes};
use super::measure::text;
use super::pthread::RobustMutex;
use super::w4::Exclusive;
use super::waits::burn;
use crate::python::{Shared, ask};
use crate::work::{Figures, Peer, Work};
use mp_core::{Child, Process, StartMethod};
use mp_sync::Lock;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Longer than any round.
const LONG: Duration = Duration::from_secs(60);
const LASTS: Duration = Duration::from_secs(2);
const HOLDS: Duration = Duration::from_micros(50);

/// Processes that compute until this is dropped.
pub(super) struct Busy(Vec<Child<()>>);

impl Busy {
    pub(super) fn start(count: usize) -> Result<Busy, String> {
        let start = |_| Process::new(burn, (LONG,)).method(StartMethod::ForkServer).daemon().start();
        (0..count).map(start).collect::<Result<_, _>>().map(Busy).map_err(text)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in self.0.drain(..) {
            let _ = child.kill();
            let _ = child.join();
        }
    }
}

/// CPython doing the same once a round, beside as many.
pub(super) fn pythons_beside(others: usize, python: &Shared, request: String) -> Peer {
    let python = python.clone();
    Peer::new("CPython", move || {
        let _busy = Busy::start(others)?;
        ask(&python, &request)
    })
}

pub(super) fn all(python: &Shared) -> Vec<Work> {
    [0, 1, 2, 4, 8].map(|others| contended(python, others)).into()
}

/// One of the contenders: how often it held the lock, and its longest wait in nanoseconds.
#[derive(Clone, Serialize, Deserialize)]
struct Contender<L> {
    lock: L,
}

impl<L: Exclusive> Part for Contender<L> {
    type Gives = (u64, u64);

    fn play(self, start: impl FnOnce()) -> (u64, u64) {
        start();
        let (began, mut count, mut longest) = (Instant::now(), 0, Duration::ZERO);
        while began.elapsed() < LASTS {
            let wanted = Instant::now();
            self.lock.alone(|| {
                longest = longest.max(wanted.elapsed());
                burn(HOLDS);
            });
            count += 1;
        }
        (count, longest.as_nanos() as u64)
    }
}

/// Holds a second; `.share`: the smaller share as a part of the larger; `.longest`: the longest wait, in milliseconds.
fn shares<L: Exclusive + Serialize + DeserializeOwned>(lock: L, others: usize) -> Result<Figures, String> {
    let _busy = Busy::start(others)?;
    let gave = processes(&vec![Contender { lock }; 2])?.gave;
    let counts = || gave.iter().map(|(count, _)| *count);
    let total: u64 = counts().sum();
    let share = counts().min().unwrap_or(0) as f64 / counts().max().unwrap_or(1).max(1) as f64;
    let longest = gave.iter().map(|(_, longest)| *longest).max().unwrap_or(0);
    Ok(Figures {
        figure: total as f64 / LASTS.as_secs_f64(),
        further: vec![(".share", "ratio", share), (".longest", "ms", longest as f64 / 1e6)],
    })
}

fn contended(python: &Shared, others: usize) -> Work {
    let metric = format!("W4.busy.{others}");
    Work {
        unit: "ops/s",
        rate: true,
        peers: vec![
            Peer::of_several("mp", move || shares(Lock::new().map_err(text)?, others)),
            Peer::of_several("pthread", move || shares(RobustMutex::new()?, others)),
            pythons_beside(others, python, format!("{metric} 2")),
        ],
        metric,
    }
}
