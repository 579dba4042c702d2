//! PipelineBuilder: a pipeline is checked as a whole before any of it runs.

use super::outcome::Mode;
use super::parallel::{Block, OnConflict, Parallel};
use super::pipeline::Pipeline;
use super::plan::{OnFailure, Plan};
use super::step::{Job, Step};
use std::collections::HashSet;
use std::fmt;

/// A pipeline that is not built yet: made by [`Pipeline::builder`].
#[must_use = "a pipeline is made by build"]
pub struct PipelineBuilder {
    plan: Plan,
}

/// The error of building a pipeline. Nothing has run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The pipeline, or a block of it, has no step, so a run would do nothing and succeed.
    #[error("a pipeline, and each block of it, needs at least one step")]
    NoSteps,
    /// A block may have no worker.
    #[error("a block needs at least one worker")]
    NoWorkers,
    /// Two steps have this name.
    #[error("two steps are called {name:?}: give each a name of its own")]
    DuplicateName {
        /// Their name.
        name: String,
    },
    /// A step is to start after one that its block does not have.
    #[error("step {step:?} is to start after {after:?}, which is no other step of its block")]
    UnknownDependency {
        /// The step that is to start.
        step: String,
        /// The one that there is not.
        after: String,
    },
    /// Each of these is to start after another one of them.
    #[error("the steps {steps:?} wait for one another, so none of them could start")]
    Cycle {
        /// Their names.
        steps: Vec<String>,
    },
    /// Two steps of a block write this key, and the block does not say what is meant.
    #[error(
        "the steps {first:?} and {second:?} both write {key:?}: give one of them another key, or say what is meant by \
         on_conflict or reduce"
    )]
    Conflict {
        /// The key.
        key: String,
        /// The step that is declared first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A step has a deadline and does not run in a process: a thread cannot be ended.
    #[error(
        "step {step:?} has a deadline, and a thread cannot be ended: run it in a process, or leave the deadline out"
    )]
    DeadlineOfThread {
        /// The step.
        step: String,
    },
}

impl PipelineBuilder {
    pub(super) fn new(name: String) -> PipelineBuilder {
        PipelineBuilder { plan: Plan { name, blocks: Vec::new(), on_failure: OnFailure::default() } }
    }

    /// Adds a step that runs by itself, in the thread that calls [`run`](Pipeline::run).
    pub fn step<T: 'static>(mut self, step: Step<T>) -> Self {
        let mut block = Block::of(Mode::Here, 1);
        block.jobs.push(Job::from(step));
        self.plan.blocks.push(block);
        self
    }

    /// Adds steps that run at the same time.
    pub fn parallel<K>(mut self, parallel: Parallel<K>) -> Self {
        self.plan.blocks.push(parallel.block);
        self
    }

    /// What a failure does to the rest. Default: [`OnFailure::StopOnFirst`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.plan.on_failure = on_failure;
        self
    }

    /// Checks the pipeline as a whole.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(self) -> Result<Pipeline, BuildError> {
        let names = self.plan.blocks.iter().flat_map(|block| &block.jobs).map(|job| &job.settings.name);
        let mut seen = HashSet::new();
        if let Some(name) = names.clone().find(|name| !seen.insert(*name)) {
            return Err(BuildError::DuplicateName { name: name.clone() });
        }
        if self.plan.blocks.is_empty() {
            return Err(BuildError::NoSteps);
        }
        self.plan.blocks.iter().try_for_each(check)?;
        Ok(Pipeline { plan: self.plan })
    }
}

fn check(block: &Block) -> Result<(), BuildError> {
    if block.jobs.is_empty() {
        return Err(BuildError::NoSteps);
    }
    if block.max_workers == 0 {
        return Err(BuildError::NoWorkers);
    }
    let with_deadline = block.jobs.iter().find(|job| job.settings.deadline.is_some());
    if let Some(job) = with_deadline.filter(|_| block.mode != Mode::Processes) {
        return Err(BuildError::DeadlineOfThread { step: job.settings.name.clone() });
    }
    check_order(block)?;
    check_keys(block)
}

/// Each step that can start, starts, and those that come after it can then: what is left waits in a circle.
fn check_order(block: &Block) -> Result<(), BuildError> {
    let names: HashSet<&str> = block.jobs.iter().map(|job| job.settings.name.as_str()).collect();
    for job in &block.jobs {
        let unknown = |after: &&String| !names.contains(after.as_str()) || **after == job.settings.name;
        if let Some(after) = job.settings.after.iter().find(unknown) {
            let (step, after) = (job.settings.name.clone(), after.clone());
            return Err(BuildError::UnknownDependency { step, after });
        }
    }
    let mut left: Vec<&Job> = block.jobs.iter().collect();
    loop {
        let waiting: HashSet<&str> = left.iter().map(|job| job.settings.name.as_str()).collect();
        let before = left.len();
        left.retain(|job| job.settings.after.iter().any(|after| waiting.contains(after.as_str())));
        if left.is_empty() {
            return Ok(());
        }
        if left.len() == before {
            let steps = left.iter().map(|job| job.settings.name.clone()).collect();
            return Err(BuildError::Cycle { steps });
        }
    }
}

fn check_keys(block: &Block) -> Result<(), BuildError> {
    if block.on_conflict != OnConflict::Refuse {
        return Ok(());
    }
    let writes =
        block.jobs.iter().flat_map(|job| job.settings.keys.iter().map(|key| (key, &job.settings.name)));
    let mut first_writers: Vec<(&String, &String)> = Vec::new();
    for (key, name) in writes.filter(|(key, _)| block.reduction(key).is_none()) {
        if let Some((_, first)) = first_writers.iter().find(|(other, _)| *other == key) {
            let (key, first, second) = (key.clone(), (*first).clone(), name.clone());
            return Err(BuildError::Conflict { key, first, second });
        }
        first_writers.push((key, name));
    }
    Ok(())
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder").field("name", &self.plan.name).finish_non_exhaustive()
    }
}
