//! A daemon is killed when its parent ends; any other child is waited for.
//!
//! Answers:  notebook 3
//! Python:   Process(target=f, daemon=True)
//! Run:      cargo run --example ex03_background_process
//! Prints:
//!     main ends
//!     NO_background ends
//!
//! The daemon would sleep for an hour. `--killed`: the parent waits to be killed, and its daemon goes with it.

use mp::{Event, Process, Receiver, Sender, pipe_simplex};
use std::time::Duration;

fn background(started: Event, _alive: Sender<()>) {
    started.set();
    std::thread::sleep(Duration::from_secs(3600));
    println!("background ends");
}

/// Ends after the daemon: its end of the pipe is closed when it is killed, which is when main has ended.
fn no_background(daemon_alive: Receiver<()>) {
    assert!(daemon_alive.recv().is_err());
    println!("NO_background ends");
}

pub(crate) fn main() -> mp::Result<()> {
    let started = Event::new()?;
    let (daemon_alive, alive) = pipe_simplex()?;
    let daemon = Process::new(background, (started.clone(), alive)).name("background").daemon().start()?;
    started.wait();
    eprintln!("background is process {}", daemon.pid());
    if std::env::args().any(|argument| argument == "--killed") {
        println!("waiting to be killed");
        loop {
            std::thread::park();
        }
    }
    Process::new(no_background, (daemon_alive,)).name("NO_background").start()?;
    println!("main ends");
    Ok(())
}
