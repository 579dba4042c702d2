//! What a pipeline is to do, apart from the doing.

use super::parallel::Block;

/// The steps, in blocks one after the other. One step by itself is a block.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) blocks: Vec<Block>,
    pub(super) on_failure: OnFailure,
}

impl Plan {
    /// One task for each step.
    pub(super) fn task_count(&self) -> usize {
        self.blocks.iter().map(|block| block.jobs.len()).sum()
    }
}

/// What a failure of a task does to the rest of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// No other task is started. Those that run in processes are ended, SIGTERM first and SIGKILL after their
    /// [grace](super::ProcessStep::grace), and reaped; those that run in threads are waited for.
    #[default]
    StopOnFirst,
    /// All other tasks are tried, those of later steps too, which may lack the values of the failed one. The run is an
    /// error all the same.
    CollectAll,
}
