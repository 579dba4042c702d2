//! Ten processes print whole lines under a lock; one is killed with it, and the next is told.
//!
//! Python:   with lock: print("hello world", i)
//! Run:      cargo run --example ex24_lock
//! Prints in any order:
//!     hello world 0
//!     hello world 1
//!     hello world 2
//!     hello world 3
//!     hello world 4
//!     hello world 5
//!     hello world 6
//!     hello world 7
//!     hello world 8
//!     hello world 9
//!     most at a time inside: 1
//!     killed with the lock: the next acquirer is told (the holder of the lock died or panicked)

use mp::{Event, Lock, Process, RawValue};

/// (inside now, most that ever were); read and written under the lock only.
type Inside = RawValue<[u32; 2]>;

fn hello(lock: Lock, inside: Inside, i: u32) {
    let _guard = lock.acquire().unwrap();
    let [now, most] = inside.get();
    inside.set([now + 1, most.max(now + 1)]);
    println!("hello world {i}");
    inside.set([inside.get()[0] - 1, inside.get()[1]]);
}

fn hold_for_ever(lock: Lock, held: Event) {
    let _guard = lock.acquire().unwrap();
    held.set();
    loop {
        std::thread::park();
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let (lock, inside) = (Lock::new()?, RawValue::new([0, 0])?);
    let start = |i| Process::new(hello, (lock.clone(), inside.clone(), i)).start();
    let children = (0..10).map(start).collect::<Result<Vec<_>, _>>()?;
    for child in &children {
        child.join()?;
    }
    println!("most at a time inside: {}", inside.get()[1]);

    let held = Event::new()?;
    let holder = Process::new(hold_for_ever, (lock.clone(), held.clone())).start()?;
    held.wait();
    holder.kill()?;
    // Python waits here for ever.
    let told = lock.acquire().expect_err("its holder was killed").to_string();
    println!("killed with the lock: the next acquirer is told ({})", told.split(';').next().unwrap_or(&told));
    Ok(())
}
