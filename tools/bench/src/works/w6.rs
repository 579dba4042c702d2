//! W6: a pool of two: tiny tasks one by one and in default chunks, one call and its answer, a mebibyte in and out; and
//! what a pool of four costs until its first map is done.

use super::waits::median;
use super::ways::look_at;
use super::{lasting, pythons, pythons_times, text};
use crate::python::{Shared, ask};
use crate::{Peer, Work};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mp_pool::Pool;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

const WORKERS: usize = 2;
/// Tasks of a mebibyte that are under way at once.
const WINDOW: usize = 8;

fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![chunk1(python), default_chunks(python), apply(python), mebibytes(python), create(python)]
}

/// A value that is made when it is used first: works that are not asked for start no process.
fn lazily<T>(make: impl Fn() -> Result<T, String>) -> impl FnMut() -> Result<Rc<T>, String> {
    let mut made: Option<Rc<T>> = None;
    move || match &made {
        Some(value) => Ok(Rc::clone(value)),
        None => Ok(Rc::clone(made.insert(Rc::new(make()?)))),
    }
}

fn pool() -> impl FnMut() -> Result<Rc<Pool>, String> {
    lazily(|| Pool::new(WORKERS).map_err(text))
}

fn per_second(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// Two threads that do what comes over a channel, and answer over another one.
struct Threads<T, R> {
    tasks: Sender<(usize, T)>,
    results: Receiver<(usize, R)>,
}

impl<T: Send + 'static, R: Send + 'static> Threads<T, R> {
    fn start(function: fn(T) -> R) -> Threads<T, R> {
        let (tasks, todo) = bounded::<(usize, T)>(1024);
        let (done, results) = unbounded();
        for _ in 0..WORKERS {
            let (todo, done) = (todo.clone(), done.clone());
            std::thread::spawn(move || {
                for (at, task) in todo {
                    if done.send((at, black_box(function)(task))).is_err() {
                        return;
                    }
                }
            });
        }
        Threads { tasks, results }
    }

    /// As a pool's map: gives all values, each with its position.
    fn map(&self, tasks: impl Iterator<Item = T>, mut each: impl FnMut(usize, R)) {
        let mut missing = 0;
        for task in tasks.enumerate() {
            self.tasks.send(task).expect("the threads live");
            missing += 1;
            for (at, value) in self.results.try_iter() {
                each(at, value);
                missing -= 1;
            }
        }
        self.results.iter().take(missing).for_each(|(at, value)| each(at, value));
    }
}

fn check(values: &[u64], count: u64) -> Result<(), String> {
    let last = count - 1;
    let is_right = values.len() as u64 == count && values.last() == Some(&square(last));
    if is_right { Ok(()) } else { Err("a wrong result".to_owned()) }
}

fn chunk1(python: &Shared) -> Work {
    let mut pool = pool();
    let ours = move |count| {
        let (pool, began) = (pool()?, Instant::now());
        let values = pool.map_in_chunks(square, 0..count, Some(1)).map_err(text)?.get().map_err(text)?;
        check(&values, count)?;
        Ok(per_second(count, began))
    };
    let mut threads = lazily(|| Ok(Threads::start(square)));
    let theirs = move |count| {
        let (threads, began) = (threads()?, Instant::now());
        let mut values = vec![0; count as usize];
        threads.map(0..count, |at, value| values[at] = value);
        check(&values, count)?;
        Ok(per_second(count, began))
    };
    Work {
        metric: "W6.chunk1".to_owned(),
        unit: "tasks/s",
        rate: true,
        peers: vec![
            lasting("mp", 1000, ours),
            lasting("threads", 1000, theirs),
            pythons(python, "W6.chunk1".to_owned(), 1000),
        ],
    }
}

fn squares(items: Vec<u64>) -> Vec<u64> {
    items.into_iter().map(black_box(square as fn(u64) -> u64)).collect()
}

fn default_chunks(python: &Shared) -> Work {
    let mut pool = pool();
    let ours = move |count| {
        let (pool, began) = (pool()?, Instant::now());
        check(&pool.map(square, 0..count).map_err(text)?, count)?;
        Ok(per_second(count, began))
    };
    let mut threads = lazily(|| Ok(Threads::start(squares)));
    let theirs = move |count: u64| {
        let (threads, began) = (threads()?, Instant::now());
        let chunk = count.div_ceil(4 * WORKERS as u64);
        let chunks = (0..4 * WORKERS as u64).map(|at| (at * chunk..((at + 1) * chunk).min(count)).collect());
        let mut values = vec![Vec::new(); 4 * WORKERS];
        threads.map(chunks, |at, chunk| values[at] = chunk);
        check(&values.concat(), count)?;
        Ok(per_second(count, began))
    };
    Work {
        metric: "W6.default".to_owned(),
        unit: "tasks/s",
        rate: true,
        peers: vec![
            lasting("mp", 10_000, ours),
            lasting("threads", 10_000, theirs),
            pythons(python, "W6.default".to_owned(), 10_000),
        ],
    }
}

/// The median of so many, in microseconds.
fn median_of(count: u64, mut once: impl FnMut(u64) -> Result<u64, String>) -> Result<f64, String> {
    let mut times = Vec::new();
    for x in 0..count {
        let began = Instant::now();
        if once(x)? != square(x) {
            return Err("a wrong result".to_owned());
        }
        times.push(began.elapsed().as_nanos() as u32);
    }
    Ok(median(&times))
}

fn apply(python: &Shared) -> Work {
    const TIMES: u64 = 20_000;
    let (mut pool, mut threads) = (pool(), lazily(|| Ok(Threads::start(square))));
    let ours = move || {
        let pool = pool()?;
        median_of(TIMES, |x| pool.apply(square, (x,)).map_err(text))
    };
    let theirs = move || {
        let threads = threads()?;
        median_of(TIMES, |x| {
            threads.tasks.send((0, x)).map_err(text)?;
            threads.results.recv().map(|(_, value)| value).map_err(text)
        })
    };
    Work {
        metric: "W6.apply".to_owned(),
        unit: "us",
        rate: false,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("threads", theirs),
            pythons_times(python, "W6.apply", 1000),
        ],
    }
}

/// Gigabytes a second, in and out together.
fn gigabytes(count: u64, began: Instant) -> f64 {
    per_second(count, began) * 2.0 * f64::from(1 << 20) / 1e9
}

fn mebibytes(python: &Shared) -> Work {
    let (bytes, python) = (|| vec![7_u8; 1 << 20], python.clone());
    const TIMES: u64 = 300;
    let (mut pool, mut threads) = (pool(), lazily(|| Ok(Threads::start(copied))));
    let ours = move || {
        let (pool, mine, began) = (pool()?, bytes(), Instant::now());
        let mut under_way = std::collections::VecDeque::new();
        for at in 0..TIMES as usize + WINDOW {
            if at < TIMES as usize {
                under_way.push_back(pool.apply_async(same, (mine.clone(),)).map_err(text)?);
            }
            if at >= WINDOW
                && let Some(result) = under_way.pop_front()
            {
                look_at(&result.get().map_err(text)?);
            }
        }
        Ok(gigabytes(TIMES, began))
    };
    let theirs = move || {
        let (threads, mine, began) = (threads()?, bytes(), Instant::now());
        for at in 0..TIMES as usize + WINDOW {
            if at < TIMES as usize {
                threads.tasks.send((at, mine.clone())).map_err(text)?;
            }
            if at >= WINDOW {
                look_at(&threads.results.recv().map_err(text)?.1);
            }
        }
        Ok(gigabytes(TIMES, began))
    };
    Work {
        metric: "W6.1MiB".to_owned(),
        unit: "GB/s",
        rate: true,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("threads", theirs),
            Peer::new("CPython", move || ask(&python, "W6.1MiB 100")),
        ],
    }
}

/// Threads would hand on a pointer: the bytes are copied, and the receiver reads them.
fn copied(bytes: Vec<u8>) -> Vec<u8> {
    bytes.clone()
}

fn create(python: &Shared) -> Work {
    let ours = || {
        let began = Instant::now();
        let pool = Pool::new(4).map_err(text)?;
        check(&pool.map(square, 0..100).map_err(text)?, 100)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    };
    let python = python.clone();
    Work {
        metric: "W6.create".to_owned(),
        unit: "ms",
        rate: false,
        peers: vec![Peer::new("mp", ours), Peer::new("CPython", move || ask(&python, "W6.create 1"))],
    }
}
