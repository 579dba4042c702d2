//! W4: taking and giving back a lock that nobody else wants.

use crate::python::{Shared, ask};
use crate::{Peer, Work};
use mp_sync::Lock;
use std::hint::black_box;
use std::sync::Mutex;
use std::time::Instant;

const TIMES: u32 = 5_000_000;
const PYTHON_TIMES: u32 = 200_000;

fn nanoseconds(began: Instant) -> f64 {
    began.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

fn ours() -> Result<f64, String> {
    let lock = Lock::new().map_err(|error| error.to_string())?;
    let began = Instant::now();
    for _ in 0..TIMES {
        drop(black_box(lock.acquire().map_err(|error| error.to_string())?));
    }
    Ok(nanoseconds(began))
}

fn std_mutex() -> Result<f64, String> {
    let lock = Mutex::new(());
    let began = Instant::now();
    for _ in 0..TIMES {
        drop(black_box(black_box(&lock).lock().map_err(|error| error.to_string())?));
    }
    Ok(nanoseconds(began))
}

pub(crate) fn lock_uncontended(python: &Shared) -> Work {
    let python = python.clone();
    Work {
        metric: "W4.lock.uncontended".to_owned(),
        unit: "ns",
        rate: false,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("CPython", move || ask(&python, &format!("W4.lock.uncontended {PYTHON_TIMES}"))),
            Peer::new("std-mutex", std_mutex),
        ],
    }
}
