//! The values that tasks yield in threads, on their way to the one that takes them.
//!
//! ```text
//!   task:     sent < ahead + taken? ─ yes: push, sent + 1 ─ no: sleep on `room`
//!   consumer: all that is there at once ─ … ─ after each `ahead / 2` values of a task: taken = n, wake `room`
//!   end of a task: its end behind its values
//! ```
//!
//! One lock guards all of it. No code of the program runs under it.

use super::crew::Stop;
use super::task::wait_until;
use crate::error::TaskError;
use crate::generate::{Generated, YieldError, flat};
use crate::thread::here;
use mp_core::word::Deadline;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub(crate) struct Channel<T> {
    state: Mutex<State<T>>,
    /// There is a value, or an end.
    came: Condvar,
    /// Values of a task were taken, or no more are wanted.
    room: Condvar,
    /// So many values of a task may wait.
    ahead: u32,
}

struct State<T> {
    came: VecDeque<Generated<T>>,
    /// The tasks that run, by the position of their item.
    running: HashMap<u64, Running>,
    /// Why no more values are wanted.
    stopped: Option<TaskError>,
    /// Tasks that sleep until values are taken.
    waiting: usize,
    /// The thread that took last, or made it.
    taker: usize,
}

#[derive(Default)]
struct Running {
    sent: u64,
    taken: u64,
}

impl<T> Channel<T> {
    pub(super) fn new(ahead: u32) -> Channel<T> {
        let (came, running) = (VecDeque::new(), HashMap::new());
        let state = State { came, running, stopped: None, waiting: 0, taker: here() };
        Channel { state: Mutex::new(state), came: Condvar::new(), room: Condvar::new(), ahead }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task of an item begins.
    pub(super) fn begin(&self, item: u64) {
        self.state().running.insert(item, Running::default());
    }

    /// A value of the task of this item: waits until it is not too far ahead.
    pub(crate) fn send(&self, item: u64, value: T) -> Result<(), YieldError> {
        let ahead = u64::from(self.ahead);
        let may_send = |state: &State<T>| {
            let running = state.running.get(&item);
            state.stopped.is_some() || running.is_none_or(|running| running.sent - running.taken < ahead)
        };
        let mut state = self.state();
        state.waiting += 1;
        // Without a deadline it is not too late.
        state = wait_until(&self.room, state, None, may_send).ok_or(YieldError::Stopped)?;
        state.waiting -= 1;
        if state.stopped.is_some() {
            return Err(YieldError::Stopped);
        }
        // A yielder that its task has left behind is of no task.
        state.running.get_mut(&item).ok_or(YieldError::Stopped)?.sent += 1;
        state.came.push_back(Generated::Value { item, value });
        drop(state);
        self.came.notify_one();
        Ok(())
    }

    /// The task of an item has ended, or was never begun.
    pub(super) fn end(&self, item: u64, outcome: Result<Result<(), YieldError>, TaskError>) {
        let mut state = self.state();
        let outcome = match (outcome, &state.stopped) {
            (Ok(Err(YieldError::Stopped)), Some(reason)) => Err(reason.clone()),
            (outcome, _) => flat(outcome),
        };
        let values = state.running.remove(&item).map_or(0, |running| running.sent);
        state.came.push_back(Generated::End { item, values, outcome });
        drop(state);
        self.came.notify_one();
    }

    /// No more values are wanted.
    pub(super) fn stop(&self, reason: &TaskError) {
        self.state().stopped.get_or_insert_with(|| reason.clone());
        self.room.notify_all();
    }

    /// So many values of a task were taken.
    pub(super) fn grant(&self, item: u64, taken: u64) {
        if let Some(running) = self.state().running.get_mut(&item) {
            running.taken = taken;
        }
        self.room.notify_all();
    }

    /// Waits for what comes, and takes all that is there; nothing, at the deadline.
    pub(super) fn take(&self, until: Option<Deadline>) -> VecDeque<Generated<T>> {
        let mut state = self.state();
        state.taker = here();
        let state = wait_until(&self.came, state, until, |state| !state.came.is_empty());
        state.map_or_else(VecDeque::new, |mut state| std::mem::take(&mut state.came))
    }
}

impl<T: Send> Stop for Channel<T> {
    fn stop(&self, reason: &TaskError) {
        self.stop(reason);
    }

    fn held_here(&self) -> usize {
        let state = self.state();
        if state.taker == here() && state.stopped.is_none() { state.waiting } else { 0 }
    }
}
