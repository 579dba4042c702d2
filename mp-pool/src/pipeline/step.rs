//! Step and ProcessStep: a named function, what it reads from the context, and the keys that it writes.

use super::context::{Context, ContextError, Keys, Values};
use super::in_process::{Remote, remote};
use super::outcome::{Outcome, Retries, RetryOn};
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a step has beside its function.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) keys: Vec<String>,
    pub(super) after: Vec<String>,
    pub(super) retries: Retries,
    pub(super) condition: Option<Condition>,
    pub(super) deadline: Option<Duration>,
    pub(super) grace: Duration,
}

pub(super) type Condition = Arc<dyn Fn(&Context) -> Result<bool, Outcome> + Send + Sync>;
type Work<T> = Arc<dyn Fn(&Context) -> Result<T, Outcome> + Send + Sync>;
type Split<T> = fn(T) -> Values;

impl Settings {
    fn new<T: 'static>(name: String) -> Settings {
        // A function that returns nothing writes nothing.
        let keys = if TypeId::of::<T>() == TypeId::of::<()>() { Vec::new() } else { vec![name.clone()] };
        Settings {
            name,
            keys,
            after: Vec::new(),
            retries: Retries::default(),
            condition: None,
            deadline: None,
            grace: Duration::from_secs(1),
        }
    }
}

/// A step that runs here, or in a thread: a closure, which may capture, from the context to a value.
///
/// It returns a `Result`: an error makes the task [`Outcome::Failed`] with the error's text. Its value is written to
/// the context under the step's name, unless [`keys`](Step::keys) names others; `()` is not written.
///
/// ```
/// use mp_pool::pipeline::{Context, ContextError, Step};
///
/// let step = Step::new("length", |context: &Context| {
///     Ok::<_, ContextError>(context.get::<String>("text")?.len())
/// });
/// # let _ = step;
/// ```
#[must_use = "a step runs as part of a pipeline"]
pub struct Step<T> {
    settings: Settings,
    work: Work<T>,
    split: Split<T>,
}

impl<T: Send + Sync + 'static> Step<T> {
    /// A step of this name, which no other step of the pipeline may have.
    pub fn new<E: fmt::Display>(
        name: impl Into<String>,
        work: impl Fn(&Context) -> Result<T, E> + Send + Sync + 'static,
    ) -> Step<T> {
        let work = move |context: &Context| work(context).map_err(failed);
        Step {
            settings: Settings::new::<T>(name.into()),
            work: Arc::new(work),
            split: <&str as Keys<T>>::split,
        }
    }
}

/// A step that can run in a process of its own: a `fn` item or a closure that captures nothing, its arguments, and its
/// result, which all cross as those of [`Process::new`](mp_core::Process::new). It can run in a thread as well.
///
/// Only the function's address in the program and the packed arguments cross: not the context, the pipeline or the
/// consumer of its progress. Arguments that are large are best handles of shared memory, which cross without a copy.
///
/// ```
/// use mp_pool::pipeline::ProcessStep;
///
/// fn vision(frame: u32) -> Result<String, String> {
///     Ok(format!("frame {frame}: clear"))
/// }
///
/// let fixed = ProcessStep::new("front", vision, (7,));
/// let chosen = ProcessStep::with_input("rear", vision, |context| Ok((*context.get("frame")?,)));
/// # let _ = (fixed, chosen);
/// ```
///
/// A function that captures, or a value that cannot cross, does not compile:
///
/// ```compile_fail
/// # use mp_pool::pipeline::ProcessStep;
/// let limit = 3;
/// let step = ProcessStep::new("front", move |x: u32| Ok::<_, String>(x < limit), (7,));
/// ```
///
/// ```compile_fail,E0277
/// # use mp_pool::pipeline::ProcessStep;
/// fn shared() -> Result<std::rc::Rc<u32>, String> {
///     Ok(std::rc::Rc::new(1))
/// }
/// let step = ProcessStep::new("front", shared, ());
/// ```
#[must_use = "a step runs as part of a pipeline"]
pub struct ProcessStep<T> {
    settings: Settings,
    work: Work<T>,
    remote: Remote<T>,
    split: Split<T>,
}

impl<T: Transferable + Send + Sync + 'static> ProcessStep<T> {
    /// A step that calls `function` with these arguments, a tuple.
    pub fn new<F, A, E, Kind>(name: impl Into<String>, function: F, arguments: A) -> ProcessStep<T>
    where
        F: Target<A, Output = Result<T, E>> + Callable<A, Kind> + Sync,
        A: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        E: fmt::Display,
    {
        let () = Captures::<F>::NOTHING;
        ProcessStep::of(name.into(), function, move |_| Ok(arguments.clone()))
    }

    /// A step that calls `function` with the arguments, a tuple, that `input` makes of the context, in this process.
    pub fn with_input<F, A, E, Kind>(
        name: impl Into<String>,
        function: F,
        input: impl Fn(&Context) -> Result<A, ContextError> + Send + Sync + 'static,
    ) -> ProcessStep<T>
    where
        F: Target<A, Output = Result<T, E>> + Callable<A, Kind> + Sync,
        A: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
    {
        let () = Captures::<F>::NOTHING;
        ProcessStep::of(name.into(), function, input)
    }

    fn of<F, A, E>(
        name: String,
        function: F,
        input: impl Fn(&Context) -> Result<A, ContextError> + Send + Sync + 'static,
    ) -> ProcessStep<T>
    where
        F: Target<A, Output = Result<T, E>> + Sync,
        A: Serialize + DeserializeOwned + 'static,
        E: fmt::Display,
    {
        let input = Arc::new(input);
        let remote = remote(function, Arc::clone(&input));
        let work = move |context: &Context| function.call(input(context).map_err(failed)?).map_err(failed);
        ProcessStep {
            settings: Settings::new::<T>(name),
            work: Arc::new(work),
            remote,
            split: <&str as Keys<T>>::split,
        }
    }

    /// Ends an attempt that takes longer: its process gets SIGTERM, and SIGKILL after the [grace](ProcessStep::grace).
    /// It counts from the start of the process, which it includes. The task is [`Outcome::TimedOut`]; one that is done
    /// just before stays done. Default: no limit.
    ///
    /// A thread cannot be ended, so a step with a deadline is refused in
    /// [`Parallel::threads`](super::Parallel::threads):
    /// [`BuildError::DeadlineOfThread`](super::BuildError::DeadlineOfThread).
    #[doc(alias = "timeout")]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }

    /// How long after SIGTERM its process gets SIGKILL, where the library ends it. Default: one second.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }
}

/// As the error of a step.
fn failed(error: impl fmt::Display) -> Outcome {
    Outcome::Failed(error.to_string())
}

/// What both kinds of steps can be told.
macro_rules! settings {
    ($step:ident: $($bounds:tt)*) => {
        impl<T: $($bounds)*> $step<T> {
            /// Writes the value under another key than the step's name; or the parts of a tuple under an array of keys.
            pub fn keys<K: Keys<T>>(mut self, keys: K) -> Self {
                self.settings.keys = keys.names();
                self.split = K::split;
                self
            }

            /// Starts after this step of the same [`Parallel`](super::Parallel) block, if that is done, and sees what
            /// it has written. Without this call a step of a block sees the context as it was before the block.
            #[doc(alias = "depends_on")]
            pub fn after(mut self, name: impl Into<String>) -> Self {
                self.settings.after.push(name.into());
                self
            }

            /// Starts only if this is true: else the task is [`Outcome::Skipped`], which is no failure. An error of the
            /// condition is one of the task.
            #[doc(alias = "Condition")]
            pub fn when<E: fmt::Display>(
                mut self,
                condition: impl Fn(&Context) -> Result<bool, E> + Send + Sync + 'static,
            ) -> Self {
                self.settings.condition = Some(Arc::new(move |context| condition(context).map_err(failed)));
                self
            }

            /// Tries it again, at most so many times, after one of these outcomes; for a step that may run twice. Each
            /// attempt is in the report, and each in a process has a new one.
            #[doc(alias = "retry_count")]
            pub fn retry(mut self, most: u32, on: &[RetryOn]) -> Self {
                self.settings.retries.most = most;
                self.settings.retries.on = on.to_vec();
                self
            }

            /// How long to wait before the second attempt; twice as long before each further one, an hour at most.
            /// Default: not at all.
            pub fn backoff(mut self, first: Duration) -> Self {
                self.settings.retries.backoff = first;
                self
            }
        }

        impl<T> fmt::Debug for $step<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($step))
                    .field("name", &self.settings.name)
                    .field("keys", &self.settings.keys)
                    .finish_non_exhaustive()
            }
        }
    };
}
settings!(Step: Send + Sync + 'static);
settings!(ProcessStep: Transferable + Send + Sync + 'static);

/// For threads: the function is called here, and nothing is packed.
impl<T> From<ProcessStep<T>> for Step<T> {
    fn from(step: ProcessStep<T>) -> Step<T> {
        Step { settings: step.settings, work: step.work, split: step.split }
    }
}

/// A step whatever its value's type is.
pub(super) struct Job {
    pub(super) settings: Settings,
    pub(super) work: Work<Values>,
    /// Nothing for a step that runs in this process.
    pub(super) remote: Option<Remote<Values>>,
}

impl<T: 'static> From<Step<T>> for Job {
    fn from(step: Step<T>) -> Job {
        let (work, split) = (step.work, step.split);
        Job { settings: step.settings, work: Arc::new(move |context| work(context).map(split)), remote: None }
    }
}

impl<T: 'static> From<ProcessStep<T>> for Job {
    fn from(step: ProcessStep<T>) -> Job {
        let (remote, split) = (step.remote.map(step.split), step.split);
        let work = step.work;
        Job {
            settings: step.settings,
            work: Arc::new(move |context| work(context).map(split)),
            remote: Some(remote),
        }
    }
}
