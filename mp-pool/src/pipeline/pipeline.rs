//! Pipeline: a plan that was checked, and can be run.

use super::build::PipelineBuilder;
use super::context::Context;
use super::plan::Plan;
use super::report::{PipelineError, Report};
use super::run::run;
use crate::progress::{Progress, ProgressEvent, Work};
use std::fmt;

/// Steps in an order, checked: made by [`Pipeline::builder`]. It can be run several times, and from several threads.
///
/// To run it in the background, move it to a thread of the program's: it has no handle of its own that could be
/// dropped.
pub struct Pipeline {
    pub(super) plan: Plan,
}

impl Pipeline {
    /// A pipeline of this name.
    #[doc(alias = "set_steps")]
    pub fn builder(name: impl Into<String>) -> PipelineBuilder {
        PipelineBuilder::new(name.into())
    }

    /// Runs the steps, and returns when all have ended: no thread and no process of the run is left.
    ///
    /// # Errors
    /// [`PipelineError`], which has the report: a task failed or was not started.
    pub fn run(&self, context: Context) -> Result<Report, PipelineError> {
        self.run_with_progress(context, |_| ())
    }

    /// Is [`run`](Pipeline::run), which hands each event to `consume`, in this thread, as it happens.
    ///
    /// If `consume` panics, the processes of the run are killed, and the panic goes on when its threads have ended.
    ///
    /// # Errors
    /// As [`run`](Pipeline::run).
    pub fn run_with_progress(
        &self,
        context: Context,
        mut consume: impl FnMut(&ProgressEvent),
    ) -> Result<Report, PipelineError> {
        run(&self.plan, context, &mut consume, None)
    }

    /// Is [`run`](Pipeline::run), which reports to `progress`, as the calls of a pool may: to look at, or to show on a
    /// [`Bar`](crate::progress::Bar).
    ///
    /// # Errors
    /// As [`run`](Pipeline::run).
    pub fn run_reporting(&self, context: Context, progress: &Progress) -> Result<Report, PipelineError> {
        let work = Work::begin(progress);
        run(&self.plan, context, &mut |_| (), Some(&work))
    }

    /// How many tasks a run has: one for each step.
    pub fn task_count(&self) -> usize {
        self.plan.task_count()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("name", &self.plan.name).field("tasks", &self.task_count()).finish()
    }
}
