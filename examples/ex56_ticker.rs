//! A program stays responsive while a process works for it.
//!
//! Answers:  "responsive UIs"
//! Python:   p.start(); while p.is_alive(): update the window; p.join(0.01)
//! Run:      cargo run --example ex56_ticker
//! Prints:
//!     tick 1
//!     tick 2
//!     tick 3
//!     the worker's result: 499500
//!
//! The worker ends after the third tick, however fast the machine is: a main that waited for it would wait for ever.

use mp::{JoinError, Process, Semaphore};
use std::time::Duration;

const TICKS: u32 = 3;

/// A third of the work for each tick that it has seen.
fn work(ticks: Semaphore) -> u32 {
    let mut sum = 0;
    for part in 0..TICKS {
        ticks.acquire().keep();
        sum += (0..1000).filter(|number| number % TICKS == part).sum::<u32>();
    }
    sum
}

pub(crate) fn main() -> mp::Result<()> {
    let seen = Semaphore::new(0)?;
    let worker = Process::new(work, (seen.clone(),)).start()?;
    let mut ticks = 0;
    let result = loop {
        match worker.join_timeout(Duration::from_millis(10)) {
            // Here a window would be drawn.
            Err(JoinError::Timeout) if ticks < TICKS => {
                ticks += 1;
                println!("tick {ticks}");
                seen.release()?;
            }
            Err(JoinError::Timeout) => {}
            ended => break ended?,
        }
    };
    println!("the worker's result: {result}");
    assert_eq!((ticks, result), (TICKS, 499_500));
    Ok(())
}
