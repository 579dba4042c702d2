//! The same work serially, in threads, in threads under one giant lock, and in processes: first counted, then timed.
//!
//! Answers:  the benchmark of the level
//! Python:   Parallel(steps=[deep_vision] * 4, max_workers=4, use_processes=True)
//! Run:      cargo run --example ex40_threads_vs_processes
//! Prints:
//!     serial                 1 worker   4 asked, 4 started, 4 done, most at a time 1, checksum a380
//!     threads                4 workers  4 asked, 4 started, 4 done, most at a time 4, checksum a380
//!     threads+giant lock     4 workers  4 asked, 4 started, 4 done, most at a time 1, checksum a380
//!     processes              4 workers  4 asked, 4 started, 4 done, most at a time 4, checksum a380
//!     Rust has no GIL: threads and processes do the same work. Processes add isolation and kill, and cost a start and copies.
//! As in course:
//!     0 of 4 started: vision 0 is not serializable
//!     and so no time is told
//!
//! The work is a number of rounds and not a time: what runs for 0.3 s by the clock ends after 0.3 s, however little it
//! did. The times are on standard error, with the CPUs, the load, and `inconclusive` where those are too few or too
//! busy. The giant lock does what the lock of CPython's interpreter does. For figures: `--release`,
//! `-- --rounds 200000000 --plot figure.svg`. `-- --cannot-cross` ends with status 1.

#[path = "support/benchmark.rs"]
mod benchmark;

use benchmark::{Bar, Figures, Row, cpu_time};
use mp::pipeline::{Context, Parallel, Pipeline, ProcessStep, Step};
use mp::{Barrier, Result, Value};
use std::sync::{Arc, Mutex};

/// (a number that the work gives, nanoseconds of a CPU)
type Seen = (u64, u64);
/// (inside now, most that ever were)
type Inside = Value<[u32; 2]>;

/// A fixed number of rounds. Where four are to run at a time, none begins before all are there.
fn deep_vision(rounds: u64, all_are_there: Option<Barrier>, inside: Inside) -> Result<Seen> {
    inside.update(|[now, most]| [*now, *most] = [*now + 1, (*most).max(*now + 1)]);
    if let Some(barrier) = all_are_there {
        barrier.wait().map_err(|error| mp::Error::from_error(&error))?;
    }
    let began = cpu_time();
    let checksum =
        (0..rounds).fold(1_u64, |x, round| (x ^ round).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(7));
    inside.update(|[now, _]| *now -= 1);
    Ok((checksum, cpu_time() - began))
}

fn pipeline(mode: &str, rounds: u64, inside: &Inside) -> Result<Pipeline> {
    let barrier = if matches!(mode, "threads" | "processes") { Some(Barrier::new(4)?) } else { None };
    let arguments = (rounds, barrier, inside.clone());
    let step = |n| ProcessStep::new(format!("vision {n}"), deep_vision, arguments.clone());
    let gil = Arc::new(Mutex::new(()));
    let under_lock = |n| {
        let (gil, arguments) = (Arc::clone(&gil), arguments.clone());
        Step::new(format!("vision {n}"), move |_: &Context| {
            let _held = gil.lock();
            let (rounds, barrier, inside) = arguments.clone();
            deep_vision(rounds, barrier, inside)
        })
    };
    let builder = Pipeline::builder(mode);
    Ok(match mode {
        "serial" => (0..4).fold(builder, |builder, n| builder.step(step(n).into())),
        "threads" => builder.parallel(Parallel::threads(4).steps((0..4).map(step))),
        "processes" => builder.parallel(Parallel::processes(4).steps((0..4).map(step))),
        _ => builder.parallel(Parallel::threads(4).steps((0..4).map(under_lock))),
    }
    .build()?)
}

/// The document's step: a bar goes along, which has a lock within.
fn with_a_bar() -> Result<Pipeline> {
    let look = |_: Bar| -> Result<u64> { Ok(0) };
    let steps = (0..4).map(|n| ProcessStep::new(format!("vision {n}"), look, (Bar,)));
    Ok(Pipeline::builder("sport_mode").parallel(Parallel::processes(4).steps(steps)).build()?)
}

pub(crate) fn main() -> mp::Result<()> {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has("--cannot-cross") {
        drop(with_a_bar()?.run(Context::new())?);
        return Err("a bar has crossed".into());
    } else if has("--as-in-course") {
        let error = with_a_bar()?.run(Context::new()).err().ok_or("it ran")?;
        let (report, first) = (error.report(), &error.report().tasks()[0]);
        let outcome = first.outcome.to_string();
        let outcome = outcome.split(':').next().unwrap_or_default();
        println!("{} of {} started: {} {outcome}", report.started(), report.submitted(), first.name);
        println!("and so no time is told");
        return Ok(());
    }
    let mut figures = Figures::new()?;
    for (mode, workers) in [("serial", 1), ("threads", 4), ("threads+giant lock", 4), ("processes", 4)] {
        for _ in 0..figures.times {
            let inside = Value::new([0, 0])?;
            let report = pipeline(mode, figures.rounds, &inside)?.run(Context::new())?;
            figures.add(Row::of(mode, workers, inside.get()[1], &report)?)?;
        }
    }
    figures.tell()
}
