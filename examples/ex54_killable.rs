//! A process can be killed whatever it does; a thread can only be asked.
//!
//! Answers:  "child processes are killable", threads are not
//! Python:   p.kill(); p.exitcode; threading has no kill
//! Run:      cargo run --example ex54_killable
//! Prints:
//!     process in an endless loop: alive true
//!     process: Killed(9)
//!     thread: stopped by flag

use mp::{Event, JoinError, Process};
use std::sync::atomic::{AtomicBool, Ordering};

/// Never looks at anything again.
fn endless(begun: Event) -> u64 {
    begun.set();
    loop {
        std::hint::spin_loop();
    }
}

/// Looks at a flag now and then: the only way to end it from outside.
fn endless_but_polite(stop: &AtomicBool) -> &'static str {
    // ORDERING: Relaxed: only whether to go on.
    while !stop.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    "stopped by flag"
}

pub(crate) fn main() -> mp::Result<()> {
    let begun = Event::new()?;
    let process = Process::new(endless, (begun.clone(),)).start()?;
    begun.wait();
    println!("process in an endless loop: alive {}", process.is_alive());
    process.kill()?;
    match process.join() {
        Err(JoinError::Killed(signal)) => println!("process: Killed({signal})"),
        other => println!("process: {other:?}"),
    }

    let stop = AtomicBool::new(false);
    let end = std::thread::scope(|scope| {
        let thread = scope.spawn(|| endless_but_polite(&stop));
        // ORDERING: as above.
        stop.store(true, Ordering::Relaxed);
        thread.join()
    });
    println!("thread: {}", end.unwrap_or("panicked"));
    Ok(())
}
