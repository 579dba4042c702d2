//! How long a client waits for a server that does not answer: one that is stopped, say.
//!
//! ```text
//!   0 ──────────────── timeout ──────── + GRACE ─────────►
//!     the server waits  │ it answers     │ the client gives up, and the server undoes the call when it goes on
//!                       │ "too late"     │ a wait that must have its lock again: as long as the server serves others
//! ```
//!
//! | a call that was given up           | what becomes of it                                     |
//! |------------------------------------|--------------------------------------------------------|
//! | was not looked at                  | it is not done                                         |
//! | takes an item, a lock or a permit  | that goes back                                         |
//! | puts an item, through a slot       | it is taken out before another process sees it         |
//! | puts an item, over the connection  | it may be there: [`ManagerError::Unanswered`]          |
//! | waits at a barrier                 | it may have passed: `Unanswered`                       |
//! | waits for a condition              | its lock is free: `Unanswered`                         |

use crate::error::ManagerError;
use crate::protocol::{BarrierCall, Call, ConditionCall, QueueCall, Request, Wait};
use mp_core::word::Deadline;
use std::time::Duration;

/// What an answer may take longer than the call's own time.
const GRACE: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    until: Option<Deadline>,
    /// The call returns in order only, as long as the server serves.
    is_bound: bool,
}

impl Patience {
    pub(super) fn of(request: &Request) -> Patience {
        match request {
            Request::Call { wait: Wait::AtMost(time), call, .. } => {
                let is_bound = matches!(call, Call::Condition { call: ConditionCall::Wait(_), .. });
                Patience { is_bound, ..Patience::at_most(*time) }
            }
            _ => Patience { until: None, is_bound: false },
        }
    }

    pub(super) fn at_most(time: Duration) -> Patience {
        Patience { until: Deadline::after(time.saturating_add(GRACE)), is_bound: false }
    }

    /// `None`: for ever.
    pub(super) fn until(self) -> Option<Deadline> {
        self.until
    }

    /// Whether to wait on although the time is over.
    pub(super) fn goes_on(&mut self, is_served: impl FnOnce() -> bool) -> bool {
        let goes_on = self.is_bound && is_served();
        if goes_on {
            self.until = Deadline::after(GRACE);
        }
        goes_on
    }
}

/// The error of a call through a slot that was given up.
pub(super) fn late_by_slot(request: &Request) -> ManagerError {
    match request {
        Request::Call { call: Call::Barrier(BarrierCall::Wait(_)), .. }
        | Request::Call { call: Call::Condition { call: ConditionCall::Wait(_), .. }, .. } => {
            ManagerError::Unanswered
        }
        _ => ManagerError::Timeout,
    }
}

/// The same over the connection.
pub(super) fn late_by_stream(request: &Request) -> ManagerError {
    match request {
        Request::Call { call: Call::Queue(QueueCall::Put(_)), .. } | Request::Slot { .. } => {
            ManagerError::Unanswered
        }
        _ => late_by_slot(request),
    }
}
