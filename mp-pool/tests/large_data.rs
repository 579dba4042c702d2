//! Data that all workers read, and that is there once. `MP_DATA_MIB` is its size, 64 MiB if it is not set.
//!
//! Memory is counted by the kernel: the proportional set size (PSS) of a process has its share of each page that
//! several processes map, so the sum over all workers has each page once.

use mp_pool::{Pool, with_state};
use mp_queue::Queue;
use mp_shm::{SharedData, share_each};
use std::fs;

mp_testing::cases! {
    every_method: [
        a_map_over_shared_data_copies_nothing,
        a_map_over_captured_data_copies_nothing,
    ]
}

const WORKERS: usize = 3;

fn size_in_kib() -> u64 {
    let mib = std::env::var("MP_DATA_MIB").map_or(64, |text| text.parse::<u64>().unwrap());
    mib << 10
}

/// A figure of a process's memory, in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Its process id, and a sum over all numbers: they were read.
type Read = (u32, u64);

/// What of the memory of each worker is its own, and of all of them together. Each waits at the gate.
fn check(pids: [u32; WORKERS]) {
    let size = size_in_kib();
    let all: u64 = pids.iter().map(|pid| memory(*pid, "Pss:")).sum();
    for pid in pids {
        let (mapped, own) = (memory(pid, "Rss:"), memory(pid, "Private_Dirty:"));
        println!("worker {pid}: {mapped} KiB mapped, of which {own} KiB are its own");
        assert!(mapped >= size && own < size / 4, "of {size} KiB: {mapped} mapped, {own} its own");
    }
    println!("{WORKERS} workers: {all} KiB together, for {size} KiB of data");
    assert!(all < 2 * size, "{all} KiB for {size} KiB of data");
}

fn sum_and_wait(numbers: &[u64], said: &Queue<Read>, gate: &Queue<()>) {
    said.put((std::process::id(), numbers.iter().sum())).unwrap();
    gate.get().unwrap();
}

type Data = SharedData<[u64]>;

fn keep(numbers: Data) -> Data {
    numbers
}

fn sum_shared(numbers: &mut Data, said: Queue<Read>, gate: Queue<()>) {
    sum_and_wait(numbers, &said, &gate);
}

fn a_map_over_shared_data_copies_nothing() {
    let count = size_in_kib() << 7;
    let numbers = share_each(0..count).unwrap();
    let pool =
        Pool::builder().processes(WORKERS).initializer_value(keep, (numbers.clone(),)).build().unwrap();
    let (said, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    let items = [(); WORKERS].map(|()| (said.clone(), gate.clone()));
    let reading = pool.starmap_in_chunks(with_state(sum_shared), items, Some(1)).unwrap();
    let read = [(); WORKERS].map(|()| said.get().unwrap());
    assert!(read.iter().all(|(_, sum)| *sum == count * (count - 1) / 2));
    check(read.map(|(pid, _)| pid));
    (0..WORKERS).for_each(|_| gate.put(()).unwrap());
    reading.get().unwrap();

    // A task for each row: only its number crosses.
    let row = |numbers: &mut Data, row: usize| numbers[1000 * row..1000 * (row + 1)].iter().sum::<u64>();
    let sums = pool.map(with_state(row), 0..1000).unwrap();
    assert_eq!(sums.iter().sum::<u64>(), 1_000_000 * 999_999 / 2);
}

fn a_map_over_captured_data_copies_nothing() {
    let count = size_in_kib() << 7;
    let numbers: Vec<u64> = (0..count).collect();
    let sum_and_wait = move |said: Queue<Read>, gate: Queue<()>| sum_and_wait(&numbers, &said, &gate);
    let (pool, sum_and_wait) = Pool::builder().processes(WORKERS).fork_from_closure(sum_and_wait).unwrap();
    let (said, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    // The third time by successors.
    for _ in 0..3 {
        let items = [(); WORKERS].map(|()| (said.clone(), gate.clone()));
        let reading = pool.starmap_in_chunks(sum_and_wait, items, Some(1)).unwrap();
        let read = [(); WORKERS].map(|()| said.get().unwrap());
        assert!(read.iter().all(|(_, sum)| *sum == count * (count - 1) / 2));
        check(read.map(|(pid, _)| pid));
        (0..WORKERS).for_each(|_| gate.put(()).unwrap());
        reading.get().unwrap();
        let (first, _) = read[0];
        mp_testing::kill(first);
    }
}
