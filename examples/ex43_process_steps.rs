//! Three heavy steps, each in a process of its own, with a bar that has a lock: all of them run.
//!
//! Answers:  "accumulates L13": three heavy steps in processes
//! Python:   Parallel(steps=[...] * 3, max_workers=3, use_processes=True)
//! Run:      cargo run --example ex43_process_steps
//! Prints:
//!     3/3 done, 3 started
//!     3 processes, and none of them is this one
//!     the bar stands at 3 of 3
//!     sums: 328350, 332833500, 333283335000
//!
//! In the document the bar is a part of the pipeline, and the pipeline is sent to each process: its lock cannot be, so
//! nothing runs. Here a function and its arguments are sent, and the bar is the caller's.

use mp::pipeline::{Context, Mode, Parallel, Pipeline, ProcessStep};
use std::collections::HashSet;
use std::sync::Mutex;

fn heavy(n: u64) -> mp::Result<u64> {
    Ok((0..n).map(|x| x * x).sum())
}

pub(crate) fn main() -> mp::Result<()> {
    let bar = Mutex::new((0, 0));
    let steps = [100, 1000, 10_000].map(|n| ProcessStep::new(format!("squares below {n}"), heavy, (n,)));
    let pipeline = Pipeline::builder("sport_mode").parallel(Parallel::processes(3).steps(steps)).build()?;
    let report = pipeline.run_with_progress(Context::new(), |progress| {
        *bar.lock().unwrap() = (progress.tally.finished, progress.tally.submitted);
    })?;
    println!("{}/{} done, {} started", report.done(), report.submitted(), report.started());

    let attempts = report.tasks().iter().flat_map(|task| &task.attempts);
    let pids: HashSet<u32> = attempts.map(|attempt| attempt.pid).collect();
    assert!(
        !pids.contains(&std::process::id()) && report.tasks().iter().all(|task| task.mode == Mode::Processes)
    );
    println!("{} processes, and none of them is this one", pids.len());
    let (finished, of) = *bar.lock().unwrap();
    println!("the bar stands at {finished} of {of}");

    let sums: Vec<String> = report
        .context()
        .keys()
        .map(|key| report.context().get::<u64>(key).map(ToString::to_string))
        .collect::<Result<_, _>>()?;
    println!("sums: {}", sums.join(", "));
    assert_eq!((report.started(), pids.len(), finished), (3, 3, 3));
    Ok(())
}
