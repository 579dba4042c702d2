//! W8: a number that four processes increment, with its lock and as an atomic; the sum of an array of `f64`.

use super::crowd::{Counter, add_by_processes, add_by_threads};
use super::measure::text;
use super::peers::pythons_once;
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::mem::SharedRef;
use mp_sync::{RawArray, Value};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const WORKERS: u64 = 4;

impl Counter for Value<u64> {
    fn add_one(&self) {
        self.update(|count| *count += 1);
    }

    fn total(&self) -> u64 {
        self.get()
    }
}

impl Counter for Arc<Mutex<u64>> {
    fn add_one(&self) {
        *self.lock().expect("no holder panics") += 1;
    }

    fn total(&self) -> u64 {
        *self.lock().expect("no holder panics")
    }
}

impl Counter for SharedRef<AtomicU64> {
    fn add_one(&self) {
        // ORDERING: Relaxed throughout: no other data depends on the count, and all threads that added are joined
        // before it is read.
        self.fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }
}

impl Counter for Arc<AtomicU64> {
    fn add_one(&self) {
        // ORDERING: Relaxed throughout, as above.
        self.fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        self.load(Ordering::Relaxed)
    }
}

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![locked(python), atomic(), sum(python)]
}

fn locked(python: &Shared) -> Work {
    let times = 10_000_000;
    let ours = move || add_by_processes(Value::new(0_u64).map_err(text)?, WORKERS, times);
    let std_mutex = move || add_by_threads(Arc::new(Mutex::new(0_u64)), WORKERS, times);
    Work {
        metric: "W8.locked4".to_owned(),
        unit: "ops/s",
        rate: true,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("std-mutex", std_mutex),
            pythons_once(python, "W8.locked4 500000"),
        ],
    }
}

fn atomic() -> Work {
    let times = 100_000_000;
    let ours = move || {
        let counter: SharedRef<AtomicU64> = SharedRef::create("counter").map_err(text)?;
        add_by_processes(counter, WORKERS, times)
    };
    let between_threads = move || add_by_threads(Arc::new(AtomicU64::new(0)), WORKERS, times);
    Work {
        metric: "W8.atomic4".to_owned(),
        unit: "ops/s",
        rate: true,
        peers: vec![Peer::new("mp", ours), Peer::new("atomic", between_threads)],
    }
}

/// A million numbers: more than the second cache holds.
const ELEMENTS: u32 = 1_000_000;

fn sum(python: &Shared) -> Work {
    let numbers = || (0..ELEMENTS).map(f64::from);
    let ours = move || {
        let array = RawArray::from_values(numbers()).map_err(text)?;
        Ok(gigabytes_a_second(|| black_box(&array).fold(0.0, |sum, x| sum + x)))
    };
    let slice = move || {
        let slice: Vec<f64> = numbers().collect();
        Ok(gigabytes_a_second(|| black_box(&slice).iter().sum()))
    };
    Work {
        metric: "W8.sum".to_owned(),
        unit: "GB/s",
        rate: true,
        peers: vec![Peer::new("mp", ours), Peer::new("slice", slice), pythons_once(python, "W8.sum 10")],
    }
}

fn gigabytes_a_second(sum: impl Fn() -> f64) -> f64 {
    const TIMES: u32 = 100;
    let began = Instant::now();
    for _ in 0..TIMES {
        black_box(sum());
    }
    f64::from(TIMES) * f64::from(ELEMENTS) * size_of::<f64>() as f64 / began.elapsed().as_secs_f64() / 1e9
}
