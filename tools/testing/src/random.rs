//! Random moments, for tests that kill; and numbers by chance, for tests that make things up.

use mp_core::sys::process::random_bytes;
use std::time::{Duration, Instant};

/// A number below `below`, any of them as likely.
pub fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    random_bytes(&mut bytes).expect("the system has random bytes");
    u64::from_le_bytes(bytes) % below
}

/// Numbers by chance, cheap ones, and the same again for the same seed (an xorshift).
pub struct Chance(u64);

impl Chance {
    /// Of a seed whose lowest bit makes no difference.
    pub fn new(seed: u64) -> Chance {
        Chance(seed | 1)
    }

    /// A number below `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

/// Lets a moment pass, shorter than `most`, without sleeping: the others are not to fall asleep with us.
pub fn wait_a_random_moment(most: Duration) {
    let until = Instant::now() + Duration::from_nanos(random(most.as_nanos() as u64));
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}
