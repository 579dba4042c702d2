//! What it costs to see tasks: values that they yield, what they write, their progress, a trace of them.

use super::super::measure::{rate, text};
use super::super::peers::lasting;
use super::tasks::square;
use super::{WORKERS, check, lazily};
use crate::work::Work;
use crossbeam_channel::bounded;
use mp_pool::progress::Progress;
use mp_pool::{
    GenerateOptions, Generated, Pool, PoolBuilder, TaskOutputKind, ThreadPool, YieldError, Yielder,
};
use std::io::{Read, Write, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const PILOT: u64 = 1000;
/// As many values as a task is ahead by default.
const AHEAD: usize = 16;
const PIECE: usize = 64 << 10;

pub(super) fn all() -> [Work; 3] {
    [generate(), seen(), output()]
}

fn count(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..to).try_for_each(|x| results.yield_(x))
}

/// How many values come of tasks that yield, each of which ends well.
fn values<E>(events: impl Iterator<Item = Generated<E>>) -> Result<u64, String> {
    let mut values = 0;
    for event in events {
        match event {
            Generated::Value { .. } => values += 1,
            Generated::End { outcome, .. } => outcome.map_err(text)?,
        }
    }
    Ok(values)
}

fn all_came(came: u64, count: u64, began: Instant) -> Result<f64, String> {
    if came == count { Ok(rate(count, began)) } else { Err("a value is missing".to_owned()) }
}

/// Values that tasks yield, beside as many results of a stream, and beside two threads over a channel.
fn generate() -> Work {
    let parts = |count: u64| [count / 2, count - count / 2];
    let ours = |name: &'static str, ahead: usize| {
        let mut pool = lazily(|| Pool::new(WORKERS).map_err(text));
        lasting(name, PILOT, move |count| {
            let (pool, began) = (pool()?, Instant::now());
            let options = GenerateOptions::new().ahead(ahead);
            let events = pool.generate_with(self::count, parts(count), options).map_err(text)?;
            all_came(values(events)?, count, began)
        })
    };
    let mut pool = lazily(|| ThreadPool::new(WORKERS).map_err(text));
    let of_threads = lasting("mp.threads", PILOT, move |count| {
        let (pool, began) = (pool()?, Instant::now());
        all_came(values(pool.generate(self::count, parts(count)).map_err(text)?)?, count, began)
    });
    let mut pool = lazily(|| Pool::new(WORKERS).map_err(text));
    let stream = lasting("mp.imap", PILOT, move |count| {
        let (pool, began) = (pool()?, Instant::now());
        let came = pool.imap_unordered(square, 0..count).map_err(text)?.filter(Result::is_ok).count();
        all_came(came as u64, count, began)
    });
    let threads = lasting("threads", PILOT, move |count| {
        let began = Instant::now();
        let came = std::thread::scope(|scope| {
            let (send, receive) = bounded(WORKERS * AHEAD);
            for part in parts(count) {
                let send = send.clone();
                scope.spawn(move || (0..part).try_for_each(|x| send.send(x)));
            }
            drop(send);
            receive.iter().count()
        });
        all_came(came as u64, count, began)
    });
    let peers = vec![ours("mp", AHEAD), ours("mp.ahead256", 256), of_threads, stream, threads];
    Work { metric: "W6.generate".to_owned(), unit: "results/s", rate: true, peers }
}

fn with(
    builder: impl Fn(PoolBuilder) -> PoolBuilder + 'static,
) -> impl FnMut() -> Result<std::rc::Rc<Pool>, String> {
    lazily(move || builder(Pool::builder().processes(WORKERS)).build().map_err(text))
}

/// Tiny tasks in default chunks: as they are, and seen in each of the ways.
fn seen() -> Work {
    let map = |name: &'static str, builder: fn(PoolBuilder) -> PoolBuilder| {
        let mut pool = with(builder);
        lasting(name, PILOT, move |count| {
            let (pool, began) = (pool()?, Instant::now());
            check(pool.map(square, 0..count).map_err(text), count)?;
            Ok(rate(count, began))
        })
    };
    let mut pool = with(|builder| builder);
    let progress = lasting("mp.progress", PILOT, move |count| {
        let (pool, progress, began) = (pool()?, Progress::new(), Instant::now());
        check(pool.report_to(&progress).map(square, 0..count).map_err(text), count)?;
        all_came(progress.tally().finished, count, began)
    });
    let mut threads = lazily(|| ThreadPool::new(WORKERS).map_err(text));
    let of_threads = lasting("mp.threads.progress", PILOT, move |count| {
        let (pool, progress, began) = (threads()?, Progress::new(), Instant::now());
        check(pool.report_to(&progress).map(square, 0..count).map_err(text), count)?;
        all_came(progress.tally().finished, count, began)
    });
    let peers = vec![
        map("mp", |builder| builder),
        progress,
        map("mp.trace", |builder| builder.trace("/dev/null")),
        map("mp.output", |builder| builder.on_output(drop)),
        of_threads,
    ];
    Work { metric: "W6.seen".to_owned(), unit: "tasks/s", rate: true, peers }
}

fn write(_: u64) -> u64 {
    let mut out = std::io::stdout().lock();
    out.write_all(&[b'x'; PIECE]).and_then(|()| out.flush()).map_or(0, |()| PIECE as u64)
}

/// Bytes that tasks write, 64 KiB each, beside two threads and a pipe each.
fn output() -> Work {
    let written = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&written);
    let mut pool = with(move |builder| {
        let counter = Arc::clone(&counter);
        builder.on_output(move |output| {
            if let TaskOutputKind::Stdout(bytes) = output.kind {
                // ORDERING: Relaxed: read after the flush.
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        })
    });
    let ours = lasting("mp", 100, move |count| {
        let (pool, began) = (pool()?, Instant::now());
        // ORDERING: Relaxed, both: no task runs.
        written.store(0, Ordering::Relaxed);
        pool.map(write, 0..count).map_err(text)?;
        pool.flush_output();
        let bytes = written.load(Ordering::Relaxed);
        all_came(bytes / PIECE as u64, count, began).map(megabytes)
    });
    let pipes = lasting("pipe", 100, |count| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            let (mut read, write) = pipe().map_err(text)?;
            for part in [count / 2, count - count / 2] {
                let mut write = write.try_clone().map_err(text)?;
                scope.spawn(move || (0..part).try_for_each(|_| write.write_all(&[b'x'; PIECE])));
            }
            drop(write);
            let (mut bytes, mut buffer) = (0, vec![0; PIECE]);
            loop {
                match read.read(&mut buffer).map_err(text)? {
                    0 => return all_came((bytes / PIECE) as u64, count, began).map(megabytes),
                    some => bytes += some,
                }
            }
        })
    });
    Work { metric: "W6.output".to_owned(), unit: "MB/s", rate: true, peers: vec![ours, pipes] }
}

fn megabytes(pieces: f64) -> f64 {
    pieces * PIECE as f64 / 1e6
}
