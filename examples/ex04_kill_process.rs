//! End a process from outside, and see how it ended.
//!
//! Answers:  notebook 4
//! Python:   p.terminate(); p.is_alive(); p.exitcode
//! Run:      cargo run --example ex04_kill_process
//! Prints:
//!     initial false
//!     started true
//!     stopped false
//!     -15
//!     -9
//!     0
//!     3
//!     101

use mp::base::sys::signal;
use mp::{Child, Event, Process, active_children};

fn function(ready: Event, go_on: Event, stubborn: bool) {
    if stubborn {
        signal::ignore_requests_to_end();
    }
    ready.set();
    go_on.wait();
    println!("function ends");
}

fn end_like_this(how: String) {
    match how.as_str() {
        "exit" => std::process::exit(3),
        "panic" => panic!("a deliberate panic"),
        _ => {}
    }
}

fn tell(child: &Child<()>, expected: i32) {
    let _ = child.join();
    println!("{}", child.exitcode().unwrap_or_default());
    assert_eq!(child.exitcode(), Some(expected));
}

/// A child that has begun, and would end if it were told to go on.
fn started(stubborn: bool) -> mp::Result<Child<()>> {
    let (ready, go_on) = (Event::new()?, Event::new()?);
    let child = Process::new(function, (ready.clone(), go_on, stubborn)).start()?;
    ready.wait();
    Ok(child)
}

pub(crate) fn main() -> mp::Result<()> {
    println!("initial {}", !active_children().is_empty());
    let child = started(false)?;
    println!("started {}", child.is_alive());
    child.terminate()?;
    // Just after terminate it may still be alive. To know, join.
    let _ = child.join();
    println!("stopped {}", child.is_alive());
    tell(&child, -signal::SIGTERM);
    // One that ignores the request is told so that it cannot ignore.
    let child = started(true)?;
    child.terminate()?;
    assert!(child.is_alive());
    child.kill()?;
    tell(&child, -signal::SIGKILL);
    for (how, code) in [("return", 0), ("exit", 3), ("panic", 101)] {
        tell(&Process::new(end_like_this, (how.to_owned(),)).start()?, code);
    }
    Ok(())
}
