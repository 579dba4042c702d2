//! Three steps hand values on by key, in the order in which they were declared; a key that nothing has written is an
//! error.
//!
//! Answers:  Pipeline, set_steps, @step, run
//! Python:   p.set_steps([capture, edges, label]); p.run({"camera": 7})
//! Run:      cargo run --example ex41_pipeline_steps
//! Prints:
//!     camera 7: 3 objects
//!     keys: camera, frame, edges, label
//!     3 of 3 tasks are done
//!     a typing error: label failed: the context has no key "egdes": it has ["camera", "frame", "edges"]
//!
//! A pipeline's data is no dict in which errors hide: a step fails, and `run` is an error that says which one.

use mp::pipeline::{Context, ContextError, Pipeline, Step};

fn capture(context: &Context) -> Result<Vec<u8>, ContextError> {
    let camera = context.get::<u32>("camera")?;
    Ok((0..10).map(|pixel| if pixel % 3 == 0 { *camera as u8 } else { 0 }).collect())
}

fn edges(context: &Context) -> Result<usize, ContextError> {
    let frame = context.get::<Vec<u8>>("frame")?;
    Ok(frame.windows(2).filter(|pair| pair[0] != pair[1]).count())
}

/// Reads how many edges there are under this key.
fn label(key: &'static str) -> Step<String> {
    Step::new("label", move |context: &Context| {
        let (camera, edges) = (context.get::<u32>("camera")?, context.get::<usize>(key)?);
        Ok::<_, ContextError>(format!("camera {camera}: {} objects", edges / 2))
    })
}

fn pipeline(key: &'static str) -> mp::Result<Pipeline> {
    let pipeline =
        Pipeline::builder("tour").step(Step::new("frame", capture)).step(Step::new("edges", edges));
    Ok(pipeline.step(label(key)).build()?)
}

pub(crate) fn main() -> mp::Result<()> {
    let report = pipeline("edges")?.run(Context::new().with("camera", 7_u32))?;
    println!("{}", report.context().get::<String>("label")?);
    println!("keys: {}", report.context().keys().collect::<Vec<_>>().join(", "));
    println!("{} of {} tasks are done", report.done(), report.submitted());

    let wrong = pipeline("egdes")?.run(Context::new().with("camera", 7_u32)).err().ok_or("no error")?;
    for task in wrong.report().failures() {
        println!("a typing error: {} {}", task.name, task.outcome);
    }
    assert_eq!((report.done(), wrong.report().done()), (3, 2));
    Ok(())
}
