//! The pool's two threads.
//!
//! The *collector* reads the reports, settles tasks, hands out work, and replaces workers. The *watcher* sleeps on
//! the workers' pidfds and, when one becomes ready, puts `Ended` into the same queue as the reports: so everything
//! that a worker managed to say is read before its end is.

use crate::dispatch::{Dispatch, Marks, Phase, Worker};
use crate::error::{NewPoolError, TaskError};
use crate::task::Report;
use crate::worker::{self, Kit};
use mp_core::mem::Place;
use mp_core::sys::poll::{Interest, poll};
use mp_core::transfer::{Code, Message};
use mp_core::{Child, Process, StartMethod};
use mp_queue::{GetError, Queue};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a worker is made from.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    pub(crate) name: String,
    pub(crate) initializer: Option<(Code, Message)>,
    pub(crate) most_tasks: Option<u32>,
    pub(crate) method: StartMethod,
}

/// What the pool's handle and its threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    dispatch: Mutex<Dispatch>,
    /// A worker has ended or was entered.
    pub(crate) changed: Condvar,
    reports: Queue<Report>,
    marks: Place<Marks>,
    recipe: Recipe,
    started: Mutex<u32>,
    /// Written to when the watcher is to look at the workers anew.
    nudge: Mutex<File>,
    dismissed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(recipe: Recipe) -> Result<(Shared, File), NewPoolError> {
        let marks = Place::<Marks>::create("mp-pool")?;
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
        let process = Process::new(worker::work, (kit,)).name(name).daemon(true).method(self.recipe.method);
        let child = process.start()?;
        let mut dispatch = self.dispatch();
        if matches!(dispatch.phase, Phase::Terminated | Phase::Broken(_)) {
            let _ = child.kill();
        }
        if dispatch.phase == Phase::Closed && dispatch.is_idle() {
            orders.shutdown();
        }
        dispatch.enter(Worker::new(slot, Arc::new(child), orders));
        drop(dispatch);
        self.changed.notify_all();
        self.nudge();
        Ok(())
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
        loop {
            match self.reports.get() {
                Ok(Report::Done { chunk, index, outcome }) => {
                    let mut dispatch = self.dispatch();
                    dispatch.done(chunk, index, outcome);
                    let_idle_go(&dispatch);
                }
                Ok(Report::NotReady { reason }) => {
                    self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
                }
                Ok(Report::Ended { worker }) => self.worker_ended(worker),
                Err(GetError::Closed) => return,
                Err(GetError::Decode(_)) => {}
                Err(error) => {
                    let reason = format!("the workers' reports cannot be read: {error}");
                    self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
                    return;
                }
            }
        }
    }

    fn worker_ended(&self, slot: u32) {
        let mut dispatch = self.dispatch();
        let Some(worker) = dispatch.ended(slot) else { return };
        let in_order = worker.child.exitcode() == Some(0);
        let replace = match dispatch.phase {
            Phase::Running => true,
            Phase::Closed => !dispatch.is_idle(),
            Phase::Terminated | Phase::Broken(_) => false,
        };
        let too_many = replace && !in_order && dispatch.too_many_deaths();
        drop(dispatch);
        self.changed.notify_all();
        if too_many {
            let reason =
                "its workers die as soon as they are started: more than 10 deaths in 10 s".to_owned();
            self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
        } else if replace && let Err(error) = self.start_worker(slot) {
            let reason = format!("a worker could not be replaced: {error}");
            self.end_now(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
        }
        self.changed.notify_all();
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
            let Ok(ready) = poll(&waiting, None) else { return };
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
