//! Random moments, for tests that kill; and numbers by chance, for tests that make things up.

use crate::ends::kill_if_it_lives;
use mp_core::sys::process::random_bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A number below `below`, any of them as likely.
pub fn random(below: u64) -> u64 {
    let mut bytes = [0; 8];
    random_bytes(&mut bytes).expect("the system has random bytes");
    u64::from_le_bytes(bytes) % below
}

/// How many processes a test is to kill: `MP_KILLS`, or so many, which fit the gate.
pub fn kills(without: u32) -> u32 {
    std::env::var("MP_KILLS").map_or(without, |number| number.parse().expect("MP_KILLS is a number"))
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

/// Does one round after the other until another thread has killed so many processes, each a random moment, shorter than
/// `most`, after the one before: any one of those that `pids` gives then.
pub fn while_killing(
    kills: usize,
    most: Duration,
    pids: impl Fn() -> Vec<u32> + Sync,
    mut round: impl FnMut(),
) {
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut killed = 0;
            while killed < kills {
                wait_a_random_moment(most);
                let pids = pids();
                let Some(pid) = pids.get(random(pids.len().max(1) as u64) as usize) else { continue };
                killed += usize::from(kill_if_it_lives(*pid));
            }
            // ORDERING: Relaxed, here and below: whether to go on.
            enough.store(true, Ordering::Relaxed);
        });
        while !enough.load(Ordering::Relaxed) {
            round();
        }
    });
}
