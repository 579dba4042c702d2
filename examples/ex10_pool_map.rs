//! Square a hundred numbers in a pool of four processes.
//!
//! Answers:  notebook 10
//! Python:   with Pool(4) as p: p.map(square, range(100))
//! Run:      cargo run --example ex10_pool_map
//! Prints:
//!     Pool    : [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225, 256, 289, 324, 361, 400, 441, 484, 529, 576, 625, 676, 729, 784, 841, 900, 961, 1024, 1089, 1156, 1225, 1296, 1369, 1444, 1521, 1600, 1681, 1764, 1849, 1936, 2025, 2116, 2209, 2304, 2401, 2500, 2601, 2704, 2809, 2916, 3025, 3136, 3249, 3364, 3481, 3600, 3721, 3844, 3969, 4096, 4225, 4356, 4489, 4624, 4761, 4900, 5041, 5184, 5329, 5476, 5625, 5776, 5929, 6084, 6241, 6400, 6561, 6724, 6889, 7056, 7225, 7396, 7569, 7744, 7921, 8100, 8281, 8464, 8649, 8836, 9025, 9216, 9409, 9604, 9801]
//!     sum 328350
//!     workers 4
//!     99 results and 1 error: item 37 panicked: no square of 37
//!     after close: refused
//!     after join: 0 workers

use mp::{Barrier, Pool, SubmitError, TaskError, Value};
use std::collections::HashSet;

fn square(x: u64) -> u64 {
    x * x
}

fn square_but_37(x: u64) -> u64 {
    assert!(x != 37, "no square of 37");
    x * x
}

/// Four must come before any goes on: so there are four workers.
fn meet_the_others(all: Barrier, workers: Value<u32>) {
    all.wait().unwrap();
    workers.update(|count| *count += 1);
}

pub(crate) fn main() -> mp::Result<()> {
    let (all, workers) = (Barrier::new(4)?, Value::new(0)?);
    let pool = Pool::builder().processes(4).initializer(meet_the_others, (all, workers.clone())).build()?;
    let squares = pool.map(square, 0..100)?;
    println!("Pool    : {squares:?}");
    println!("sum {}", squares.iter().sum::<u64>());

    let seen: HashSet<u32> = pool.map(|_: u32| std::process::id(), 0..100)?.into_iter().collect();
    assert!((1..=4).contains(&seen.len()) && !seen.contains(&std::process::id()));

    let each = pool.map_each(square_but_37, 0..100)?;
    let good = each.iter().filter(|outcome| outcome.is_ok()).count();
    let bad = each.iter().position(Result::is_err).unwrap_or_default();
    pool.close();
    let refused = matches!(pool.map(square, 0..1), Err(SubmitError::Closed));
    pool.join()?;
    println!("workers {}", workers.get());
    match &each[bad] {
        Err(TaskError::Panicked { message, .. }) => {
            println!("{good} results and {} error: item {bad} panicked: {message}", each.len() - good);
        }
        other => return Err(mp::Error::new(format!("no panic, but {other:?}"))),
    }
    println!("after close: {}", if refused { "refused" } else { "taken" });
    println!("after join: {} workers", pool.worker_pids().len());
    assert_eq!((squares.iter().sum::<u64>(), workers.get(), good, bad), (328_350, 4, 99, 37));
    assert!(pool.worker_pids().is_empty());
    Ok(())
}
