//! The names and ids of this process, its parent and its children, and the number of CPUs.
//!
//! Answers:  section 4, "some interesting functions"
//! Python:   current_process().name; parent_process(); active_children(); cpu_count()
//! Run:      cargo run --example ex25_introspection
//! Prints:
//!     MainProcess, parent None
//!     Process-1, parent MainProcess
//!     Process-1:1, parent Process-1
//!     active 3
//!     active 0
//!     usable CPUs are no more than those online: true

use mp::{Child, Event, Process};

/// This process's name and its parent's.
fn names() -> String {
    let parent = mp::parent_process().map_or("None".to_owned(), |parent| parent.name().to_owned());
    format!("{}, parent {parent}", mp::current_process().name())
}

/// A child's answer, and that of a child of its own.
fn names_of_two() -> (String, String) {
    let grandchild = Process::new(names, ()).start().expect("a process to be had");
    (names(), grandchild.join().expect("an answer"))
}

fn wait_for(go_on: Event) {
    go_on.wait();
}

pub(crate) fn main() -> mp::Result<()> {
    println!("{}", names());
    let (child, grandchild) = Process::new(names_of_two, ()).start()?.join()?;
    println!("{child}\n{grandchild}");

    let go_on = Event::new()?;
    let start = |_| Process::new(wait_for, (go_on.clone(),)).start();
    let children: Vec<Child<()>> = (0..3).map(start).collect::<Result<_, _>>()?;
    println!("active {}", mp::active_children().len());
    go_on.set();
    children.iter().try_for_each(Child::join)?;
    println!("active {}", mp::active_children().len());

    let (online, usable) = (mp::cpu_count(), mp::usable_cpu_count());
    eprintln!("CPUs: {online} online, {usable} usable by affinity and cgroup");
    println!("usable CPUs are no more than those online: {}", (1..=online).contains(&usable));
    Ok(())
}
