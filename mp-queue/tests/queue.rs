//! Mirrors CPython's `_TestQueue`: P12 to P16; and what its queue does not survive.
//!
//! Elsewhere: forms.rs has `SimpleQueue` (P17), the fixed-size form and batches, joinable.rs `JoinableQueue`,
//! polling.rs `wait()`, handles.rs what goes with an item, kills.rs random kills, memory.rs what a queue
//! takes of the system. The kill sweep is mp-sweep.

use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{Child, CodecError, JoinError, Process};
use mp_queue::{GetError, Producer, PutError, Queue, QueueBuilder};
use mp_testing::{limited, open_descriptors, random};
use nix::sys::resource::Resource;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        sizes_follow_puts_and_gets,
        an_empty_queue_says_so_after_the_timeout,
        closed_means_closed,
        messages_of_every_size_around_the_segments,
        a_backlog_grows_and_drains,
        what_can_never_fit_is_refused_at_once,
        a_ceiling_is_full_and_not_out_of_memory,
        one_item_takes_nearly_all_of_the_ceiling,
        threads_put_and_get_everything_once,
        a_call_while_the_thread_unwinds_is_as_any_other,
        a_value_that_cannot_be_serialised_comes_back,
        undecodable_items_do_not_end_the_stream,
        what_cannot_come_back_is_refused_by_put,
        handles_travel_in_items,
        more_handles_than_fit_are_refused,
        handles_beyond_the_limit_of_open_files_wait_in_the_queue,
        close_ends_the_waits,
        iteration_ends_after_what_cannot_be_overcome,
        a_shut_queue_is_drained_and_then_closed,
        another_item_type_is_refused,
        stale_packets_of_a_killed_putter_match_nothing,
    ],
    every_method: [
        a_bounded_queue_is_full_and_empty_again,
        a_child_puts_in_order,
        four_and_four_lose_nothing,
        a_child_is_joined_before_its_item_is_got,
        killed_idle_getters_harm_no_other_process,
        killed_putters_leave_whole_items,
        killed_getters_take_one_item_at_most,
        the_last_producer_ends_the_stream,
        a_killed_producer_ends_the_stream,
        queues_travel_in_queues,
    ]
}

fn take_six(queue: Queue<u32>) -> Vec<u32> {
    (0..6).map(|_| queue.get().unwrap()).collect()
}

/// P12
fn a_bounded_queue_is_full_and_empty_again() {
    let queue = Queue::bounded(6).unwrap();
    assert!(queue.empty() && !queue.full());
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.put_timeout(3, Duration::from_secs(100)).unwrap();
    queue.put_timeout(4, Duration::ZERO).unwrap();
    queue.try_put(5).unwrap();
    queue.try_put(6).unwrap();
    assert!(queue.full() && !queue.empty());
    let refused = queue.try_put(7).unwrap_err();
    assert!(matches!(refused.reason, PutError::Full));
    assert_eq!(refused.into_inner(), 7);
    let (began, timeout) = (Instant::now(), Duration::from_millis(80));
    assert!(matches!(queue.put_timeout(7, timeout).unwrap_err().reason, PutError::Timeout));
    assert!(began.elapsed() >= timeout);
    let child = Process::new(take_six, (queue.clone(),)).start().unwrap();
    assert_eq!(child.join().unwrap(), [1, 2, 3, 4, 5, 6]);
    assert!(queue.empty() && !queue.full());
}

fn put_five(queue: Queue<u32>) {
    (1..=5).for_each(|number| queue.put(number).unwrap());
}

/// P13
fn a_child_puts_in_order() {
    let queue = Queue::new().unwrap();
    let child = Process::new(put_five, (queue.clone(),)).start().unwrap();
    assert_eq!(queue.get().unwrap(), 1);
    child.join().unwrap();
    assert_eq!(queue.try_get().unwrap(), 2);
    assert_eq!(queue.get_timeout(Duration::from_secs(100)).unwrap(), 3);
    assert_eq!(queue.get_timeout(Duration::ZERO).unwrap(), 4);
    assert_eq!(queue.get().unwrap(), 5);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(Duration::from_millis(30)), Err(GetError::Timeout)));
}

/// P14
fn sizes_follow_puts_and_gets() {
    let queue = Queue::new().unwrap();
    assert_eq!(queue.qsize(), 0);
    for (put, size) in [(true, 1), (true, 2), (false, 1), (false, 0)] {
        if put {
            queue.put(1).unwrap()
        } else {
            assert_eq!(queue.get().unwrap(), 1)
        };
        assert_eq!(queue.qsize(), size);
    }
    // An unbounded queue is never full.
    assert!(!queue.full());
}

/// P15
fn an_empty_queue_says_so_after_the_timeout() {
    let (queue, began) = (Queue::<u8>::new().unwrap(), Instant::now());
    let timeout = Duration::from_millis(200);
    assert!(matches!(queue.get_timeout(timeout), Err(GetError::Timeout)));
    assert!(began.elapsed() >= timeout);
}

/// P16
fn closed_means_closed() {
    let queue = Queue::new().unwrap();
    queue.put(1).unwrap();
    queue.close();
    queue.close();
    assert!(matches!(queue.put(2).unwrap_err().reason, PutError::Closed));
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    assert!(matches!(queue.clone().try_get(), Err(GetError::Closed)));
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + length) as u8).collect()
}

fn messages_of_every_size_around_the_segments() {
    let queue = Queue::new().unwrap();
    for round in 0..3 {
        for segment in [256 << 10, 512 << 10, 1 << 20, 4 << 20] {
            for around in [-40_i64, -25, -24, -17, -16, -8, -1, 0, 1, 8] {
                let item = bytes((segment + around + round) as usize);
                queue.put(item.clone()).unwrap();
                assert_eq!(queue.get().unwrap(), item);
            }
        }
        for length in 0..200 {
            queue.put(bytes(length)).unwrap();
            assert_eq!(queue.get().unwrap(), bytes(length));
        }
    }
}

fn a_backlog_grows_and_drains() {
    let queue = Queue::new().unwrap();
    // More than once, so that large segments are left and come into use again.
    for _ in 0..3 {
        for number in 0..60_000_u64 {
            queue.put((number, bytes((number % 300) as usize))).unwrap();
        }
        assert_eq!(queue.qsize(), 60_000);
        for number in 0..60_000_u64 {
            assert_eq!(queue.get().unwrap(), (number, bytes((number % 300) as usize)));
        }
        assert!(queue.empty());
    }
}

fn what_can_never_fit_is_refused_at_once() {
    let queue = QueueBuilder::new().max_bytes(1 << 20).build::<Queue<Vec<u8>>>().unwrap();
    let refused = queue.put(bytes(2 << 20)).unwrap_err();
    assert!(matches!(refused.reason, PutError::TooLarge { .. }), "{refused}");
    assert_eq!(refused.value().len(), 2 << 20);
    queue.put(bytes(1000)).unwrap();
    assert_eq!(queue.get().unwrap(), bytes(1000));
}

/// It waits for what is in front of it, also while others put and get.
fn one_item_takes_nearly_all_of_the_ceiling() {
    fn take(queue: Queue<Vec<u8>>) -> Vec<usize> {
        std::iter::repeat_with(|| queue.get().unwrap().len()).take_while(|length| *length > 0).collect()
    }
    // Also where it is no power of two, and no multiple of a page.
    for ceiling in [1 << 20, 3 << 20, 2_500_000] {
        let queue = QueueBuilder::new().max_bytes(ceiling).build::<Queue<Vec<u8>>>().unwrap();
        queue.put(bytes(10)).unwrap();
        let large = ceiling / 4096 * 4096 - 16;
        assert!(matches!(queue.try_put(bytes(large)).unwrap_err().reason, PutError::Full));
        let child = Process::new(take, (queue.clone(),)).start().unwrap();
        let sent = [large, 500, large - 1000, 900, large];
        sent.iter().for_each(|length| queue.put(bytes(*length)).unwrap());
        queue.put(vec![]).unwrap();
        assert_eq!(child.join().unwrap(), [&[10], &sent[..]].concat());
    }
}

fn a_ceiling_is_full_and_not_out_of_memory() {
    let queue = QueueBuilder::new().max_bytes(1 << 20).build::<Queue<Vec<u8>>>().unwrap();
    let mut put = 0;
    let refused = loop {
        match queue.try_put(bytes(1000)) {
            Ok(()) => put += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused.reason, PutError::Full), "{refused}");
    assert!(put > 500, "{put}");
    for _ in 0..put {
        assert_eq!(queue.get().unwrap(), bytes(1000));
    }
}

/// By a destructor. The thread goes on afterwards, and so do all others.
fn a_call_while_the_thread_unwinds_is_as_any_other() {
    struct AtTheEnd(Queue<u32>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.put(1).unwrap();
            self.0.put(2).unwrap();
            assert_eq!(self.0.get().unwrap(), 1);
        }
    }
    let queue = Queue::new().unwrap();
    let end = AtTheEnd(queue.clone());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _end = end;
        panic!("on purpose");
    }));
    assert!(caught.is_err());
    assert_eq!(queue.get_timeout(Duration::from_secs(100)).unwrap(), 2);
    queue.put_timeout(3, Duration::from_secs(100)).unwrap();
    assert_eq!(queue.try_get().unwrap(), 3);
}

fn threads_put_and_get_everything_once() {
    let queue = Queue::bounded(7).unwrap();
    let mut got: Vec<u32> = std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = queue.clone();
            scope.spawn(move || (0..2_000).for_each(|number| queue.put(thread * 2_000 + number).unwrap()));
        }
        let get = || (0..2_000).map(|_| queue.get().unwrap()).collect::<Vec<u32>>();
        let consumers: Vec<_> = (0..4).map(|_| scope.spawn(get)).collect();
        consumers.into_iter().flat_map(|getter| getter.join().unwrap()).collect()
    });
    got.sort_unstable();
    assert_eq!(got, (0..8_000).collect::<Vec<u32>>());
}

#[derive(Debug)]
struct Unwilling;

impl Serialize for Unwilling {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwilling"))
    }
}

fn a_value_that_cannot_be_serialised_comes_back() {
    let queue = Queue::<Unwilling>::new().unwrap();
    let refused = queue.put(Unwilling).unwrap_err();
    assert!(matches!(refused.reason, PutError::Serialize(CodecError::Serialize { .. })));
    assert!(queue.empty());
}

impl<'de> Deserialize<'de> for Unwilling {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Unwilling)
    }
}

/// Says it is a number and is none, once it is read back.
#[derive(Serialize, Debug, PartialEq)]
struct Picky(u8);

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if number == 13 { Err(serde::de::Error::custom("not that one")) } else { Ok(Picky(number)) }
    }
}

fn undecodable_items_do_not_end_the_stream() {
    let queue = Queue::new().unwrap();
    (12..=14).for_each(|number| queue.put(Picky(number)).unwrap());
    assert_eq!(queue.get().unwrap(), Picky(12));
    assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    assert_eq!(queue.get().unwrap(), Picky(14));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { x: i32 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    #[serde(skip_serializing_if = "String::is_empty", default)]
    nick: String,
    name: Option<String>,
}

fn what_cannot_come_back_is_refused_by_put() {
    let queue = Queue::new().unwrap();
    let refused = queue.put(Tagged::One { x: 1 }).unwrap_err();
    assert!(matches!(refused.reason, PutError::Serialize(_)) && *refused.value() == Tagged::One { x: 1 });
    assert!(refused.to_string().contains("describes itself"), "{refused}");
    assert!(queue.empty());

    let queue = Queue::new().unwrap();
    let whole = User { nick: "n".into(), name: None };
    let cut = User { nick: String::new(), name: Some("\0".into()) };
    let refused = queue.put_many([whole, cut]).unwrap_err();
    assert_eq!((refused.value().len(), queue.qsize()), (1, 1));
    assert!(refused.to_string().contains("`nick` of User"), "{refused}");
}

fn handles_travel_in_items() {
    let queue = Queue::<(u32, Option<Handle>)>::new().unwrap();
    for number in 0..300 {
        let (read, write) = pipe().unwrap();
        queue.put((number, Some(Handle::new(write)))).unwrap();
        queue.put((number + 1, None)).unwrap();
        let (back, handle) = queue.get().unwrap();
        assert_eq!((back, queue.get().unwrap().0), (number, number + 1));
        File::from(handle.unwrap().into_fd().unwrap()).write_all(b"there").unwrap();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "there");
    }
}

fn more_handles_than_fit_are_refused() {
    let queue = Queue::<Vec<Handle>>::new().unwrap();
    let handles = |count| (0..count).map(|_| Handle::new(pipe().unwrap().0)).collect::<Vec<_>>();
    queue.put(handles(mp_queue::MOST_HANDLES)).unwrap();
    assert_eq!(queue.get().unwrap().len(), mp_queue::MOST_HANDLES);
    let refused = queue.put(handles(mp_queue::MOST_HANDLES + 1)).unwrap_err();
    assert!(matches!(refused.reason, PutError::TooManyHandles { count: 251 }), "{refused}");
}

/// Row 8: an error, nothing lost, nothing leaked.
fn handles_beyond_the_limit_of_open_files_wait_in_the_queue() {
    let queue = Queue::<Vec<Handle>>::new().unwrap();
    let handles: Vec<Handle> = (0..20).map(|_| Handle::new(pipe().unwrap().0)).collect();
    queue.put(handles.clone()).unwrap();
    let me = std::process::id();
    let before = open_descriptors(me);
    let free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
    for room in 0..20 {
        let error = limited(Resource::RLIMIT_NOFILE, free + room, || queue.try_get()).unwrap_err();
        assert!(matches!(error, GetError::Handles | GetError::Os(_)), "{error}");
    }
    assert_eq!(open_descriptors(me), before);
    assert_eq!(queue.get().unwrap().len(), 20);
    assert_eq!(open_descriptors(me), before);
}

fn close_ends_the_waits() {
    let queue = Queue::bounded(1).unwrap();
    let full = Queue::bounded(1).unwrap();
    full.put(0).unwrap();
    std::thread::scope(|scope| {
        let getter = scope.spawn(|| queue.get());
        let putter = scope.spawn(|| full.put(1));
        queue.close();
        full.close();
        assert!(matches!(getter.join().unwrap(), Err::<u8, _>(GetError::Closed)));
        assert!(matches!(putter.join().unwrap().unwrap_err().reason, PutError::Closed));
    });
}

fn iteration_ends_after_what_cannot_be_overcome() {
    let queue = Queue::new().unwrap();
    (12..=14).for_each(|number| queue.put(Picky(number)).unwrap());
    queue.shutdown();
    let (mut good, mut bad) = (0, 0);
    for item in &queue {
        if item.is_ok() { good += 1 } else { bad += 1 }
    }
    assert_eq!((good, bad), (2, 1));
    queue.close();
    assert!(queue.iter().next().is_none());
}

fn a_shut_queue_is_drained_and_then_closed() {
    let queue = Queue::new().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.iter().collect::<Result<Vec<u8>, _>>().unwrap());
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        queue.shutdown();
        assert_eq!(waiting.join().unwrap(), [1, 2]);
    });
    assert!(matches!(queue.put(3).unwrap_err().reason, PutError::Closed));
}

fn another_item_type_is_refused() {
    let message = mp_core::transfer::pack(&Queue::<u32>::new().unwrap()).unwrap();
    assert!(mp_core::transfer::unpack::<Queue<[u8; 4]>>(&message.bytes, message.handles.clone()).is_err());
    assert!(mp_core::transfer::unpack::<Queue<u32>>(&message.bytes, message.handles).is_ok());
}

fn put_handles_for_ever(queue: Queue<(u64, Option<Handle>)>) {
    let handle = Handle::new(pipe().unwrap().0);
    for number in 0.. {
        queue.put((number, Some(handle.clone()))).unwrap();
    }
}

/// Killed between its packet and its commit, a producer leaves a packet that belongs to no item.
fn stale_packets_of_a_killed_putter_match_nothing() {
    let queue = Queue::<(u64, Option<Handle>)>::bounded(50).unwrap();
    for _ in 0..30 {
        let child = Process::new(put_handles_for_ever, (queue.clone(),)).start().unwrap();
        for _ in 0..20 {
            assert!(queue.get().unwrap().1.is_some());
        }
        child.kill().unwrap();
        let _ = child.join();
        while let Ok((_, handle)) = queue.try_get() {
            assert!(handle.is_some());
        }
    }
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Item {
    producer: u32,
    number: u32,
    filling: Vec<u8>,
}

impl Item {
    fn new(producer: u32, number: u32) -> Item {
        Item { producer, number, filling: bytes((number as usize * 7 + producer as usize) % 600) }
    }

    fn check(&self) {
        assert_eq!(*self, Item::new(self.producer, self.number));
    }
}

const EACH: u32 = 1_000;

fn put_items(queue: Queue<Item>, producer: u32) {
    (0..EACH).for_each(|number| queue.put(Item::new(producer, number)).unwrap());
}

fn get_items(queue: Queue<Item>) -> Vec<(u32, u32)> {
    let mut got = Vec::new();
    let mut last = [None; 4];
    for item in queue.iter() {
        let item = item.unwrap();
        item.check();
        // First in, first out, for each producer as seen by each consumer.
        assert!(last[item.producer as usize] < Some(item.number));
        last[item.producer as usize] = Some(item.number);
        got.push((item.producer, item.number));
    }
    got
}

fn four_and_four_lose_nothing() {
    let queue = QueueBuilder::new().max_items(64).build::<Queue<Item>>().unwrap();
    let consumers: Vec<_> =
        (0..4).map(|_| Process::new(get_items, (queue.clone(),)).start().unwrap()).collect();
    let producers: Vec<_> =
        (0..4).map(|at| Process::new(put_items, (queue.clone(), at)).start().unwrap()).collect();
    producers.iter().for_each(|putter| putter.join().unwrap());
    queue.shutdown();
    let mut got: Vec<_> = consumers.iter().flat_map(|getter| getter.join().unwrap()).collect();
    got.sort_unstable();
    let all: Vec<_> = (0..4).flat_map(|producer| (0..EACH).map(move |number| (producer, number))).collect();
    assert_eq!(got, all);
}

fn put_one(queue: Queue<Vec<u8>>) {
    queue.put(bytes(1_000_000)).unwrap();
}

/// With CPython's feeder thread this hangs past 64 KiB.
fn a_child_is_joined_before_its_item_is_got() {
    let queue = Queue::new().unwrap();
    Process::new(put_one, (queue.clone(),)).start().unwrap().join().unwrap();
    assert_eq!(queue.get().unwrap(), bytes(1_000_000));
}

fn get_for_ever(queue: Queue<u32>, taken: Queue<u32>) {
    queue.iter().for_each(|item| taken.put(item.unwrap()).unwrap());
}

fn killed<T>(child: Child<T>)
where
    T: serde::de::DeserializeOwned + std::fmt::Debug,
{
    // Rows 1, 2 and 35: one signal is as good as the other.
    let (end, number): (fn(&Child<T>) -> _, _) =
        if random(2) == 0 { (Child::kill, 9) } else { (Child::terminate, 15) };
    end(&child).unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(signal)) if signal == number));
}

fn killed_idle_getters_harm_no_other_process() {
    let (queue, taken) = (Queue::new().unwrap(), Queue::new().unwrap());
    for round in 0..20 {
        let child = Process::new(get_for_ever, (queue.clone(), taken.clone())).start().unwrap();
        queue.put(round).unwrap();
        // It has taken that one and waits for the next, or is about to.
        assert_eq!(taken.get().unwrap(), round);
        killed(child);
        queue.put(round).unwrap();
        assert_eq!(queue.get().unwrap(), round);
    }
}

fn put_items_for_ever(queue: Queue<Item>) {
    for number in 0.. {
        queue.put(Item::new(0, number)).unwrap();
    }
}

fn killed_putters_leave_whole_items() {
    let queue = QueueBuilder::new().max_items(16).build::<Queue<Item>>().unwrap();
    for _ in 0..200 {
        let child = Process::new(put_items_for_ever, (queue.clone(),)).start().unwrap();
        // From item to item in order, until it is killed at a moment that the count of items makes random.
        for number in 0..random(200) as u32 + 1 {
            assert_eq!(queue.get().unwrap(), Item::new(0, number));
        }
        killed(child);
        while let Ok(item) = queue.try_get() {
            item.check();
        }
        assert_eq!(queue.qsize(), 0);
    }
}

fn killed_getters_take_one_item_at_most() {
    let (queue, taken) = (Queue::new().unwrap(), Queue::new().unwrap());
    let mut lost = 0;
    for round in 0..60_u32 {
        let child = Process::new(get_for_ever, (queue.clone(), taken.clone())).start().unwrap();
        (0..100).for_each(|number| queue.put(round * 100 + number).unwrap());
        let mut seen: Vec<u32> = (0..random(100)).map(|_| taken.get().unwrap()).collect();
        killed(child);
        while let Ok(number) = taken.try_get() {
            seen.push(number);
        }
        while let Ok(number) = queue.try_get() {
            seen.push(number);
        }
        // Sorted as they are, without one twice.
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
        assert!(seen.len() >= 99, "{} of 100 are left", seen.len());
        lost += 100 - seen.len();
    }
    eprintln!("60 killed consumers took {lost} items with them");
}

fn produce(producer: Producer<u32>, number: u32) {
    (0..10).for_each(|at| producer.put(number * 10 + at).unwrap());
}

fn the_last_producer_ends_the_stream() {
    let (producer, queue) = Queue::counted().unwrap();
    let start = |number| Process::new(produce, (producer.clone(), number)).start().unwrap();
    let children: Vec<_> = (0..3).map(start).collect();
    drop(producer);
    let mut got: Vec<u32> = queue.iter().collect::<Result<_, _>>().unwrap();
    got.sort_unstable();
    assert_eq!(got, (0..30).collect::<Vec<u32>>());
    children.iter().for_each(|child| child.join().unwrap());
    assert!(matches!(queue.try_get(), Err(GetError::Closed)));
}

fn produce_one_and_stay(producer: Producer<u32>) {
    producer.put(7).unwrap();
    loop {
        std::thread::park();
    }
}

fn a_killed_producer_ends_the_stream() {
    let (producer, queue) = Queue::counted().unwrap();
    let child = Process::new(produce_one_and_stay, (producer,)).start().unwrap();
    assert_eq!(queue.get().unwrap(), 7);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    child.kill().unwrap();
    assert!(matches!(queue.get(), Err(GetError::Closed)));
}

fn answer(requests: Queue<(u64, Queue<u64>)>) {
    for request in requests.iter() {
        let (number, answers) = request.unwrap();
        answers.put(number * number).unwrap();
    }
}

fn queues_travel_in_queues() {
    let requests = Queue::new().unwrap();
    let child = Process::new(answer, (requests.clone(),)).start().unwrap();
    for number in 0..20 {
        let answers = Queue::new().unwrap();
        requests.put((number, answers.clone())).unwrap();
        assert_eq!(answers.get().unwrap(), number * number);
    }
    requests.shutdown();
    child.join().unwrap();
}
