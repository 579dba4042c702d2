//! Row 44: whatever is written over a queue's memory, its users get errors; no panic, no endless loop, no access
//! outside. Locks are spared: to overwrite the lock that somebody holds ends him by design (sys/robust.rs).

use mp_core::mem::Mapping;
use mp_core::sys::robust::RobustWord;
use mp_core::transfer::pack;
use mp_core::{Child, Process};
use mp_queue::{GetError, PutRefusal, Queue};
use mp_sync::Event;
use mp_sync::raw::RawLock;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        garbage_over_the_words_gives_errors,
        garbage_over_the_items_gives_errors,
        garbage_over_all_items_is_corrupt,
        garbage_while_two_processes_run_ends_neither,
    ]
}

/// In front of the queue's own words; see mem/mapping.rs.
const HEADER: u64 = Mapping::header_bytes() as u64;
const LOCK: u64 = size_of::<RawLock<RobustWord>>() as u64;
/// What may be written over, by parts of the layout: what stands behind the put lock, behind the get lock, and all
/// other words.
const WORDS: [(u64, u64); 3] =
    [(HEADER + LOCK, HEADER + 128), (HEADER + 128 + LOCK, HEADER + 256), (HEADER + 256, 8192)];
/// The items, up to a part of the second segment.
const ITEMS: [(u64, u64); 1] = [(8192, 400 << 10)];

type Item = Vec<(u32, String)>;

fn item(number: u32) -> Item {
    vec![(number, format!("item {number}")); (number % 20) as usize]
}

/// The queue's memory as a file: what travels to another process is its descriptor.
fn memory(queue: &Queue<Item>) -> File {
    let handles = pack(queue).unwrap().handles;
    File::from(handles.into_iter().next().expect("the memory comes first").into_fd().unwrap())
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

/// Every call comes back, whatever it says. Gives how often that was that something is wrong.
fn use_it(queue: Queue<Item>, rounds: u32) -> u32 {
    let mut noticed = 0_usize;
    for number in 0..rounds {
        let put = [queue.try_put(item(number)), queue.put_timeout(item(number), Duration::from_micros(100))];
        let got = [queue.try_get(), queue.get_timeout(Duration::from_micros(100))];
        let _ = (queue.qsize(), queue.full(), queue.empty());
        noticed +=
            put.iter().filter(|r| matches!(r, Err(e) if matches!(e.reason, PutRefusal::Corrupt))).count();
        noticed += got.iter().filter(|r| matches!(r, Err(GetError::Corrupt | GetError::Decode(_)))).count();
    }
    noticed as u32
}

fn scribbled(parts: &[(u64, u64)]) {
    let mut noticed = 0;
    for seed in 0..150 {
        let queue = Queue::<Item>::builder().max_items(1000).max_bytes(4 << 20).build().unwrap();
        (0..200).for_each(|number| queue.put(item(number)).unwrap());
        let memory = memory(&queue);
        let mut random = Random(seed);
        for _ in 0..20 {
            random.scribble(&memory, parts);
            noticed += use_it(queue.clone(), 3);
        }
    }
    assert!(noticed > 0);
    eprintln!("noticed {noticed} times");
}

fn garbage_over_the_words_gives_errors() {
    scribbled(&WORDS);
}

fn garbage_over_the_items_gives_errors() {
    scribbled(&[ITEMS[0], (8192, 20_000)]);
}

fn garbage_over_all_items_is_corrupt() {
    let queue = Queue::<Item>::new().unwrap();
    (0..200).for_each(|number| queue.put(item(number)).unwrap());
    let (first, last) = ITEMS[0];
    memory(&queue).write_all_at(&vec![0xFF; (last - first) as usize], first).unwrap();
    let error = queue.iter().find_map(Result::err);
    assert!(matches!(error, Some(GetError::Corrupt)), "{error:?}");
}

fn use_it_from_now_on(queue: Queue<Item>, here: Event) {
    here.set();
    use_it(queue, 300);
}

fn garbage_while_two_processes_run_ends_neither() {
    for seed in 0..20 {
        let queue = Queue::<Item>::builder().max_items(100).max_bytes(4 << 20).build().unwrap();
        let children = [(); 2].map(|()| {
            let here = Event::new().unwrap();
            let child = Process::new(use_it_from_now_on, (queue.clone(), here.clone())).start().unwrap();
            // Once it has the queue: one that is corrupt by then is refused, as it should be.
            here.wait();
            child
        });
        let (memory, mut random) = (memory(&queue), Random(seed));
        while children.iter().any(Child::is_alive) {
            random.scribble(&memory, if seed % 2 == 0 { &WORDS } else { &ITEMS });
            std::thread::yield_now();
        }
        for child in children {
            child.join().unwrap();
        }
    }
}
