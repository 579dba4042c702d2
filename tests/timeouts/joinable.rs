//! The calls of a queue on a joinable one, and many from a counted producer.

use super::{Scene, kept};
use mp::{JoinableQueue, Producer, Queue, QueueBuilder};
use std::time::Duration;

/// Waits for an item in an empty queue.
fn getting(wait: fn(&JoinableQueue<Vec<u8>>, Duration) -> bool) -> Scene {
    let queue = kept(JoinableQueue::new().unwrap());
    Scene::new(move |timeout| wait(queue, timeout), || queue.put(vec![7]).unwrap())
}

/// Waits for room in a full queue.
fn putting(wait: fn(&JoinableQueue<Vec<u8>>, Duration) -> bool) -> Scene {
    let queue = kept(JoinableQueue::bounded(1).unwrap());
    queue.put(vec![1]).unwrap();
    Scene::new(move |timeout| wait(queue, timeout), || drop(queue.get().unwrap()))
}

pub(super) fn get() -> Scene {
    getting(|queue, timeout| queue.get_timeout(timeout).is_ok())
}

pub(super) fn get_many() -> Scene {
    getting(|queue, timeout| queue.get_many_timeout(3, timeout).is_ok())
}

pub(super) fn get_bytes() -> Scene {
    getting(|queue, timeout| queue.get_bytes_into_timeout(&mut Vec::new(), timeout).is_ok())
}

pub(super) fn put() -> Scene {
    putting(|queue, timeout| queue.put_timeout(vec![2], timeout).is_ok())
}

pub(super) fn put_many() -> Scene {
    putting(|queue, timeout| queue.put_many_timeout([vec![2]], timeout).is_ok())
}

pub(super) fn put_bytes() -> Scene {
    putting(|queue, timeout| queue.put_bytes_timeout(b"two", timeout).is_ok())
}

pub(super) fn producer_put_many() -> Scene {
    let (producer, queue): (Producer<u8>, Queue<u8>) = QueueBuilder::new().max_items(1).build().unwrap();
    producer.put(1).unwrap();
    let come = move || {
        queue.get().unwrap();
        std::mem::forget(queue);
    };
    Scene::new(move |timeout| producer.put_many_timeout([2], timeout).is_ok(), come)
}
