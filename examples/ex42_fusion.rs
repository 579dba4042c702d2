//! Two cameras at the same time, then their fusion: what comes of it does not depend on which ends first.
//!
//! Answers:  "accumulates L12": Parallel, then fusion
//! Python:   p.set_steps([Parallel(steps=[front, rear], max_workers=2), fusion])
//! Run:      cargo run --example ex42_fusion
//! Prints:
//!     front ends first, then rear: AI Fusion: Front=Clear | Rear=Car at 20m
//!     rear ends first, then front: AI Fusion: Front=Clear | Rear=Car at 20m
//!     one key for both: the steps "front" and "rear" both write "view": give one of them another key, or say what is meant by on_conflict or reduce
//!
//! Which one ends first is decided by a gate, and not by a clock. The pipeline with the conflict is not built: nothing
//! ran.

use mp::pipeline::{Context, ContextError, OnConflict, Parallel, Pipeline, ProcessStep, Step};
use mp::{Event, Result};

/// Sees something when it may.
fn camera(gate: Event, seen: String) -> Result<String> {
    gate.wait();
    Ok(seen)
}

fn fusion(context: &Context) -> std::result::Result<String, ContextError> {
    let [front, rear] = [context.get::<String>("front")?, context.get::<String>("rear")?];
    Ok(format!("AI Fusion: Front={front} | Rear={rear}"))
}

/// The second one waits until the first one is done.
fn run(first: &str) -> Result<String> {
    let gate = Event::new()?;
    let open = Event::new()?;
    open.set();
    let step = |name: &str, seen: &str| {
        let gate = if name == first { open.clone() } else { gate.clone() };
        ProcessStep::new(name, camera, (gate, seen.to_owned()))
    };
    let cameras = Parallel::processes(2).step(step("front", "Clear")).step(step("rear", "Car at 20m"));
    let pipeline = Pipeline::builder("L12").parallel(cameras).step(Step::new("fusion", fusion)).build()?;
    let mut ended = Vec::new();
    let report = pipeline.run_with_progress(Context::new(), |progress| {
        if progress.to_string().ends_with("is done") && progress.task.to_string() != "fusion" {
            ended.push(progress.task.to_string());
            gate.set();
        }
    })?;
    Ok(format!("{} ends first, then {}: {}", ended[0], ended[1], report.context().get::<String>("fusion")?))
}

pub(crate) fn main() -> mp::Result<()> {
    println!("{}", run("front")?);
    println!("{}", run("rear")?);
    let same = |name| Step::new(name, |_: &Context| -> Result<u32> { Ok(0) }).keys("view");
    let both = |on_conflict| {
        let block = Parallel::threads(2).step(same("front")).step(same("rear")).on_conflict(on_conflict);
        Pipeline::builder("L12").parallel(block).build()
    };
    println!("one key for both: {}", both(OnConflict::Refuse).err().ok_or("it was built")?);
    assert!(both(OnConflict::LastDeclared).is_ok());
    Ok(())
}
