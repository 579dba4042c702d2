//! Two processes that read, and only then write, lose one of two additions; under a lock they cannot.
//!
//! Answers:  "paused in the middle of something complicated"
//! Python:   counter += 1 in two threads
//! Run:      cargo run --example ex32_lost_update
//! Prints:
//!     two processes, a lock around both steps: 2
//!     two threads, a lock around both steps: 2
//! As in course:
//!     two processes, both read before either writes: 1
//!     two threads, both read before either writes: 1
//!
//! A switch between the read and the write is rare, so a barrier stands there and makes it happen every time. A model
//! checker needs no barrier: `mp-sync/tests/lost_update.rs` finds the same schedule by itself. Threads and processes
//! fare alike: what is shared can be lost, however it is shared.

use mp::{Barrier, Lock, Process, RawValue};
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
enum Way {
    BothReadFirst(Barrier),
    Locked(Lock),
}

fn add_one(counter: RawValue<u32>, way: Way) {
    match way {
        Way::BothReadFirst(both_have_read) => {
            let seen = counter.get();
            both_have_read.wait().unwrap();
            counter.set(seen + 1);
        }
        Way::Locked(lock) => {
            let _guard = lock.acquire().unwrap();
            counter.set(counter.get() + 1);
        }
    }
}

fn two_processes(way: &Way) -> mp::Result<u32> {
    let counter = RawValue::new(0)?;
    let start = || Process::new(add_one, (counter.clone(), way.clone())).start();
    for child in [start()?, start()?] {
        child.join()?;
    }
    Ok(counter.get())
}

fn two_threads(way: &Way) -> mp::Result<u32> {
    let counter = RawValue::new(0)?;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| add_one(counter.clone(), way.clone()));
        }
    });
    Ok(counter.get())
}

pub(crate) fn main() -> mp::Result<()> {
    let as_in_course = std::env::args().any(|argument| argument == "--as-in-course");
    let (way, what, expected) = if as_in_course {
        (Way::BothReadFirst(Barrier::new(2)?), "both read before either writes", 1)
    } else {
        (Way::Locked(Lock::new()?), "a lock around both steps", 2)
    };
    // The processes first: a fork is refused while threads run.
    let by_processes = two_processes(&way)?;
    let by_threads = two_threads(&way)?;
    println!("two processes, {what}: {by_processes}");
    println!("two threads, {what}: {by_threads}");
    assert_eq!((by_processes, by_threads), (expected, expected));
    Ok(())
}
