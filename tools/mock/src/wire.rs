//! Two ends of a link, and what is under way between them.

use crate::Faults;
use mp_pool::backend::Link;
use mp_testing::Chance;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One way.
struct Way {
    state: Mutex<State>,
    /// A packet was sent, or an end is gone.
    changed: Condvar,
}

struct State {
    /// When each packet arrives.
    packets: Vec<(Instant, Vec<u8>)>,
    chance: Chance,
    /// One of the two ends is gone.
    closed: bool,
}

impl Way {
    fn new(seed: u64) -> Arc<Way> {
        let state = State { packets: Vec::new(), chance: Chance::new(seed), closed: false };
        Arc::new(Way { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One end of a link of the mock.
pub(crate) struct End {
    out: Arc<Way>,
    back: Arc<Way>,
    faults: Faults,
}

/// A link of this number, with faults of its own.
pub(crate) fn link(faults: Faults, number: u64) -> (End, End) {
    // Seeds that are far apart, whatever the number.
    let seed = faults.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (one, other) = (Way::new(seed << 1), Way::new(!seed << 1));
    let end = |out: &Arc<Way>, back: &Arc<Way>| End { out: Arc::clone(out), back: Arc::clone(back), faults };
    (end(&one, &other), end(&other, &one))
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the other end is gone")
}

impl Link for End {
    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        let (mut state, faults) = (self.out.state(), self.faults);
        if state.closed {
            return Err(closed());
        }
        let is_so = |chance: &mut Chance, of_hundred: u64| (chance.below(100) as u64) < of_hundred;
        if is_so(&mut state.chance, faults.loss) {
            return Ok(());
        }
        let copies = 1 + u32::from(is_so(&mut state.chance, faults.doubled));
        for _ in 0..copies {
            let most = faults.delay.as_nanos().max(1) as usize;
            let delay = Duration::from_nanos(state.chance.below(most) as u64);
            state.packets.push((Instant::now() + delay, packet.to_vec()));
        }
        self.out.changed.notify_all();
        Ok(())
    }

    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        let until = Instant::now() + timeout;
        let mut state = self.back.state();
        loop {
            let now = Instant::now();
            let next = (0..state.packets.len()).min_by_key(|at| state.packets[*at].0);
            let arrives = next.map(|at| state.packets[at].0);
            if let Some(at) = next.filter(|_| arrives.is_some_and(|arrives| arrives <= now)) {
                return Ok(Some(state.packets.swap_remove(at).1));
            }
            // What is under way arrives all the same.
            if state.closed && next.is_none() {
                return Err(closed());
            }
            if now >= until {
                return Ok(None);
            }
            let left = arrives.map_or(until, |arrives| arrives.min(until)).saturating_duration_since(now);
            state = self.back.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Short, so that messages are cut.
    fn longest(&self) -> usize {
        16 << 10
    }
}

impl Drop for End {
    fn drop(&mut self) {
        for way in [&self.out, &self.back] {
            way.state().closed = true;
            way.changed.notify_all();
        }
    }
}
