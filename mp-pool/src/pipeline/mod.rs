//! Pipelines: named steps that hand values on through a context, one after the other or at the same time, in threads or
//! in processes. A run says of each task what became of it.
//!
//! ```no_run
//! use mp_pool::pipeline::{Context, ContextError, Parallel, Pipeline, ProcessStep, Step};
//!
//! fn vision(camera: String) -> Result<String, String> {
//!     Ok(format!("{camera}: clear"))
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let cameras = ["front", "rear"];
//!     let pipeline = Pipeline::builder("vision")
//!         .parallel(
//!             Parallel::processes(2)
//!                 .steps(cameras.map(|camera| ProcessStep::new(camera, vision, (camera.to_owned(),)))),
//!         )
//!         .step(Step::new("fusion", |context: &Context| {
//!             Ok::<_, ContextError>(format!("{} | {}", context.get::<String>("front")?, context.get::<String>("rear")?))
//!         }))
//!         .build()?;
//!     let report = pipeline.run(Context::new())?;
//!     assert_eq!((report.submitted(), report.started(), report.done()), (3, 3, 3));
//!     assert_eq!(report.context().get::<String>("fusion")?, "front: clear | rear: clear");
//!     Ok(())
//! }
//! ```
//!
//! [`Pipeline::run`] gives the report if every task is done, and else an error that has it. A step cannot fail unseen:
//! its error, its panic, its process's exit or death, a deadline, a value that cannot cross are each an [`Outcome`] of
//! its task, in threads as in processes; the run counts what it does as it happens, and compares that with the report.
//!
//! | what                  | is                                                                                     |
//! |-----------------------|----------------------------------------------------------------------------------------|
//! | [`Context`]           | the values, by key; no key is reserved                                                 |
//! | [`Step`], [`ProcessStep`] | a function with a name; what it reads, and the keys that it writes                 |
//! | [`Parallel`]          | steps that run at the same time, and how their values are merged                       |
//! | [`Pipeline`]          | all of it, checked when it is built                                                    |
//! | [`Report`]            | the outcome and the attempts of each task, and the context that was left               |
//! | [`ProgressEvent`](crate::progress::ProgressEvent) | one event, for a consumer that the caller owns             |
//!
//! # When a process dies
//!
//! A step's process that dies is its task's outcome ([`Outcome::Killed`], [`Outcome::Exited`]), and no other task is
//! lost. If the process that runs the pipeline dies, the processes of its steps are killed.

mod account;
mod block;
mod build;
mod context;
mod in_process;
mod merge;
mod outcome;
mod parallel;
#[allow(clippy::module_inception, reason = "its file has the type of that name")]
mod pipeline;
mod plan;
mod report;
mod run;
mod step;

pub use build::{BuildError, PipelineBuilder};
pub use context::{Context, ContextError, Keys};
pub use outcome::{Mode, Outcome, RetryOn};
pub use parallel::{OnConflict, Parallel, Processes, Threads};
pub use pipeline::Pipeline;
pub use plan::OnFailure;
pub use report::{Attempt, PipelineError, Report, TaskReport};
pub use step::{ProcessStep, Step};
