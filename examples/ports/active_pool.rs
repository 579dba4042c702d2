//! At most three of nine processes are active at a time: a semaphore keeps the others out. Beside `active_pool.py`.

use mp::{Barrier, Process, Semaphore, Value};

/// How many are active, and the most that were at a time.
#[derive(Clone, Copy, mp::Shareable)]
#[repr(C)]
struct Active {
    now: u32,
    most: u32,
}

fn work(permits: Semaphore, active: Value<Active>, all_three: Barrier) {
    let _permit = permits.acquire();
    active.update(|active| {
        active.now += 1;
        active.most = active.most.max(active.now);
    });
    // Three are inside at once, and no accident: each waits for two others.
    all_three.wait().expect("none of them dies");
    active.update(|active| active.now -= 1);
}

pub(crate) fn main() -> mp::Result<()> {
    let (permits, all_three) = (Semaphore::new(3)?, Barrier::new(3)?);
    let active = Value::new(Active { now: 0, most: 0 })?;
    let start = |_| Process::new(work, (permits.clone(), active.clone(), all_three.clone())).start();
    let children = (0..9).map(start).collect::<Result<Vec<_>, _>>()?;
    for child in &children {
        child.join()?;
    }
    let active = active.get();
    println!("{} processes, most active at a time: {}, now: {}", children.len(), active.most, active.now);
    Ok(())
}
