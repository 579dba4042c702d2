//! One counter, two ways: messages to the process that owns it, or a lock that each process takes. Both are exact.
//!
//! Answers:  "message pump" or locks
//! Python:   queue.put(1) to one process; with value.get_lock(): value.value += 1
//! Run:      cargo run --example ex55_pump_vs_lock
//! Prints:
//!     4 processes, 250 each, by messages: 1000
//!     4 processes, 250 each, by a lock: 1000
//!
//! What becomes of it with neither: `ex32_lost_update`, and the model in `mp-sync/tests/lost_update.rs`.

use mp::{Process, Queue, Value};

const EACH: u32 = 250;

/// No other process touches the number, so it needs no lock.
fn pump(messages: Queue<u32>, expected: u32) -> u32 {
    (0..expected).map(|_| messages.get().unwrap()).sum()
}

fn send(messages: Queue<u32>) {
    for _ in 0..EACH {
        messages.put(1).unwrap();
    }
}

fn count(number: Value<u32>) {
    for _ in 0..EACH {
        number.update(|number| *number += 1);
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let messages = Queue::new()?;
    let owner = Process::new(pump, (messages.clone(), 4 * EACH)).start()?;
    let start = |_| Process::new(send, (messages.clone(),)).start();
    for child in (0..4).map(start).collect::<Result<Vec<_>, _>>()? {
        child.join()?;
    }
    let by_messages = owner.join()?;
    println!("4 processes, {EACH} each, by messages: {by_messages}");

    let number = Value::new(0)?;
    let start = |_| Process::new(count, (number.clone(),)).start();
    for child in (0..4).map(start).collect::<Result<Vec<_>, _>>()? {
        child.join()?;
    }
    println!("4 processes, {EACH} each, by a lock: {}", number.get());
    assert_eq!((by_messages, number.get()), (4 * EACH, 4 * EACH));
    Ok(())
}
