//! A chunk: items of one call that one thread does, one after the other.

use super::crew::Crew;
use super::task::{ThreadTask, caught};
use crate::error::{SubmitError, TaskError};
use crate::future::Future;
use std::sync::Arc;

/// Items that one thread does, one after the other.
pub(super) struct Chunk<R> {
    pub(super) items: usize,
    pub(super) results: Future<Vec<Result<R, TaskError>>>,
}

impl<R: Send + 'static> Chunk<R> {
    pub(super) fn submit<F, T>(crew: &Crew, function: &Arc<F>, items: Vec<T>) -> Result<Chunk<R>, SubmitError>
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (function, length) = (Arc::clone(function), items.len());
        let task = ThreadTask::new(move || {
            let thread = std::thread::current();
            let worker = thread.name().unwrap_or_default();
            items.into_iter().map(|item| caught(worker, || function(item))).collect()
        });
        crew.submit(Arc::clone(&task) as _)?;
        Ok(Chunk { items: length, results: Future::of(task) })
    }

    /// Waits for the results, one for each item whatever comes.
    pub(super) fn wait(self) -> Vec<Result<R, TaskError>> {
        let items = self.items;
        self.results.result().unwrap_or_else(|error| (0..items).map(|_| Err(error.clone())).collect())
    }
}
