//! A process has a name: the one it is given, or a number in the order of creation.
//!
//! Python:   Process(name='foo_process', target=foo); current_process().name
//! Run:      cargo run --example ex02_process_names
//! Prints:
//!     starts: Process-2 Process-3 foo_process
//!     ends: Process-2 Process-3 foo_process

use mp::{Barrier, Process, Queue, current_process};

fn foo(log: Queue<(String, bool)>, all_have_started: Barrier) {
    let name = current_process().name().to_owned();
    log.put((name.clone(), true)).unwrap();
    all_have_started.wait().unwrap();
    log.put((name, false)).unwrap();
}

pub(crate) fn main() -> mp::Result<()> {
    let (log, all_have_started) = (Queue::new()?, Barrier::new(3)?);
    let arguments = || (log.clone(), all_have_started.clone());
    // The first has a name of its own, and uses up a number all the same.
    let named = Process::new(foo, arguments()).name("foo_process").start()?;
    let second = Process::new(foo, arguments()).start()?;
    let third = Process::new(foo, arguments()).start()?;
    let lines: Vec<(String, bool)> = (0..6).map(|_| log.get()).collect::<Result<_, _>>()?;
    for child in [named, second, third] {
        child.join()?;
    }
    for (what, started) in [("starts", true), ("ends", false)] {
        let mut names: Vec<&str> =
            lines.iter().filter(|(_, kind)| *kind == started).map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        println!("{what}: {}", names.join(" "));
    }
    // Everybody's start comes before anybody's end: nobody passes the barrier alone.
    assert!(lines[..3].iter().all(|(_, started)| *started));
    Ok(())
}
