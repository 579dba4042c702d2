//! Two or more workers of each kind: processes of ours and of procspawn, threads over channels, and rayon's.

use super::super::measure::text;
use super::super::ways::look_at;
use super::tasks::{Task, copied, do_chunk, same};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use mp_pool::{Buffer, Pool};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use std::collections::VecDeque;
use std::ops::Deref;
use std::time::Duration;

/// Tasks of a mebibyte that are under way at once.
pub(super) const WINDOW: usize = 8;

/// How a map's items go to workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    One,
    Default,
}

/// What becomes of results of a mebibyte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Results {
    Consumed,
    Kept,
}

pub(super) type Values = Result<Vec<u64>, String>;

pub(super) trait Workers: Sized + 'static {
    const NAME: &'static str;

    fn start(workers: usize) -> Result<Self, String>;
    /// What a task gives for each number below `count`.
    fn map(&self, task: Task, count: u64, chunks: Chunks) -> Values;
    /// One call of `square`, and its answer.
    fn apply(&self, x: u64) -> Result<u64, String>;
    /// So many copies of these bytes to workers and back, a few at a time if they are consumed.
    fn pass(&self, bytes: &[u8], count: usize, results: Results) -> Result<(), String>;
    /// The processes that work, if they are not this one.
    fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}

impl Workers for Pool {
    const NAME: &'static str = "mp";

    fn start(workers: usize) -> Result<Pool, String> {
        Pool::new(workers).map_err(text)
    }

    fn map(&self, task: Task, count: u64, chunks: Chunks) -> Values {
        let items = 0..count;
        match chunks {
            Chunks::Default => match task {
                Task::Square => Pool::map(self, super::tasks::square, items),
                Task::Burn => Pool::map(self, super::tasks::burn, items),
                Task::Uneven => Pool::map(self, super::tasks::uneven, items),
            }
            .map_err(text),
            Chunks::One => match task {
                Task::Square => self.map_in_chunks(super::tasks::square, items, Some(1)),
                Task::Burn => self.map_in_chunks(super::tasks::burn, items, Some(1)),
                Task::Uneven => self.map_in_chunks(super::tasks::uneven, items, Some(1)),
            }
            .map_err(text)?
            .get()
            .map_err(text),
        }
    }

    fn apply(&self, x: u64) -> Result<u64, String> {
        Pool::apply(self, super::tasks::square, (x,)).map_err(text)
    }

    fn pass(&self, bytes: &[u8], count: usize, results: Results) -> Result<(), String> {
        if results == Results::Kept {
            let all = Pool::map(self, same, (0..count).map(|_| bytes.to_vec())).map_err(text)?;
            all.iter().for_each(|bytes| look_at(bytes));
            return Ok(());
        }
        through_a_window(
            count,
            || self.apply_async(same, (bytes.to_vec(),)).map_err(text),
            |result| result.get().map_err(text),
        )
    }

    fn pids(&self) -> Vec<u32> {
        self.worker_pids()
    }
}

/// As [`pass`](Workers::pass), by buffers.
pub(super) fn pass_buffers(pool: &Pool, bytes: &[u8], count: usize, results: Results) -> Result<(), String> {
    let buffer = || {
        let mut buffer = pool.buffer(bytes.len()).map_err(text)?;
        buffer.copy_from_slice(bytes);
        Ok::<_, String>(buffer.freeze())
    };
    if results == Results::Kept {
        let arguments = (0..count).map(|_| buffer().expect("memory for an argument"));
        let all: Vec<Buffer<u8>> = pool.map(copied, arguments).map_err(text)?;
        all.iter().for_each(|bytes| look_at(bytes));
        return Ok(());
    }
    through_a_window(
        count,
        || pool.apply_async(copied, (buffer()?,)).map_err(text),
        |result| result.get().map_err(text),
    )
}

/// Has a few under way at a time, and looks at each result.
fn through_a_window<T, R: Deref<Target = [u8]>>(
    count: usize,
    mut submit: impl FnMut() -> Result<T, String>,
    mut get: impl FnMut(T) -> Result<R, String>,
) -> Result<(), String> {
    let mut under_way = VecDeque::new();
    for at in 0..count + WINDOW {
        if at < count {
            under_way.push_back(submit()?);
        }
        if at >= WINDOW
            && let Some(first) = under_way.pop_front()
        {
            look_at(&get(first)?);
        }
    }
    Ok(())
}

/// What a thread is given, and what it answers.
enum Order {
    Items(Task, Vec<u64>),
    /// Threads would hand on a pointer: the bytes are copied, and the receiver reads them.
    Bytes(Vec<u8>),
}

enum Answer {
    Values(Vec<u64>),
    Bytes(Vec<u8>),
}

/// Threads that do what comes over a channel, and answer over another one.
pub(super) struct Threads {
    singles: Channel<(Task, u64), u64>,
    orders: Channel<Order, Answer>,
    workers: usize,
}

struct Channel<T, R> {
    tasks: Sender<(usize, T)>,
    results: Receiver<(usize, R)>,
}

impl<T: Send + 'static, R: Send + 'static> Channel<T, R> {
    fn start(workers: usize, function: fn(T) -> R) -> Channel<T, R> {
        let (tasks, todo) = bounded::<(usize, T)>(1024);
        let (done, results) = unbounded();
        for _ in 0..workers {
            let (todo, done) = (todo.clone(), done.clone());
            std::thread::spawn(move || {
                for (at, task) in todo {
                    if done.send((at, std::hint::black_box(function)(task))).is_err() {
                        return;
                    }
                }
            });
        }
        Channel { tasks, results }
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

fn answer(order: Order) -> Answer {
    match order {
        Order::Items(task, items) => Answer::Values(do_chunk(task, &items)),
        Order::Bytes(bytes) => Answer::Bytes(bytes.clone()),
    }
}

impl Workers for Threads {
    const NAME: &'static str = "threads";

    fn start(workers: usize) -> Result<Threads, String> {
        let singles = Channel::start(workers, |(task, x): (Task, u64)| task.run(x));
        Ok(Threads { singles, orders: Channel::start(workers, answer), workers })
    }

    fn map(&self, task: Task, count: u64, chunks: Chunks) -> Values {
        if chunks == Chunks::One {
            let mut values = vec![0; count as usize];
            self.singles.map((0..count).map(|x| (task, x)), |at, value| values[at] = value);
            return Ok(values);
        }
        let mut values = vec![Vec::new(); 4 * self.workers];
        let orders = chunks_of(count, self.workers).map(|items| Order::Items(task, items));
        self.orders.map(orders, |at, answer| {
            if let Answer::Values(chunk) = answer {
                values[at] = chunk;
            }
        });
        Ok(values.concat())
    }

    fn apply(&self, x: u64) -> Result<u64, String> {
        self.singles.tasks.send((0, (Task::Square, x))).map_err(text)?;
        self.singles.results.recv().map(|(_, value)| value).map_err(text)
    }

    fn pass(&self, bytes: &[u8], count: usize, results: Results) -> Result<(), String> {
        let submit = || self.orders.tasks.send((0, Order::Bytes(bytes.to_vec()))).map_err(text);
        let get = |()| match self.orders.results.recv().map_err(text)?.1 {
            Answer::Bytes(bytes) => Ok(bytes),
            Answer::Values(_) => Err("a wrong answer".to_owned()),
        };
        if results == Results::Consumed {
            return through_a_window(count, submit, get);
        }
        (0..count).try_for_each(|_| submit())?;
        let all: Vec<Vec<u8>> = (0..count).map(|_| get(())).collect::<Result<_, _>>()?;
        all.iter().for_each(|bytes| look_at(bytes));
        Ok(())
    }
}

/// Each worker gets about four.
fn chunks_of(count: u64, workers: usize) -> impl Iterator<Item = Vec<u64>> {
    let chunk = count.div_ceil(4 * workers as u64).max(1);
    (0..4 * workers as u64).map(move |at| (at * chunk..((at + 1) * chunk).min(count)).collect())
}

pub(super) struct Rayon(rayon::ThreadPool);

impl Workers for Rayon {
    const NAME: &'static str = "rayon";

    fn start(workers: usize) -> Result<Rayon, String> {
        rayon::ThreadPoolBuilder::new().num_threads(workers).build().map(Rayon).map_err(text)
    }

    fn map(&self, task: Task, count: u64, chunks: Chunks) -> Values {
        let items = (0..count as usize).into_par_iter();
        let run = |x: usize| std::hint::black_box(task).run(x as u64);
        Ok(self.0.install(|| match chunks {
            Chunks::One => items.with_max_len(1).map(run).collect(),
            Chunks::Default => items.map(run).collect(),
        }))
    }

    fn apply(&self, x: u64) -> Result<u64, String> {
        Ok(self.0.install(|| Task::Square.run(x)))
    }

    fn pass(&self, bytes: &[u8], count: usize, results: Results) -> Result<(), String> {
        let (done, results_of) = unbounded();
        let submit = || {
            let (done, bytes) = (done.clone(), bytes.to_vec());
            self.0.spawn(move || drop(done.send(bytes.clone())));
            Ok(())
        };
        if results == Results::Consumed {
            return through_a_window(count, submit, |()| results_of.recv().map_err(text));
        }
        (0..count).try_for_each(|_| submit())?;
        let all: Vec<Vec<u8>> = results_of.iter().take(count).collect();
        all.iter().for_each(|bytes| look_at(bytes));
        Ok(())
    }
}

pub(super) struct Procspawn {
    pool: procspawn::Pool,
}

/// So many are submitted before the first one is waited for: each handle is a channel.
const HANDLES: usize = 64;

impl Procspawn {
    fn each<A, R>(
        &self,
        items: impl Iterator<Item = A>,
        function: fn(A) -> R,
        mut each: impl FnMut(R),
    ) -> Result<(), String>
    where
        A: serde::Serialize + serde::de::DeserializeOwned,
        R: serde::Serialize + serde::de::DeserializeOwned + Send + 'static,
    {
        let mut handles = VecDeque::new();
        for item in items {
            handles.push_back(self.pool.spawn(item, function));
            if handles.len() >= HANDLES
                && let Some(mut first) = handles.pop_front()
            {
                each(joined(&mut first)?);
            }
        }
        handles.iter_mut().try_for_each(|handle| {
            each(joined(handle)?);
            Ok(())
        })
    }
}

fn joined<R: serde::Serialize + serde::de::DeserializeOwned>(
    handle: &mut procspawn::JoinHandle<R>,
) -> Result<R, String> {
    handle.join_timeout(Duration::from_secs(5)).map_err(text)
}

impl Workers for Procspawn {
    const NAME: &'static str = "procspawn";

    fn start(workers: usize) -> Result<Procspawn, String> {
        let pool = procspawn::Pool::new(workers).map_err(text)?;
        Ok(Procspawn { pool })
    }

    /// It has no chunks: one by one.
    fn map(&self, task: Task, count: u64, _: Chunks) -> Values {
        let mut values = Vec::new();
        self.each((0..count).map(|x| (task, x)), |(task, x)| task.run(x), |value| values.push(value))?;
        Ok(values)
    }

    fn apply(&self, x: u64) -> Result<u64, String> {
        joined(&mut self.pool.spawn(x, |x| Task::Square.run(x)))
    }

    fn pass(&self, _: &[u8], _: usize, _: Results) -> Result<(), String> {
        Err("a value of a mebibyte does not come back from its pool, and no timeout of it ends the wait"
            .to_owned())
    }
}

impl Drop for Procspawn {
    fn drop(&mut self) {
        self.pool.kill();
    }
}
