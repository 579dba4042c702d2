//! A timeout, turned once into a point in time.

use std::time::{Duration, Instant};

/// A point in monotonic time: jumps of the wall clock do not move it.
///
/// A `timeout: Duration` becomes a `Deadline` at the start of each public call, and everything inside waits for
/// that one point: retries and interruptions cannot stretch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The point `timeout` from now; `None`, which means for ever, where the clock cannot count that far.
    pub fn after(timeout: Duration) -> Option<Deadline> {
        Instant::now().checked_add(timeout).map(Deadline)
    }

    /// What is left; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        Instant::now() >= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_timeout_means_for_ever() {
        assert_eq!(Deadline::after(Duration::MAX), None);
    }

    #[test]
    fn zero_has_passed_at_once() {
        let deadline = Deadline::after(Duration::ZERO).expect("zero is countable");
        assert!(deadline.passed());
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }
}
