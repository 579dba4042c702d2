//! A join inside the loop makes the processes run one after the other; a join after it lets them run at once.
//!
//! Answers:  cell 2
//! Python:   for i in range(5): p = Process(target=f, args=(i,)); p.start(); p.join()
//! Run:      cargo run --example ex20_start_join_loop
//! Prints:
//!     0
//!     1
//!     2
//!     3
//!     4
//!     join inside the loop, max alive at once: 1
//!     join after the loop: {0, 1, 2, 3, 4}
//!     join after the loop, max alive at once: 5

use mp::{Child, Event, Process, active_children};
use std::collections::BTreeSet;

fn print_once_told(number: u32, go_on: Event) {
    go_on.wait();
    println!("{number}");
}

fn number_once_told(number: u32, go_on: Event) -> u32 {
    go_on.wait();
    number
}

pub(crate) fn main() -> mp::Result<()> {
    let mut most = 0;
    for i in 0..5 {
        // A gate holds each until it is counted, here and below: so nothing depends on how fast they are.
        let go_on = Event::new()?;
        let child = Process::new(print_once_told, (i, go_on.clone())).start()?;
        most = most.max(active_children().len());
        go_on.set();
        child.join()?;
    }
    println!("join inside the loop, max alive at once: {most}");

    let go_on = Event::new()?;
    let mut children: Vec<Child<u32>> = Vec::new();
    let mut most = 0;
    for i in 0..5 {
        children.push(Process::new(number_once_told, (i, go_on.clone())).start()?);
        most = most.max(active_children().len());
    }
    go_on.set();
    let numbers: BTreeSet<u32> = children.iter().map(Child::join).collect::<Result<_, _>>()?;
    println!("join after the loop: {numbers:?}");
    println!("join after the loop, max alive at once: {most}");
    Ok(())
}
