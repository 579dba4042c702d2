//! The pool's two threads.
//!
//! The *collector* reads the reports, settles tasks, hands out work, and replaces workers. The *watcher* sleeps on
//! the workers' pidfds and, when one becomes ready, puts `Ended` into the same queue as the reports: so everything
//! that a worker managed to say is read before its end is.

use crate::dispatch::{Dispatch, Marks, Phase, Worker};
use crate::error::{How, NewPoolError, TaskError};
use crate::restarts::{MOST_FAILURES, Restarts};
use crate::task::Report;
use crate::worker::{self, Kit};
use mp_core::mem::SharedRef;
use mp_core::sys::poll::{Interest, poll};
use mp_core::sys::signal;
use mp_core::transfer::{Code, Message};
use mp_core::{Child, Process, StartMethod};
use mp_queue::{GetError, Queue};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What a worker is made from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) initializer: Option<(Code, Message)>,
    pub(crate) most_tasks: Option<u32>,
    pub(crate) method: StartMethod,
    /// The signals that the pool's maker holds back, and so its workers: the pool's threads hold back all.
    pub(crate) blocked: Vec<i32>,
}

/// What the pool's handle and its threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    dispatch: Mutex<Dispatch>,
    /// A worker has ended or was entered.
    pub(crate) changed: Condvar,
    reports: Queue<Report>,
    marks: SharedRef<Marks>,
    recipe: Recipe,
    started: Mutex<u32>,
    /// Written to when the watcher is to look at the workers anew.
    nudge: Mutex<File>,
    dismissed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(recipe: Recipe) -> Result<(Shared, File), NewPoolError> {
        let marks = SharedRef::<Marks>::create("mp-pool")?;
        let (nudged, nudge) = mp_core::sys::fd::pipe()?;
        mp_core::sys::fd::set_nonblocking(nudge.as_fd(), true)?;
        let shared = Shared {
            dispatch: Mutex::new(Dispatch::new(marks.clone())),
            changed: Condvar::new(),
            reports: Queue::new()?,
            marks,
            recipe,
            started: Mutex::new(0),
            nudge: Mutex::new(nudge.into()),
            dismissed: AtomicBool::new(false),
        };
        Ok((shared, nudged.into()))
    }

    pub(crate) fn dispatch(&self) -> MutexGuard<'_, Dispatch> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker with this slot and enters it. Not under the dispatch's lock, since a start takes its time.
    pub(crate) fn start_worker(&self, slot: u32) -> Result<(), NewPoolError> {
        self.dispatch().starting += 1;
        let started = self.started_worker(slot);
        let mut dispatch = self.dispatch();
        dispatch.starting -= 1;
        let result = started.map(|worker| {
            if matches!(dispatch.phase, Phase::Terminated | Phase::Broken(_)) {
                let _ = worker.child.kill();
            }
            if dispatch.phase == Phase::Closed && dispatch.is_idle() {
                worker.orders.shutdown();
            }
            dispatch.enter(worker);
        });
        drop(dispatch);
        self.changed.notify_all();
        self.nudge();
        result
    }

    fn started_worker(&self, slot: u32) -> Result<Worker, NewPoolError> {
        self.dispatch().wipe_mark(slot);
        let orders = Queue::new()?;
        let kit = Kit {
            slot,
            orders: orders.clone(),
            reports: self.reports.clone(),
            marks: self.marks.clone(),
            initializer: self.recipe.initializer.clone(),
            most_tasks: self.recipe.most_tasks,
        };
        let number = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            *started += 1;
            *started
        };
        let name = format!("{}-{number}", self.recipe.name);
        let process = Process::new(worker::work, (kit,)).name(name).daemon().method(self.recipe.method);
        // A child holds back what the thread that starts it holds back.
        let before = signal::blocked();
        signal::set_blocked(&self.recipe.blocked);
        let child = process.start();
        signal::set_blocked(&before);
        Ok(Worker::new(slot, Arc::new(child?), orders))
    }

    /// Has the watcher look at the workers anew.
    fn nudge(&self) {
        // A full pipe is nudge enough.
        let _ = self.nudge.lock().unwrap_or_else(PoisonError::into_inner).write(&[0]);
    }

    /// Kills every worker and settles every task.
    pub(crate) fn end_now(&self, phase: Phase, error: &TaskError) {
        let mut dispatch = self.dispatch();
        dispatch.phase = phase;
        for worker in &dispatch.workers {
            let _ = worker.child.kill();
        }
        dispatch.fail_all(error);
    }

    /// No more tasks; workers without work may go.
    pub(crate) fn close(&self) {
        let mut dispatch = self.dispatch();
        if dispatch.phase == Phase::Running {
            dispatch.phase = Phase::Closed;
        }
        let_idle_go(&dispatch);
    }

    /// Tells the threads that the last worker is gone.
    pub(crate) fn dismiss_threads(&self) {
        // ORDERING: Relaxed: the nudge wakes the watcher, which reads it again.
        self.dismissed.store(true, Ordering::Relaxed);
        self.reports.shutdown();
        self.nudge();
    }

    /// The collector's life.
    pub(crate) fn collect(&self) {
        let mut restarts = Restarts::default();
        loop {
            for slot in restarts.take_due(Instant::now()) {
                self.restart(slot, &mut restarts);
            }
            match self.next_report(&restarts) {
                Ok(Report::Done { chunk, index, outcome }) => {
                    let mut dispatch = self.dispatch();
                    dispatch.done(chunk, index, outcome);
                    let_idle_go(&dispatch);
                }
                Ok(Report::NotReady { reason }) => self.break_pool(reason),
                Ok(Report::Unreadable { worker, reason }) => self.dispatch().unreadable(worker, reason),
                Ok(Report::Ended { worker }) => self.worker_ended(worker, &mut restarts),
                Err(GetError::Closed) => return,
                // A worker is due; or a report that nobody wrote like this.
                Err(GetError::Empty | GetError::Timeout | GetError::Decode(_)) => {}
                Err(error) => {
                    self.break_pool(format!("the workers' reports cannot be read: {error}"));
                    return;
                }
            }
        }
    }

    /// The next report; [`GetError::Timeout`] when a worker is due first.
    fn next_report(&self, restarts: &Restarts) -> Result<Report, GetError> {
        match restarts.next() {
            Some(due) => self.reports.get_timeout(due.saturating_duration_since(Instant::now())),
            None => self.reports.get(),
        }
    }

    fn break_pool(&self, reason: String) {
        self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
    }

    fn worker_ended(&self, slot: u32, restarts: &mut Restarts) {
        let mut dispatch = self.dispatch();
        let Some(gone) = dispatch.ended(slot) else { return };
        // What it had may have been all that was left.
        let_idle_go(&dispatch);
        let replace = dispatch.wants_workers();
        drop(dispatch);
        self.changed.notify_all();
        if replace && gone.failed_to_start {
            self.failed(slot, &format!("{} {} before its first task", gone.name, How(gone.how)), restarts);
        } else if replace {
            restarts.ended(slot, Instant::now());
        }
    }

    fn restart(&self, slot: u32, restarts: &mut Restarts) {
        if self.dispatch().wants_workers()
            && let Err(error) = self.start_worker(slot)
        {
            self.failed(slot, &format!("a worker could not be started: {error}"), restarts);
        }
    }

    fn failed(&self, slot: u32, how: &str, restarts: &mut Restarts) {
        if !restarts.failed(slot, Instant::now()) {
            self.break_pool(format!(
                "its workers cannot start, {MOST_FAILURES} times in a row: {how}; look at the initializer and at the \
                 limits of processes, memory and open files"
            ));
        }
    }

    /// The watcher's life.
    pub(crate) fn watch(&self, mut nudged: File) {
        // Those whose end was reported stay in the books until the collector has read that.
        let mut told: Vec<Arc<Child<()>>> = Vec::new();
        // ORDERING: Relaxed: set before the nudge that wakes this thread.
        while !self.dismissed.load(Ordering::Relaxed) {
            let live: Vec<(u32, Arc<Child<()>>)> = {
                let dispatch = self.dispatch();
                // The handle itself tells: the number of one that has ended may be its successor's by now.
                let is = |child: &Arc<Child<()>>, worker: &Worker| Arc::ptr_eq(child, &worker.child);
                told.retain(|child| dispatch.workers.iter().any(|worker| is(child, worker)));
                let live =
                    dispatch.workers.iter().filter(|worker| !told.iter().any(|child| is(child, worker)));
                live.map(|worker| (worker.slot, Arc::clone(&worker.child))).collect()
            };
            let mut waiting: Vec<(BorrowedFd<'_>, Interest)> = vec![(nudged.as_fd(), Interest::Read)];
            waiting.extend(live.iter().map(|(_, child)| (child.sentinel(), Interest::Read)));
            let ready = match poll(&waiting, None) {
                Ok(ready) => ready,
                // Nobody would see a worker end.
                Err(error) => return self.break_pool(format!("its workers cannot be watched: {error}")),
            };
            for at in ready {
                let Some((slot, child)) = at.checked_sub(1).map(|at| &live[at]) else {
                    let _ = nudged.read(&mut [0; 64]);
                    continue;
                };
                told.push(Arc::clone(child));
                if self.reports.put(Report::Ended { worker: *slot }).is_err() {
                    return;
                }
            }
        }
    }
}

/// In a closed pool: workers have what they will get, and end when they have done it.
fn let_idle_go(dispatch: &Dispatch) {
    if dispatch.phase == Phase::Closed && dispatch.is_idle() {
        dispatch.workers.iter().for_each(|worker| worker.orders.shutdown());
    }
}
