//! The other forms of a queue: P17 (`SimpleQueue`), many items at once, bytes, and fixed-size values.

use mp_core::Process;
use mp_core::sys::fd::pipe;
use mp_core::transfer::{Handle, pack, unpack};
use mp_queue::{FixedQueue, GetError, JoinableQueue, PutError, Queue, QueueBuilder, SimpleQueue};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        many_are_put_and_got_in_order,
        what_of_many_was_not_put_comes_back,
        many_of_every_size_cross_segments,
        one_bad_value_of_many_stops_there,
        handles_among_many_go_alone,
        bytes_come_as_they_were_put,
        a_batch_waits_for_its_first_item_only,
        fixed_values_come_as_they_were_put,
        queues_of_another_form_are_refused,
    ],
    every_method: [
        a_simple_queue_has_its_few_calls,
        batches_between_processes_lose_nothing,
        fixed_values_between_processes_lose_nothing,
    ]
}

fn put_two(queue: SimpleQueue<Vec<u32>>) {
    queue.put(vec![1]).unwrap();
    queue.put(vec![2, 3]).unwrap();
}

/// P17
fn a_simple_queue_has_its_few_calls() {
    let queue = SimpleQueue::new().unwrap();
    assert!(queue.empty());
    let child = Process::new(put_two, (queue.clone(),)).start().unwrap();
    child.join().unwrap();
    assert!(!queue.empty());
    assert_eq!(queue.get().unwrap(), [1]);
    assert_eq!(queue.iter().next().unwrap().unwrap(), [2, 3]);
    assert!(queue.empty());
    queue.close();
    queue.close();
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.put(vec![]).unwrap_err().reason, PutError::Closed));
}

fn all<T: serde::de::DeserializeOwned>(queue: &Queue<T>, most: usize) -> Vec<T> {
    queue.try_get_many(most).unwrap().collect::<Result<_, _>>().unwrap()
}

fn many_are_put_and_got_in_order() {
    let queue = Queue::new().unwrap();
    queue.put_many(0..100_u32).unwrap();
    assert_eq!(queue.qsize(), 100);
    assert_eq!(all(&queue, 30), (0..30).collect::<Vec<_>>());
    queue.put(100).unwrap();
    queue.put_many([]).unwrap();
    let batch = queue.get_many(1000).unwrap();
    assert_eq!((batch.len(), queue.qsize()), (71, 0));
    assert_eq!(batch.map(Result::unwrap).collect::<Vec<_>>(), (30..=100).collect::<Vec<_>>());
    assert!(matches!(queue.try_get_many(5), Err(GetError::Empty)));
    assert_eq!(queue.get_many(0).unwrap().len(), 0);
}

fn what_of_many_was_not_put_comes_back() {
    let queue = Queue::bounded(5).unwrap();
    queue.put(0).unwrap();
    let refused = queue.try_put_many(1..10_u32).unwrap_err();
    assert!(matches!(refused.reason, PutError::Full));
    assert_eq!(*refused.value(), [5, 6, 7, 8, 9]);
    let (began, timeout) = (Instant::now(), Duration::from_millis(60));
    let refused = queue.put_many_timeout(refused.into_inner(), timeout).unwrap_err();
    assert!(began.elapsed() >= timeout && refused.value().len() == 5);
    assert_eq!(all(&queue, 9), [0, 1, 2, 3, 4]);
    queue.close();
    assert_eq!(queue.put_many(refused.into_inner()).unwrap_err().into_inner(), [5, 6, 7, 8, 9]);
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + length) as u8).collect()
}

fn many_of_every_size_cross_segments() {
    let queue = Queue::new().unwrap();
    let lengths = [0, 1, 7, 8, 9, 4000, 60_000, 200_000, 300_000, 70, 900_000];
    let items: Vec<Vec<u8>> = (0..4).flat_map(|round| lengths.map(|length| bytes(length + round))).collect();
    for most in [1, 3, 1000] {
        queue.put_many(items.clone()).unwrap();
        let mut got = Vec::new();
        while got.len() < items.len() {
            got.extend(all(&queue, most));
        }
        assert!(got == items, "{most} at a time");
    }
}

/// Those in front of it are in the queue; it and the others come back.
fn one_bad_value_of_many_stops_there() {
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq, Clone)]
    enum Value {
        Good(u32),
        #[serde(skip)]
        Bad,
    }
    let queue = Queue::new().unwrap();
    let refused = queue.put_many([Value::Good(1), Value::Good(2), Value::Bad, Value::Good(3)]).unwrap_err();
    assert!(matches!(refused.reason, PutError::Serialize(_)), "{refused}");
    assert_eq!(refused.into_inner(), [Value::Bad, Value::Good(3)]);
    assert_eq!(all(&queue, 9), [Value::Good(1), Value::Good(2)]);
    // One that can never fit, likewise.
    let queue = QueueBuilder::new().max_bytes(1 << 18).build::<Queue<Vec<u8>>>().unwrap();
    let refused = queue.put_many([bytes(9), bytes(1 << 20), bytes(8)]).unwrap_err();
    assert!(matches!(refused.reason, PutError::TooLarge { bytes } if bytes == 1 << 20), "{refused}");
    assert_eq!(refused.value().len(), 2);
    assert_eq!(all(&queue, 9), [bytes(9)]);
}

fn handles_among_many_go_alone() {
    let queue = Queue::new().unwrap();
    let handle = || Some(Handle::new(pipe().unwrap().0));
    queue.put_many([(1, None), (2, handle()), (3, handle()), (4, None), (5, None)]).unwrap();
    let mut batches = Vec::new();
    while !queue.empty() {
        let batch: Vec<(u32, Option<Handle>)> = all(&queue, 9);
        assert!(batch.iter().all(|(number, handle)| handle.is_some() == (2..=3).contains(number)));
        batches.push(batch.into_iter().map(|(number, _)| number).collect::<Vec<_>>());
    }
    assert_eq!(batches, [vec![1], vec![2], vec![3], vec![4, 5]]);
}

fn bytes_come_as_they_were_put() {
    let queue: Queue<Vec<u8>> = Queue::new().unwrap();
    let mut into = vec![9; 10];
    for length in [0, 1, 64, 5000, 300_000] {
        queue.put_bytes(&bytes(length)).unwrap();
        queue.put(bytes(length)).unwrap();
        assert_eq!(queue.get_bytes_into(&mut into).unwrap(), length);
        assert_eq!(into, bytes(length));
        assert_eq!(queue.get().unwrap(), into);
    }
    assert!(matches!(queue.try_get_bytes_into(&mut into), Err(GetError::Empty)));
    let timeout = Duration::from_millis(20);
    assert!(matches!(queue.get_bytes_into_timeout(&mut into, timeout), Err(GetError::Timeout)));
    queue.shutdown();
    assert!(matches!(queue.put_bytes(b"late"), Err(PutError::Closed)));
    assert!(matches!(queue.get_bytes_into(&mut into), Err(GetError::Closed)));
}

fn a_batch_waits_for_its_first_item_only() {
    let queue = Queue::new().unwrap();
    let timeout = Duration::from_millis(30);
    assert!(matches!(queue.get_many_timeout(5, timeout), Err(GetError::Timeout)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queue.get_many(5).unwrap().len());
        queue.put(1_u8).unwrap();
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

fn fixed_values_come_as_they_were_put() {
    let queue = FixedQueue::bounded(100).unwrap();
    let values: Vec<[u64; 3]> = (0..250).map(|at| [at, at * at, u64::MAX - at]).collect();
    let refused = queue.try_put_many(&values).unwrap_err();
    assert!(matches!(refused.reason, PutError::Full) && refused.put == 100 && queue.full());
    let mut got = vec![queue.get().unwrap()];
    assert_eq!(queue.get_many_into(&mut got, 49).unwrap(), 49);
    queue.put(values[100]).unwrap();
    queue.put_many(&values[101..150]).unwrap();
    assert_eq!(queue.get_many_into(&mut got, 1000).unwrap(), 100);
    assert_eq!(got, values[..150]);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)) && queue.empty());
    assert!(matches!(queue.try_get_many_into(&mut got, 3), Err(GetError::Empty)));
    // None is none, whether there is one or not.
    for items in [0, 1] {
        (0..items).for_each(|_| queue.put(values[0]).unwrap());
        let none = [queue.get_many_into(&mut got, 0), queue.try_get_many_into(&mut got, 0)];
        assert!(none.into_iter().all(|count| count.unwrap() == 0) && got.len() == 150);
        assert_eq!(queue.qsize(), items);
    }
    assert_eq!(queue.get().unwrap(), values[0]);
    queue.shutdown();
    assert!(matches!(queue.put(values[0]).unwrap_err().reason, PutError::Closed));
}

fn queues_of_another_form_are_refused() {
    let message = pack(&Queue::<[u32; 2]>::new().unwrap()).unwrap();
    let (bytes, handles) = (&message.bytes, &message.handles);
    assert!(unpack::<FixedQueue<[u32; 2]>>(bytes, handles.clone()).is_err());
    assert!(unpack::<JoinableQueue<[u32; 2]>>(bytes, handles.clone()).is_err());
    assert!(unpack::<Queue<[u32; 2]>>(bytes, handles.clone()).is_ok());
    let message = pack(&FixedQueue::<[u32; 2]>::new().unwrap()).unwrap();
    assert!(unpack::<FixedQueue<u64>>(&message.bytes, message.handles.clone()).is_err());
    assert!(unpack::<FixedQueue<[u32; 2]>>(&message.bytes, message.handles).is_ok());
}

const EACH: u64 = 20_000;

fn put_batches(queue: Queue<u64>, from: u64) {
    let mut numbers = from..from + EACH;
    for count in (1..).map(|at| at % 70) {
        let batch: Vec<u64> = numbers.by_ref().take(count).collect();
        queue.put_many(batch).unwrap();
        if numbers.is_empty() {
            return;
        }
    }
}

fn take_batches(queue: Queue<u64>, sums: Queue<(u64, u64)>) {
    let (mut count, mut sum) = (0, 0);
    while let Ok(batch) = queue.get_many(50) {
        for number in batch {
            count += 1;
            sum += number.unwrap();
        }
    }
    sums.put((count, sum)).unwrap();
}

fn batches_between_processes_lose_nothing() {
    let (queue, sums) = (Queue::bounded(1000).unwrap(), Queue::new().unwrap());
    let takers: Vec<_> =
        (0..2).map(|_| Process::new(take_batches, (queue.clone(), sums.clone())).start().unwrap()).collect();
    let producers: Vec<_> =
        (0..2).map(|at| Process::new(put_batches, (queue.clone(), at * EACH)).start().unwrap()).collect();
    producers.iter().for_each(|putter| putter.join().unwrap());
    queue.shutdown();
    takers.iter().for_each(|taker| taker.join().unwrap());
    let (count, sum) = (0..2).map(|_| sums.get().unwrap()).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert_eq!((count, sum), (2 * EACH, (0..2 * EACH).sum()));
}

fn put_fixed(queue: FixedQueue<[u64; 8]>, from: u64) {
    (from..from + EACH).for_each(|number| queue.put([number; 8]).unwrap());
}

fn fixed_values_between_processes_lose_nothing() {
    let queue = FixedQueue::new().unwrap();
    let producers: Vec<_> =
        (0..2).map(|at| Process::new(put_fixed, (queue.clone(), at * EACH)).start().unwrap()).collect();
    let mut next = [0, EACH];
    for _ in 0..2 * EACH {
        let item = queue.get().unwrap();
        assert_eq!(item, [item[0]; 8], "torn");
        let from = (item[0] / EACH) as usize;
        assert_eq!(item[0], next[from], "out of order");
        next[from] += 1;
    }
    producers.iter().for_each(|putter| putter.join().unwrap());
    assert!(queue.empty());
}
