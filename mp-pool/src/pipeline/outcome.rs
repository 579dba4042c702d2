//! Outcome: how a task ended. One of these for each task of a run, and for each attempt at it.

use crate::options::Retry;
use mp_core::process::{At, CaughtError};
use std::fmt;
use std::time::Duration;

/// How a task of a pipeline, or one attempt at it, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It returned a value, which is in the context.
    Done,
    /// It returned an error, or its input or its condition did: the error's text.
    Failed(String),
    /// It panicked.
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`. Empty if it is not known: the payload was made by `resume_unwind`, or a panic hook of
        /// the program's alone was told of it.
        location: String,
    },
    /// Its process exited with this code before the function returned.
    Exited(i32),
    /// A signal killed its process.
    Killed(i32),
    /// It ran longer than its [deadline](super::ProcessStep::deadline), and its process was ended.
    TimedOut,
    /// Its arguments could not be serialised, and it did not start; or its value could not be: the reason.
    NotSerializable(String),
    /// It had started, and its process was ended because another task had failed:
    /// [`OnFailure::StopOnFirst`](super::OnFailure::StopOnFirst).
    Cancelled,
    /// Its [condition](super::Step::when) was false, so it did not start.
    Skipped,
    /// It did not start: the reason.
    NotStarted(String),
}

impl Outcome {
    /// Whether it neither gave a value nor was skipped.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Outcome::Done | Outcome::Skipped)
    }

    /// Whether a retry on these outcomes follows it.
    pub(super) fn is_one_of(&self, listed: &[RetryOn]) -> bool {
        let kind = match self {
            Outcome::Failed(_) => RetryOn::Failed,
            Outcome::Panicked { .. } => RetryOn::Panicked,
            Outcome::Exited(_) => RetryOn::Exited,
            Outcome::Killed(_) => RetryOn::Killed,
            Outcome::TimedOut => RetryOn::TimedOut,
            _ => return false,
        };
        listed.contains(&kind)
    }
}

/// `is done`, `failed: the reason`, `was killed by signal 9` …: what follows the task's name in a sentence.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("is done"),
            Outcome::Failed(reason) => write!(f, "failed: {reason}"),
            Outcome::Panicked { message, location } => write!(f, "panicked{}: {message}", At(location)),
            Outcome::Exited(code) => write!(f, "exited with code {code}"),
            Outcome::Killed(signal) => write!(f, "was killed by signal {signal}"),
            Outcome::TimedOut => f.write_str("timed out"),
            Outcome::NotSerializable(reason) => write!(f, "is not serializable: {reason}"),
            Outcome::Cancelled => f.write_str("was cancelled"),
            Outcome::Skipped => f.write_str("was skipped"),
            Outcome::NotStarted(reason) => write!(f, "was not started: {reason}"),
        }
    }
}

impl From<CaughtError> for Outcome {
    fn from(error: CaughtError) -> Outcome {
        match error {
            CaughtError::Panicked { message, location } => Outcome::Panicked { message, location },
            CaughtError::Call(error) => Outcome::Failed(error.to_string()),
        }
    }
}

/// Calls the program's code; its panic is an outcome.
pub(super) fn guarded<T>(code: impl FnOnce() -> Result<T, Outcome>) -> Result<T, Outcome> {
    mp_core::process::caught(code).map_err(Outcome::from)?
}

/// An outcome after which a step is tried again: see [`ProcessStep::retry`](super::ProcessStep::retry).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryOn {
    /// [`Outcome::Failed`].
    Failed,
    /// [`Outcome::Panicked`].
    Panicked,
    /// [`Outcome::Exited`].
    Exited,
    /// [`Outcome::Killed`].
    Killed,
    /// [`Outcome::TimedOut`].
    TimedOut,
}

/// How often a step is tried again, and after what.
#[derive(Debug, Clone, Default)]
pub(super) struct Retries {
    pub(super) most: u32,
    pub(super) on: Vec<RetryOn>,
    pub(super) backoff: Duration,
}

impl Retries {
    /// How long to wait before the attempt after so many; `None`: the outcome stands.
    pub(super) fn pause(&self, attempts: usize, outcome: &Outcome) -> Option<Duration> {
        let retries = u32::try_from(attempts).unwrap_or(u32::MAX);
        if retries > self.most || !outcome.is_one_of(&self.on) {
            return None;
        }
        Some(Retry::new(self.most).backoff(self.backoff).wait(retries.saturating_sub(1)))
    }
}

/// Where a task ran: as the pipeline was told, without exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// In the thread that called [`run`](super::Pipeline::run).
    Here,
    /// In a thread of its own.
    Threads,
    /// In a process of its own.
    Processes,
}

/// `here`, `threads`, `processes`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Here => "here",
            Mode::Threads => "threads",
            Mode::Processes => "processes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_follows_listed_outcomes_alone_and_waits_longer_each_time() {
        let second = Duration::from_secs(1);
        let retries = Retries { most: 3, on: vec![RetryOn::Killed], backoff: second };
        let pauses = [1, 2, 3, 4].map(|attempts| retries.pause(attempts, &Outcome::Killed(9)));
        assert_eq!(pauses, [Some(second), Some(2 * second), Some(4 * second), None]);
        let longest = Retries { backoff: Duration::MAX, ..retries.clone() };
        assert_eq!(longest.pause(1, &Outcome::Killed(9)), Some(Duration::from_secs(3600)));
        assert_eq!(retries.pause(1, &Outcome::TimedOut), None);
        assert_eq!(retries.pause(1, &Outcome::Cancelled), None);
        assert_eq!(Retries::default().pause(1, &Outcome::Killed(9)), None);
    }
}
