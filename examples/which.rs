//! The figures of `docs/which.md`: what threads, processes and coroutines cost on this machine, side by side.
//!
//! Run:      cargo run --release --example which
//!
//! Times are printed, and nothing is decided by them. What was done is counted: the exit status is 1 if a task was not
//! done, or gave another result than the others. `--short` does less of everything.

use mp::{Connection, Context, Process, Queue, StartMethod, pipe, usable_cpu_count};
use std::sync::{Barrier, Mutex, mpsc};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

const TASKS: u64 = 4;
const MIB: usize = 1 << 20;

fn main() -> mp::Result<()> {
    let short = std::env::args().any(|argument| argument == "--short");
    let (rounds, times) = if short { (20_000, 2) } else { (100_000_000, 7) };
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default();
    let cpus = usable_cpu_count();
    println!("usable CPUs {cpus}, load {load}");
    if cpus < 2 || load > cpus as f64 {
        println!("inconclusive: with so few idle CPUs nothing can run in parallel, and times mean little");
    }
    // Before there is a thread: a fork is refused beside one.
    starts(times)?;
    switches(1000 * times as u32)?;
    computing(rounds)?;
    memory(20 * times)?;
    moving(10 * times)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(times: usize, mut work: impl FnMut() -> mp::Result<T>) -> mp::Result<Duration> {
    let one = |_| {
        let began = Instant::now();
        work().map(|_| began.elapsed())
    };
    Ok(median((0..times).map(one).collect::<mp::Result<_>>()?))
}

fn line(what: &str, value: impl std::fmt::Debug) {
    println!("  {what:<26} {:>12}", format!("{value:.1?}"));
}

fn nothing() {}

fn starts(times: usize) -> mp::Result<()> {
    println!("\nstart and join of one that does nothing, median of {times}");
    for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
        // The first one starts the template as well.
        Context::new(method).process(nothing, ()).start()?.join()?;
        let start = || Ok(Context::new(method).process(nothing, ()).start()?.join()?);
        line(&format!("process, by {method}"), timed(times, start)?);
    }
    line("thread", timed(times, || Ok(std::thread::spawn(nothing).join().is_ok()))?);
    Ok(())
}

fn give_back(court: Connection<u32, u32>) -> u32 {
    let mut returns = 0;
    while let Ok(ball) = court.recv() {
        court.send(&ball).expect("the other end is open");
        returns += 1;
    }
    returns
}

fn throw(court: Connection<u32, u32>, rounds: u32) -> mp::Result<Duration> {
    court.send(&0)?;
    court.recv()?;
    let began = Instant::now();
    for round in 1..rounds {
        court.send(&round)?;
        assert_eq!(court.recv()?, round);
    }
    Ok(began.elapsed() / (rounds - 1))
}

fn switches(rounds: u32) -> mp::Result<()> {
    println!("\na message there and back, mean of {rounds}");
    let (here, there) = pipe()?;
    let partner = Process::new(give_back, (there,)).start()?;
    line("processes, over a pipe", throw(here, rounds)?);
    assert_eq!(partner.join()?, rounds);
    let (here, there) = pipe()?;
    let partner = std::thread::spawn(|| give_back(there));
    line("threads, over a pipe", throw(here, rounds)?);
    assert_eq!(partner.join().expect("it does not panic"), rounds);
    let mut polls = 0;
    let mut coroutine = std::pin::pin!(std::future::poll_fn(|_| {
        polls = std::hint::black_box(polls + 1);
        if polls == rounds { Poll::Ready(polls) } else { Poll::Pending }
    }));
    let began = Instant::now();
    while coroutine.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending() {}
    // Less than a nanosecond, it may be, and a `Duration` has none.
    let each = began.elapsed().as_nanos() as f64 / f64::from(rounds);
    println!("  {:<26} {:>12}", "coroutine, there and back", format!("{each:.1}ns"));
    Ok(())
}

/// A fixed amount of work, whose result says that it was done.
fn compute(seed: u64, rounds: u64) -> u64 {
    (0..rounds).fold(seed, |x, _| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1))
}

fn computing(rounds: u64) -> mp::Result<()> {
    println!("\n{TASKS} tasks of {rounds} rounds each, one after the other, then {TASKS} at a time");
    let began = Instant::now();
    let expected: Vec<u64> = (0..TASKS).map(|seed| compute(seed, rounds)).collect();
    let serial = began.elapsed();
    line("serial", serial);
    let speed = |what: &str, began: Instant, results: Vec<u64>| {
        let wall = began.elapsed();
        assert_eq!(results, expected, "{what}");
        let times = serial.as_secs_f64() / wall.as_secs_f64();
        println!("  {what:<26} {:>12} {times:>6.2} times as fast", format!("{wall:.1?}"));
    };
    let threads = |work: &(dyn Fn(u64) -> u64 + Sync)| {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..TASKS).map(|seed| scope.spawn(move || work(seed))).collect();
            running.into_iter().map(|thread| thread.join().expect("it does not panic")).collect()
        })
    };
    let began = Instant::now();
    speed("threads", began, threads(&|seed| compute(seed, rounds)));
    // What CPython's threads do: one at a time, in turns.
    let lock = Mutex::new(());
    let in_turns = |seed| {
        (0..100).fold(seed, |x, part| {
            let _one_at_a_time = lock.lock().expect("no holder panics");
            compute(x, rounds / 100 + u64::from(part < rounds % 100))
        })
    };
    let began = Instant::now();
    speed("threads under one lock", began, threads(&in_turns));
    let began = Instant::now();
    let start = |seed| Process::new(compute, (seed, rounds)).start();
    let children = (0..TASKS).map(start).collect::<Result<Vec<_>, _>>()?;
    let results = children.iter().map(|child| child.join()).collect::<Result<Vec<_>, _>>()?;
    speed("processes", began, results);
    Ok(())
}

/// KiB that this process has for itself, or those that are in memory.
fn kib(file: &str, names: &str) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with(names));
    lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok()).sum()
}

fn private() -> usize {
    kib("/proc/self/smaps_rollup", "Private_")
}

fn memory(threads: usize) -> mp::Result<()> {
    println!("\nmemory of one that waits");
    println!("  {:<26} {:>8} KiB", "process, by forkserver", Process::new(private, ()).start()?.join()?);
    let before = kib("/proc/self/status", "VmRSS");
    let (all, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| all.wait().is_leader() | end.wait().is_leader());
        }
        all.wait();
        let each = kib("/proc/self/status", "VmRSS").saturating_sub(before) as f64 / threads as f64;
        println!("  {:<26} {each:>8.1} KiB", "thread");
        end.wait();
    });
    let waiting = async { std::future::pending::<u32>().await };
    println!("  {:<26} {:>8} bytes", "coroutine", size_of_val(&waiting));
    Ok(())
}

fn put(queue: Queue<Vec<u8>>, times: usize) {
    for _ in 0..times {
        queue.put(vec![7; MIB]).expect("an open queue");
    }
}

fn moving(times: usize) -> mp::Result<()> {
    println!("\n1 MiB to another one, mean of {times}");
    let queue = Queue::bounded(2)?;
    let child = Process::new(put, (queue.clone(), times + 1)).start()?;
    queue.get()?;
    let began = Instant::now();
    let bytes = (0..times).map(|_| Ok(queue.get()?.len())).sum::<mp::Result<usize>>()?;
    line("processes, by a queue", began.elapsed() / times as u32);
    assert_eq!(bytes, times * MIB);
    child.join()?;
    let (send, receive) = mpsc::sync_channel(2);
    let thread = std::thread::spawn(move || (0..=times).all(|_| send.send(vec![7_u8; MIB]).is_ok()));
    receive.recv().expect("a first one");
    let began = Instant::now();
    let bytes: usize = receive.iter().map(|bytes| bytes.len()).sum();
    line("threads, by a channel", began.elapsed() / times as u32);
    assert_eq!((bytes, thread.join().expect("it does not panic")), (times * MIB, true));
    Ok(())
}
