//! Events: an iterator over what happens.

use super::event::ProgressEvent;
use super::handle::Shared;
use mp_core::word::Deadline;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happens in some work, one event after the other: from [`Progress::events`](super::Progress::events).
#[must_use = "events are taken by iterating"]
pub struct Events {
    shared: Arc<Shared>,
    number: u64,
}

/// There is no event at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgressError {
    /// No event had come: the error of [`Events::try_next`].
    #[error("no event has come yet: ask again, or wait")]
    WouldBlock,
    /// No event had come when the time was over.
    #[error("no event came in time: ask again")]
    Timeout,
}

impl Events {
    pub(super) fn new(shared: Arc<Shared>, number: u64) -> Events {
        Events { shared, number }
    }

    /// The next event, without waiting for it; `None`: there will be none.
    ///
    /// # Errors
    /// [`ProgressError::WouldBlock`] if it has not come. Nothing is lost: ask again.
    pub fn try_next(&mut self) -> Option<Result<ProgressEvent, ProgressError>> {
        self.next_until(Deadline::after(Duration::ZERO), ProgressError::WouldBlock)
    }

    /// Waits for the next event, at most `timeout`; `None`: there will be none.
    ///
    /// # Errors
    /// [`ProgressError::Timeout`] if it has not come. Nothing is lost: ask again.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<ProgressEvent, ProgressError>> {
        self.next_until(Deadline::after(timeout), ProgressError::Timeout)
    }

    fn next_until(
        &mut self,
        until: Option<Deadline>,
        late: ProgressError,
    ) -> Option<Result<ProgressEvent, ProgressError>> {
        let mut state = self.shared.state();
        loop {
            if let Some(event) = state.next_event(self.number) {
                return Some(Ok(event));
            }
            if state.is_over() {
                return None;
            }
            if until.is_some_and(Deadline::passed) {
                return Some(Err(late));
            }
            state = self.shared.sleep(state, 0, until);
        }
    }
}

impl Iterator for Events {
    type Item = ProgressEvent;

    fn next(&mut self) -> Option<ProgressEvent> {
        self.next_until(None, ProgressError::Timeout)?.ok()
    }
}

impl std::iter::FusedIterator for Events {}

impl Drop for Events {
    fn drop(&mut self) {
        self.shared.state().leave(self.number);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
