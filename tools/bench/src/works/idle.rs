//! What waiting costs: the share of a CPU that idle getters of one queue take, for a hundred of them.

use super::measure::text;
use super::peers::pythons_once;
use super::processes::cpu_time_of;
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::{Child, Process, StartMethod};
use mp_queue::Queue;
use mp_sync::Semaphore;
use std::thread::sleep;
use std::time::{Duration, Instant};

const WAITERS: usize = 100;
/// Until they have all come to rest, and how long they are watched.
const SETTLING: Duration = Duration::from_millis(1500);
const WATCHED: Duration = Duration::from_secs(6);
const COMING: Duration = Duration::from_secs(30);

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![Work {
        metric: "W3.idle_cpu".to_owned(),
        unit: "%/100",
        rate: false,
        peers: vec![Peer::new("mp", ours), pythons_once(python, format!("W3.idle_cpu {WAITERS}"))],
    }]
}

fn wait_for_one(queue: Queue<u8>, there: Semaphore) {
    there.release().expect("far fewer waiters than permits");
    queue.get().expect("one comes in the end");
}

fn ours() -> Result<f64, String> {
    let (queue, there) = (Queue::new().map_err(text)?, Semaphore::new(0).map_err(text)?);
    let start = |_| {
        let waiter = Process::new(wait_for_one, (queue.clone(), there.clone()));
        waiter.method(StartMethod::ForkServer).start().map_err(text)
    };
    let waiters: Vec<Child<()>> = (0..WAITERS).map(start).collect::<Result<_, _>>()?;
    for _ in 0..WAITERS {
        there.acquire_timeout(COMING).map_err(|_| "a waiter did not come")?.keep();
    }
    sleep(SETTLING);
    let taken = || cpu_time_of(waiters.iter().map(Child::pid));
    let (began, before) = (Instant::now(), taken()?);
    sleep(WATCHED);
    let (took, after) = (began.elapsed(), taken()?);
    for _ in 0..WAITERS {
        queue.put(0).map_err(text)?;
    }
    waiters.into_iter().try_for_each(|waiter| waiter.join().map_err(text))?;
    let share = (after - before).as_secs_f64() / took.as_secs_f64();
    Ok(share * 100.0 * 100.0 / WAITERS as f64)
}
