//! Row 44: whatever is written over a queue's memory, its users get errors, or wrong answers that end; no
//! panic, no endless loop, no access outside. Every form of queue, every call; each word in turn, and noise
//! while others run.
//!
//! Locks are spared: overwriting a held lock ends its holder by design (sys/robust.rs). A case that does not
//! end is ended by the harness, and fails.

use mp_core::mem::Mapping;
use mp_core::sys::robust::RobustWord;
use mp_core::transfer::pack;
use mp_core::{Child, Process};
use mp_queue::{
    FixedQueue, GetError, JoinableQueue, NotPutError, PutError, PutManyError, Queue, QueueBuilder,
};
use mp_sync::Event;
use mp_sync::raw::RawLock;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        each_word_of_a_queue_may_be_anything,
        each_word_of_a_joinable_queue_may_be_anything,
        each_word_of_a_fixed_queue_may_be_anything,
        heads_and_lengths_of_records_may_be_anything,
        garbage_over_the_words_gives_errors,
        garbage_over_the_items_gives_errors,
        garbage_over_all_items_is_corrupt,
        getters_that_are_nowhere_do_not_wait,
        garbage_while_two_processes_run_ends_neither,
    ]
}

/// In front of the queue's own words; see mem/mapping.rs.
const HEADER: u64 = Mapping::header_bytes() as u64;
const LOCK: u64 = size_of::<RawLock<RobustWord>>() as u64;
/// The parts of ring/layout.rs lie 128 bytes apart: two for each side, eight for both, three for each
/// segment, and the slots of tasks.
const APART: u64 = 128;
const GETTER: u64 = HEADER + 2 * APART;
const BOTH: u64 = HEADER + 4 * APART;
/// The last one for both.
const LEADERS: u64 = BOTH + 7 * APART;
const SEGMENTS: u64 = LEADERS + APART;
const SLOTS: u64 = SEGMENTS + 16 * 3 * APART;
const SLOTS_END: u64 = SLOTS + 128 * 16;
/// The first segment begins on a page.
const SEGMENT_0: u64 = SLOTS_END.next_multiple_of(4096);
const SEGMENT_1: u64 = SEGMENT_0 + (256 << 10);
/// What may be written over: what stands behind the put lock, behind the get lock, behind those of the
/// leaders, and all other words.
const WORDS: [(u64, u64); 4] =
    [(HEADER + LOCK, GETTER), (GETTER + LOCK, BOTH), (BOTH, LEADERS), (LEADERS + 2 * LOCK, SLOTS_END)];
const SHUT: u64 = BOTH + 2 * APART;
/// The items, up to a part of the second segment.
const ITEMS: [(u64, u64); 2] = [(SEGMENT_0, SEGMENT_0 + 12_000), (SEGMENT_0, SEGMENT_1 + (150 << 10))];

/// The words that mean something, of those: the first ones of each part, in the segments and slots that are
/// in use.
fn meaningful() -> Vec<u64> {
    let sides = [HEADER, GETTER].map(|side| [side + LOCK..side + LOCK + 16, side + APART..side + APART + 4]);
    let sides = sides.into_iter().flatten();
    let others = (0..7).map(|part| BOTH + part * APART..BOTH + part * APART + 32);
    let leaders = LEADERS + 2 * LOCK;
    let segments = (0..3 * 5).map(|part| SEGMENTS + part * APART..SEGMENTS + part * APART + 8);
    let slots = std::iter::once(SLOTS..SLOTS + 3 * 16);
    let parts = sides.chain(others).chain(std::iter::once(leaders..leaders + 4)).chain(segments).chain(slots);
    parts.flat_map(|part| part.step_by(4)).collect()
}

const VALUES: [u32; 8] = [0, 1, 4, 6, 17, 0x7FFF_FFFF, 0x8000_0000, u32::MAX];
const MOMENT: Duration = Duration::from_micros(100);

/// A form of queue, with all its calls: each must come back.
trait Form: Clone + Serialize + DeserializeOwned + Send + 'static {
    fn make() -> Self;
    /// So that two segments are in use.
    fn fill(&self);
    /// Gives how often a call said that something is wrong.
    fn use_it(&self) -> usize;

    /// Its memory as a file: what travels to another process is its descriptor.
    fn memory(&self) -> File {
        let handles = pack(self).unwrap().handles;
        File::from(handles.first().expect("the memory comes first").as_fd().try_clone_to_owned().unwrap())
    }
}

fn refused<V>(put: Result<(), NotPutError<V>>) -> usize {
    usize::from(put.is_err_and(|error| matches!(error.reason, PutError::Corrupt)))
}

fn noticed(put: Result<(), PutManyError>) -> usize {
    usize::from(put.is_err_and(|error| matches!(error.reason, PutError::Corrupt)))
}

fn failed<V>(got: Result<V, GetError>) -> usize {
    usize::from(matches!(got, Err(GetError::Corrupt | GetError::Decode(_))))
}

type Item = Vec<(u32, String)>;

fn item(number: u32) -> Item {
    vec![(number, format!("item {number}")); (number % 20) as usize]
}

const MOST_ITEMS: u32 = 10_000;
const MOST_BYTES: usize = 8 << 20;

/// Of a queue with any report or none.
macro_rules! fill_with_items {
    ($queue:expr) => {
        $queue.put_many((0..50).map(item)).unwrap();
        $queue.put(vec![(1, "long".repeat(65_000))]).unwrap();
        $queue.put_many((0..50).map(item)).unwrap();
    };
}

macro_rules! use_with_items {
    ($queue:expr) => {{
        let _ = ($queue.qsize(), $queue.full(), $queue.empty());
        let puts = refused($queue.try_put(item(7)))
            + refused($queue.put_timeout(vec![(1, "long".repeat(20_000))], MOMENT))
            + refused($queue.try_put_many((0..30).map(item)))
            + refused($queue.put_many_timeout((0..30).map(item), MOMENT));
        let many = [$queue.try_get_many(50), $queue.get_many_timeout(2_000, MOMENT)];
        let many = many.into_iter().map(|got| match got {
            Ok(batch) => batch.map(failed).sum(),
            Err(error) => failed::<()>(Err(error)),
        });
        puts + many.sum::<usize>() + failed($queue.try_get()) + failed($queue.get_timeout(MOMENT))
    }};
}

impl Form for Queue<Item> {
    fn make() -> Self {
        QueueBuilder::new().max_items(MOST_ITEMS).max_bytes(MOST_BYTES).build::<Queue<Item>>().unwrap()
    }
    fn fill(&self) {
        fill_with_items!(self);
    }
    fn use_it(&self) -> usize {
        use_with_items!(self)
    }
}

impl Form for JoinableQueue<Item> {
    fn make() -> Self {
        QueueBuilder::new()
            .max_items(MOST_ITEMS)
            .max_bytes(MOST_BYTES)
            .build::<JoinableQueue<Item>>()
            .unwrap()
    }
    fn fill(&self) {
        fill_with_items!(self);
        drop(self.get_task().unwrap());
        self.get().unwrap();
    }
    fn use_it(&self) -> usize {
        let noticed =
            use_with_items!(self) + failed(self.try_get_task()) + failed(self.get_task_timeout(MOMENT));
        let _ = (self.task_done(), self.join_timeout(MOMENT), self.task_done());
        noticed
    }
}

impl Form for FixedQueue<[u64; 8]> {
    fn make() -> Self {
        QueueBuilder::new()
            .max_items(MOST_ITEMS)
            .max_bytes(MOST_BYTES)
            .build::<FixedQueue<[u64; 8]>>()
            .unwrap()
    }
    fn fill(&self) {
        self.put_many(&[[3; 8]; 4_000]).unwrap();
    }
    fn use_it(&self) -> usize {
        let (mut into, many) = (Vec::new(), [[5; 8]; 100]);
        let _ = (self.qsize(), self.full(), self.empty());
        refused(self.try_put([1; 8]))
            + refused(self.put_timeout([2; 8], MOMENT))
            + noticed(self.try_put_many(&many))
            + noticed(self.put_many_timeout(&many, MOMENT))
            + failed(self.try_get())
            + failed(self.get_timeout(MOMENT))
            + failed(self.try_get_many_into(&mut into, 50))
            + failed(self.get_many_into_timeout(&mut into, 2_000, MOMENT))
    }
}

/// Each value over each word, with two segments in use, and with none.
fn each_word_may_be_anything<Q: Form>() {
    let mut noticed = 0;
    for at in meaningful() {
        for (value, full) in VALUES.into_iter().flat_map(|value| [(value, false), (value, true)]) {
            let queue = Q::make();
            if full {
                queue.fill();
            }
            queue.memory().write_all_at(&value.to_le_bytes(), at).unwrap();
            noticed += queue.use_it();
        }
    }
    assert!(noticed > 0);
}

fn each_word_of_a_queue_may_be_anything() {
    each_word_may_be_anything::<Queue<Item>>();
}

fn each_word_of_a_joinable_queue_may_be_anything() {
    each_word_may_be_anything::<JoinableQueue<Item>>();
}

fn each_word_of_a_fixed_queue_may_be_anything() {
    each_word_may_be_anything::<FixedQueue<[u64; 8]>>();
}

/// Each value over each half of the first records' units, which are heads, packets' numbers, lengths and
/// bytes.
fn heads_and_lengths_of_records_may_be_anything() {
    fn tried<Q: Form>() {
        let mut noticed = 0;
        for at in (0..20).map(|word| SEGMENT_0 + 4 * word) {
            for value in VALUES {
                let queue = Q::make();
                queue.fill();
                queue.memory().write_all_at(&value.to_le_bytes(), at).unwrap();
                noticed += queue.use_it();
            }
        }
        assert!(noticed > 0);
    }
    tried::<Queue<Item>>();
    tried::<JoinableQueue<Item>>();
    tried::<FixedQueue<[u64; 8]>>();
}

/// A generator of one's own, so that a failure can be had again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 24
    }

    /// Some bytes somewhere in one of the parts: noise, zeros or ones.
    fn scribble(&mut self, memory: &File, parts: &[(u64, u64)]) {
        let (first, last) = parts[self.next() as usize % parts.len()];
        let length = 1 + self.next() % 32.min(last - first);
        let at = first + self.next() % (last - first - length + 1);
        let noise: Vec<u8> = match self.next() % 4 {
            0 => vec![0; length as usize],
            1 => vec![0xFF; length as usize],
            _ => (0..length).map(|_| self.next() as u8).collect(),
        };
        memory.write_all_at(&noise, at).unwrap();
    }
}

fn scribbled<Q: Form>(parts: &[(u64, u64)]) {
    let mut noticed = 0;
    for seed in 0..60 {
        let (queue, mut random) = (Q::make(), Random(seed));
        queue.fill();
        let memory = queue.memory();
        for _ in 0..20 {
            random.scribble(&memory, parts);
            noticed += queue.use_it();
        }
    }
    assert!(noticed > 0);
}

fn garbage_over_the_words_gives_errors() {
    scribbled::<Queue<Item>>(&WORDS);
    scribbled::<JoinableQueue<Item>>(&WORDS);
    scribbled::<FixedQueue<[u64; 8]>>(&WORDS);
}

fn garbage_over_the_items_gives_errors() {
    scribbled::<Queue<Item>>(&ITEMS);
    scribbled::<JoinableQueue<Item>>(&ITEMS);
    scribbled::<FixedQueue<[u64; 8]>>(&ITEMS);
}

fn garbage_over_all_items_is_corrupt() {
    let queue = Queue::<Item>::new().unwrap();
    queue.fill();
    let (first, last) = ITEMS[1];
    queue.memory().write_all_at(&vec![0xFF; (last - first) as usize], first).unwrap();
    let error = queue.iter().find_map(Result::err);
    assert!(matches!(error, Some(GetError::Corrupt)), "{error:?}");
}

/// No action of another process would wake them.
fn getters_that_are_nowhere_do_not_wait() {
    let queue = Queue::<Item>::make();
    queue.memory().write_all_at(&200_u32.to_le_bytes(), GETTER + APART).unwrap();
    assert!(matches!(queue.get(), Err(GetError::Corrupt)));
    assert!(matches!(queue.get_many(10), Err(GetError::Corrupt)));
    assert!(matches!(queue.put(item(1)).unwrap_err().reason, PutError::Corrupt));
}

/// The fewest rounds of noise while both sides use it, and their fewest uses, whichever side is faster.
const ROUNDS: u32 = 100;
const USES: usize = 60;

fn use_it_until_told<Q: Form>(queue: Q, here: Event, over: Event) -> usize {
    here.set();
    let mut noticed = 0;
    for uses in 1.. {
        noticed += queue.use_it();
        if uses >= USES && over.is_set() {
            break;
        }
    }
    noticed
}

/// Each side is in the middle of something when the words change below it.
fn garbage_while_two_processes_run<Q: Form>() {
    let mut noticed = 0;
    for seed in 0..10 {
        let queue = Q::make();
        let over = Event::new().unwrap();
        let children = [(); 2].map(|()| {
            let here = Event::new().unwrap();
            let arguments = (queue.clone(), here.clone(), over.clone());
            let child = Process::new(use_it_until_told::<Q>, arguments).start().unwrap();
            // Once it has the queue: one that is corrupt by then is refused, as it should be.
            here.wait();
            child
        });
        let (memory, mut random) = (queue.memory(), Random(seed));
        let words = WORDS.map(|(first, last)| {
            let mut words = vec![0; (last - first) as usize];
            memory.read_exact_at(&mut words, first).unwrap();
            (first, words)
        });
        for round in 1_u32.. {
            if round == ROUNDS {
                over.set();
            }
            // Until both have come back, whatever they are in.
            if !children.iter().any(Child::is_alive) {
                break;
            }
            random.scribble(&memory, if seed % 2 == 0 { &WORDS } else { &ITEMS });
            // A queue that is shut does little; nor does one of which every word is noise.
            memory.write_all_at(&[0; 4], SHUT).unwrap();
            if round.is_multiple_of(8) {
                words.iter().for_each(|(first, words)| memory.write_all_at(words, *first).unwrap());
            }
            std::thread::yield_now();
        }
        noticed += children.into_iter().map(|child| child.join().unwrap()).sum::<usize>();
    }
    assert!(noticed > 0);
}

fn garbage_while_two_processes_run_ends_neither() {
    garbage_while_two_processes_run::<Queue<Item>>();
    garbage_while_two_processes_run::<JoinableQueue<Item>>();
    garbage_while_two_processes_run::<FixedQueue<[u64; 8]>>();
}
