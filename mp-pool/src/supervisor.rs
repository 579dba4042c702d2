//! What the pool's handle and its two threads share, and how a worker is started. Tasks pass neither of the threads,
//! but for what goes over a line.
//!
//! The *watcher* (watcher.rs) starts workers in the place of those that have ended. The *feeder* (lead.rs) puts more on
//! the board while no thread waits for results.

use crate::backend::{Behind, RemoteWorker};
use crate::board::Life;
use crate::dispatch::{Dispatch, Phase, Worker};
use crate::error::{NewPoolError, TaskError};
use crate::idle::Idle;
use crate::lent::Returned;
use crate::limits::Recycling;
use crate::line::Line;
use crate::memory::{Memory, SharedBoard};
use crate::output::{Output, OutputSpec};
use crate::place::{Place, cpus_of};
use crate::process::WorkerProcess;
use crate::thread::WakeEvent;
use crate::trace::Trace;
use crate::worker::{self, Bootstrap};
use mp_core::popen::CopyTemplate;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::signal;
use mp_core::transfer::{Code, Message, StateType, Target};
use mp_core::{Child, Process, StartError, StartMethod};
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

/// What a worker is made from.
#[derive(Debug, Clone)]
pub(crate) struct WorkerSpec {
    pub(crate) name: String,
    pub(crate) initializer: Option<(Code, Message)>,
    /// What the initializer leaves for the tasks.
    pub(crate) state: Option<StateType>,
    /// By turns; at least one.
    pub(crate) places: Vec<Place>,
    pub(crate) most_tasks: Option<u32>,
    pub(crate) recycling: Recycling,
    pub(crate) idle: Idle,
    pub(crate) output: OutputSpec,
    pub(crate) trace: Option<std::path::PathBuf>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) outlasts_sigterm: bool,
    /// For how many workers there are places, or fewer than there are workers.
    pub(crate) board: u32,
    pub(crate) method: StartMethod,
    /// The signals that the pool's maker holds back, and so its workers: the pool's threads hold back all.
    pub(crate) blocked: Vec<i32>,
    /// Where the workers run, if not on this host.
    pub(crate) backend: Option<Behind>,
    pub(crate) alone: Option<Alone>,
    /// Forks of this process go on with the pool, one after the other: it has no thread and no worker of its own.
    pub(crate) is_stepped: bool,
}

impl WorkerSpec {
    /// How many of so many workers may work at one time: as many as there are CPUs for them. Those of a backend have
    /// CPUs of other hosts. Where they are stepped, each has a lane of its own on any host.
    pub(crate) fn cpus(&self, workers: u32) -> u32 {
        if self.backend.is_some() || self.is_stepped { workers } else { cpus_of(&self.places) }
    }

    /// For a pool of which no worker is started.
    #[cfg(any(test, feature = "steps"))]
    pub(crate) fn of_none(name: &str, workers: u32) -> WorkerSpec {
        WorkerSpec {
            name: name.to_owned(),
            initializer: None,
            state: None,
            places: vec![Place::default()],
            most_tasks: None,
            recycling: Recycling::default(),
            idle: Idle::default(),
            memory_limit: None,
            outlasts_sigterm: false,
            output: OutputSpec::default(),
            trace: None,
            board: workers,
            method: StartMethod::Fork,
            blocked: Vec::new(),
            backend: None,
            alone: None,
            is_stepped: true,
        }
    }
}

/// The pool's one worker is a worker of another host's pool: it has that one's name and index, and no successor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone {
    pub(crate) index: u32,
}

/// What the pool's handle, its threads and its results share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// For the threads that take for workers on other hosts.
    this: Weak<Shared>,
    /// Not a forked copy of it.
    pub(crate) owner: OwningProcess,
    dispatch: Mutex<Dispatch>,
    pub(crate) board: SharedBoard,
    /// What is lent of the pool's memory returns there; `None`: its workers cannot read that.
    pub(crate) returned: Option<Arc<Returned>>,
    /// A job was settled, no thread leads, a worker has ended or was entered.
    pub(crate) changed: Condvar,
    /// There is something for the feeder.
    pub(crate) feed: Condvar,
    /// What the workers are forked from, if not from a clean template; `None` once the last of them has ended.
    copy: Mutex<Option<CopyTemplate>>,
    captures: bool,
    /// How many workers there are to be: those of the first indices.
    pub(crate) wanted: AtomicUsize,
    pub(crate) spec: WorkerSpec,
    started: AtomicU32,
    /// The watcher is to look at the workers anew.
    waker: WakeEvent,
    shut_down: AtomicBool,
    /// What tasks write, if the program wants it.
    pub(crate) output: Option<Output>,
}

impl Shared {
    pub(crate) fn new(
        spec: WorkerSpec,
        workers: u32,
        copy: Option<CopyTemplate>,
    ) -> Result<(Arc<Shared>, File), NewPoolError> {
        let (waker, wakes) = WakeEvent::new()?;
        let mut dispatch = {
            let places = workers.max(spec.board);
            Dispatch::new(places, spec.cpus(places))?
        };
        dispatch.trace = Trace::of(&spec, workers)?;
        let output = Output::new(spec.output.clone())?;
        let shared = Arc::new_cyclic(|this| Shared {
            this: Weak::clone(this),
            owner: OwningProcess::current(),
            board: dispatch.memory.board.clone(),
            returned: spec.backend.is_none().then(|| Arc::clone(&dispatch.returned)),
            dispatch: Mutex::new(dispatch),
            changed: Condvar::new(),
            feed: Condvar::new(),
            captures: copy.is_some(),
            wanted: AtomicUsize::new(workers as usize),
            copy: Mutex::new(copy),
            output,
            spec,
            started: AtomicU32::new(0),
            waker,
            shut_down: AtomicBool::new(false),
        });
        Ok((shared, wakes))
    }

    pub(crate) fn dispatch(&self) -> MutexGuard<'_, Dispatch> {
        self.dispatch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that its workers give to tasks.
    pub(crate) fn state(&self) -> Option<StateType> {
        self.spec.state
    }

    /// How many workers there are to be.
    pub(crate) fn processes(&self) -> usize {
        // ORDERING: Relaxed: a number by itself, changed under the dispatch's lock.
        self.wanted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        // ORDERING: Relaxed: set before the wake, or under the lock, that wakes the thread that asks.
        self.shut_down.load(Ordering::Relaxed)
    }

    /// Starts the worker of this index and enters it. Not under the dispatch's lock, since a start takes its time.
    pub(crate) fn start_worker(&self, index: u32) -> Result<(), NewPoolError> {
        // ORDERING: Relaxed: a number that no other worker has.
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let name: Arc<str> = match self.spec.alone {
            Some(_) => self.spec.name.as_str().into(),
            None => format!("{}-{number}", self.spec.name).into(),
        };
        let (memory, had_left) = {
            let mut dispatch = self.dispatch();
            // A pool whose workers have ended, meanwhile, has no thread that would see the end of one more.
            if !dispatch.is_vacant(index) || !dispatch.wants_workers() {
                return Ok(());
            }
            dispatch.starting[index as usize] = true;
            let had_left = dispatch.has_not_left(index);
            dispatch.dismissed[index as usize] = (index as usize) >= self.processes();
            dispatch.tell_restart(index, &name);
            dispatch.counts[index as usize].started();
            dispatch.latest[index as usize] = (number, Arc::clone(&name));
            (dispatch.memory.clone(), had_left)
        };
        self.board.live(index, Life::Starting);
        self.board.forget_turns(index);
        let started = self.started_worker(index, &name, memory);
        let mut dispatch = self.dispatch();
        dispatch.start_ended(index, started.is_ok(), had_left);
        let result = started.map(|mut worker| {
            let over = matches!(dispatch.phase, Phase::Terminated | Phase::Broken(_));
            dispatch.trace_started(index, worker.child.pid());
            // It was not known to those that would have killed it.
            if over || dispatch.has_condemned(index) {
                worker.kill();
            }
            dispatch.workers[index as usize] = Some(worker);
        });
        self.changed.notify_all();
        drop(dispatch);
        self.board.wake_caller();
        self.wake_watcher();
        result
    }

    fn started_worker(&self, index: u32, name: &Arc<str>, memory: Memory) -> Result<Worker, NewPoolError> {
        let (line, theirs) = Line::pair()?;
        let child = match (&self.spec.backend, self.this.upgrade()) {
            (Some(backend), Some(this)) => {
                let started = RemoteWorker::start(&this, &self.spec, backend, index, name, theirs);
                started.map_err(NewPoolError::Link)? as Arc<dyn WorkerProcess>
            }
            _ => self.started_here(index, name, memory, theirs)?,
        };
        Ok(Worker { index, child, line: Arc::new(line), messages: 0, yields: None, out_of_reach: false })
    }

    /// As a process of this host.
    fn started_here(
        &self,
        index: u32,
        name: &str,
        memory: Memory,
        theirs: Line,
    ) -> Result<Arc<dyn WorkerProcess>, NewPoolError> {
        let trace = self.dispatch().trace.as_ref().map(|trace| trace.rings.clone());
        let output = self.output.as_ref().map(|output| output.open(index)).transpose()?;
        let bootstrap = Bootstrap {
            index,
            known_as: self.spec.alone.map_or(index, |alone| alone.index),
            memory,
            line: theirs,
            initializer: self.spec.initializer.clone(),
            place: self.spec.places[index as usize % self.spec.places.len()],
            captured: self.captures,
            most_tasks: self.spec.most_tasks,
            recycling: self.spec.recycling,
            idle: self.spec.idle.of(index),
            outlasts_sigterm: self.spec.outlasts_sigterm,
            leaves_host: self.spec.alone.is_some(),
            output,
            trace,
        };
        let process = Process::new(worker::work, (bootstrap,)).name(name).daemon().method(self.spec.method);
        // A child holds back what the thread that starts it holds back.
        let before = signal::blocked();
        signal::set_blocked(&self.spec.blocked);
        let child = self.start_process(process);
        signal::set_blocked(&before);
        Ok(Arc::new(child?))
    }

    fn start_process(
        &self,
        process: Process<impl Target<(Bootstrap,), Output = ()>, (Bootstrap,)>,
    ) -> Result<Child<()>, StartError> {
        if !self.captures {
            return process.start();
        }
        let copy = self.copy.lock().unwrap_or_else(PoisonError::into_inner);
        process.start_from(copy.as_ref().ok_or(StartError::CopyEnded)?)
    }

    /// Ends the process that workers were forked from: there are none any more.
    pub(crate) fn release_copy(&self) {
        drop(self.copy.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Has the watcher look at the workers anew.
    pub(crate) fn wake_watcher(&self) {
        self.waker.wake();
    }

    /// Kills every worker and settles every task.
    pub(crate) fn end_now(&self, phase: Phase, error: &TaskError) {
        let mut dispatch = self.dispatch();
        dispatch.phase = phase;
        dispatch.workers.iter_mut().flatten().for_each(Worker::kill);
        // One that cannot be killed begins nothing more.
        self.board.quit();
        dispatch.fail_all(error);
        self.changed.notify_all();
        self.board.wake_caller();
    }

    /// No more tasks; workers without work may go.
    pub(crate) fn close(&self) {
        if self.is_copied() {
            return;
        }
        let mut dispatch = self.dispatch();
        if dispatch.phase == Phase::Running {
            dispatch.phase = Phase::Closed;
        }
        self.let_idle_go(&dispatch);
        self.hand_on(&dispatch);
    }

    /// In a closed pool: workers have what they will get, and end when they have done it.
    pub(crate) fn let_idle_go(&self, dispatch: &Dispatch) {
        if dispatch.phase == Phase::Closed && dispatch.is_idle() {
            self.board.quit();
        }
    }

    /// Has the pool's threads end: the last worker is gone.
    pub(crate) fn shut_down_threads(&self) {
        let dispatch = self.dispatch();
        // ORDERING: Relaxed: under the lock for the feeder; the event wakes the watcher, which reads it again.
        self.shut_down.store(true, Ordering::Relaxed);
        self.feed.notify_all();
        drop(dispatch);
        self.board.wake_caller();
        self.wake_watcher();
        self.output.iter().for_each(Output::wake);
    }
}
