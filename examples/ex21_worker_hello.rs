//! A worker that is a type of its own, and says hello through a queue.
//!
//! Answers:  cell 3
//! Python:   class Worker(Process): def run(self): self.queue.put("local hello")
//! Run:      cargo run --example ex21_worker_hello
//! Prints:
//!     local hello
//!     Worker-1
//!     0

use mp::{Process, Queue, Run};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Worker {
    queue: Queue<String>,
}

impl Run for Worker {
    type Output = ();

    fn run(self) {
        self.queue.put("local hello".to_owned()).expect("an open queue");
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let queue = Queue::new()?;
    let worker = Process::of(Worker { queue: queue.clone() }).start()?;
    println!("{}", queue.get()?);
    worker.join()?;
    println!("{}", worker.name());
    println!("{}", worker.exitcode().unwrap_or(-1));
    Ok(())
}
