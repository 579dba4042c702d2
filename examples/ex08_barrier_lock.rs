//! Two processes meet at a barrier, two others pass by, and a lock keeps their steps apart. Threads do it likewise.
//!
//! Answers:  notebook 8
//! Python:   Barrier(2); Lock()
//! Run:      cargo run --example ex08_barrier_lock
//! Prints:
//!     p3 - without barrier, while p1 waits
//!     p4 - without barrier, while p1 waits
//!     p1 - with barrier, arrives at step 1
//!     p2 - with barrier, arrives at step 4
//!     last arrival 4, first departure 5, 1 leader
//!     threads: last arrival 4, first departure 5, 1 leader
//!
//! Every schedule of a barrier is walked by the models `barrier_*` in `mp-sync/tests/loom.rs`.

use mp::{Barrier, Event, Lock, Process, RawValue};
use serde::{Deserialize, Serialize};

/// Which process acted before which: an order and not a time, since clocks prove nothing.
#[derive(Clone, Serialize, Deserialize)]
struct Steps {
    lock: Lock,
    count: RawValue<u32>,
}

impl Steps {
    fn new() -> mp::Result<Steps> {
        Ok(Steps { lock: Lock::new()?, count: RawValue::new(0)? })
    }

    /// A read, then a write: the lock makes them one.
    fn next(&self) -> u32 {
        let _guard = self.lock.acquire().unwrap();
        self.count.set(self.count.get() + 1);
        self.count.get()
    }
}

/// (step of the arrival, step of the departure, whether it is the leader)
type Met = (u32, u32, bool);

fn with_barrier(barrier: Barrier, gate: Event, steps: Steps) -> Met {
    gate.wait();
    let arrival = steps.next();
    let met = barrier.wait().unwrap();
    (arrival, steps.next(), met.is_leader())
}

fn until_one_waits(barrier: &Barrier) {
    while barrier.n_waiting() < 1 {
        std::thread::yield_now();
    }
}

fn tell(title: &str, [first, second]: [Met; 2]) {
    let (last_arrival, first_departure) = (first.0.max(second.0), first.1.min(second.1));
    let leaders = u32::from(first.2) + u32::from(second.2);
    println!("{title}last arrival {last_arrival}, first departure {first_departure}, {leaders} leader");
    assert!(last_arrival < first_departure && leaders == 1);
}

pub(crate) fn main() -> mp::Result<()> {
    let (barrier, open, gate, steps) = (Barrier::new(2)?, Event::new()?, Event::new()?, Steps::new()?);
    open.set();
    let p1 = Process::new(with_barrier, (barrier.clone(), open.clone(), steps.clone())).start()?;
    // Held back, so that p1 has to wait.
    let p2 = Process::new(with_barrier, (barrier.clone(), gate.clone(), steps.clone())).start()?;
    until_one_waits(&barrier);
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
    tell("", met);

    // The same barrier, for the threads of this process.
    gate.clear();
    let steps = Steps::new()?;
    let (passed, waiting, met) = std::thread::scope(|scope| {
        let t1 = scope.spawn(|| with_barrier(barrier.clone(), open.clone(), steps.clone()));
        let t2 = scope.spawn(|| with_barrier(barrier.clone(), gate.clone(), steps.clone()));
        until_one_waits(&barrier);
        let passed = [(); 2].map(|()| scope.spawn(|| steps.next())).map(|thread| thread.join().unwrap());
        let waiting = barrier.n_waiting();
        gate.set();
        (passed, waiting, [t1, t2].map(|thread| thread.join().unwrap()))
    });
    assert_eq!((passed.iter().sum(), waiting), (2 + 3, 1));
    tell("threads: ", met);
    Ok(())
}
