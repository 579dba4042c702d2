//! What it takes to make a named block and let go of it: the first one of a family (for which the keeper is started),
//! the first of a further process (which finds it), and each one after that; and how long a killed creator's name
//! stays.
//!
//! Run: `cargo bench -p mp-shm --bench create`

use mp_core::Process;
use mp_core::sys::poll::{Interest, wait_for};
use mp_shm::SharedMemory;
use mp_testing::{shared_memory_exists as exists, stay};
use std::time::{Duration, Instant};

fn make_one() -> Duration {
    let began = Instant::now();
    drop(SharedMemory::new(4096).expect("a page is there"));
    began.elapsed()
}

fn make_and_stay(name: String) {
    let _block = SharedMemory::create(&name, 4096).expect("a page is there");
    stay()
}

/// From the kill until the process is gone, and until its name is.
fn kill_one() -> (Duration, Duration) {
    let name = format!("mp-shm-bench-{}", std::process::id());
    let child = Process::new(make_and_stay, (name.clone(),)).start().expect("a process is to be had");
    while !exists(&name) {
        std::thread::yield_now();
    }
    let began = Instant::now();
    child.kill().expect("it lives");
    wait_for(child.sentinel(), Interest::Read, None).expect("a pidfd can be waited for");
    let ended = began.elapsed();
    while exists(&name) {
        std::thread::yield_now();
    }
    (ended, began.elapsed())
}

fn show(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "{what:48} {:>9.1?} (10 %: {:.1?}, 90 %: {:.1?}, longest: {:.1?})",
        at(50),
        at(10),
        at(90),
        at(100)
    );
}

fn main() {
    println!("{:48} {:>9.1?}", "the first block of a family", make_one());
    let further =
        || Process::new(make_one, ()).start().expect("a process is to be had").join().expect("it made one");
    show("the first block of a further process", (0..100).map(|_| further()).collect());
    show("each block after that", (0..5000).map(|_| make_one()).collect());
    let (ended, gone): (Vec<_>, Vec<_>) = (0..200).map(|_| kill_one()).unzip();
    show("a killed creator is gone after", ended);
    show("its name is gone after", gone);
}
