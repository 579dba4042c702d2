//! The threads of a pool, and the queue that they take tasks from.
//!
//! | phase      | by                         | tasks                       | threads                       |
//! |------------|----------------------------|-----------------------------|-------------------------------|
//! | Running    | `Crew::start`              | taken                       | wait for more                 |
//! | Closed     | `close`                    | refused; the taken are done | end when the queue is empty   |
//! | Terminated | `terminate`                | end as `Terminated`         | end after the task they run   |
//! | Broken     | a panicking initializer    | end as `Broken`             | end                           |
//!
//! A thread that is too many (`resize`) ends after the task that it runs. Whether it does, and whether one is started
//! in its seat, is decided under the lock.
//!
//! # Waits of the pool's own threads
//! A task, a callback, or a destructor of either may end its pool and wait for that. Its thread waits for no thread of
//! the pool that waits so too, itself included: each would wait for the other. Nor does a thread of the pool wait for
//! room in the queue, which the pool's threads make.

use super::queue::Queue;
use super::seat::Seat;
use super::task::{Run, caught, wait_until};
use crate::board::MOST_WORKERS;
use crate::copies::refused_in_copy;
use crate::dispatch::Phase;
use crate::error::{JoinPoolError, NewPoolError, SubmitError, TaskError};
use crate::pool::{join_threads, wait_for_end};
use crate::resize::ResizeError;
use crate::statistics::Statistics;
use mp_core::OsError;
use mp_core::process::note_panics;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::process::gettid;
use mp_core::transfer::{StateType, drop_state};
use mp_core::word::Deadline;
use std::cell::Cell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

/// As many tasks as the board of a pool of processes holds.
const ROOM: usize = 1024;

/// What each thread calls before its first task.
pub(super) type Initializer = Arc<dyn Fn() + Send + Sync>;

/// What the threads of a pool are made from.
#[derive(Clone)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) initializer: Option<Initializer>,
    /// The state that the initializer gives a thread.
    pub(super) state: Option<StateType>,
}

/// Something in which a task may wait, and which the end of its pool ends.
pub(super) trait Stop: Send + Sync {
    fn stop(&self, reason: &TaskError);
    /// How many tasks wait in it for the calling thread.
    fn held_here(&self) -> usize;
}

struct State {
    phase: Phase,
    queue: Queue<Arc<dyn Run>>,
    /// The threads that there are to be.
    wanted: usize,
    /// One for each thread that there was; whether it has not ended.
    seats: Vec<(Arc<Seat>, bool)>,
    /// Threads of the program that wait for room.
    held_back: usize,
    stops: Vec<Weak<dyn Stop>>,
    /// Threads that wait in `join`.
    joining: Vec<u32>,
}

struct Shared {
    spec: Spec,
    state: Mutex<State>,
    /// There is a task, or the phase has changed, or a thread is too many.
    work: Condvar,
    /// There is room, or a thread has ended.
    changed: Condvar,
}

pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// A forked copy has none of the threads.
    owner: OwningProcess,
}

impl Crew {
    pub(super) fn start(size: usize, spec: Spec) -> Result<Crew, NewPoolError> {
        let state = State {
            phase: Phase::Running,
            queue: Queue::new(),
            wanted: 0,
            seats: Vec::new(),
            held_back: 0,
            stops: Vec::new(),
            joining: Vec::new(),
        };
        // A task's panic is to tell its place.
        note_panics();
        let (state, work, changed) = (Mutex::new(state), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { spec, state, work, changed });
        let crew = Crew { shared, threads: Mutex::default(), owner: OwningProcess::current() };
        if let Err(error) = crew.grow(size) {
            crew.terminate();
            let _ = crew.join(None, JoinPoolError::Timeout);
            return Err(error);
        }
        Ok(crew)
    }

    /// Has so many threads, of which those that are missing are started.
    fn grow(&self, size: usize) -> Result<(), NewPoolError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        self.shared.state().wanted = size;
        for index in 0..size {
            if let Some(seat) = self.shared.vacant(index) {
                threads.push(self.shared.start(&seat).inspect_err(|_| self.shared.left(index))?);
            }
        }
        Ok(())
    }

    /// Has it grow or shrink to so many threads.
    pub(super) fn resize(&self, size: usize) -> Result<(), ResizeError> {
        if !(1..=MOST_WORKERS).contains(&size) {
            return Err(ResizeError::Places { most: MOST_WORKERS });
        }
        if !self.is_owned() || self.shared.state().phase != Phase::Running {
            return Err(ResizeError::Closed);
        }
        self.grow(size)?;
        self.shared.work.notify_all();
        Ok(())
    }

    /// A copy has none.
    pub(super) fn size(&self) -> usize {
        if self.is_owned() { self.shared.state().wanted } else { 0 }
    }

    /// Whether this process has the threads, and not a forked copy of it: there a thread of the original's may have had
    /// the lock.
    pub(super) fn is_owned(&self) -> bool {
        self.owner.is_current()
    }

    fn check_process(&self) -> Result<(), SubmitError> {
        if self.is_owned() { Ok(()) } else { Err(refused_in_copy()) }
    }

    /// Whether it takes more tasks, of functions that work on such a state.
    pub(super) fn check(&self, state: Option<StateType>) -> Result<(), SubmitError> {
        self.check_process()?;
        StateType::check(state, self.shared.spec.state)?;
        self.shared.state().phase.check()
    }

    pub(super) fn submit(&self, priority: i32, task: Arc<dyn Run>) -> Result<(), SubmitError> {
        self.check_process()?;
        self.push(self.shared.state(), priority, task)
    }

    /// Submits when there is room: fewer than 1,024 tasks go before this one; `late` at the deadline. A thread of the
    /// pool does not wait: it may be the one that makes room.
    pub(super) fn submit_until(
        &self,
        priority: i32,
        task: Arc<dyn Run>,
        until: Option<Deadline>,
        late: SubmitError,
    ) -> Result<(), SubmitError> {
        self.check_process()?;
        let is_ours = self.shared.is_of_this_thread();
        let has_room =
            |state: &State| is_ours || state.phase != Phase::Running || state.queue.ahead_of(priority) < ROOM;
        self.shared.state().held_back += 1;
        let state = self.shared.wait(until, has_room);
        let mut state = state.ok_or_else(|| {
            self.shared.state().held_back -= 1;
            late
        })?;
        state.held_back -= 1;
        self.push(state, priority, task)
    }

    fn push(
        &self,
        mut state: MutexGuard<'_, State>,
        priority: i32,
        task: Arc<dyn Run>,
    ) -> Result<(), SubmitError> {
        state.phase.check()?;
        // Before a thread can end it.
        task.accepted();
        state.queue.push(priority, task);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Has the end of the pool end this, as long as it lives.
    pub(super) fn will_stop(&self, what: &Arc<impl Stop + 'static>) {
        let what: Weak<dyn Stop> = Arc::downgrade(what) as _;
        let mut state = self.shared.state();
        state.stops.retain(|stop| stop.strong_count() > 0);
        state.stops.push(what);
    }

    pub(super) fn close(&self) {
        if !self.is_owned() {
            return;
        }
        let mut state = self.shared.state();
        if state.phase == Phase::Running {
            state.phase = Phase::Closed;
        }
        self.shared.tell_all();
    }

    pub(super) fn terminate(&self) {
        if self.is_owned() {
            self.shared.end(Phase::Terminated, &TaskError::Terminated);
        }
    }

    /// Ends what has not begun.
    pub(super) fn cancel_all(&self) {
        if !self.is_owned() {
            return;
        }
        let tasks = self.shared.state().queue.drain();
        tasks.iter().for_each(|task| task.end(&TaskError::Cancelled));
        self.shared.tell_all();
    }

    pub(super) fn join(&self, until: Option<Deadline>, late: JoinPoolError) -> Result<(), JoinPoolError> {
        if !self.is_owned() || self.shared.state().phase == Phase::Running {
            return Err(JoinPoolError::StillRunning);
        }
        // Until the threads are joined: another one may join this thread's handle.
        let _joining = Joining::begin(&self.shared);
        let is_ours = self.shared.is_of_this_thread();
        let have_ended = |state: &State| state.alive().all(|seat| is_ours && state.is_joining(seat));
        wait_for_end(
            until,
            late,
            |until| self.shared.wait(until, have_ended).is_some(),
            || self.shared.is_held_up_here(),
        )?;
        join_threads(&self.threads);
        Ok(())
    }

    /// Ends the tasks that wait for the calling thread.
    pub(super) fn stop_held_here(&self) {
        let stops = self.shared.stops();
        let held = stops.iter().filter(|stop| stop.held_here() > 0);
        held.for_each(|stop| stop.stop(&TaskError::Cancelled));
    }

    pub(super) fn statistics(&self) -> Statistics {
        if !self.is_owned() {
            return Statistics { workers: Vec::new() };
        }
        Statistics { workers: self.shared.state().seats.iter().map(|(seat, _)| seat.statistics()).collect() }
    }
}

impl State {
    fn alive(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter().filter(|(_, alive)| *alive).map(|(seat, _)| &**seat)
    }

    /// Whether the thread of this seat waits in `join`.
    fn is_joining(&self, seat: &Seat) -> bool {
        self.joining.contains(&seat.thread())
    }
}

/// The calling thread waits in `join`, until this is dropped.
struct Joining<'a>(&'a Shared, u32);

impl Joining<'_> {
    fn begin(shared: &Shared) -> Joining<'_> {
        let here = gettid();
        shared.state().joining.push(here);
        // Others may have waited for this thread alone.
        shared.changed.notify_all();
        Joining(shared, here)
    }
}

impl Drop for Joining<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(at) = state.joining.iter().position(|thread| *thread == self.1) {
            state.joining.swap_remove(at);
        }
    }
}

thread_local! {
    /// Which pool this thread is of, by an address; 0: of none.
    static OF: Cell<usize> = const { Cell::new(0) };
}

impl Shared {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether the calling thread is one of these, to the end of its destructors.
    fn is_of_this_thread(&self) -> bool {
        OF.get() == self.address()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_all(&self) {
        self.work.notify_all();
        self.changed.notify_all();
    }

    fn end(&self, phase: Phase, error: &TaskError) {
        let mut state = self.state();
        state.phase = phase;
        let (tasks, stops) = (state.queue.drain(), std::mem::take(&mut state.stops));
        drop(state);
        tasks.iter().for_each(|task| task.end(error));
        stops.iter().filter_map(Weak::upgrade).for_each(|stop| stop.stop(error));
        self.tell_all();
    }

    fn stops(&self) -> Vec<Arc<dyn Stop>> {
        self.state().stops.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether each thread that there is waits for the calling thread to take what its task yields.
    fn is_held_up_here(&self) -> bool {
        let held: usize = self.stops().iter().map(|stop| stop.held_here()).sum();
        let state = self.state();
        held > 0 && held == state.alive().filter(|seat| !state.is_joining(seat)).count()
    }

    fn wait(&self, until: Option<Deadline>, is_so: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        wait_until(&self.changed, self.state(), until, is_so)
    }

    /// The seat of this index, for a thread that is started; `None`: it is taken.
    fn vacant(&self, index: usize) -> Option<Arc<Seat>> {
        let mut state = self.state();
        if state.seats.len() == index {
            state.seats.push((Arc::new(Seat::new(index, &self.spec.name)), false));
        }
        let (seat, alive) = &mut state.seats[index];
        (!std::mem::replace(alive, true)).then(|| Arc::clone(seat))
    }

    /// No thread is in this seat any more.
    fn left(&self, index: usize) {
        self.state().seats[index].1 = false;
        self.changed.notify_all();
    }

    fn start(self: &Arc<Self>, seat: &Arc<Seat>) -> Result<JoinHandle<()>, NewPoolError> {
        let (shared, seat) = (Arc::clone(self), Arc::clone(seat));
        let thread = std::thread::Builder::new().name(seat.name().to_owned());
        let started = thread.spawn(move || shared.live(&seat));
        Ok(started.map_err(|source| OsError { call: "pthread_create", source })?)
    }

    /// The life of a thread.
    fn live(&self, seat: &Seat) {
        OF.set(self.address());
        seat.take();
        if let Some(initializer) = &self.spec.initializer
            && let Err(error) = caught(seat.name(), || initializer())
        {
            let reason = format!("the initializer: {error}");
            self.end(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
        }
        while let Some(task) = self.next(seat) {
            task.run(seat);
            // Its value, if no other handle is left. What a drop does is the program's: a panic there is no end of the
            // thread, which a join would wait for.
            let _ = caught(seat.name(), || drop(task));
        }
        // In a destructor of the thread's locals a panic would end the process.
        let _ = caught(seat.name(), drop_state);
    }

    /// Waits for a task; `None`: there will be none for this thread, which has left.
    fn next(&self, seat: &Seat) -> Option<Arc<dyn Run>> {
        let mut state = self.state();
        loop {
            let is_too_many = seat.index() >= state.wanted;
            if !is_too_many && let Some(task) = state.queue.pop() {
                if state.held_back > 0 {
                    self.changed.notify_all();
                }
                return Some(task);
            }
            if is_too_many || state.phase != Phase::Running {
                seat.leave();
                state.seats[seat.index()].1 = false;
                // It may be the one that was woken for a task.
                self.tell_all();
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
