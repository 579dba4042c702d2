//! If one process fails, the others go on: that a thread cannot promise.
//!
//! Answers:  advantage 3, "if a process fails, the others go on"
//! Python:   each worker a Process; look at exitcode when it has ended
//! Run:      cargo run --example ex11_isolation
//! Prints:
//!     worker 0: Killed(6)
//!     worker 1: Panicked
//!     worker 2: Done(4)
//!     worker 3: Done(9)
//!     2 of 4 results are here
//!     the same abort in a thread: the whole program exits with -6

use mp::{Child, JoinError, Process};

fn worker(number: u32) -> u32 {
    match number {
        0 => std::process::abort(),
        1 => panic!("a deliberate panic"),
        number => number * number,
    }
}

/// The other workers of this program are threads.
fn threads() -> u32 {
    let workers: Vec<_> = (0..4).map(|number| std::thread::spawn(move || worker(number))).collect();
    workers.into_iter().filter_map(|worker| worker.join().ok()).sum()
}

pub(crate) fn main() -> mp::Result<()> {
    let start = |number| Process::new(worker, (number,)).start();
    let children: Vec<Child<u32>> = (0..4).map(start).collect::<Result<_, _>>()?;
    let mut results = 0;
    for (number, child) in children.iter().enumerate() {
        match child.join() {
            Ok(value) => {
                results += 1;
                println!("worker {number}: Done({value})");
            }
            Err(JoinError::Killed(signal)) => println!("worker {number}: Killed({signal})"),
            Err(JoinError::Panicked { .. }) => println!("worker {number}: Panicked"),
            Err(other) => return Err(other.into()),
        }
    }
    println!("{results} of {} results are here", children.len());

    let program = Process::new(threads, ()).start()?;
    let _ = program.join();
    let code = program.exitcode().unwrap_or_default();
    println!("the same abort in a thread: the whole program exits with {code}");
    Ok(())
}
