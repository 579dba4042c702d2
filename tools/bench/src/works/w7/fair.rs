//! `W7.fair`: what the least served of some clients that call without pause gets, of the share that would be fair.
//!
//! Time is cut into windows, the same for all. The figure is the smallest share that a client has in a window: 1 where
//! each has as many calls as any other, however many threads it calls from.

use super::super::crowd::{Part, processes};
use super::super::measure::text;
use super::{Client, KEY, Op};
use crate::work::{Figures, Peer, Work};
use mp_core::sys::futex::FutexWord;
use mp_core::word::Machine;
use mp_manager::{DictProxy, Manager};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::thread;

/// Nanoseconds.
const WINDOW: u64 = 400_000_000;
const LASTS: u64 = 6 * WINDOW;

pub(super) fn all() -> [Work; 4] {
    [
        share("W7.fair.3", &[1; 3]),
        share("W7.fair.4", &[1; 4]),
        share("W7.fair.16", &[1; 16]),
        share("W7.fair.64and1", &[64, 1]),
    ]
}

/// With clients of so many threads each.
fn share(metric: &str, threads: &'static [usize]) -> Work {
    let peer = Peer::of_several("mp", || {
        let manager = Manager::start().map_err(text)?;
        let dict = manager.dict::<String, u64>().map_err(text)?;
        dict.insert(KEY.to_owned(), 0).map_err(text)?;
        let part = |threads: &usize| Caller { dict: dict.clone(), threads: *threads };
        figures(&processes(&threads.iter().map(part).collect::<Vec<_>>())?.gave)
    });
    Work { metric: metric.to_owned(), unit: "of fair", rate: true, peers: vec![peer] }
}

#[derive(Clone, Serialize, Deserialize)]
struct Caller {
    dict: DictProxy<String, u64>,
    threads: usize,
}

/// The calls in each window, by its number.
type Calls = BTreeMap<u64, u64>;

impl Part for Caller {
    type Gives = Calls;

    fn play(self, start: impl FnOnce()) -> Calls {
        let mut ready = self.dict.clone().connect(Op::Get);
        ready();
        start();
        let until = FutexWord::now() + LASTS;
        let threads: Vec<_> = (0..self.threads)
            .map(|_| {
                let dict = self.dict.clone();
                thread::spawn(move || calls_until(until, dict.connect(Op::Get)))
            })
            .collect();
        let mut all = Calls::new();
        for thread in threads {
            for (window, calls) in thread.join().expect("the manager serves") {
                *all.entry(window).or_default() += calls;
            }
        }
        all
    }
}

fn calls_until(until: u64, mut call: Box<dyn FnMut()>) -> Calls {
    let (mut calls, mut now) = (Calls::new(), FutexWord::now());
    while now < until {
        (0..8).for_each(|_| call());
        *calls.entry(now / WINDOW).or_default() += 8;
        now = FutexWord::now();
    }
    calls
}

/// The smallest share, and the calls a second of all together, over the windows in which all called from begin to end.
fn figures(clients: &[Calls]) -> Result<Figures, String> {
    let first = clients.iter().filter_map(|calls| calls.keys().next()).max();
    let last = clients.iter().filter_map(|calls| calls.keys().next_back()).min();
    let (Some(first), Some(last)) = (first, last) else { return Err("a client made no call".to_owned()) };
    let whole = first + 1..*last;
    let in_window = |calls: &Calls, window| calls.get(&window).copied().unwrap_or(0);
    let (mut smallest, mut total) = (f64::INFINITY, 0);
    for window in whole.clone() {
        let all: u64 = clients.iter().map(|calls| in_window(calls, window)).sum();
        let least = clients.iter().map(|calls| in_window(calls, window)).min().unwrap_or(0);
        smallest = smallest.min(least as f64 * clients.len() as f64 / all as f64);
        total += all;
    }
    let seconds = whole.count() as f64 * WINDOW as f64 / 1e9;
    Ok(Figures { figure: smallest, further: vec![(".rate", "ops/s", total as f64 / seconds)] })
}

#[cfg(test)]
mod tests {
    use super::{Calls, figures};

    #[test]
    fn the_smallest_share_is_that_of_the_least_served_client_in_its_worst_window() {
        // The first and the last window of each are not whole.
        let one = Calls::from([(1, 5), (2, 100), (3, 150), (4, 1)]);
        let other = Calls::from([(1, 900), (2, 100), (3, 50), (4, 900)]);
        let figures = figures(&[one, other]).unwrap();
        assert_eq!(figures.figure, 0.5);
        assert_eq!(figures.further[0].2, 400.0 / 0.8);
    }

    #[test]
    fn a_client_that_is_not_served_in_a_window_has_no_share() {
        let one = Calls::from([(1, 5), (2, 100), (3, 150), (4, 1)]);
        let other = Calls::from([(1, 900), (3, 50), (4, 900)]);
        assert_eq!(figures(&[one, other]).unwrap().figure, 0.0);
    }
}
