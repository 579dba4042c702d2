//! A task of a pool of threads.
//!
//! ```text
//!   Waiting(function) ── a thread takes it ──► Running ──► Done(value or error) ── take ──► Taken
//!        └── cancelled, or the pool ends ───────────────────► Done(error)
//! ```
//!
//! In a forked copy of the process, which has no thread that would end it, a task that had not ended is lost.

use super::report::Report;
use super::seat::Seat;
use crate::copies::lost_to_copy;
use crate::error::{Failure, TaskError};
use crate::future::Submitted;
use crate::hook::{Callback, Hook, call_settled};
use crate::supervisor::Shared;
use crate::thread;
use crate::watch::Watch;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::word::Deadline;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

/// What a task is to do; its report tells of those of its items whose end this does not tell itself.
type Todo<R> = Box<dyn FnOnce(&mut Option<Report>) -> R + Send>;

enum Stage<R> {
    Waiting(Todo<R>, Option<Report>),
    Running,
    Done(Result<R, TaskError>),
    Taken,
}

pub(super) struct ThreadTask<R> {
    owner: OwningProcess,
    stage: Mutex<(Stage<R>, Vec<Hook>)>,
    changed: Condvar,
    /// Items that it does.
    items: u64,
}

/// What a thread does with a task, whatever its value is.
pub(super) trait Run: Send + Sync {
    /// It was submitted.
    fn accepted(&self);
    /// Does it, in this thread's seat, unless it has ended.
    fn run(&self, seat: &Seat);
    /// Ends it, unless it has begun.
    fn end(&self, error: &TaskError);
}

/// Calls the program's code. A panic is the call's error.
pub(super) fn caught<T>(worker: &str, function: impl FnOnce() -> T) -> Result<T, TaskError> {
    mp_core::process::caught(function).map_err(|error| Failure::from(error).in_worker(worker))
}

/// Waits until something is so; `None` at the deadline.
pub(super) fn wait_until<'a, T>(
    changed: &Condvar,
    mut now: MutexGuard<'a, T>,
    until: Option<Deadline>,
    is_so: impl Fn(&T) -> bool,
) -> Option<MutexGuard<'a, T>> {
    while !is_so(&now) {
        if until.is_some_and(Deadline::passed) {
            return None;
        }
        now = thread::sleep(changed, now, until);
    }
    Some(now)
}

impl<R: Send + 'static> ThreadTask<R> {
    /// A task that does so many items.
    pub(super) fn new(
        items: u64,
        report: Option<Report>,
        function: impl FnOnce(&mut Option<Report>) -> R + Send + 'static,
    ) -> Arc<ThreadTask<R>> {
        let stage = Mutex::new((Stage::Waiting(Box::new(function), report), Vec::new()));
        Arc::new(ThreadTask { owner: OwningProcess::current(), stage, changed: Condvar::new(), items })
    }

    fn stage(&self) -> MutexGuard<'_, (Stage<R>, Vec<Hook>)> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its stage, which is an end in a copy. `None`: a thread of the original's had the lock when the copy was made.
    fn seen(&self) -> Option<MutexGuard<'_, (Stage<R>, Vec<Hook>)>> {
        if self.owner.is_current() {
            return Some(self.stage());
        }
        let mut now = match self.stage.try_lock() {
            Ok(now) => now,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if !is_done(&now.0) {
            // What it captured is not dropped: a thread of the original's may have had it half used.
            std::mem::forget(std::mem::replace(&mut now.0, Stage::Done(Err(lost_to_copy()))));
        }
        Some(now)
    }

    /// Changes a task that waits; what it was to do. `before` tells its report what is about to be seen.
    fn begin(&self, stage: Stage<R>, before: impl FnOnce(&mut Report)) -> Option<(Todo<R>, Option<Report>)> {
        let mut now = self.seen()?;
        let Stage::Waiting(_, report) = &mut now.0 else { return None };
        report.as_mut().map(before);
        match std::mem::replace(&mut now.0, stage) {
            Stage::Waiting(todo, report) => Some((todo, report)),
            _ => None,
        }
    }

    /// Tells those that wait. It is done.
    fn tell(&self) {
        let hooks = std::mem::take(&mut self.stage().1);
        self.changed.notify_all();
        hooks.into_iter().for_each(|hook| call_settled(hook.settled()));
    }

    fn when_done(&self, hook: Hook) {
        match self.seen().filter(|now| !is_done(&now.0)) {
            Some(mut now) => drop(hook.keep(&mut now.1)),
            None => call_settled(hook.settled()),
        }
    }
}

fn is_done<R>(stage: &Stage<R>) -> bool {
    matches!(stage, Stage::Done(_) | Stage::Taken)
}

impl<R: Send + 'static> Run for ThreadTask<R> {
    fn accepted(&self) {
        if let Stage::Waiting(_, Some(report)) = &self.stage().0 {
            report.accepted();
        }
    }

    fn run(&self, seat: &Seat) {
        let Some((todo, mut report)) = self.begin(Stage::Running, |_| ()) else { return };
        let done = caught(seat.name(), || todo(&mut report));
        seat.did(self.items);
        if let Some(mut report) = report {
            report.all_ended(done.as_ref().err());
        }
        self.stage().0 = Stage::Done(done);
        self.tell();
    }

    fn end(&self, error: &TaskError) {
        let ended = Stage::Done(Err(error.clone()));
        let Some((todo, _)) = self.begin(ended, |report| report.all_ended(Some(error))) else { return };
        // What it captured may panic when it is dropped.
        let _ = mp_core::process::caught(|| drop(todo));
        self.tell();
    }
}

impl<R: Send + 'static> Submitted<R> for ThreadTask<R> {
    fn is_known_done(&self) -> bool {
        self.stage.try_lock().is_ok_and(|now| is_done(&now.0))
    }

    fn is_done(&self) -> bool {
        self.seen().is_none_or(|now| is_done(&now.0))
    }

    fn is_running(&self) -> bool {
        self.seen().is_some_and(|now| matches!(now.0, Stage::Running))
    }

    fn wait(&self, until: Option<Deadline>) -> bool {
        let Some(now) = self.seen() else { return true };
        wait_until(&self.changed, now, until, |now| is_done(&now.0)).is_some()
    }

    fn take(&self) -> Result<R, TaskError> {
        let mut now = self.seen().ok_or_else(lost_to_copy)?;
        match std::mem::replace(&mut now.0, Stage::Taken) {
            Stage::Done(Ok(value)) => Ok(value),
            Stage::Done(Err(error)) => {
                now.0 = Stage::Done(Err(error.clone()));
                Err(error)
            }
            Stage::Taken => Err(TaskError::Taken),
            other => {
                now.0 = other;
                Err(TaskError::WouldBlock)
            }
        }
    }

    fn error(&self) -> Option<TaskError> {
        let Some(now) = self.seen() else { return Some(lost_to_copy()) };
        match &now.0 {
            Stage::Done(Err(error)) => Some(error.clone()),
            _ => None,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.seen().is_some_and(|now| matches!(now.0, Stage::Done(Err(TaskError::Cancelled))))
    }

    fn cancel(&self) {
        self.end(&TaskError::Cancelled);
    }

    fn kill(&self) {
        self.cancel();
    }

    fn call_back(&self, callback: Callback) {
        self.when_done(Hook::Callback(callback));
    }

    fn watch(&self, watch: &Arc<Watch>, number: usize) {
        self.when_done(Hook::Watch(Arc::downgrade(watch), number));
    }

    fn pool(&self) -> Option<&Arc<Shared>> {
        None
    }
}
