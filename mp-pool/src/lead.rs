//! Waiting for results: of all threads that wait, one waits at the board, and collects for the others.
//!
//! ```text
//!   look ─ what I wait for is there? ─ return; another one leads
//!     ▲           │ no
//!     │           ├─ none leads:    lead = spin, then sleep at the board, without the lock ──► look
//!     │           └─ one leads:     sleep until it leaves, or a job is settled ────────────► look
//! ```
//!
//! The feeder is a thread of the pool's. It runs callbacks. It leads only while there are some, or more than the board
//! holds, and no thread waits; it steps back when one does: a caller that waits collects for itself, and needs no other
//! thread for that.

use crate::dispatch::{Dispatch, Leader};
use crate::error::SubmitError;
use crate::hook::{Callback, Hook, call_settled};
use crate::job::Job;
use crate::supervisor::Shared;
use crate::thread;
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Word};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

/// How often an interruptible wait asks whether it is interrupted: soon after Ctrl-C, and a cost that
/// cannot be measured.
pub(crate) const ASK: Duration = Duration::from_millis(50);

/// How long a result of a stream may wait for others: a wake for each short task would cost more than the task.
const BATCHED: Duration = Duration::from_millis(1);

/// Whether the program wants control back.
pub(crate) type Interrupted<'a> = &'a mut dyn FnMut() -> bool;

impl Shared {
    /// Waits until a job is settled; `false` at the deadline.
    pub(crate) fn wait_for(&self, job: &Job, until: Option<Deadline>) -> bool {
        job.is_settled()
            || self.is_lost(job)
            || self.wait_until(Some(job), until, |_| job.is_settled()).is_some()
    }

    /// Waits until a job is settled, or `interrupted` says so.
    pub(crate) fn wait_unless(
        &self,
        job: &Job,
        mut interrupted: impl FnMut() -> bool,
    ) -> Result<(), SubmitError> {
        if job.is_settled() || self.is_lost(job) {
            return Ok(());
        }
        self.wait_interruptible(job, &mut Some(&mut interrupted), |_| job.is_settled())
    }

    /// Waits for a job until something is so, or `interrupted` says so; without that, for good.
    ///
    /// Asked again and again: the signal may be handled by another thread, before the wait begins, or with
    /// `SA_RESTART`, and then no sleep ends by itself.
    pub(crate) fn wait_interruptible(
        &self,
        job: &Job,
        interrupted: &mut Option<Interrupted<'_>>,
        mut is_so: impl FnMut(&Dispatch) -> bool,
    ) -> Result<(), SubmitError> {
        self.check_process()?;
        let asks = interrupted.is_some();
        let until = || if asks { Deadline::after(ASK) } else { None };
        while self.wait_until(Some(job), until(), &mut is_so).is_none() {
            if interrupted.as_mut().is_some_and(|interrupted| interrupted()) {
                return Err(SubmitError::Interrupted);
            }
        }
        Ok(())
    }

    /// Whether a job is settled, after a look at the board.
    pub(crate) fn look_for(&self, job: &Job) -> bool {
        if !job.is_settled() && !self.is_lost(job) {
            let mut dispatch = self.dispatch();
            dispatch.collect();
            self.tell(&mut dispatch);
        }
        job.is_settled()
    }

    /// Gives up what is left of a job.
    pub(crate) fn cancel(&self, job: &Arc<Job>) {
        self.give_up(|dispatch| {
            dispatch.collect();
            dispatch.withdraw(job);
            dispatch.condemn(job);
        });
    }

    /// What no worker has taken of a job is not begun any more.
    pub(crate) fn withdraw(&self, job: &Arc<Job>) {
        self.give_up(|dispatch| dispatch.withdraw(job));
    }

    /// What no worker has taken, of any job, is not begun any more.
    pub(crate) fn withdraw_all(&self) {
        self.give_up(Dispatch::withdraw_all);
    }

    /// Gives tasks up. The thread that leads may wait for one of them, or for room, and no worker wakes it.
    fn give_up(&self, tasks: impl FnOnce(&mut Dispatch)) {
        if self.is_copied() {
            return;
        }
        let mut dispatch = self.dispatch();
        tasks(&mut dispatch);
        self.tell(&mut dispatch);
        drop(dispatch);
        self.board.wake_caller();
    }

    /// Waits, for a job if that is named, until something is so; `None` at the deadline.
    pub(crate) fn wait_until(
        &self,
        job: Option<&Job>,
        until: Option<Deadline>,
        is_so: impl FnMut(&Dispatch) -> bool,
    ) -> Option<MutexGuard<'_, Dispatch>> {
        self.wait_on(self.dispatch(), job, until, is_so)
    }

    /// As [`wait_until`](Shared::wait_until), with the lock that the calling thread has.
    pub(crate) fn wait_on<'a>(
        &'a self,
        mut dispatch: MutexGuard<'a, Dispatch>,
        job: Option<&Job>,
        until: Option<Deadline>,
        mut is_so: impl FnMut(&Dispatch) -> bool,
    ) -> Option<MutexGuard<'a, Dispatch>> {
        dispatch.waiting += 1;
        let mut has_spun = false;
        let is_so = loop {
            // ORDERING: Acquire, pairs with the Release of the wake: its reason is seen below.
            let seen = self.board.caller_event().load(Ordering::Acquire);
            // What is told of is to be old before this thread sleeps, for it would be woken by nothing else.
            if has_spun {
                dispatch.collect_all()
            } else {
                dispatch.collect()
            }
            self.tell(&mut dispatch);
            if is_so(&dispatch) {
                break true;
            }
            if until.is_some_and(Deadline::passed) {
                break false;
            }
            dispatch = match (dispatch.led, dispatch.only_slot()) {
                (None, Some(slot)) if !has_spun => {
                    let (dispatch, found) = self.watch_slot(dispatch, slot, seen);
                    has_spun = !found;
                    dispatch
                }
                (None, _) => {
                    let spins = !std::mem::take(&mut has_spun);
                    self.lead(dispatch, Leader::Caller, job, seen, until, spins)
                }
                (Some(leader), _) => {
                    if leader == Leader::Feeder {
                        self.board.wake_caller();
                    }
                    self.follow(dispatch, until)
                }
            };
        };
        dispatch.waiting -= 1;
        self.hand_on(&dispatch);
        is_so.then_some(dispatch)
    }

    /// Spins for the only slot that is in use, without the lock; whether there is something to look at. The slot need
    /// not be told of for that.
    fn watch_slot<'a>(
        &'a self,
        mut dispatch: MutexGuard<'a, Dispatch>,
        slot: u32,
        seen: u32,
    ) -> (MutexGuard<'a, Dispatch>, bool) {
        dispatch.led = Some(Leader::Caller);
        drop(dispatch);
        let finished = self.board.finished();
        // Of another task, too: one that was submitted since.
        let found = self.spin(seen, || self.board.is_done(slot) || self.board.finished() != finished);
        let mut dispatch = self.dispatch();
        dispatch.led = None;
        (dispatch, found)
    }

    /// Waits at the board, without the lock; `spins`: not at once asleep.
    fn lead<'a>(
        &'a self,
        mut dispatch: MutexGuard<'a, Dispatch>,
        leader: Leader,
        job: Option<&Job>,
        seen: u32,
        until: Option<Deadline>,
        spins: bool,
    ) -> MutexGuard<'a, Dispatch> {
        dispatch.led = Some(leader);
        let (enough, is_batched) = (dispatch.enough(job), dispatch.is_batched(job));
        drop(dispatch);
        if enough < u32::MAX && is_batched {
            self.sleep_for_stream(seen, enough, until);
        } else if enough < u32::MAX || !spins || !self.spin(seen, || self.board.has_finished()) {
            self.board.sleep_until_finished(seen, enough, until);
        }
        let mut dispatch = self.dispatch();
        dispatch.led = None;
        dispatch
    }

    /// Sleeps until there are enough results to be worth a wake, or any, once they are slow to come.
    fn sleep_for_stream(&self, seen: u32, enough: u32, until: Option<Deadline>) {
        let soon = Deadline::after(BATCHED);
        let soon = if until.is_some_and(|until| until.remaining() < BATCHED) { until } else { soon };
        self.board.sleep_until_finished(seen, enough, soon);
        if !self.board.has_finished() {
            self.board.sleep_until_finished(seen, u32::MAX, until);
        }
    }

    /// Waits as long as is worth it; `true`: there is something to look at.
    fn spin(&self, seen: u32, has_finished: impl Fn() -> bool) -> bool {
        let event = self.board.caller_event();
        let mut waiting = Waiting::new(event, Pace::Dense);
        loop {
            // ORDERING: Relaxed: whether to look, and no more.
            if has_finished() || event.load(Ordering::Relaxed) != seen {
                waiting.found();
                return true;
            }
            if !waiting.pause() {
                return false;
            }
        }
    }

    fn follow<'a>(
        &'a self,
        mut dispatch: MutexGuard<'a, Dispatch>,
        until: Option<Deadline>,
    ) -> MutexGuard<'a, Dispatch> {
        dispatch.following += 1;
        let mut dispatch = thread::sleep(&self.changed, dispatch, until);
        dispatch.following -= 1;
        dispatch
    }

    /// Tells the threads that wait of jobs that were settled. To notify a condition variable is a system call, whether
    /// or not one waits.
    pub(crate) fn tell(&self, dispatch: &mut Dispatch) {
        if std::mem::take(&mut dispatch.settled) {
            if dispatch.following > 0 {
                self.changed.notify_all();
            }
            if dispatch.wants_feeder() {
                self.feed.notify_one();
            }
            // This thread has taken what the one that leads may wait for, and is about to sleep for: a worker that has
            // found it awake tells it no more.
            if dispatch.led == Some(Leader::Caller) {
                self.board.wake_caller();
            }
        }
        if dispatch.take_sooner() {
            self.wake_watcher();
        }
        self.let_idle_go(dispatch);
    }

    /// A thread waits no more: another one leads.
    pub(crate) fn hand_on(&self, dispatch: &Dispatch) {
        if dispatch.led.is_none() {
            if dispatch.following > 0 {
                self.changed.notify_all();
            } else if dispatch.waiting == 0 && dispatch.wants_feeder() {
                self.feed.notify_one();
            }
        }
    }

    /// Has this called when the job is settled.
    pub(crate) fn call_back(&self, job: &Arc<Job>, callback: Callback) {
        self.when_settled(job, Hook::Callback(callback));
    }

    /// Has this done when the job is settled.
    pub(crate) fn when_settled(&self, job: &Arc<Job>, hook: Hook) {
        if self.is_lost(job) {
            return call_settled(hook.settled());
        }
        let mut dispatch = self.dispatch();
        dispatch.when_settled(job, hook);
        if self.is_shut_down() {
            // The feeder may have ended.
            while let Some(callback) = dispatch.next_callback() {
                drop(dispatch);
                call_settled(Some(callback));
                dispatch = self.dispatch();
            }
        }
        self.feed.notify_one();
    }

    /// The feeder's life.
    pub(crate) fn feed(&self) {
        let mut dispatch = self.dispatch();
        loop {
            if let Some(callback) = dispatch.next_callback() {
                drop(dispatch);
                call_settled(Some(callback));
                dispatch = self.dispatch();
                continue;
            }
            if self.is_shut_down() {
                return;
            }
            if !dispatch.wants_feeder() || dispatch.waiting > 0 || dispatch.led.is_some() {
                dispatch = self.feed.wait(dispatch).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // ORDERING: Acquire, as in `wait_until`.
            let seen = self.board.caller_event().load(Ordering::Acquire);
            dispatch.collect_all();
            self.tell(&mut dispatch);
            if dispatch.wants_feeder() && dispatch.waiting == 0 && !dispatch.has_callback() {
                dispatch = self.lead(dispatch, Leader::Feeder, None, seen, None, true);
                // A thread that came meanwhile leads now.
                self.hand_on(&dispatch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Batch;
    use crate::options::TaskOptions;
    use crate::supervisor::WorkerSpec;

    /// The worker has told of its result before that thread slept, so nothing else would wake it.
    #[test]
    fn a_thread_that_leads_is_woken_for_what_another_one_has_settled() {
        let (shared, _wakes) = Shared::new(WorkerSpec::of_none("none", 1), 1, None).unwrap();
        let job = Job::new(Vec::new(), TaskOptions::new());
        shared.dispatch().submit(Batch::new(&job, 0, 1, 1, vec![0])).unwrap();
        job.end_input();
        let slot = shared.board.take(0, |_| ()).unwrap().slot;
        shared.board.marks(slot).end(1, 0, 0);
        assert!(shared.board.done(slot, 0));
        shared.board.push_finished(0, slot);
        shared.dispatch().led = Some(Leader::Caller);
        // ORDERING: Relaxed, both: one thread.
        let before = shared.board.caller_event().load(Ordering::Relaxed);
        assert!(shared.look_for(&job));
        assert_ne!(shared.board.caller_event().load(Ordering::Relaxed), before);
    }
}
