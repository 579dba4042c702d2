//! Report: what a task of threads tells the progress of its call.
//!
//! ```text
//!   accepted: so many were submitted ── ended: the next one is done, or failed … ── ended: those that are left
//! ```

use crate::error::TaskError;
use crate::pipeline::Outcome;
use crate::progress::{What, Work};
use std::sync::Arc;

/// Items of a call, side by side, and the work that they are counted in.
pub(super) struct Report {
    work: Arc<Work>,
    /// Position of the next item whose end is told.
    next: u64,
    left: u64,
}

impl Report {
    /// Of so many items from this position on.
    pub(super) fn new(work: &Arc<Work>, first: u64, items: u64) -> Report {
        Report { work: Arc::clone(work), next: first, left: items }
    }

    /// They were submitted.
    pub(super) fn accepted(&self) {
        self.work.submitted(self.left);
    }

    /// The next item has ended: as a value, or so.
    pub(super) fn ended(&mut self, error: Option<&TaskError>) {
        self.tell(1, error);
    }

    /// All that are left have.
    pub(super) fn all_ended(&mut self, error: Option<&TaskError>) {
        self.tell(self.left, error);
    }

    fn tell(&mut self, items: u64, error: Option<&TaskError>) {
        let what = error.map_or(What::Finished(Outcome::Done), |error| What::Failed(error.into()));
        self.work.items(self.next, items, what);
        self.next += items;
        self.left -= items;
    }
}
