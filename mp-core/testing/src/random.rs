//! Random moments, for tests that kill.

use mp_core::sys::process::random_bytes;
use std::time::{Duration, Instant};

/// A number below `below`, any of them as likely.
pub fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    random_bytes(&mut bytes).expect("the system has random bytes");
    u64::from_le_bytes(bytes) % below
}

/// Lets a moment pass, shorter than `most`, without sleeping: the others are not to fall asleep with us.
pub fn wait_a_random_moment(most: Duration) {
    let until = Instant::now() + Duration::from_nanos(random(most.as_nanos() as u64));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}
