//! A producer and a consumer: the stream has an end, and "empty" is not it.
//!
//! Answers:  notebook 6
//! Python:   q = Queue(); q.put(item); while not q.empty(): q.get()
//! Run:      cargo run --example ex06_queue
//! Prints:
//!     produced 5 consumed 5
//!     [12, 7, 42, 3, 99]
//! As in course:
//!     consumed 0 of 5 (empty() is not end-of-stream)

use mp::{Event, Process, Producer, Queue};

const ITEMS: [u32; 5] = [12, 7, 42, 3, 99];

fn produce(queue: Producer<u32>) -> usize {
    ITEMS.iter().filter(|item| queue.put(**item).is_ok()).count()
}

/// Until the last producer is gone, however it went.
fn consume(queue: Queue<u32>) -> Vec<u32> {
    queue.iter().map(|item| item.unwrap()).collect()
}

/// The course's rule: until the queue is empty, which it is before the producer has begun.
fn consume_until_empty(queue: Queue<u32>, looked: Event) -> Vec<u32> {
    let mut items = Vec::new();
    while !queue.empty() {
        items.push(queue.get().unwrap());
    }
    looked.set();
    items
}

pub(crate) fn main() -> mp::Result<()> {
    let (producer, queue) = Queue::counted()?;
    if std::env::args().any(|argument| argument == "--as-in-course") {
        let looked = Event::new()?;
        let consumer = Process::new(consume_until_empty, (queue.clone(), looked.clone())).start()?;
        // The gate that forces the race: the consumer looks first.
        looked.wait();
        let produced = Process::new(produce, (producer,)).start()?.join()?;
        let consumed = consumer.join()?;
        println!("consumed {} of {produced} (empty() is not end-of-stream)", consumed.len());
        assert_eq!((consumed.len(), produced, queue.qsize()), (0, 5, 5));
        return Ok(());
    }
    // The producer first: a forked consumer would hold a copy of it.
    let producing = Process::new(produce, (producer,)).start()?;
    let consuming = Process::new(consume, (queue,)).start()?;
    let (produced, consumed) = (producing.join()?, consuming.join()?);
    println!("produced {produced} consumed {}", consumed.len());
    println!("{consumed:?}");
    assert_eq!((produced, &consumed[..]), (5, &ITEMS[..]));
    Ok(())
}
