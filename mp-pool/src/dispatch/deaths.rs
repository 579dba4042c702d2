//! What a worker's death costs: the item that it had begun, and no other one. And the end of everything.

use super::{Awaited, Batch, Dispatch, GivenUp, Open, Phase};
use crate::board::Life;
use crate::error::{How, TaskError};
use crate::job::{Job, Piece, Settled};
use crate::progress::{What, Work, end_of_worker};
use mp_core::sys::process::Ended;
use std::sync::Arc;

/// An item that so many workers in a row had taken, and died before they began it, is what kills them (too large for
/// the memory that there is, say).
pub(super) const MOST_LOSSES: u32 = 8;

/// A worker that has ended.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) name: Arc<str>,
    pub(crate) how: Option<Ended>,
    /// It ended by itself before it began an item: its successor may do the same.
    pub(crate) failed_to_start: bool,
    /// It had been idle for as long as it may be.
    pub(crate) left: bool,
}

impl Dispatch {
    /// A worker has ended, and all that came over its line is known. What stands of its results stands, what it had
    /// begun is attributed to its end, and the rest goes to others.
    pub(crate) fn ended(&mut self, index: u32) -> Option<Gone> {
        let child = &self.workers.get(index as usize)?.as_ref()?.child;
        let (pid, how) = (child.pid().unwrap_or_default(), child.end());
        self.last_end = how;
        let gone = self.settle_worker(index, pid, how);
        self.workers[index as usize] = None;
        Some(gone)
    }

    /// As [`ended`](Dispatch::ended), for a worker that is known by its process id.
    pub(crate) fn settle_worker(&mut self, index: u32, pid: u32, how: Option<Ended>) -> Gone {
        let (number, name) = self.latest[index as usize].clone();
        let died = TaskError::WorkerDied { worker: name.to_string(), pid, how, deaths: 1 };
        // First what it pushed: what it marks is forgotten below, which it may not be while it stands in the stack.
        self.collect_all();
        // Before what it had is settled, which may be the end of what reports; after what was done before.
        if how != Some(Ended::Exited(0)) {
            self.tell_works(|| What::Died(end_of_worker(how)), &name);
        }
        for slot in 0..self.memory.board.shape().slots {
            if self.is_run(slot) {
                self.settle_run(slot, Some((index, &died)));
            } else if let Some(found) = self.memory.board.found(slot, Some(index)) {
                self.settle_slot(slot, found, Some(&died));
            }
        }
        self.memory.board.forget(index);
        self.given_up_in_runs.remove(&index);
        self.no_more_messages(number);
        self.forget_kept(index);
        let life = self.memory.board.life(index);
        if let Some(trace) = &mut self.trace {
            trace.ended(index, pid, &How(how).to_string(), how != Some(Ended::Exited(0)));
        }
        // The last one woken may have been the dead one.
        self.post();
        self.memory.board.wake_every_worker();
        let failed_to_start = life == Life::Starting || life == Life::Ready && by_itself(how);
        Gone { name, how, failed_to_start, left: life == Life::Left }
    }

    /// Tells those that report of what a worker has done.
    pub(crate) fn tell_works(&self, what: impl Fn() -> What, worker: &Arc<str>) {
        if self.reporting == 0 {
            return;
        }
        let open = self.open.iter().flatten().map(|open| &open.job);
        let waiting = self.pending.iter().map(|batch| &batch.job).chain(self.delayed.jobs());
        let awaited = self.awaited.values().map(|awaited| &awaited.job);
        let mut told: Vec<&Work> = Vec::new();
        for work in open.chain(waiting).chain(awaited).filter_map(|job| job.work()) {
            if !told.iter().any(|other| other.reports_with(work)) {
                work.worker(worker, what());
                told.push(work);
            }
        }
    }

    /// Tells those that report that a worker of this name is started, if another one had the index before.
    pub(crate) fn tell_restart(&self, index: u32, worker: &Arc<str>) {
        if self.counts[index as usize].starts > 0 {
            self.tell_works(|| What::Restarted, worker);
        }
    }

    /// Whether no worker has this index, and none is being started.
    pub(crate) fn is_vacant(&self, index: u32) -> bool {
        self.workers[index as usize].is_none() && !self.starting[index as usize]
    }

    /// Whether a worker that has ended is to have a successor.
    pub(crate) fn wants_workers(&self) -> bool {
        match self.phase {
            Phase::Running => true,
            Phase::Closed => !self.is_idle(),
            Phase::Terminated | Phase::Broken(_) => false,
        }
    }

    /// Whether no worker is left that a [`join`](crate::Pool::join) waits for.
    pub(crate) fn are_workers_gone(&self) -> bool {
        !self.starting.contains(&true) && self.workers.iter().flatten().all(|worker| worker.out_of_reach)
    }

    /// Settles whatever is open. Slots that workers have stay out of use.
    pub(crate) fn fail_all(&mut self, error: &TaskError) {
        for slot in 0..self.open.len() as u32 {
            // What was yielded so far is given, in front of its task's end.
            self.take_yielded(slot);
            // A worker that cannot be killed begins nothing more.
            self.memory.board.cancel(slot);
            for item in self.left_of(slot) {
                self.memory.board.cancel_item(slot, item);
            }
            if let Some(open) = self.close(slot) {
                self.fail_open(&open, error);
            }
        }
        for Batch { job, first, items, .. } in std::mem::take(&mut self.pending) {
            self.fail(&job, first, items, error);
        }
        for Batch { job, first, items, .. } in self.delayed.take_where(|_| true) {
            self.fail(&job, first, items, error);
        }
        for Awaited { job, item, .. } in std::mem::take(&mut self.awaited).into_values() {
            self.fail(&job, item, 1, error);
        }
        self.arrived.clear();
        self.generators.clear();
    }

    pub(super) fn fail(&mut self, job: &Arc<Job>, first: u32, items: u32, error: &TaskError) {
        self.settle(job, Piece { first, items, outcome: Settled::Failed(error.clone()) });
    }

    /// What no worker has taken of a job is not begun any more.
    pub(crate) fn withdraw(&mut self, job: &Arc<Job>) {
        self.withdraw_where(|of| Arc::ptr_eq(of, job));
    }

    /// What no worker has taken is not begun any more.
    pub(crate) fn withdraw_all(&mut self) {
        self.withdraw_where(|_| true);
    }

    fn withdraw_where(&mut self, is_withdrawn: impl Fn(&Arc<Job>) -> bool) {
        for batch in std::mem::take(&mut self.pending) {
            if is_withdrawn(&batch.job) {
                self.fail(&batch.job, batch.first, batch.items, &TaskError::Cancelled);
            } else {
                self.pending.push_back(batch);
            }
        }
        for Batch { job, first, items, .. } in self.delayed.take_where(&is_withdrawn) {
            self.fail(&job, first, items, &TaskError::Cancelled);
        }
        for slot in self.slots_where(is_withdrawn) {
            if self.is_run(slot) {
                self.withdraw_run(slot);
            } else if self.memory.board.cancel(slot)
                && let Some(open) = self.close(slot)
            {
                self.fail(&open.job, open.first, open.items, &TaskError::Cancelled);
                self.give_back_unread(slot, &open);
            }
        }
        self.post();
    }

    /// Whether a worker has a part of a job.
    pub(crate) fn is_running(&self, job: &Arc<Job>) -> bool {
        self.slots_of(job).into_iter().any(|slot| self.memory.board.is_taken(slot) || self.is_run_taken(slot))
    }

    /// Gives up what workers have of a job, and kills them for it.
    pub(crate) fn condemn(&mut self, job: &Arc<Job>) {
        job.give_up();
        for slot in self.slots_of(job) {
            self.condemn_slot(slot, GivenUp::Cancelled);
            self.condemn_run(slot);
        }
    }

    pub(super) fn kill(&self, index: u32) {
        if let Some(Some(worker)) = self.workers.get(index as usize) {
            // One that cannot be killed ends after its task.
            let _ = worker.child.kill();
        }
    }

    /// Gives up what a worker has in a slot, and kills that worker, unless it is done first.
    pub(super) fn condemn_slot(&mut self, slot: u32, why: GivenUp) {
        let Some(index) = self.memory.board.condemn(slot) else { return };
        if let Some(Some(open)) = self.open.get_mut(slot as usize) {
            open.given_up = Some(why);
        }
        self.kill(index);
    }

    /// Gives up what a worker has that has too much memory, and kills it for that. One that has no task may go on.
    pub(crate) fn condemn_for_memory(&mut self, index: u32, used: u64, limit: u64) {
        let slots = 0..self.open.len() as u32;
        let taken = slots.into_iter().find(|slot| self.memory.board.is_taken_by(*slot, index));
        if let Some(slot) = taken {
            self.condemn_slot(slot, GivenUp::OutOfMemory { used, limit });
        } else {
            self.condemn_in_runs(index, GivenUp::OutOfMemory { used, limit });
        }
    }

    /// What becomes of a task that was given up, or was begun, when its worker is dead.
    pub(super) fn end_of(open: &Open, died: &TaskError) -> TaskError {
        match (open.given_up, open.job.options.deadline, died) {
            (Some(GivenUp::Overran), Some(deadline), TaskError::WorkerDied { worker, pid, .. }) => {
                TaskError::DeadlineExceeded { deadline, worker: worker.clone(), pid: *pid }
            }
            (Some(GivenUp::OutOfMemory { used, limit }), _, TaskError::WorkerDied { worker, pid, .. }) => {
                TaskError::OutOfMemory { limit, used, worker: worker.clone(), pid: *pid }
            }
            (None, _, TaskError::WorkerDied { worker, pid, how, .. }) => {
                let deaths = open.history.deaths + open.history.losses;
                TaskError::WorkerDied { worker: worker.clone(), pid: *pid, how: *how, deaths }
            }
            (None, ..) => died.clone(),
            (Some(_), ..) => TaskError::Cancelled,
        }
    }

    /// Whether a worker has a chunk, or is at an item, that was given up.
    pub(crate) fn has_condemned(&self, index: u32) -> bool {
        let board = &self.memory.board;
        (0..board.shape().slots).any(|slot| {
            board.found(slot, Some(index)).is_some_and(|found| found.condemned)
                || self.is_condemned_in_run(slot, index)
        })
    }

    pub(super) fn slots_of(&self, job: &Arc<Job>) -> Vec<u32> {
        self.slots_where(|of| Arc::ptr_eq(of, job))
    }

    fn slots_where(&self, is_one: impl Fn(&Arc<Job>) -> bool) -> Vec<u32> {
        let of = |open: &Option<super::Open>| open.as_ref().is_some_and(|open| is_one(&open.job));
        (0..).zip(&self.open).filter(|(_, open)| of(open)).map(|(slot, _)| slot).collect()
    }
}

/// Whether a worker that was idle ended by itself, and was not killed from outside: it exited, or crashed.
fn by_itself(how: Option<Ended>) -> bool {
    use mp_core::sys::signal::CRASHES;
    match how {
        Some(Ended::Exited(_)) => true,
        Some(Ended::Signaled(signal)) => CRASHES.contains(&signal),
        None => false,
    }
}
