//! The threads of a pool, and the queue that they take tasks from.
//!
//! | phase      | by                         | tasks                       | threads                       |
//! |------------|----------------------------|-----------------------------|-------------------------------|
//! | Running    | `Crew::start`              | taken                       | wait for more                 |
//! | Closed     | `close`                    | refused; the taken are done | end when the queue is empty   |
//! | Terminated | `terminate`                | end as `Terminated`         | end after the task they run   |
//! | Broken     | a panicking initializer    | end as `Broken`             | end                           |

use super::task::{Run, caught, wait_until};
use crate::dispatch::Phase;
use crate::error::{JoinPoolError, NewPoolError, SubmitError, TaskError};
use crate::place::set_thread;
use crate::pool::join_threads;
use mp_core::OsError;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::word::Deadline;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// As many tasks as the board of a pool of processes holds.
const ROOM: usize = 1024;

/// What each thread calls before its first task.
pub(super) type Initializer = Arc<dyn Fn() + Send + Sync>;

struct State {
    phase: Phase,
    queue: VecDeque<Arc<dyn Run>>,
    /// Threads that have not ended.
    alive: usize,
}

struct Shared {
    state: Mutex<State>,
    /// There is a task, or the phase has changed.
    work: Condvar,
    /// There is room, or a thread has ended.
    changed: Condvar,
}

pub(super) struct Crew {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    size: usize,
    /// A forked copy has none of the threads.
    owner: OwningProcess,
}

impl Crew {
    pub(super) fn start(
        size: usize,
        name: &str,
        initializer: Option<Initializer>,
    ) -> Result<Crew, NewPoolError> {
        let state = State { phase: Phase::Running, queue: VecDeque::new(), alive: 0 };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), work: Condvar::new(), changed: Condvar::new() });
        let crew = Crew { shared, threads: Mutex::default(), size, owner: OwningProcess::current() };
        for number in 1..=size {
            let (shared, initializer) = (Arc::clone(&crew.shared), initializer.clone());
            let name = format!("{name}-{number}");
            crew.shared.state().alive += 1;
            let life = {
                let name = name.clone();
                move || {
                    set_thread(number - 1);
                    shared.live(&name, initializer);
                }
            };
            match std::thread::Builder::new().name(name).spawn(life) {
                Ok(thread) => crew.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread),
                Err(source) => {
                    crew.shared.state().alive -= 1;
                    crew.terminate();
                    let _ = crew.join(None, JoinPoolError::Timeout);
                    return Err(OsError { call: "pthread_create", source }.into());
                }
            }
        }
        Ok(crew)
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn is_owned(&self) -> bool {
        self.owner.is_current()
    }

    /// Whether it takes more.
    pub(super) fn check(&self) -> Result<(), SubmitError> {
        self.shared.state().phase.check()
    }

    pub(super) fn submit(&self, task: Arc<dyn Run>) -> Result<(), SubmitError> {
        self.push(self.shared.state(), task)
    }

    /// Submits when there is room; `late` at the deadline.
    pub(super) fn submit_until(
        &self,
        task: Arc<dyn Run>,
        until: Option<Deadline>,
        late: SubmitError,
    ) -> Result<(), SubmitError> {
        let has_room = |state: &State| state.phase != Phase::Running || state.queue.len() < ROOM;
        self.push(self.shared.wait(until, has_room).ok_or(late)?, task)
    }

    fn push(&self, mut state: MutexGuard<'_, State>, task: Arc<dyn Run>) -> Result<(), SubmitError> {
        state.phase.check()?;
        state.queue.push_back(task);
        self.shared.work.notify_one();
        Ok(())
    }

    pub(super) fn close(&self) {
        let mut state = self.shared.state();
        if state.phase == Phase::Running {
            state.phase = Phase::Closed;
        }
        self.shared.tell_all();
    }

    pub(super) fn terminate(&self) {
        self.shared.end(Phase::Terminated, &TaskError::Terminated);
    }

    /// Ends what has not begun.
    pub(super) fn cancel_all(&self) {
        let queue = std::mem::take(&mut self.shared.state().queue);
        queue.iter().for_each(|task| task.end(&TaskError::Cancelled));
        self.shared.tell_all();
    }

    pub(super) fn join(&self, until: Option<Deadline>, late: JoinPoolError) -> Result<(), JoinPoolError> {
        if self.shared.state().phase == Phase::Running {
            return Err(JoinPoolError::StillRunning);
        }
        drop(self.shared.wait(until, |state| state.alive == 0).ok_or(late)?);
        join_threads(&self.threads);
        Ok(())
    }
}

impl Shared {
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
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        queue.iter().for_each(|task| task.end(error));
        self.tell_all();
    }

    fn wait(&self, until: Option<Deadline>, is_so: impl Fn(&State) -> bool) -> Option<MutexGuard<'_, State>> {
        wait_until(&self.changed, self.state(), until, is_so)
    }

    /// The life of a thread.
    fn live(&self, name: &str, initializer: Option<Initializer>) {
        if let Some(initializer) = initializer
            && let Err(error) = caught(name, || initializer())
        {
            let reason = format!("the initializer: {error}");
            self.end(Phase::Broken(reason.clone()), &TaskError::Broken(reason));
        }
        while let Some(task) = self.next() {
            task.run(name);
        }
        self.state().alive -= 1;
        self.changed.notify_all();
    }

    /// Waits for a task; `None`: there will be none.
    fn next(&self) -> Option<Arc<dyn Run>> {
        let mut state = self.state();
        loop {
            if let Some(task) = state.queue.pop_front() {
                if state.queue.len() + 1 == ROOM {
                    self.changed.notify_all();
                }
                return Some(task);
            }
            if state.phase != Phase::Running {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
