//! Parallel: steps that run at the same time, in threads or in processes.

use super::context::Item;
use super::outcome::{Mode, guarded};
use super::step::{Job, ProcessStep, Step};
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

/// That the steps of a block run in threads: a type of [`Parallel`].
#[derive(Debug)]
pub struct Threads;

/// That the steps of a block run in processes: a type of [`Parallel`].
#[derive(Debug)]
pub struct Processes;

/// What becomes of a key that several steps of a block write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnConflict {
    /// The pipeline is not built: [`BuildError::Conflict`](super::BuildError::Conflict).
    #[default]
    Refuse,
    /// The value of the step that was declared last stands, whichever ends last.
    LastDeclared,
    /// Each of them writes to a key of its own, `step.key`.
    Namespaced,
}

/// A block of steps that run at the same time, at most `max_workers` of them.
///
/// Each sees the context as it was before the block. When all have ended, what they have written is merged in the order
/// in which they were declared, whatever the order of their ends. A key that the context had before is updated. A key
/// that two of them write is refused when the pipeline is built, unless [`on_conflict`](Parallel::on_conflict) or
/// [`reduce`](Parallel::reduce) says what is meant.
///
/// The steps run in what was asked for. In processes, all arguments are packed before the first process starts, and
/// each attempt has a new process, a daemon of this one: it costs a start, and none harms another. What is so small
/// that the start matters is better done by a [`Pool`](crate::Pool).
#[must_use = "a block runs as part of a pipeline"]
#[doc(alias = "use_processes")]
pub struct Parallel<K> {
    pub(super) block: Block,
    kind: PhantomData<K>,
}

/// A block, whatever its kind.
pub(super) struct Block {
    pub(super) mode: Mode,
    pub(super) max_workers: usize,
    pub(super) jobs: Vec<Job>,
    pub(super) on_conflict: OnConflict,
    pub(super) reductions: Vec<(String, Reduce)>,
}

/// One value of several.
pub(super) type Reduce = Box<dyn Fn(&Item, &Item) -> Result<Item, String> + Send + Sync>;

impl Block {
    pub(super) fn of(mode: Mode, max_workers: usize) -> Block {
        let (jobs, reductions) = (Vec::new(), Vec::new());
        Block { mode, max_workers, jobs, on_conflict: OnConflict::default(), reductions }
    }

    pub(super) fn reduction(&self, key: &str) -> Option<&Reduce> {
        self.reductions.iter().find(|(other, _)| other == key).map(|(_, reduce)| reduce)
    }

    /// How many of its steps write this key.
    pub(super) fn writers(&self, key: &str) -> usize {
        self.jobs.iter().flat_map(|job| &job.settings.keys).filter(|other| *other == key).count()
    }
}

impl Parallel<Threads> {
    /// A block whose steps run in threads of this process.
    #[doc(alias = "max_workers")]
    pub fn threads(max_workers: usize) -> Parallel<Threads> {
        Parallel { block: Block::of(Mode::Threads, max_workers), kind: PhantomData }
    }

    /// Adds a step: a [`Step`], or a [`ProcessStep`], whose function is called here then.
    pub fn step<T: 'static>(mut self, step: impl Into<Step<T>>) -> Self {
        self.block.jobs.push(step.into().into());
        self
    }

    /// Adds several.
    pub fn steps<T: 'static, S: Into<Step<T>>>(self, steps: impl IntoIterator<Item = S>) -> Self {
        steps.into_iter().fold(self, Parallel::<Threads>::step)
    }
}

impl Parallel<Processes> {
    /// A block whose steps run in processes. A [`Step`], which may capture, is none of its steps; it does not compile:
    ///
    /// ```compile_fail,E0308
    /// use mp_pool::pipeline::{Context, Parallel, Step};
    ///
    /// let here = Step::new("front", |_: &Context| Ok::<_, String>(1));
    /// let block = Parallel::processes(2).step(here);
    /// ```
    pub fn processes(max_workers: usize) -> Parallel<Processes> {
        Parallel { block: Block::of(Mode::Processes, max_workers), kind: PhantomData }
    }

    /// Adds a step.
    pub fn step<T: 'static>(mut self, step: ProcessStep<T>) -> Self {
        self.block.jobs.push(step.into());
        self
    }

    /// Adds several.
    pub fn steps<T: 'static>(self, steps: impl IntoIterator<Item = ProcessStep<T>>) -> Self {
        steps.into_iter().fold(self, Parallel::<Processes>::step)
    }
}

impl<K> Parallel<K> {
    /// What becomes of each key that several of its steps write.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.block.on_conflict = on_conflict;
        self
    }

    /// Makes one value of those that its steps write under this key, all of type `T`: two at a time, in the order in
    /// which the steps were declared.
    pub fn reduce<T: Send + Sync + 'static>(
        mut self,
        key: impl Into<String>,
        function: impl Fn(&T, &T) -> T + Send + Sync + 'static,
    ) -> Self {
        let reduce = move |a: &Item, b: &Item| {
            let (Some(a), Some(b)) = (a.get::<T>(), b.get::<T>()) else {
                return Err(format!(
                    "{} and {} are to be {}",
                    a.type_name(),
                    b.type_name(),
                    type_name::<T>()
                ));
            };
            guarded(|| Ok(Item::new(function(a, b)))).map_err(|outcome| outcome.to_string())
        };
        self.block.reductions.push((key.into(), Box::new(reduce)));
        self
    }
}

impl<K> fmt::Debug for Parallel<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parallel")
            .field("mode", &self.block.mode)
            .field("max_workers", &self.block.max_workers)
            .field("steps", &self.block.jobs.len())
            .finish_non_exhaustive()
    }
}
