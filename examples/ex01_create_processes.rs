//! Start five processes, then wait for all of them.
//!
//! Answers:  notebook 1
//! Python:   p = Process(target=called, args=(i,)); p.start(); p.join()
//! Run:      cargo run --example ex01_create_processes
//! Prints:
//!     called in process 0
//!     called in process 1
//!     called in process 2
//!     called in process 3
//!     called in process 4
//!     5 processes, 5 exit codes 0, none of them the parent

use mp::{Child, Process};
use std::collections::HashSet;

fn called(number: u32) -> String {
    format!("called in process {number}")
}

pub(crate) fn main() -> mp::Result<()> {
    let children: Vec<Child<String>> =
        (0..5).map(|number| Process::new(called, (number,)).start()).collect::<Result<_, _>>()?;
    // A child hands its line to the parent: two writers on one terminal would mix theirs.
    for child in &children {
        println!("{}", child.join()?);
    }
    let pids: HashSet<u32> =
        children.iter().map(Child::pid).filter(|pid| *pid != std::process::id()).collect();
    let good = children.iter().filter(|child| child.exitcode() == Some(0)).count();
    println!("{} processes, {good} exit codes 0, none of them the parent", pids.len());
    assert_eq!((pids.len(), good), (5, 5));
    Ok(())
}
