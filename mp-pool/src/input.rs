//! The input of a stream, of a pool of processes or of threads: it may be endless, may be slow, and may panic.
//!
//! ```text
//!   items ──read──► … ──► the last one │ ended: nothing, or a refusal, or the input's panic
//! ```
//!
//! An input that panics ends there: the results of the items before it are given first, then the panic goes on.

use crate::error::{SubmitError, TaskError};
use std::any::Any;
use std::ops::ControlFlow;
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

    /// Reads at most so many items, and does this with each, until it says that this is all for now, the input ends, or
    /// one of the two panics.
    pub(crate) fn read(&mut self, most: u64, mut each: impl FnMut(I::Item) -> ControlFlow<()>) {
        let Some(items) = self.items.as_mut() else { return };
        let read = || {
            (0..most).try_for_each(|_| {
                items.next().map_or(Err(true), |item| match each(item) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(()) => Err(false),
                })
            })
        };
        let (has_ended, end) = match catch_unwind(AssertUnwindSafe(read)) {
            Ok(read) => (read == Err(true), None),
            Err(payload) => (true, Some(End::Panic(payload))),
        };
        if has_ended {
            self.items = None;
            self.end = end;
        }
    }

    /// Reads an item; `None`: the input has ended, or has panicked.
    pub(crate) fn read_one(&mut self) -> Option<I::Item> {
        let mut one = None;
        self.read(1, |item| {
            one = Some(item);
            ControlFlow::Continue(())
        });
        one
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
            Some((least, Some(most))) if least == most && most <= look_ahead => most.saturating_add(1),
            _ => workers,
        }
    }
}
