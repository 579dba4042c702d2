//! Consumers of a joinable queue end when they get a pill, which is put in once for each. Beside `poison_pills.py`.
//!
//! `join` of the queue comes back when all is done; were a consumer killed with a task, it would say so, where Python's
//! waits for ever.

use mp::{JoinableQueue, Process, Queue};

/// A task, or a pill.
type Message = Option<(u32, u32)>;

const CONSUMERS: u32 = 2;

fn consume(tasks: JoinableQueue<Message>, results: Queue<String>) -> bool {
    loop {
        // Reported as done when it is dropped.
        let task = tasks.get_task().expect("an open queue");
        match *task {
            Some((a, b)) => results.put(format!("{a} * {b} = {}", a * b)).expect("an open queue"),
            None => return true,
        }
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let (tasks, results) = (JoinableQueue::new()?, Queue::new()?);
    let start = |_| Process::new(consume, (tasks.clone(), results.clone())).start();
    let consumers = (0..CONSUMERS).map(start).collect::<Result<Vec<_>, _>>()?;
    for i in 0..10 {
        tasks.put(Some((i, i)))?;
    }
    for _ in 0..CONSUMERS {
        tasks.put(None)?;
    }
    tasks.join()?;
    println!("all tasks are done");
    let mut lines = (0..10).map(|_| results.get()).collect::<Result<Vec<_>, _>>()?;
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
    let mut ended = 0;
    for consumer in &consumers {
        ended += u32::from(consumer.join()?);
    }
    println!("{ended} consumers took a pill");
    Ok(())
}
