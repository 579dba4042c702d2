//! A lock whose holder is a client's connection.
//!
//! ```text
//!   FREE ──acquire──► HELD by a connection ──release──► FREE
//!                       │ the connection ends
//!                       └──► FREE, died ──acquire──► FREE; that one is told
//! ```
//!
//! # When a process dies
//! A holder's connection ends with it, and its locks are free at once. A dead waiter is noticed when its turn comes, or at
//! the next check of its process: it does not get the lock.

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

/// The interval at which a waiter's process is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Lock {
    /// `client` is the caller; `lives` returns whether it still lives.
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
            let left = until.map_or(CHECK_INTERVAL, Deadline::remaining);
            if left == Duration::ZERO || !lives() {
                return Err(Failure::Busy);
            }
            state = self
                .freed
                .wait_timeout(state, left.min(CHECK_INTERVAL))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if !lives() {
            // A dead waiter consumed this wake: pass it on, or the next waiter would sleep beside a free lock.
            self.freed.notify_one();
            return Err(Failure::Busy);
        }
        if std::mem::take(&mut state.died) {
            // Reported once. The lock stays free: the caller may want to repair the data first.
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
