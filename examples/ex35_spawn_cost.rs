//! What it costs to start a thread and a process, and what a new process has of the old one's memory.
//!
//! Answers:  "a process is a complete copy of the program"
//! Python:   Thread(target=f).start(), get_context("fork").Process(target=f).start(), "spawn"
//! Run:      cargo run --example ex35_spawn_cost
//! Prints:
//!     Fork: 9 of 9 ran, 9 see the parent's memory, 0 have a copy of it
//!     Spawn: 9 of 9 ran, 0 see the parent's memory, 0 have a copy of it
//!     ForkServer: 9 of 9 ran, 0 see the parent's memory, 0 have a copy of it
//!     threads: 9 of 9 ran, and share them
//!
//! No start "copies the program": a fork shares all pages until one side writes to them, and the others begin afresh.
//! The median time of a start with its join is on standard error, and what memory a process has for itself.

use mp::{Context, StartMethod};
use std::sync::OnceLock;
use std::time::Instant;

const TIMES: usize = 9;
const BYTES: usize = 64 << 20;
static MEMORY: OnceLock<Vec<u8>> = OnceLock::new();

/// Whether the parent's bytes are here, and how many bytes this process has for itself alone.
fn look() -> (bool, usize) {
    let sees = MEMORY.get().is_some_and(|bytes| bytes.iter().step_by(4096).all(|byte| *byte == 7));
    let memory = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let private = memory.lines().filter(|line| line.starts_with("Private_"));
    let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    (sees, kib.sum::<usize>() << 10)
}

pub(crate) fn main() -> mp::Result<()> {
    MEMORY.get_or_init(|| vec![7; BYTES]);
    // The processes first: a fork is refused while threads run.
    for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
        let (mut times, mut children) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let began = Instant::now();
            children.push(Context::new(method).process(look, ()).start()?.join()?);
            times.push(began.elapsed());
        }
        let (ran, see) = (children.len(), children.iter().filter(|(sees, _)| *sees).count());
        let copied = children.iter().filter(|(_, private)| *private > BYTES / 4).count();
        println!(
            "{method:?}: {ran} of {TIMES} ran, {see} see the parent's memory, {copied} have a copy of it"
        );
        times.sort_unstable();
        eprintln!("{method:?}: {:?}, {} KiB of its own", times[TIMES / 2], children[0].1 >> 10);
    }
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        assert!(std::thread::spawn(|| look().0).join().expect("it does not panic"));
        times.push(began.elapsed());
    }
    println!("threads: {} of {TIMES} ran, and share them", times.len());
    times.sort_unstable();
    eprintln!("threads: {:?}, and no memory of their own but a stack", times[TIMES / 2]);
    Ok(())
}
