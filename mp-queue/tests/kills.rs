//! Kills producers and consumers at random moments. Prints how many it tried.
//!
//! Four producers put numbered items with a checksum, of all sizes, two of them in batches; four consumers
//! get them, two of them in batches. One of the eight is killed, and another takes its place, again and
//! again. An item whose put has returned is got once, whole, and in its producer's order, but for what a
//! killed consumer had taken: one item, or one batch. The item that a killed producer was putting is in the
//! queue or not. No process hangs, and nothing is left.
//!
//! `MP_KILLS=2000` sets the number; the default fits the gate. `tools/bench/python/queue_kills.py` does the same
//! to CPython's queue.

use mp_core::mem::SharedRef;
use mp_core::{Child, JoinError, Process, StartMethod};
use mp_queue::{GetError, Queue, QueueBuilder};
use mp_testing::{random, wait_a_random_moment};
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

mp_testing::cases! { plain: [whichever_process_is_killed_every_other_item_is_got_once] }

const EACH: usize = 4;
/// Of these, so many put, or get, one by one; the others in batches.
const ONE_BY_ONE: usize = 2;
/// The most items of a batch.
const BATCH: usize = 8;
/// Of one producer and those in its place.
const NUMBERS: u32 = 1 << 22;
/// Up to this long from one kill to the next.
const MOMENT: Duration = Duration::from_micros(1500);

#[derive(Serialize, Deserialize)]
struct Item {
    producer: u32,
    number: u32,
    bytes: Vec<u8>,
    sum: u64,
}

impl Item {
    fn new(producer: usize, number: u32) -> Item {
        // Now and then one that a ring has to grow for.
        let length = if number % 509 == 508 { 300 << 10 } else { number as usize * 7 % 700 };
        let bytes = (0..length).map(|at| (at as u32 ^ number) as u8).collect();
        let mut item = Item { producer: producer as u32, number, bytes, sum: 0 };
        item.sum = item.right_sum();
        item
    }

    fn right_sum(&self) -> u64 {
        let head = u64::from(self.producer) << 32 | u64::from(self.number);
        self.bytes.iter().fold(head, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte))
    }
}

/// The state that outlives every killed process.
struct Board {
    counts: SharedRef<[AtomicU32; COUNTS]>,
    /// A bit for each number of each producer: it was got.
    got: SharedRef<[AtomicU32; EACH * NUMBERS as usize / 32]>,
}

/// From here, of each producer: the number up to which it has begun to put.
const BEGUN: usize = 0;
/// And that up to which its puts have returned.
const RETURNED: usize = EACH;
const STOP: usize = 2 * EACH;
const TORN: usize = 2 * EACH + 1;
const TWICE: usize = 2 * EACH + 2;
const DISORDERED: usize = 2 * EACH + 3;
const COUNTS: usize = 2 * EACH + 4;

impl Board {
    /// Made by the first process that asks, whose forks have it too.
    fn here() -> &'static Board {
        static BOARD: OnceLock<Board> = OnceLock::new();
        BOARD.get_or_init(|| Board {
            counts: SharedRef::create("mp-test-counts").unwrap(),
            got: SharedRef::create("mp-test-got").unwrap(),
        })
    }

    // ORDERING: SeqCst, all of them: nothing here is to be fast.
    fn get(&self, which: usize) -> u32 {
        self.counts[which].load(Ordering::SeqCst)
    }

    fn set(&self, which: usize, to: u32) {
        self.counts[which].store(to, Ordering::SeqCst);
    }

    fn count(&self, which: usize) {
        self.counts[which].fetch_add(1, Ordering::SeqCst);
    }

    fn place_of(producer: usize, number: u32) -> (usize, u32) {
        (producer * NUMBERS as usize / 32 + number as usize / 32, 1 << (number % 32))
    }

    fn note_got(&self, producer: usize, number: u32) {
        let (word, bit) = Board::place_of(producer, number);
        if self.got[word].fetch_or(bit, Ordering::SeqCst) & bit != 0 {
            self.count(TWICE);
        }
    }

    fn was_got(&self, producer: usize, number: u32) -> bool {
        let (word, bit) = Board::place_of(producer, number);
        self.got[word].load(Ordering::SeqCst) & bit != 0
    }
}

fn produce(queue: Queue<Item>, producer: usize) {
    let board = Board::here();
    while board.get(STOP) == 0 {
        let first = board.get(BEGUN + producer);
        let most = if producer < ONE_BY_ONE { 1 } else { 1 + first % BATCH as u32 };
        let end = (first + most).min(NUMBERS);
        board.set(BEGUN + producer, end);
        if end - first == 1 {
            queue.put(Item::new(producer, first)).unwrap();
        } else if first < end {
            queue.put_many((first..end).map(|number| Item::new(producer, number))).unwrap();
        } else {
            // All numbers are used: only to be killed.
            std::thread::yield_now();
        }
        board.set(RETURNED + producer, end);
    }
}

fn consume(queue: Queue<Item>, consumer: usize) {
    let board = Board::here();
    let mut last = [None; EACH];
    loop {
        let got = if consumer < ONE_BY_ONE {
            queue.get().map(|item| vec![item])
        } else {
            queue.get_many(BATCH).and_then(Iterator::collect)
        };
        let items = match got {
            Ok(items) => items,
            Err(GetError::Closed) => return,
            Err(error) => panic!("{error}"),
        };
        for item in items {
            let producer = item.producer as usize;
            if producer >= EACH || item.number >= NUMBERS || item.sum != item.right_sum() {
                board.count(TORN);
                continue;
            }
            board.note_got(producer, item.number);
            if last[producer].replace(item.number).is_some_and(|before| before >= item.number) {
                board.count(DISORDERED);
            }
        }
    }
}

fn start_producer(queue: &Queue<Item>, at: usize) -> Child<()> {
    Process::new(produce, (queue.clone(), at)).method(StartMethod::Fork).start().unwrap()
}

fn start_consumer(queue: &Queue<Item>, at: usize) -> Child<()> {
    Process::new(consume, (queue.clone(), at)).method(StartMethod::Fork).start().unwrap()
}

fn whichever_process_is_killed_every_other_item_is_got_once() {
    let kills = mp_testing::kills(150);
    let board = Board::here();
    let queue = QueueBuilder::new().max_items(300).max_bytes(4 << 20).build().unwrap();
    let mut producers: Vec<_> = (0..EACH).map(|at| start_producer(&queue, at)).collect();
    let mut consumers: Vec<_> = (0..EACH).map(|at| start_consumer(&queue, at)).collect();
    let (mut of_producers, mut of_consumers, mut may_be_lost) = (0, 0, 0);
    // Unknown to all: they were being put when their producer was killed.
    let mut unknown: [Vec<u32>; EACH] = Default::default();
    for _ in 0..kills {
        wait_a_random_moment(MOMENT);
        let at = random(EACH as u64) as usize;
        if random(2) == 0 {
            end_by_kill(&producers[at]);
            unknown[at].extend(board.get(RETURNED + at)..board.get(BEGUN + at));
            producers[at] = start_producer(&queue, at);
            of_producers += 1;
        } else {
            end_by_kill(&consumers[at]);
            may_be_lost += if at < ONE_BY_ONE { 1 } else { BATCH };
            consumers[at] = start_consumer(&queue, at);
            of_consumers += 1;
        }
    }
    board.set(STOP, 1);
    producers.iter().for_each(|producer| producer.join().unwrap());
    queue.shutdown();
    consumers.iter().for_each(|consumer| consumer.join().unwrap());
    assert!(matches!(queue.try_get(), Err(GetError::Closed)) && queue.empty(), "something is left");
    let (mut put, mut lost) = (0, 0);
    for (producer, unknown) in unknown.iter().enumerate() {
        // They were noted in order.
        let is_known = |number: &u32| unknown.binary_search(number).is_err();
        let returned = (0..board.get(RETURNED + producer)).filter(is_known);
        let missing = returned.inspect(|_| put += 1).filter(|number| !board.was_got(producer, *number));
        lost += missing.count();
    }
    let unknown: usize = unknown.iter().map(Vec::len).sum();
    let [torn, twice, disordered] = [TORN, TWICE, DISORDERED].map(|which| board.get(which));
    eprintln!(
        "{kills} kills: {of_producers} of producers, {of_consumers} of consumers; {put} puts returned, {unknown} were \
         cut short; {lost} items were taken along (at most {may_be_lost}); {torn} torn, {twice} got twice, \
         {disordered} out of order; 0 hangs, 0 left behind"
    );
    assert_eq!([torn, twice, disordered], [0; 3]);
    assert!(lost <= may_be_lost, "{lost} are lost");
    assert!(put > 0, "nothing was put");
}

fn end_by_kill(child: &Child<()>) {
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}
