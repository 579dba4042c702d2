//! A process has a name: the one it is given, or a number in the order of creation.
//!
//! Answers:  notebook 2
//! Python:   Process(name='foo_process', target=foo); current_process().name
//! Run:      cargo run --example ex02_process_names
//! Prints:
//!     Process-1 starts
//!     Process-1 ends
//!     Process-2 starts
//!     Process-2 ends
//!     foo_process starts
//!     foo_process ends
//!     3 starts before the first end
//!     the next is called Process-4

use mp::{Barrier, Process, Queue, current_process};

fn foo(log: Queue<(String, bool)>, all_have_started: Barrier) {
    let name = current_process().name().to_owned();
    log.put((name.clone(), false)).unwrap();
    all_have_started.wait().unwrap();
    log.put((name, true)).unwrap();
}

pub(crate) fn main() -> mp::Result<()> {
    let (log, all_have_started) = (Queue::new()?, Barrier::new(3)?);
    let arguments = || (log.clone(), all_have_started.clone());
    // Numbered when they are made; a name of one's own uses a number up too.
    let first = Process::new(foo, arguments());
    let second = Process::new(foo, arguments());
    let named = Process::new(foo, arguments()).name("foo_process");
    let next = Process::new(|| current_process().name().to_owned(), ());
    // Started the other way round, and it changes nothing.
    let children = [named.start()?, second.start()?, first.start()?];
    let mut lines: Vec<(String, bool)> = (0..6).map(|_| log.get()).collect::<Result<_, _>>()?;
    for child in children {
        child.join()?;
    }
    let early = lines.iter().take_while(|(_, ended)| !ended).count();
    // By name; the lines of one process stay in the order in which they came.
    lines.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, ended) in &lines {
        println!("{name} {}", if *ended { "ends" } else { "starts" });
    }
    println!("{early} starts before the first end");
    println!("the next is called {}", next.start()?.join()?);
    assert_eq!(early, 3);
    Ok(())
}
