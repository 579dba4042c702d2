//! Threads for the user's code: constructors and methods of the user's types.
//!
//! A thread is started when there is a job and no thread is idle, up to a bound; beyond it jobs wait for a thread. The
//! server's own thread hands jobs out and is signalled when one is done.

use super::hosted::Hosted;
use super::segments::Counted;
use crate::object::{Caller, ClientId};
use crate::protocol::{Arrived, Failure, ObjectId};
use mp_core::error::OsResult;
use mp_core::sys::eventfd::{self, eventfd};
use mp_core::transfer::Message;
use mp_pool::Pool;
use mp_shm::OwnedName;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The most threads. A method that waits for another one holds its thread meanwhile.
const MOST_THREADS: usize = 64;

pub(super) type Work = Box<dyn FnOnce() -> Outcome + Send>;

/// What a job has brought about.
pub(super) enum Outcome {
    Built(Result<Box<dyn Hosted>, Failure>),
    Returned(Result<Message, Failure>),
    /// A name of shared memory.
    Segment(Result<OwnedName, Failure>, Counted),
    /// A name was released.
    Released,
    /// A pool has started.
    Pool(Result<Pool, Failure>),
    /// A pool's workers have ended.
    PoolEnded,
    /// So many tasks of the pool have ended.
    Tasks(u64, Arrived),
}

/// The call that a job is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) caller: Caller,
    pub(super) serial: u64,
    /// The object, and whether the method was alone; none for a constructor.
    pub(super) object: Option<(ObjectId, bool)>,
}

impl Ticket {
    /// Of a request that is no call of an object.
    pub(super) fn of(client: ClientId, serial: u64) -> Ticket {
        Ticket { caller: Caller { client, thread: 0 }, serial, object: None }
    }
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Ticket, Work)>,
    done: Vec<(Ticket, Outcome)>,
    idle: usize,
    threads: usize,
}

struct Shared {
    state: Mutex<State>,
    more: Condvar,
    signal: OwnedFd,
}

pub(super) struct Jobs(Arc<Shared>);

impl Jobs {
    pub(super) fn new() -> OsResult<Jobs> {
        let signal = eventfd()?;
        Ok(Jobs(Arc::new(Shared { state: Mutex::default(), more: Condvar::new(), signal })))
    }

    /// Hands a job out. It is refused if there is no thread, and none can be started.
    pub(super) fn give(&self, ticket: Ticket, work: Work) -> Result<(), Failure> {
        let mut state = self.0.lock();
        if state.idle <= state.waiting.len() && state.threads < MOST_THREADS {
            let shared = Arc::clone(&self.0);
            match std::thread::Builder::new().spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    let errno = error.raw_os_error().unwrap_or(0);
                    return Err(Failure::Os { call: "pthread_create".to_owned(), errno });
                }
                Err(_) => {}
            }
        }
        state.waiting.push_back((ticket, work));
        self.0.more.notify_one();
        Ok(())
    }

    pub(super) fn inbox(&self) -> Inbox {
        Inbox(Arc::clone(&self.0))
    }

    /// The jobs that were done since this was last called.
    pub(super) fn done(&self) -> Vec<(Ticket, Outcome)> {
        // Before they are taken: one that is done meanwhile signals again.
        eventfd::clear(self.0.signal.as_fd());
        std::mem::take(&mut self.0.lock().done)
    }
}

/// For what is done elsewhere.
#[derive(Clone)]
pub(super) struct Inbox(Arc<Shared>);

impl Inbox {
    pub(super) fn put(&self, ticket: Ticket, outcome: Outcome) {
        self.0.put(ticket, outcome);
    }
}

impl AsFd for Jobs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.signal.as_fd()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, ticket: Ticket, outcome: Outcome) {
        self.lock().done.push((ticket, outcome));
        eventfd::set(self.signal.as_fd());
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            let (ticket, work) = loop {
                if let Some(job) = state.waiting.pop_front() {
                    break job;
                }
                state.idle += 1;
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            let outcome = work();
            self.put(ticket, outcome);
        }
    }
}
