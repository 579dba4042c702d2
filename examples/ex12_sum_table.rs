//! The sum of the first N integers, by one to eight processes: each integer is counted once.
//!
//! Answers:  workshop
//! Python:   with Pool(p) as pool: sum(pool.imap(add_up, parts))
//! Run:      cargo run --example ex12_sum_table
//! Prints:
//!     N 1000000: 1 processes counted 1000000, sum 500000500000
//!     N 1000000: 2 processes counted 1000000, sum 500000500000
//!     N 1000000: 4 processes counted 1000000, sum 500000500000
//!     N 1000000: 8 processes counted 1000000, sum 500000500000
//!     N 999983: 1 processes counted 999983, sum 499983500136
//!     N 999983: 2 processes counted 999983, sum 499983500136
//!     N 999983: 4 processes counted 999983, sum 499983500136
//!     N 999983: 8 processes counted 999983, sum 499983500136
//!
//! The times are on standard error: a table of them says nothing on a machine that is busy, or has few CPUs.

use mp::Pool;
use std::time::Instant;

/// How many integers are in a part, and their sum.
fn add_up((from, to): (u64, u64)) -> (u64, u64) {
    (to - from, (from..to).sum())
}

/// The first `n` integers in so many parts, which differ by one at most.
fn parts(n: u64, count: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..count).map(move |part| (1 + part * n / count, 1 + (part + 1) * n / count))
}

pub(crate) fn main() -> mp::Result<()> {
    for n in [1_000_000, 999_983] {
        for processes in [1, 2, 4, 8] {
            let (pool, began) = (Pool::new(processes)?, Instant::now());
            let (mut counted, mut sum) = (0, 0);
            for part in pool.imap_unordered(add_up, parts(n, processes as u64))? {
                let (integers, of_part) = part?;
                counted += integers;
                sum += of_part;
            }
            eprintln!("N {n}: {processes} processes took {:?}", began.elapsed());
            println!("N {n}: {processes} processes counted {counted}, sum {sum}");
            if (counted, sum) != (n, n * (n + 1) / 2) {
                return Err(mp::Error::new("the sum is wrong"));
            }
        }
    }
    Ok(())
}
