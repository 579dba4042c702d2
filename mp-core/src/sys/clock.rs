//! The clock that all processes of a machine read alike, as one word.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Milliseconds of the monotonic clock, modulo 2^32. The wrapping difference of two readings is exact for up to 49
/// days.
pub fn monotonic_millis() -> u32 {
    // Every Linux has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    now.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back() {
        let first = monotonic_millis();
        for _ in 0..1000 {
            assert!((monotonic_millis().wrapping_sub(first) as i32) >= 0);
        }
    }
}
