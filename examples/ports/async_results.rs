//! Results that are waited for: one that is there, several at once, and one that is late. Beside `async_results.py`.
//!
//! An event is an argument like any other; Python has to hand it on by the pool's initializer.

use mp::{Event, Pool, TaskError};
use std::collections::HashSet;
use std::time::Duration;

fn square(x: u64) -> u64 {
    x * x
}

fn answer(may_go_on: Event) -> u64 {
    may_go_on.wait();
    42
}

fn fail() -> u64 {
    panic!("no answer to that")
}

pub(crate) fn main() -> mp::Result<()> {
    let pool = Pool::new(3)?;
    println!("one result: {}", pool.apply_async(square, (20,))?.get()?);

    let several: Vec<_> = (0..4).map(|x| pool.apply_async(square, (x,))).collect::<Result<_, _>>()?;
    let squares: Vec<u64> = several.iter().map(|result| result.get()).collect::<Result<_, _>>()?;
    println!("several: {squares:?}");

    let pids: Vec<_> = (0..9).map(|_| pool.apply_async(std::process::id, ())).collect::<Result<_, _>>()?;
    let pids: HashSet<u32> = pids.iter().map(|pid| pid.get()).collect::<Result<_, _>>()?;
    println!("done by others, by three at most: {}", pids.len() <= 3 && !pids.contains(&std::process::id()));

    let may_go_on = Event::new()?;
    let late = pool.apply_async(answer, (may_go_on.clone(),))?;
    match late.get_timeout(Duration::from_millis(100)) {
        Err(TaskError::Timeout) => println!("late: not there in time, ready: {}", late.ready()),
        other => println!("late: {other:?}"),
    }
    may_go_on.set();
    println!("late, and asked again: {}, successful: {:?}", late.get()?, late.successful() == Some(true));

    match pool.apply_async(fail, ())?.get() {
        Err(TaskError::Panicked { message, .. }) => println!("failed: {message}"),
        other => println!("failed: {other:?}"),
    }
    Ok(())
}
