//! What cannot cross to a process is refused where it is submitted: by name, before anything starts, and nothing else
//! is lost.
//!
//! Answers:  "data must be picklable"
//! Python:   pickle.PicklingError, raised in a thread of the pool
//! Run:      cargo run --example ex44_boundary
//! Prints:
//!     front is not serializable: field `lock` has no serial form
//!     rear was not started: front had failed
//!     started 0 of 2
//!     a queue: refused by put itself; the next item arrives: true
//!     to the process 4 bytes, and back 2
//!
//! Most of it does not compile: a function that captures, an `Rc`, a guard, a raw pointer. The documentation of
//! `ProcessStep` and `Process::new` has the programs that are refused. What is left is a value whose own `Serialize`
//! fails.

use mp::Queue;
use mp::pipeline::{Context, Outcome, Parallel, Pipeline, ProcessStep};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, Clone, Deserialize)]
enum Frame {
    Pixels(Vec<u8>),
    /// Has a lock of this process within.
    Live,
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Frame::Pixels(pixels) => serializer.serialize_newtype_variant("Frame", 0, "Pixels", pixels),
            Frame::Live => Err(serde::ser::Error::custom("field `lock` has no serial form")),
        }
    }
}

fn brightest(frame: Frame) -> mp::Result<(u8, u8)> {
    let Frame::Pixels(pixels) = frame else { return Err("no pixels".into()) };
    Ok((pixels.iter().copied().max().unwrap_or_default(), pixels.len() as u8))
}

fn pipeline(front: Frame, rear: Frame) -> mp::Result<Pipeline> {
    let steps =
        [("front", front), ("rear", rear)].map(|(name, frame)| ProcessStep::new(name, brightest, (frame,)));
    Ok(Pipeline::builder("vision").parallel(Parallel::processes(2).steps(steps)).build()?)
}

pub(crate) fn main() -> mp::Result<()> {
    let pixels = || Frame::Pixels(vec![7, 255]);
    let refused = pipeline(Frame::Live, pixels())?.run(Context::new()).err().ok_or("it crossed")?;
    for task in refused.report().tasks() {
        match &task.outcome {
            // It names the type first.
            Outcome::NotSerializable(reason) => {
                println!(
                    "{} is not serializable: {}",
                    task.name,
                    reason.rsplit(": ").next().unwrap_or_default()
                );
            }
            other => println!("{} {other}", task.name),
        }
    }
    println!("started {} of {}", refused.report().started(), refused.report().submitted());

    let items = Queue::new()?;
    let by_put = if items.put(Frame::Live).is_err() { "refused by put itself" } else { "taken" };
    items.put(pixels())?;
    println!("a queue: {by_put}; the next item arrives: {}", matches!(items.get()?, Frame::Pixels(_)));

    let report = pipeline(pixels(), pixels())?.run(Context::new())?;
    let task = &report.tasks()[0];
    let [to, back] = [task.bytes_in, task.bytes_out].map(Option::unwrap_or_default);
    println!("to the process {to} bytes, and back {back}");
    assert_eq!((refused.report().started(), report.done()), (0, 2));
    Ok(())
}
