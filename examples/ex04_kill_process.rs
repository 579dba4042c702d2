//! End a process from outside, and see how it ended.
//!
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

use mp::core::sys::signal;
use mp::{Child, Event, Process, active_children};

fn function(ready: Event, stubborn: bool) {
    if stubborn {
        signal::ignore_requests_to_end();
    }
    ready.set();
    loop {
        std::thread::park();
    }
}

fn end(how: &'static str) -> mp::Result<Option<i32>> {
    let child = Process::new(end_like_this, (how.to_owned(),)).start()?;
    let _ = child.join();
    Ok(child.exitcode())
}

fn end_like_this(how: String) {
    match how.as_str() {
        "exit" => std::process::exit(3),
        "panic" => panic!("a deliberate panic"),
        _ => {}
    }
}

fn started(stubborn: bool) -> mp::Result<Child<()>> {
    let ready = Event::new()?;
    let child = Process::new(function, (ready.clone(), stubborn)).start()?;
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
    println!("{}", child.exitcode().unwrap_or_default());

    // One that ignores the request is told so that it cannot ignore.
    let child = started(true)?;
    child.terminate()?;
    assert!(child.is_alive());
    child.kill()?;
    let _ = child.join();
    println!("{}", child.exitcode().unwrap_or_default());

    for how in ["return", "exit", "panic"] {
        println!("{}", end(how)?.unwrap_or(-1));
    }
    Ok(())
}
