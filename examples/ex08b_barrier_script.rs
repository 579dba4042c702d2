//! Main does not wait for its children, and their barrier does not end with it.
//!
//! Answers:  the script 8sincronizar_procesos_barrier.py
//! Python:   8sincronizar_procesos_barrier.py
//! Run:      cargo run --example ex08b_barrier_script
//! Prints in any order:
//!     p1 - met the other
//!     p2 - met the other
//!     p3 - went on alone
//!     p4 - went on alone
//! As in course:
//!     p1 - broken
//!     p2 - broken
//!     p3 was killed before it came again
//!
//! In Python, under `spawn`, main's exit removes the barrier before the children have opened it.

use mp::{Barrier, Event, Lock, Process};

fn meet(name: String, barrier: Barrier, lock: Lock, go: Event) {
    go.wait();
    let met = barrier.wait().is_ok();
    let _one_at_a_time = lock.acquire().unwrap();
    println!("{name} - {}", if met { "met the other" } else { "broken" });
}

fn pass(name: String, lock: Lock, go: Event) {
    go.wait();
    let _one_at_a_time = lock.acquire().unwrap();
    println!("{name} - went on alone");
}

/// A process takes part from its first wait on: so all three meet once before.
fn meet_again(name: String, barrier: Barrier, lock: Lock, go: Event) {
    barrier.wait().unwrap();
    meet(name, barrier, lock, go);
}

fn never_come_again(barrier: Barrier, ready: Event) {
    barrier.wait().unwrap();
    ready.set();
    loop {
        std::thread::park();
    }
}

pub(crate) fn main() -> mp::Result<()> {
    if std::env::args().any(|argument| argument == "--as-in-course") {
        return a_party_is_killed();
    }
    let (barrier, lock, go) = (Barrier::new(2)?, Lock::new()?, Event::new()?);
    for name in ["p1", "p2"] {
        Process::new(meet, (name.to_owned(), barrier.clone(), lock.clone(), go.clone())).start()?;
    }
    for name in ["p3", "p4"] {
        Process::new(pass, (name.to_owned(), lock.clone(), go.clone())).start()?;
    }
    // main drops its handles before any child uses its own.
    drop((barrier, lock));
    go.set();
    Ok(())
}

/// In Python the other two wait for ever.
fn a_party_is_killed() -> mp::Result<()> {
    let (barrier, lock, ready, go) = (Barrier::new(3)?, Lock::new()?, Event::new()?, Event::new()?);
    let start = |name: &str, go: &Event| {
        Process::new(meet_again, (name.to_owned(), barrier.clone(), lock.clone(), go.clone())).start()
    };
    let victim = Process::new(never_come_again, (barrier.clone(), ready.clone())).start()?;
    let (p1, p2) = (start("p1", &ready)?, start("p2", &go)?);
    ready.wait();
    while barrier.n_waiting() < 1 {
        std::thread::yield_now();
    }
    victim.kill()?;
    p1.join()?;
    go.set();
    p2.join()?;
    println!("p3 was killed before it came again");
    assert!(barrier.broken());
    Ok(())
}
