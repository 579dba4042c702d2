//! Two processes meet at a barrier; two others pass by.
//!
//! Python:   Barrier(2); Lock()
//! Run:      cargo run --example ex08_barrier_lock
//! Prints:
//!     p3 - without barrier, while p1 waits
//!     p4 - without barrier, while p1 waits
//!     p1 - with barrier
//!     p2 - with barrier
//!     the last arrival comes before the first departure, 1 leader

use mp::{Barrier, Event, Lock, Process, Value};

/// When somebody did something: order, not time, since clocks prove nothing.
type Steps = Value<u32>;

fn step(steps: &Steps) -> u32 {
    steps.update(|step| {
        *step += 1;
        *step
    })
}

fn with_barrier(barrier: Barrier, held_back: Option<Event>, steps: Steps) -> (u32, u32, bool) {
    if let Some(gate) = held_back {
        gate.wait();
    }
    let arrival = step(&steps);
    let met = barrier.wait().unwrap();
    (arrival, step(&steps), met.is_leader())
}

fn without_barrier(name: String, lock: Lock) {
    // One line at a time, whoever prints.
    let _one_at_a_time = lock.acquire().unwrap();
    println!("{name} - without barrier, while p1 waits");
}

pub(crate) fn main() -> mp::Result<()> {
    let (barrier, lock, steps, gate) = (Barrier::new(2)?, Lock::new()?, Steps::new(0)?, Event::new()?);
    let p1 = Process::new(with_barrier, (barrier.clone(), None, steps.clone())).start()?;
    let p2 = Process::new(with_barrier, (barrier.clone(), Some(gate.clone()), steps.clone())).start()?;
    while barrier.n_waiting() < 1 {
        std::thread::yield_now();
    }
    for name in ["p3", "p4"] {
        Process::new(without_barrier, (name.to_owned(), lock.clone())).start()?.join()?;
    }
    assert_eq!(barrier.n_waiting(), 1);
    gate.set();
    let met = [p1.join()?, p2.join()?];
    println!("p1 - with barrier\np2 - with barrier");
    let last_arrival = met.iter().map(|(arrival, ..)| *arrival).max();
    let first_departure = met.iter().map(|(_, departure, _)| *departure).min();
    let leaders = met.iter().filter(|(.., leader)| *leader).count();
    assert!(last_arrival < first_departure);
    println!("the last arrival comes before the first departure, {leaders} leader");
    assert_eq!(leaders, 1);
    Ok(())
}
