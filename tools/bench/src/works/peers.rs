//! Peers of many works: one whose rounds last a third of a second, and CPython.

use crate::python::{Shared, ask};
use crate::work::Peer;

/// A peer whose rounds last about a third of a second each: see [`Pace`].
pub(super) fn lasting(
    name: &'static str,
    pilot: u64,
    mut rate: impl FnMut(u64) -> Result<f64, String> + 'static,
) -> Peer {
    let mut pace = Pace::new(pilot);
    Peer::new(name, move || pace.round(&mut rate, |rate| *rate))
}

/// How much a round does, so that it lasts about a third of a second however fast it is: the first is preceded by a
/// try of `pilot`, and each does as much as would have fitted into the one before it.
pub(super) struct Pace {
    pilot: u64,
    count: Option<u64>,
}

impl Pace {
    const SECONDS: f64 = 0.3;

    pub(super) fn new(pilot: u64) -> Pace {
        Pace { pilot, count: None }
    }

    /// Does a round; `rate` says how many a second it did.
    pub(super) fn round<T>(
        &mut self,
        mut once: impl FnMut(u64) -> Result<T, String>,
        rate: impl Fn(&T) -> f64,
    ) -> Result<T, String> {
        let (pilot, fitting) = (self.pilot, |round: &T| (rate(round) * Pace::SECONDS) as u64);
        let count = match self.count {
            Some(count) => count,
            None => fitting(&once(pilot)?).max(pilot),
        };
        let round = once(count)?;
        self.count = Some(fitting(&round).max(pilot));
        Ok(round)
    }
}

/// CPython doing the same once a round, by a request that is always the same.
pub(super) fn pythons_once(python: &Shared, request: impl Into<String>) -> Peer {
    let (python, request) = (python.clone(), request.into());
    Peer::new("CPython", move || ask(&python, &request))
}

/// CPython doing the same: a request is the metric and a count.
pub(super) fn pythons(python: &Shared, metric: String, pilot: u64) -> Peer {
    let python = python.clone();
    lasting("CPython", pilot, move |count| ask(&python, &format!("{metric} {count}")))
}

/// CPython doing the same, where it answers with microseconds.
pub(super) fn pythons_times(python: &Shared, metric: &str, pilot: u64) -> Peer {
    let (python, metric) = (python.clone(), metric.to_owned());
    let mut pace = Pace::new(pilot);
    let once = move |times| ask(&python, &format!("{metric} {times}"));
    Peer::new("CPython", move || pace.round(&once, |microseconds| 1e6 / microseconds))
}

/// A queue of PyPI's for the same, in the same CPython, if it is there.
pub(super) fn faster_fifo(python: &Shared, metric: &str, pilot: u64) -> Peer {
    let (python, metric) = (python.clone(), format!("{metric}.faster-fifo"));
    lasting("faster-fifo", pilot, move |count| ask(&python, &format!("{metric} {count}")))
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::cell::RefCell;

    #[test]
    fn rounds_take_on_as_much_as_fitted_into_the_one_before() {
        let (mut pace, counts) = (Pace::new(10), RefCell::new(Vec::new()));
        let mut round = |rate: f64| {
            let once = |count| {
                counts.borrow_mut().push(count);
                Ok(rate)
            };
            assert_eq!(pace.round(once, |rate| *rate), Ok(rate));
        };
        // A third of a second of each; never less than the try.
        [1e4, 2e4, 1.0, 1e4].into_iter().for_each(&mut round);
        assert_eq!(counts.into_inner(), [10, 3000, 3000, 6000, 10]);
    }

    #[test]
    fn a_failed_try_is_tried_again() {
        let mut pace = Pace::new(10);
        assert_eq!(pace.round(|_| Err::<f64, _>("gone".to_owned()), |rate| *rate), Err("gone".to_owned()));
        let mut counts = Vec::new();
        let once = |count| {
            counts.push(count);
            Ok(1e3)
        };
        assert_eq!(pace.round(once, |rate| *rate), Ok(1e3));
        assert_eq!(counts, [10, 300]);
    }
}
