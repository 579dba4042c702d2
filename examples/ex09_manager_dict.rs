//! Ten processes fill one dict; and what it takes to count in one.
//!
//! Answers:  notebook 9
//! Python:   d = Manager().dict(); d[i] = i * 2
//! Run:      cargo run --example ex09_manager_dict
//! Prints:
//!     {0: 0, 1: 2, 2: 4, 3: 6, 4: 8, 5: 10, 6: 12, 7: 14, 8: 16, 9: 18}
//!     started 10 before first end
//!     counter 10 with lock
//!     counter 10 with update
//! As in course:
//!     counter 1 of 10: read, then write, is two steps

use mp::{Barrier, Child, DictProxy, LockProxy, Manager, Process, Value};
use std::collections::BTreeMap;

type Numbers = DictProxy<u32, u32>;
/// The key of the counter.
const N: u32 = 100;

fn worker(results: Numbers, key: u32, started: Value<u32>, all_have_started: Barrier) -> u32 {
    started.update(|count| *count += 1);
    all_have_started.wait().unwrap();
    results.insert(key, 2 * key).unwrap();
    started.get()
}

fn add_one(results: Numbers, lock: LockProxy) {
    let _guard = lock.acquire().unwrap();
    let count = results.get(&N).unwrap().unwrap();
    results.insert(N, count + 1).unwrap();
}

fn add_one_in_one_step(results: Numbers) {
    results.update(&N, |count: Option<u32>| count.map(|count| count + 1)).unwrap();
}

/// Every process has read before any writes.
fn add_one_without_lock(results: Numbers, all_have_read: Barrier) {
    let count = results.get(&N).unwrap().unwrap();
    all_have_read.wait().unwrap();
    results.insert(N, count + 1).unwrap();
}

fn ten<R: serde::de::DeserializeOwned>(
    start: impl Fn(u32) -> Result<Child<R>, mp::StartError>,
) -> mp::Result<Vec<R>> {
    let children: Vec<Child<R>> = (0..10).map(start).collect::<Result<_, _>>()?;
    Ok(children.iter().map(Child::join).collect::<Result<_, _>>()?)
}

pub(crate) fn main() -> mp::Result<()> {
    let manager = Manager::start()?;
    let results: Numbers = manager.dict()?;
    let barrier = Barrier::new(10)?;
    if std::env::args().any(|argument| argument == "--as-in-course") {
        results.insert(N, 0)?;
        ten(|_| Process::new(add_one_without_lock, (results.clone(), barrier.clone())).start())?;
        let count = results.get(&N)?.unwrap_or_default();
        println!("counter {count} of 10: read, then write, is two steps");
        assert_eq!(count, 1);
        return Ok(());
    }
    let started = Value::new(0)?;
    let work = |key| (results.clone(), key, started.clone(), barrier.clone());
    let seen = ten(|key| Process::new(worker, work(key)).start())?;
    let filled: BTreeMap<u32, u32> = results.items()?.into_iter().collect();
    println!("{filled:?}");
    let fewest = seen.into_iter().min().unwrap_or_default();
    println!("started {fewest} before first end");
    assert!(fewest == 10 && filled.into_iter().eq((0..10).map(|key| (key, 2 * key))));

    let lock = manager.lock()?;
    results.insert(N, 0)?;
    ten(|_| Process::new(add_one, (results.clone(), lock.clone())).start())?;
    let locked = results.insert(N, 0)?.unwrap_or_default();
    println!("counter {locked} with lock");
    ten(|_| Process::new(add_one_in_one_step, (results.clone(),)).start())?;
    let updated = results.get(&N)?.unwrap_or_default();
    println!("counter {updated} with update");
    assert_eq!((locked, updated), (10, 10));
    Ok(())
}
