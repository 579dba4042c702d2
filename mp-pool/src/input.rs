//! The input of a stream, of a pool of processes or of threads: it may be endless, may be slow, and may panic.
//!
//! ```text
//!   items ──read──► … ──► the last one │ ended: nothing, or a refusal, or the input's panic
//! ```
//!
//! An input that panics ends there: the results of the items before it are given first, then the panic goes on.

use crate::error::{SubmitError, TaskError};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

pub(crate) struct Input<I> {
    /// `None`: it has ended.
    items: Option<I>,
    /// What comes after the last result.
    end: Option<End>,
}

enum End {
    Refused(TaskError),
    Panic(Box<dyn Any + Send>),
}

impl<I> Input<I> {
    /// The rest is not read.
    pub(crate) fn end(&mut self) {
        self.items = None;
    }
}

impl<I: Iterator> Input<I> {
    pub(crate) fn new(items: I) -> Input<I> {
        Input { items: Some(items), end: None }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.items.is_none()
    }

    /// Reads an item, and does this with it; `None`: the input has ended, or one of the two has panicked.
    pub(crate) fn read<T>(&mut self, each: impl FnOnce(I::Item) -> T) -> Option<T> {
        let items = self.items.as_mut()?;
        let end = match catch_unwind(AssertUnwindSafe(|| items.next().map(each))) {
            Ok(Some(item)) => return Some(item),
            Ok(None) => None,
            Err(payload) => Some(End::Panic(payload)),
        };
        self.items = None;
        self.end = end;
        None
    }

    /// The rest is not taken.
    pub(crate) fn refuse(&mut self, error: SubmitError) {
        self.items = None;
        self.end = Some(End::Refused(match error {
            SubmitError::Broken(reason) => TaskError::Broken(reason),
            _ => TaskError::Closed,
        }));
    }

    /// What comes after the last result, once.
    ///
    /// # Panics
    /// The input's own panic.
    pub(crate) fn ended<R>(&mut self) -> Option<Result<R, TaskError>> {
        match self.end.take()? {
            End::Refused(error) => Some(Err(error)),
            End::Panic(payload) => resume_unwind(payload),
        }
    }

    /// How many items the input says that it has at least.
    pub(crate) fn promised(&self) -> u64 {
        self.items.as_ref().map_or(0, |items| items.size_hint().0 as u64)
    }

    /// How many chunks are read at the call: of an input of known length that fits, all; of another, which may be slow
    /// to come, one for each worker.
    pub(crate) fn chunks_at_once(&self, look_ahead: usize, workers: usize) -> usize {
        match self.items.as_ref().map(Iterator::size_hint) {
            Some((least, Some(most))) if least == most && most <= look_ahead => most + 1,
            _ => workers,
        }
    }
}
