//! Streams and futures of tiny tasks, each a task of its own for the workers.

use super::super::measure::{rate, text};
use super::super::peers::{Pace, lasting};
use super::tasks::square;
use super::{PYTHONS, WORKERS, check, lazily, median_of, pythons_rates};
use crate::python::{Shared, ask};
use crate::work::{Peer, Work};
use mp_pool::futures::Future;
use mp_pool::{Pool, ProcessPoolExecutor, TaskError};
use std::time::Instant;

const PILOT: u64 = 1000;

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![
        stream(python, "W6.imap", |pool, count| collect(pool.imap(square, 0..count).map_err(text)?, count)),
        stream(python, "W6.imap_unordered", |pool, count| {
            let mut values = collect(pool.imap_unordered(square, 0..count).map_err(text)?, count)?;
            values.sort_unstable();
            Ok(values)
        }),
        executor(python),
        submit(python),
    ]
}

type Values = Result<Vec<u64>, String>;

fn collect(results: impl Iterator<Item = Result<u64, TaskError>>, count: u64) -> Values {
    let mut values = Vec::with_capacity(count as usize);
    for value in results {
        values.push(value.map_err(text)?);
    }
    Ok(values)
}

fn peer(name: &'static str, values: fn(&Pool, u64) -> Values) -> Peer {
    let mut pool = lazily(|| Pool::new(WORKERS).map_err(text));
    lasting(name, PILOT, move |count| {
        let (pool, began) = (pool()?, Instant::now());
        check(values(&pool, count), count)?;
        Ok(rate(count, began))
    })
}

/// Beside a map of the same tasks one by one.
fn stream(python: &Shared, metric: &str, values: fn(&Pool, u64) -> Values) -> Work {
    let map =
        |pool: &Pool, count| pool.map_in_chunks(square, 0..count, Some(1)).map_err(text)?.get().map_err(text);
    let mut peers = vec![peer("mp", values), peer("mp.map", map)];
    peers.extend(pythons_rates(python, metric, PILOT));
    Work { metric: metric.to_owned(), unit: "tasks/s", rate: true, peers }
}

/// A future for each task; then all results.
fn executor(python: &Shared) -> Work {
    let mut executor = lazily(|| ProcessPoolExecutor::new(WORKERS).map_err(text));
    let ours = lasting("mp", PILOT, move |count| {
        let (executor, began) = (executor()?, Instant::now());
        let submit = |x| executor.submit(square, (x,)).map_err(text);
        let futures: Vec<Future<u64>> = (0..count).map(submit).collect::<Result<_, _>>()?;
        let values = futures.iter().map(|future| future.result().map_err(text)).collect();
        check(values, count)?;
        Ok(rate(count, began))
    });
    let mut peers = vec![ours];
    peers.extend(pythons_rates(python, "W6.executor", PILOT));
    Work { metric: "W6.executor".to_owned(), unit: "tasks/s", rate: true, peers }
}

/// One future, and its result.
fn submit(python: &Shared) -> Work {
    let mut executor = lazily(|| ProcessPoolExecutor::new(WORKERS).map_err(text));
    let mut pace = Pace::new(500);
    let ours = Peer::new("mp", move || {
        let executor = executor()?;
        let once = |x| executor.submit(square, (x,)).map_err(text)?.result().map_err(text);
        pace.round(|times| median_of(times.min(20_000), once), |us| 1e6 / us)
    });
    let mut peers = vec![ours];
    for name in PYTHONS {
        let (python, mut pace) = (python.clone(), Pace::new(200));
        let once = move |times| ask(&python, &format!("W6.submit@{name} {times}"));
        peers.push(Peer::new(name, move || pace.round(&once, |us| 1e6 / us)));
    }
    Work { metric: "W6.submit".to_owned(), unit: "us", rate: false, peers }
}
