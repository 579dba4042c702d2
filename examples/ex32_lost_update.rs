//! Two who read, and only then write, lose one of two additions; under a lock they cannot.
//!
//! Python:   counter += 1 in two threads
//! Run:      cargo run --example ex32_lost_update
//! Prints:
//!     both read before either writes: 1
//!     with a lock around both: 2
//!
//! A switch between the read and the write is rare, so a barrier stands there and makes it happen every time. A model
//! checker needs no barrier: `mp-sync/tests/lost_update.rs` finds the same schedule by itself.

use mp::{Barrier, Lock, Process, RawValue};

fn read_meet_write(counter: RawValue<u32>, between: Barrier) {
    let seen = counter.get();
    between.wait().unwrap();
    counter.set(seen + 1);
}

fn read_write_locked(counter: RawValue<u32>, lock: Lock) {
    let _guard = lock.acquire().unwrap();
    counter.set(counter.get() + 1);
}

pub(crate) fn main() -> mp::Result<()> {
    let counter = RawValue::new(0)?;
    let between = Barrier::new(2)?;
    let start = || Process::new(read_meet_write, (counter.clone(), between.clone())).start();
    for child in [start()?, start()?] {
        child.join()?;
    }
    println!("both read before either writes: {}", counter.get());

    let (counter, lock) = (RawValue::new(0)?, Lock::new()?);
    let start = || Process::new(read_write_locked, (counter.clone(), lock.clone())).start();
    for child in [start()?, start()?] {
        child.join()?;
    }
    println!("with a lock around both: {}", counter.get());
    Ok(())
}
