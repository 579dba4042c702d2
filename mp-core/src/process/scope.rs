//! scope: forked processes that end before their borrowed data changes, like `std::thread::scope`.

use super::builder::{ForkProcess, Process};
use super::child::{Child, Record};
use crate::popen::StartError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// A scope for forked processes, which end with it.
#[derive(Debug, Default)]
pub struct Scope {
    children: Mutex<Vec<Arc<Record>>>,
}

/// Calls `work` with a scope that forks processes, and joins at its end the processes that were not joined in it.
///
/// The processes are copies of this one, so they may use borrowed data; this process does not see what they write.
/// They return values. A guard of data in shared memory cannot be used in them: [`StartError::Borrowed`].
///
/// ```no_run
/// let words = vec!["one".to_owned(), "two".to_owned()];
/// let lengths = mp_core::scope(|scope| {
///     let children: Result<Vec<_>, _> = words.iter().map(|word| scope.fork(|| word.len())).collect();
///     children?.iter().map(|child| Ok(child.join()?)).collect::<Result<Vec<usize>, Box<dyn std::error::Error>>>()
/// })?;
/// assert_eq!(lengths, [3, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// If a process that was not joined failed, like `std::thread::scope`; after all have ended.
pub fn scope<T>(work: impl FnOnce(&Scope) -> T) -> T {
    let scope = Scope::default();
    let result = catch_unwind(AssertUnwindSafe(|| work(&scope)));
    let children = scope.children.into_inner().unwrap_or_else(PoisonError::into_inner);
    for child in &children {
        let _ = child.wait(None);
    }
    let value = result.unwrap_or_else(|payload| resume_unwind(payload));
    let failed: Vec<&str> = children.iter().filter(|it| it.failed_unseen()).map(|it| it.name()).collect();
    assert!(failed.is_empty(), "processes of the scope failed: {}", failed.join(", "));
    value
}

impl Scope {
    /// Starts a copy of this process that runs `work`: see [`Process::fork`].
    pub fn fork<C, R>(&self, work: C) -> Result<Child<R>, StartError>
    where
        C: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        self.start(Process::fork(work))
    }

    /// Starts a process with a name or other settings.
    pub fn start<C, R>(&self, process: ForkProcess<C>) -> Result<Child<R>, StartError>
    where
        C: FnOnce() -> R,
        R: Serialize + DeserializeOwned,
    {
        let child = process.start()?;
        self.children.lock().unwrap_or_else(PoisonError::into_inner).push(child.record());
        Ok(child)
    }
}
