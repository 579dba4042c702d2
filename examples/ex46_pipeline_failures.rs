//! Every way in which a task can fail is in the report, and the sums are right; the first failure ends the others, if
//! it is to.
//!
//! Answers:  what the tour's own runs do not tell
//! Python:   run() returns a dict with a key "error", and the exit status is 0
//! Run:      cargo run --example ex46_pipeline_failures
//! Prints:
//!     good is done
//!     error failed: no signal
//!     panic panicked
//!     kill was killed by signal 9
//!     endless timed out
//!     after error was not started: error is not done
//!     6 submitted: 1 done + 5 failed
//!     stop on first: error failed: no signal, endless was cancelled, good was not started: error had failed
//!     children left: 0
//!
//! `-- --fails` passes the run's error on, so that the exit status is 1.

use mp::base::sys::poll::pidfd_open;
use mp::base::sys::process::send_signal;
use mp::base::sys::signal::SIGKILL;
use mp::pipeline::{Context, OnFailure, Outcome, Parallel, Pipeline, PipelineBuilder, ProcessStep};
use mp::{Event, Result};
use std::os::fd::AsFd;
use std::time::Duration;

fn camera(way: String, endless_runs: Event) -> Result<()> {
    match way.as_str() {
        "panic" => panic!("a deliberate panic"),
        "kill" => send_signal(pidfd_open(std::process::id())?.as_fd(), SIGKILL)?,
        "error" => {
            endless_runs.wait();
            return Err("no signal".into());
        }
        "endless" => loop {
            endless_runs.set();
            std::thread::park();
        },
        _ => {}
    }
    Ok(())
}

fn run(ways: &[&str], pipeline: PipelineBuilder, workers: usize) -> Result<mp::pipeline::PipelineError> {
    let endless_runs = Event::new()?;
    let step = |way: &&str| {
        let step = ProcessStep::new(*way, camera, ((*way).to_owned(), endless_runs.clone()));
        match *way {
            "endless" if ways.len() > 3 => step.deadline(Duration::from_millis(100)),
            "after error" => step.after("error"),
            _ => step,
        }
    };
    if ways.len() > 3 {
        endless_runs.set();
    }
    let pipeline = pipeline.parallel(Parallel::processes(workers).steps(ways.iter().map(step))).build()?;
    Ok(pipeline.run(Context::new()).err().ok_or("it did not fail")?)
}

pub(crate) fn main() -> mp::Result<()> {
    let ways = ["good", "error", "panic", "kill", "endless", "after error"];
    let error = run(&ways, Pipeline::builder("all").on_failure(OnFailure::CollectAll), 3)?;
    if std::env::args().any(|argument| argument == "--fails") {
        return Err(error.into());
    }
    for task in error.report().tasks() {
        match &task.outcome {
            Outcome::Panicked { .. } => println!("{} panicked", task.name),
            outcome => println!("{} {outcome}", task.name),
        }
    }
    let (submitted, done) = (error.report().submitted(), error.report().done());
    println!("{submitted} submitted: {done} done + {} failed", error.report().failures().count());

    let stopped = run(&["error", "endless", "good"], Pipeline::builder("first"), 2)?;
    let outcomes = stopped.report().tasks().iter().map(|task| format!("{} {}", task.name, task.outcome));
    println!("stop on first: {}", outcomes.collect::<Vec<_>>().join(", "));
    println!("children left: {}", mp::active_children().len());
    assert_eq!((submitted, done, stopped.report().started()), (6, 1, 2));
    Ok(())
}
