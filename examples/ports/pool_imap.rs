//! Results of a pool one by one: in order, in any order, with an error in between, and one that is late. Beside
//! `pool_imap.py`.

use mp::{Event, Pool, TaskError};
use std::time::Duration;

fn cube(x: u64) -> u64 {
    x * x * x
}

/// Fails for each fourth.
fn divide(x: u64) -> u64 {
    60 / (x % 4)
}

fn answer(may_go_on: Event) -> u64 {
    may_go_on.wait();
    42
}

pub(crate) fn main() -> mp::Result<()> {
    let pool = Pool::new(4)?;
    let in_order: Vec<u64> = pool.imap(cube, 0..8)?.collect::<Result<_, _>>()?;
    println!("in order: {in_order:?}");

    let mut in_any_order: Vec<u64> = pool.imap_unordered(cube, 0..8)?.collect::<Result<_, _>>()?;
    in_any_order.sort();
    println!("in any order, then sorted: {in_any_order:?}");

    // The iterator goes on behind an error.
    for (x, result) in (1..8).zip(pool.imap(divide, 1..8)?) {
        match result {
            Ok(quotient) => println!("divide({x}) = {quotient}"),
            Err(TaskError::Panicked { .. }) => println!("divide({x}) failed"),
            Err(other) => return Err(other.into()),
        }
    }

    let may_go_on = Event::new()?;
    let mut late = pool.imap(answer, [may_go_on.clone()])?;
    match late.next_timeout(Duration::from_millis(100)) {
        Some(Err(TaskError::Timeout)) => println!("late: not there in time"),
        other => println!("late: {other:?}"),
    }
    may_go_on.set();
    println!("late, and asked again: {:?}", late.next().ok_or("no result")??);
    println!("and then there is nothing: {}", late.next().is_none());
    Ok(())
}
