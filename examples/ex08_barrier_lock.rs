//! Two processes meet at a barrier, two others pass by, and a lock keeps their steps apart.
//!
//! Python:   Barrier(2); Lock()
//! Run:      cargo run --example ex08_barrier_lock
//! Prints:
//!     p3 - without barrier, while p1 waits
//!     p4 - without barrier, while p1 waits
//!     p1 - with barrier, arrives at step 1
//!     p2 - with barrier, arrives at step 4
//!     last arrival 4, first departure 5, 1 leader
//!
//! Every schedule of a barrier is walked by the models `barrier_*` in `mp-sync/tests/loom.rs`.

use mp::{Barrier, Event, Lock, Process, RawValue};
use serde::{Deserialize, Serialize};

/// Who did something before whom: an order and no time, since clocks prove nothing.
#[derive(Clone, Serialize, Deserialize)]
struct Steps {
    lock: Lock,
    count: RawValue<u32>,
}

impl Steps {
    /// A read, then a write: the lock makes them one.
    fn next(&self) -> u32 {
        let _guard = self.lock.acquire().unwrap();
        self.count.set(self.count.get() + 1);
        self.count.get()
    }
}

fn with_barrier(barrier: Barrier, gate: Event, steps: Steps) -> (u32, u32, bool) {
    gate.wait();
    let arrival = steps.next();
    let met = barrier.wait().unwrap();
    (arrival, steps.next(), met.is_leader())
}

pub(crate) fn main() -> mp::Result<()> {
    let (barrier, open, gate) = (Barrier::new(2)?, Event::new()?, Event::new()?);
    let steps = Steps { lock: Lock::new()?, count: RawValue::new(0)? };
    open.set();
    let p1 = Process::new(with_barrier, (barrier.clone(), open, steps.clone())).start()?;
    // Held back, so that p1 has to wait.
    let p2 = Process::new(with_barrier, (barrier.clone(), gate.clone(), steps.clone())).start()?;
    while barrier.n_waiting() < 1 {
        std::thread::yield_now();
    }
    let pass_by = || Process::new(|steps: Steps| steps.next(), (steps.clone(),)).start();
    let (p3, p4) = (pass_by()?, pass_by()?);
    let mut passed = [p3.join()?, p4.join()?];
    passed.sort_unstable();
    assert_eq!((passed, barrier.n_waiting()), ([2, 3], 1));
    println!("p3 - without barrier, while p1 waits\np4 - without barrier, while p1 waits");
    gate.set();
    let met = [p1.join()?, p2.join()?];
    for (name, (arrival, ..)) in ["p1", "p2"].iter().zip(&met) {
        println!("{name} - with barrier, arrives at step {arrival}");
    }
    let last_arrival = met.iter().map(|(arrival, ..)| *arrival).max();
    let first_departure = met.iter().map(|(_, departure, _)| *departure).min();
    let leaders = met.iter().filter(|(.., leader)| *leader).count();
    let (last, first) = (last_arrival.unwrap_or_default(), first_departure.unwrap_or_default());
    println!("last arrival {last}, first departure {first}, {leaders} leader");
    assert!(last < first && leaders == 1);
    Ok(())
}
