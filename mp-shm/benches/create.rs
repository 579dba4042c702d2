//! What it takes to make a named block and let go of it: the first one of a process, and each one after it.
//!
//! Run: `cargo bench -p mp-shm --bench create`

use mp_shm::SharedMemory;
use std::time::{Duration, Instant};

fn make_one() -> Duration {
    let began = Instant::now();
    drop(SharedMemory::new(4096).expect("a page is there"));
    began.elapsed()
}

fn main() {
    println!("the first block of a process: {:.1?}", make_one());
    let mut times: Vec<Duration> = (0..5000).map(|_| make_one()).collect();
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    println!(
        "each further block: {:.1?} (of ten, one takes less than {:.1?}, one more than {:.1?})",
        at(50),
        at(10),
        at(90)
    );
}
