//! Threads, async, processes: what decides when to switch, and how many run at a time.
//!
//! Answers:  the table of the three
//! Python:   the table of a course: threading 1 processor, asyncio 1, multiprocessing many
//! Run:      cargo run --example ex39_compare
//! Prints:
//!     kind       what decides  at a time
//!     threads    the system    many
//!     async      the task      1
//!     processes  the system    many
//!
//! Each cell is found in the run. One task never pauses, another counts: if it could, the system has switched. "Many":
//! the kernel schedules each task by itself. In Python threads have a 1 there; in Rust no lock holds them back.

use mp::{AtomicU32, Process};
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;

const STEPS: u32 = 3;

/// The thread in which this runs: what the kernel schedules.
fn scheduled() -> PathBuf {
    std::fs::read_link("/proc/thread-self").unwrap()
}

/// Never pauses; sees whether the other task gets on all the same, in at most so many looks.
fn greedy(steps: AtomicU32, looks: u64) -> (bool, PathBuf) {
    // ORDERING: Relaxed here and below: a count, and nothing else is read by it.
    steps.store(1, Relaxed);
    ((0..looks).any(|_| steps.load(Relaxed) == STEPS), scheduled())
}

/// Gets on, once the greedy one has begun.
fn other(steps: AtomicU32) -> PathBuf {
    while steps.load(Relaxed) == 0 {
        std::hint::spin_loop();
    }
    (1..STEPS).for_each(|_| _ = steps.fetch_add(1, Relaxed));
    scheduled()
}

fn row(kind: &str, (switched, greedy): (bool, PathBuf), other: PathBuf, expected: (bool, &str)) {
    let decides = if switched { "the system" } else { "the task" };
    let at_a_time = if greedy == other { "1" } else { "many" };
    println!("{kind:<10} {decides:<13} {at_a_time}");
    assert_eq!((switched, at_a_time), expected);
}

pub(crate) fn main() -> mp::Result<()> {
    let [steps, by_threads, by_async] = [AtomicU32::new(0)?, AtomicU32::new(0)?, AtomicU32::new(0)?];
    // The process first: a fork is refused while threads run.
    let child = Process::new(greedy, (steps.clone(), u64::MAX)).start()?;
    let (here, process) = (other(steps), child.join()?);
    println!("kind       what decides  at a time");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| greedy(by_threads.clone(), u64::MAX));
        let here = other(by_threads.clone());
        row("threads", thread.join().expect("it does not panic"), here, (true, "many"));
    });
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let steps = by_async.clone();
        let first = tokio::spawn(async { greedy(steps, 1_000_000) });
        let second = tokio::spawn(async { other(by_async) });
        row("async", first.await.unwrap(), second.await.unwrap(), (false, "1"));
    });
    row("processes", process, here, (true, "many"));
    Ok(())
}
