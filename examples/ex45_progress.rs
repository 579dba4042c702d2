//! Progress is a stream of events, one after the other for each task; a bar is one consumer of it, and belongs to its
//! work.
//!
//! Answers:  the progress bar, which stands at 0 %
//! Python:   Pipeline(show_progress=True), with one bar for all pipelines
//! Run:      cargo run --example ex45_progress
//! Prints:
//!     0/4 a started, 1/4 a is done, 1/4 b started, 2/4 b is done, 2/4 c started, 3/4 c is done, 3/4 d started, 4/4 d is done
//!     0/4 a started, 1/4 a is done, 1/4 b started, 2/4 b is done, 2/4 c started, failed at 2/4: c failed: no signal, failed at 2/4: d was not started: c had failed
//!     two pipelines at the same time: 8 events of eco, 8 of sport, none of the other
//!     a pool: 20/20, 1 failed, 1 worker died, 1 worker restarted
//!
//! The last event has all tasks finished if and only if they are. The pool's bar is on standard error: on a terminal a
//! bar, else lines.

use mp::pipeline::{Context, Parallel, Pipeline, PipelineError, ProcessStep, Report};
use mp::progress::{Bar, Progress};
use mp::{Event, Pool, Result};

fn camera(works: bool, gate: Event) -> Result<()> {
    gate.wait();
    if works { Ok(()) } else { Err("no signal".into()) }
}

/// Four tasks, one at a time; one of them may have no signal.
fn pipeline(name: &str, broken: &str, gate: &Event) -> Result<Pipeline> {
    let step = |name| ProcessStep::new(name, camera, (name != broken, gate.clone()));
    let steps = ["a", "b", "c", "d"].map(step);
    Ok(Pipeline::builder(name).parallel(Parallel::processes(1).steps(steps)).build()?)
}

/// What a run has told, and whose it was.
fn told(pipeline: &Pipeline) -> (Vec<(String, String)>, std::result::Result<Report, PipelineError>) {
    let mut events = Vec::new();
    let run = pipeline.run_with_progress(Context::new(), |event| {
        events.push((event.name.to_string(), event.to_string()));
    });
    (events, run)
}

fn line(events: &[(String, String)]) -> String {
    events.iter().map(|(_, event)| event.as_str()).collect::<Vec<_>>().join(", ")
}

fn recognise(frame: u32) -> u32 {
    if frame == 13 { std::process::abort() } else { frame % 3 }
}

pub(crate) fn main() -> mp::Result<()> {
    let open = Event::new()?;
    open.set();
    let (events, run) = told(&pipeline("eco", "", &open)?);
    println!("{}", line(&events));
    assert_eq!(run?.done(), 4);
    let (events, run) = told(&pipeline("eco", "c", &open)?);
    println!("{}", line(&events));
    assert_eq!(run.err().ok_or("no error")?.report().done(), 2);

    // Neither goes on before both have begun.
    let gate = Event::new()?;
    let [eco, sport] = [pipeline("eco", "", &gate)?, pipeline("sport", "", &gate)?];
    let both = std::thread::scope(|scope| {
        let runs = [scope.spawn(|| told(&eco).0), scope.spawn(|| told(&sport).0)];
        gate.set();
        runs.map(|run| run.join().expect("it does not panic"))
    });
    let own = |at: usize, name: &str| both[at].iter().filter(|(pipeline, _)| pipeline == name).count();
    assert_eq!(own(0, "sport") + own(1, "eco"), 0);
    let (eco, sport) = (own(0, "eco"), own(1, "sport"));
    println!("two pipelines at the same time: {eco} events of eco, {sport} of sport, none of the other");

    let (pool, progress) = (Pool::new(1)?, Progress::named("frames"));
    let bar = Bar::new(&progress)?;
    let frames = pool.report_to(&progress).map_each(recognise, 0..20)?;
    drop(bar);
    println!("a pool: {}", progress.tally());
    assert_eq!(frames.iter().filter(|frame| frame.is_ok()).count(), 19);
    Ok(())
}
