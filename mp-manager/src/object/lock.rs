//! A lock whose holder is a client's connection.
//!
//! ```text
//!   FREE ──acquire──► HELD by a connection ──release──► FREE
//!                       │ the connection ends
//!                       └──► FREE, died ──acquire──► FREE; that one is told
//! ```
//!
//! # When a process dies
//! A holder's connection ends with it, and its locks are free at once. One who waits is noticed to be gone when it is
//! his turn, or at the next look: he is not given the lock.

use crate::protocol::{Failure, LockCall, Reply};
use mp_core::word::Deadline;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Lock {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<u64>,
    died: bool,
}

/// How often one who waits is looked after: whether his process still lives.
const LOOK: Duration = Duration::from_millis(250);

impl Lock {
    /// `client` is who calls; `lives` tells whether it is still there.
    pub(crate) fn call(
        &self,
        client: u64,
        lives: impl Fn() -> bool,
        call: LockCall,
    ) -> Result<Reply, Failure> {
        match call {
            LockCall::Acquire(timeout) => self.acquire(client, lives, timeout),
            LockCall::Release => {
                let mut state = self.lock();
                let held = state.holder == Some(client);
                if held {
                    state.holder = None;
                    drop(state);
                    self.freed.notify_one();
                }
                Ok(Reply::Flag(held))
            }
            LockCall::Locked => Ok(Reply::Flag(self.lock().holder.is_some())),
        }
    }

    fn acquire(
        &self,
        client: u64,
        lives: impl Fn() -> bool,
        timeout: Option<Duration>,
    ) -> Result<Reply, Failure> {
        let until = timeout.and_then(Deadline::after);
        let mut state = self.lock();
        while state.holder.is_some() {
            let left = until.map_or(LOOK, Deadline::remaining);
            if left == Duration::ZERO || !lives() {
                return Err(Failure::Busy);
            }
            state = self.freed.wait_timeout(state, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !lives() {
            // The wake that he took is for somebody else.
            self.freed.notify_one();
            return Err(Failure::Busy);
        }
        if std::mem::take(&mut state.died) {
            // Told once, and still free: whoever is told may want to mend things first.
            self.freed.notify_one();
            return Err(Failure::OwnerDied);
        }
        state.holder = Some(client);
        Ok(Reply::Done)
    }

    /// A client's connection has ended.
    pub(crate) fn client_gone(&self, client: u64) {
        let mut state = self.lock();
        if state.holder == Some(client) {
            *state = State { holder: None, died: true };
            drop(state);
            self.freed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
