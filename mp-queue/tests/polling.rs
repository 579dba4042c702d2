//! Queues in `wait()`, beside connections and sentinels.

use mp_core::{Process, Waitable};
use mp_pipe::{PollError, WaitSet, pipe_simplex, try_wait, wait, wait_timeout};
use mp_queue::{FixedQueue, JoinableQueue, Queue, SimpleQueue};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        a_queue_with_an_item_is_ready,
        an_empty_queue_is_not,
        the_end_is_ready,
        each_of_two_pollers_is_told,
        an_item_between_two_waits_is_seen,
        a_set_hears_of_items_and_ends,
        a_set_sees_an_item_between_two_waits,
        of_two_sets_with_one_queue_both_are_told,
    ],
    every_method: [
        queues_wait_beside_connections_and_sentinels,
        a_killed_putter_of_the_last_item_is_noticed,
        a_set_has_queues_beside_connections_and_sentinels,
    ]
}

fn a_queue_with_an_item_is_ready() {
    let (empty, full) = (Queue::<u8>::new().unwrap(), Queue::new().unwrap());
    let (simple, fixed) = (SimpleQueue::new().unwrap(), FixedQueue::new().unwrap());
    let joinable = JoinableQueue::new().unwrap();
    full.put(1_u8).unwrap();
    simple.put(1_u8).unwrap();
    fixed.put(1_u8).unwrap();
    joinable.put(1_u8).unwrap();
    for timeout in [Duration::ZERO, Duration::from_secs(100), Duration::MAX] {
        let ready = wait_timeout(&[&empty, &full, &simple, &fixed, &joinable], timeout);
        assert_eq!(ready.unwrap(), [1, 2, 3, 4]);
    }
    full.get().unwrap();
    fixed.get().unwrap();
    assert_eq!(wait(&[&empty, &full, &simple, &fixed, &joinable]).unwrap(), [2, 4]);
}

fn an_empty_queue_is_not() {
    let queue = Queue::new().unwrap();
    assert!(matches!(try_wait(&[&queue]), Err(PollError::WouldBlock)));
    let (began, timeout) = (Instant::now(), Duration::from_millis(400));
    assert!(matches!(wait_timeout(&[&queue], timeout), Err(PollError::Timeout)));
    assert!(began.elapsed() >= timeout);
    // What was signalled once does not stay.
    for number in 0..10 {
        queue.put(number).unwrap();
        assert_eq!(wait(&[&queue]).unwrap(), [0]);
        assert_eq!(queue.get().unwrap(), number);
        assert!(matches!(wait_timeout(&[&queue], Duration::from_millis(1)), Err(PollError::Timeout)));
    }
}

fn the_end_is_ready() {
    let queue = Queue::<u8>::new().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| wait(&[&queue]).unwrap());
        queue.shutdown();
        assert_eq!(waits.join().unwrap(), [0]);
    });
    let (producer, queue) = Queue::<u8>::counted().unwrap();
    assert!(matches!(try_wait(&[&queue]), Err(PollError::WouldBlock)));
    drop(producer);
    assert_eq!(wait(&[&queue]).unwrap(), [0]);
    let queue = Queue::<u8>::new().unwrap();
    queue.close();
    assert_eq!(wait(&[&queue]).unwrap(), [0]);
}

/// One item for each; each waits, and gets one.
fn each_of_two_pollers_is_told() {
    let queue = Queue::new().unwrap();
    for round in 0..500 {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        assert_eq!(wait(&[&queue]).unwrap(), [0]);
                        if let Ok(got) = queue.try_get() {
                            assert_eq!(got, round);
                            return;
                        }
                    }
                });
            }
            queue.put(round).unwrap();
            queue.put(round).unwrap();
        });
    }
}

/// An item goes back and forth between two waiters, each time for the queue that they are given.
fn back_and_forth(waiting_for: impl Fn(&Queue<u32>, &mut dyn FnMut()) + Sync) {
    let (queue, other) = (Queue::new().unwrap(), Queue::new().unwrap());
    let echo = |from: &Queue<u32>, to: &Queue<u32>| {
        waiting_for(from, &mut || to.put(from.try_get().unwrap() + 1).unwrap());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| echo(&queue, &other));
        queue.put(0).unwrap();
        scope.spawn(|| echo(&other, &queue)).join().unwrap();
    });
    assert_eq!(queue.get().unwrap(), 4_000);
}

fn an_item_between_two_waits_is_seen() {
    back_and_forth(|from, answer| {
        for _ in 0..2_000 {
            assert_eq!(wait(&[from]).unwrap(), [0]);
            answer();
        }
    });
}

fn answer(queue: Queue<u32>, number: u32) {
    queue.put(number).unwrap();
}

fn queues_wait_beside_connections_and_sentinels() {
    let queue = Queue::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let child = Process::new(answer, (queue.clone(), 5)).start().unwrap();
    assert_eq!(wait(&[&receiver, &queue]).unwrap(), [1]);
    assert_eq!(queue.get().unwrap(), 5);
    sender.send(&1).unwrap();
    assert_eq!(wait(&[&receiver, &queue]).unwrap(), [0]);
    assert_eq!(wait(&[&queue, &child.sentinel()]).unwrap(), [1]);
    child.join().unwrap();
}

fn put_and_die(queue: Queue<u32>) {
    queue.put(1).unwrap();
    std::process::abort();
}

fn a_killed_putter_of_the_last_item_is_noticed() {
    let queue = Queue::new().unwrap();
    for _ in 0..5 {
        let child = Process::new(put_and_die, (queue.clone(),)).start().unwrap();
        assert_eq!(wait(&[&queue]).unwrap(), [0]);
        assert_eq!(queue.get().unwrap(), 1);
        assert!(child.join().is_err());
    }
}

/// The queues of a test, by number.
fn set_of(queues: &[Queue<u32>]) -> WaitSet<usize, Queue<u32>> {
    let mut set = WaitSet::new().unwrap();
    queues.iter().enumerate().for_each(|(key, queue)| set.add(key, queue.clone()).unwrap());
    set
}

fn a_set_hears_of_items_and_ends() {
    let queues = [(); 3].map(|()| Queue::new().unwrap());
    // Before any process polls it.
    queues[1].put(1).unwrap();
    let mut set = set_of(&queues);
    for timeout in [Duration::ZERO, Duration::from_secs(100), Duration::MAX] {
        assert_eq!(set.wait_timeout(timeout).unwrap(), [1]);
    }
    assert_eq!(queues[1].get().unwrap(), 1);
    assert!(matches!(set.wait_timeout(Duration::from_millis(1)), Err(PollError::Timeout)));
    queues[2].shutdown();
    assert_eq!(set.wait().unwrap(), [2]);
    assert!(set.remove(&2).is_some());
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| set.wait().unwrap());
        queues[0].put(1).unwrap();
        assert_eq!(waits.join().unwrap(), [0]);
    });
}

fn a_set_sees_an_item_between_two_waits() {
    back_and_forth(|from, answer| {
        let mut set = set_of(std::slice::from_ref(from));
        for _ in 0..2_000 {
            assert_eq!(set.wait().unwrap(), [0]);
            answer();
        }
    });
}

/// One item for each; each waits, and gets one: what one of them settles is no loss for the other.
fn of_two_sets_with_one_queue_both_are_told() {
    let queue = Queue::new().unwrap();
    let mut sets = [(); 2].map(|()| set_of(std::slice::from_ref(&queue)));
    for round in 0..500 {
        std::thread::scope(|scope| {
            for set in &mut sets {
                scope.spawn(|| {
                    while queue.try_get().is_err() {
                        assert_eq!(set.wait().unwrap(), [0]);
                    }
                });
            }
            queue.put(round).unwrap();
            queue.put(round).unwrap();
        });
    }
}

fn a_set_has_queues_beside_connections_and_sentinels() {
    let queue = Queue::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let child = Process::new(answer, (queue.clone(), 5)).start().unwrap();
    let sentinel = child.sentinel();
    let mut set: WaitSet<&str, &dyn Waitable> = WaitSet::new().unwrap();
    set.add("receiver", &receiver).unwrap();
    set.add("queue", &queue).unwrap();
    assert_eq!(set.wait().unwrap(), ["queue"]);
    assert_eq!(queue.get().unwrap(), 5);
    sender.send(&1).unwrap();
    assert_eq!(set.wait().unwrap(), ["receiver"]);
    assert_eq!(receiver.recv().unwrap(), 1);
    set.add("sentinel", &sentinel).unwrap();
    assert_eq!(set.wait().unwrap(), ["sentinel"]);
    child.join().unwrap();
}
