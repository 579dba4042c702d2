//! Coroutines made by hand: each is a value that goes on for one step whenever it is asked, and a loop asks in turn.
//!
//! Answers:  "async, first with generators"
//! Python:   def counter(name): ...; yield; a loop that calls next() on each generator
//! Run:      cargo run --example ex36_async_generators
//! Prints:
//!     A1 B1 A2 B2 A3 B3
//!     threads: 1
//!
//! Rust has no stable generators. An `Iterator` is one that is written out: its fields are what Python's generator
//! keeps between two `yield`s. The next lesson, `ex37_async_library`, prints the same.

use std::collections::{HashSet, VecDeque};
use std::thread::ThreadId;

type Trace = Vec<(String, ThreadId)>;

/// Counts to three, and pauses after each step.
struct Counter {
    name: char,
    step: u32,
}

impl Counter {
    /// Runs until the next pause; `None` at the end.
    fn go_on(&mut self, trace: &mut Trace) -> Option<()> {
        if self.step == 3 {
            return None;
        }
        self.step += 1;
        trace.push((format!("{}{}", self.name, self.step), std::thread::current().id()));
        Some(())
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let mut trace = Trace::new();
    let mut ready = VecDeque::from(['A', 'B'].map(|name| Counter { name, step: 0 }));
    // The loop: the first in the row runs until it pauses, and then stands last.
    while let Some(mut coroutine) = ready.pop_front() {
        if coroutine.go_on(&mut trace).is_some() {
            ready.push_back(coroutine);
        }
    }
    let steps: Vec<&str> = trace.iter().map(|(step, _)| step.as_str()).collect();
    let threads: HashSet<ThreadId> = trace.iter().map(|(_, thread)| *thread).collect();
    println!("{}", steps.join(" "));
    println!("threads: {}", threads.len());
    assert_eq!((steps.len(), threads.len()), (6, 1));
    Ok(())
}
