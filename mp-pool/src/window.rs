//! How many items a stream reads ahead of the results that it gives.
//!
//! ```text
//!   least ── results taken quickly ──► twice as many ──► … ──► most
//!     ▲                                    │                    │
//!     └──────────── taken slowly ──────────┴────────────────────┘
//! ```
//!
//! A short window is emptied before the workers of short tasks are told of more, and each of them then costs a wake. A
//! long one costs memory, and reads items of which the program may want none. So it is long only while results are
//! taken so fast that they are short, and many.

use std::time::{Duration, Instant};

/// Results taken faster than this, on average, are of short tasks.
const QUICK: Duration = Duration::from_micros(2);
/// The longest window of a stream whose program names none.
const MOST: u64 = 4096;

#[derive(Debug)]
pub(crate) struct Window {
    size: u64,
    least: u64,
    most: u64,
    /// Results given since it was measured last.
    given: u64,
    since: Instant,
}

impl Window {
    /// One of so many items; one that is not `fixed` grows.
    pub(crate) fn new(size: u64, fixed: bool) -> Window {
        let most = if fixed { size } else { size.max(MOST) };
        Window { size, least: size, most, given: 0, since: Instant::now() }
    }

    #[inline]
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// A result is given.
    #[inline]
    pub(crate) fn gave(&mut self) {
        self.given += 1;
        if self.given >= self.size && self.most > self.least {
            self.measure(Instant::now());
        }
    }

    fn measure(&mut self, now: Instant) {
        let took = now.saturating_duration_since(self.since);
        let is_quick = took < QUICK * u32::try_from(self.given).unwrap_or(u32::MAX);
        self.size = if is_quick { (2 * self.size).min(self.most) } else { self.least };
        (self.given, self.since) = (0, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes after results that took so many microseconds each.
    fn sizes(mut window: Window, micros: &[u64]) -> Vec<u64> {
        let mut now = window.since;
        let mut after = |micros: u64| {
            window.given = window.size;
            now += Duration::from_micros(micros * window.size);
            window.measure(now);
            window.size
        };
        micros.iter().map(|micros| after(*micros)).collect()
    }

    #[test]
    fn it_grows_while_results_are_quick_and_is_short_again_after_slow_ones() {
        assert_eq!(
            sizes(Window::new(256, false), &[1, 1, 1, 1, 1, 3, 1]),
            [512, 1024, 2048, 4096, 4096, 256, 512]
        );
        assert_eq!(sizes(Window::new(5000, false), &[1, 1]), [5000, 5000]);
        assert_eq!(sizes(Window::new(256, true), &[1, 1]), [256, 256]);
    }
}
