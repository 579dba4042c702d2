//! Ten processes print whole lines under a lock; one is killed with it, and the next is told and goes on.
//!
//! Answers:  cell 6
//! Python:   with lock: print("hello world", i)
//! Run:      cargo run --example ex24_lock_hello
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
//!     abandoned: the next one is told that the holder died
//!     then progress: true
//! As in course:
//!     without the lock, most at a time inside: 10
//!
//! Without a barrier ten processes are seldom all inside at once; the barrier makes it happen every time.
//! The models `lock_*` in `mp-sync/tests/loom.rs` explore every schedule of a lock, with a death at every access.

use mp::{Barrier, Event, Lock, Process, RawValue, Value};

/// (inside now, most that ever were)
type Inside = [u32; 2];

fn enter([now, most]: Inside) -> Inside {
    [now + 1, most.max(now + 1)]
}

/// The lock is all that keeps the counts: read, then written.
fn hello(lock: Lock, inside: RawValue<Inside>, i: u32) {
    let _guard = lock.acquire().unwrap();
    inside.set(enter(inside.get()));
    println!("hello world {i}");
    let [now, most] = inside.get();
    inside.set([now - 1, most]);
}

/// No lock keeps others out, so the counts have a lock of their own.
fn hello_without_lock(inside: Value<Inside>, all_are_inside: Barrier) {
    inside.update(|counts| *counts = enter(*counts));
    all_are_inside.wait().unwrap();
    inside.update(|[now, _]| *now -= 1);
}

fn hold_for_ever(lock: Lock, held: Event) {
    let _guard = lock.acquire().unwrap();
    held.set();
    loop {
        std::thread::park();
    }
}

pub(crate) fn main() -> mp::Result<()> {
    if std::env::args().any(|argument| argument == "--as-in-course") {
        return without_lock();
    }
    let (lock, inside) = (Lock::new()?, RawValue::new([0, 0])?);
    let start = |i| Process::new(hello, (lock.clone(), inside.clone(), i)).start();
    for child in (0..10).map(start).collect::<Result<Vec<_>, _>>()? {
        child.join()?;
    }
    let [now, most] = inside.get();
    println!("most at a time inside: {most}");

    let held = Event::new()?;
    let holder = Process::new(hold_for_ever, (lock.clone(), held.clone())).start()?;
    held.wait();
    holder.kill()?;
    // Python waits here for ever.
    let told = lock.acquire().expect_err("its holder was killed");
    println!("abandoned: the next one is told that the holder died");
    told.into_guard().clear_owner_died();
    let progress = Process::new(|lock: Lock| lock.acquire().is_ok(), (lock.clone(),)).start()?.join()?;
    println!("then progress: {progress}");
    assert_eq!((now, most, progress), (0, 1, true));
    Ok(())
}

fn without_lock() -> mp::Result<()> {
    let (inside, all_are_inside) = (Value::new([0, 0])?, Barrier::new(10)?);
    let start = |_| Process::new(hello_without_lock, (inside.clone(), all_are_inside.clone())).start();
    for child in (0..10).map(start).collect::<Result<Vec<_>, _>>()? {
        child.join()?;
    }
    let [now, most] = inside.get();
    println!("without the lock, most at a time inside: {most}");
    assert_eq!((now, most), (0, 10));
    Ok(())
}
