//! Which task is with which worker, and what a worker's death costs.
//!
//! ```text
//!   submitted ──► pending ──► with a worker ──► begun (its mark) ──► done
//!                    ▲             │                  │
//!                    │             │ worker ends      │ worker ends
//!                    └─────────────┘                  └──► WorkerDied
//! ```
//!
//! Only the item that a worker had begun is laid to its end. The other items of its chunks go to other workers.
//!
//! Each worker has a queue of its own, so it is known at each moment what it may have begun. A worker holds a few
//! chunks in advance; when there is nothing pending, an idle worker is given what another has not begun.

use crate::error::{Failure, SubmitError, TaskError};
use crate::result::Job;
use crate::task::{Chunk, NOT_READY, Order, READY, marked};
use mp_core::Child;
use mp_core::mem::SharedRef;
use mp_core::sys::process::Ended;
use mp_core::transfer::{Code, Message};
use mp_queue::Queue;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most workers of a pool.
pub(crate) const MOST_WORKERS: usize = 1024;
/// Chunks that a worker may have before it has done them: enough that it need not wait for the pool.
const AHEAD: usize = 8;
/// A chunk that was the next one of so many workers which were killed before they began it is what kills them (too
/// large for the memory that there is, say).
const MOST_LOSSES: u32 = 8;

/// What each worker has begun, in shared memory.
pub(crate) type Marks = [AtomicU64; MOST_WORKERS];

/// A worker, as the pool holds it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) slot: u32,
    pub(crate) child: Arc<Child<()>>,
    pub(crate) orders: Queue<Order>,
    /// Chunks given and not done, oldest first.
    given: VecDeque<u32>,
    /// It has a chunk with handles, and is given no other until that is done.
    alone: bool,
    /// It has said why it ends.
    excused: bool,
}

/// A worker that has ended.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) name: String,
    pub(crate) how: Option<Ended>,
    /// It ended by itself before it began a task: its successor may do the same.
    pub(crate) failed_to_start: bool,
}

impl Worker {
    pub(crate) fn new(slot: u32, child: Arc<Child<()>>, orders: Queue<Order>) -> Worker {
        Worker { slot, child, orders, given: VecDeque::new(), alone: false, excused: false }
    }
}

/// A chunk that is not done: what it takes to settle it or to give it to another worker.
#[derive(Debug)]
struct Open {
    job: Arc<Job>,
    chunk: Chunk,
    /// Items not reported yet.
    missing: usize,
    done: Vec<bool>,
    /// Workers that were killed when this was the next that they would have begun.
    losses: u32,
}

/// What the pool is up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Takes no more tasks; its workers end when they have none left.
    Closed,
    Terminated,
    Broken(String),
}

/// The pool's books.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) phase: Phase,
    pub(crate) workers: Vec<Worker>,
    marks: SharedRef<Marks>,
    open: HashMap<u32, Open>,
    pending: VecDeque<u32>,
    last_chunk: u32,
    /// Workers that are being started.
    pub(crate) starting: usize,
}

impl Dispatch {
    pub(crate) fn new(marks: SharedRef<Marks>) -> Dispatch {
        Dispatch {
            phase: Phase::Running,
            workers: Vec::new(),
            marks,
            open: HashMap::new(),
            pending: VecDeque::new(),
            last_chunk: 0,
            starting: 0,
        }
    }

    /// Takes the items of a call.
    pub(crate) fn submit(
        &mut self,
        job: &Arc<Job>,
        code: Code,
        items: Vec<Message>,
        chunk_size: usize,
    ) -> Result<(), SubmitError> {
        match &self.phase {
            Phase::Running => {}
            Phase::Closed | Phase::Terminated => return Err(SubmitError::Closed),
            Phase::Broken(reason) => return Err(SubmitError::Broken(reason.clone())),
        }
        let mut items = (0..).zip(items).peekable();
        while items.peek().is_some() {
            let of_chunk: Vec<(u32, Message)> = items.by_ref().take(chunk_size).collect();
            self.last_chunk += 1;
            let id = self.last_chunk;
            let done = vec![false; of_chunk.len()];
            let open = Open {
                job: Arc::clone(job),
                missing: of_chunk.len(),
                done,
                losses: 0,
                chunk: Chunk { id, code, items: of_chunk },
            };
            self.open.insert(id, open);
            self.pending.push_back(id);
        }
        self.hand_out();
        Ok(())
    }

    /// Gives pending chunks to those who have fewest, and work of the busy to the idle.
    ///
    /// A chunk with handles is the only one that its worker has. Where the worker cannot open them, the order stays in its
    /// queue: it must not be taken back from there for another worker, and it must be known which one it is.
    fn hand_out(&mut self) {
        while let Some(&id) = self.pending.front() {
            let Some(open) = self.open.get(&id) else {
                self.pending.pop_front();
                continue;
            };
            let alone = open.chunk.items.iter().any(|(_, arguments)| !arguments.handles.is_empty());
            let least = self
                .workers
                .iter_mut()
                .filter(|worker| !worker.alone && !worker.excused)
                .min_by_key(|it| it.given.len());
            let most = if alone { 1 } else { AHEAD };
            let Some(worker) = least.filter(|worker| worker.given.len() < most) else { return };
            self.pending.pop_front();
            match worker.orders.try_put(Order::Run(open.chunk.clone())) {
                Ok(()) => {
                    worker.given.push_back(id);
                    worker.alone = alone;
                }
                // It cannot be sent to any worker (too large, too many handles).
                Err(refused) => self.fail_chunk(id, &TaskError::Failed(refused.reason.to_string())),
            }
        }
        self.share();
    }

    /// With nothing pending: takes back what a worker has waiting, for one who has nothing to do.
    fn share(&mut self) {
        while let Some(idle) =
            self.workers.iter().position(|worker| worker.given.is_empty() && !worker.excused)
        {
            let most = (0..self.workers.len()).max_by_key(|&at| self.workers[at].given.len());
            let Some(most) = most.filter(|&at| self.workers[at].given.len() > 1) else { return };
            // What comes back was not begun: the queue gives each order once.
            let Ok(Order::Run(chunk)) = self.workers[most].orders.try_get() else { return };
            self.workers[most].given.retain(|id| *id != chunk.id);
            let id = chunk.id;
            match self.workers[idle].orders.try_put(Order::Run(chunk)) {
                Ok(()) => self.workers[idle].given.push_back(id),
                Err(refused) => self.fail_chunk(id, &TaskError::Failed(refused.reason.to_string())),
            }
        }
    }

    /// A worker has reported an item.
    pub(crate) fn done(&mut self, chunk: u32, index: u32, outcome: Result<Message, Failure>) {
        let outcome = outcome.map_err(|failure| match failure {
            Failure::Panicked { message, location } => {
                TaskError::Panicked { message, location, worker: self.worker_of(chunk) }
            }
            Failure::Failed(reason) => TaskError::Failed(reason),
        });
        if self.settle(chunk, index, outcome) {
            for worker in &mut self.workers {
                worker.given.retain(|id| *id != chunk);
                worker.alone &= !worker.given.is_empty();
            }
            self.hand_out();
        }
    }

    fn worker_of(&self, chunk: u32) -> String {
        let worker = self.workers.iter().find(|worker| worker.given.contains(&chunk));
        worker.map_or_else(String::new, |worker| worker.child.name().to_owned())
    }

    /// Settles an item; whether that was the chunk's last.
    fn settle(&mut self, chunk: u32, index: u32, outcome: Result<Message, TaskError>) -> bool {
        let Some(open) = self.open.get_mut(&chunk) else { return false };
        // In the order of the input, also after some have been taken out.
        let Ok(at) = open.chunk.items.binary_search_by_key(&index, |(other, _)| *other) else { return false };
        if std::mem::replace(&mut open.done[at], true) {
            return false;
        }
        open.missing -= 1;
        open.job.settle(index, outcome);
        let last = open.missing == 0;
        if last {
            self.open.remove(&chunk);
        }
        last
    }

    /// A worker has ended, and all that it reported is in the books. Takes it out of them: the item that it had begun
    /// is laid to its end, and the rest goes to others.
    pub(crate) fn ended(&mut self, slot: u32) -> Option<Gone> {
        let at = self.workers.iter().position(|worker| worker.slot == slot)?;
        let worker = self.workers.swap_remove(at);
        let (mark, how) = (self.mark_of(slot), how(&worker.child));
        let died =
            || TaskError::WorkerDied { worker: worker.child.name().to_owned(), pid: worker.child.pid(), how };
        let (chunk, index) = marked(mark);
        if worker.given.contains(&chunk) {
            // Nothing happens to an item that it reported.
            self.settle(chunk, index, Err(died()));
        } else if mark == READY
            && let Some(next) = worker.given.front()
            && let Some(open) = self.open.get_mut(next)
        {
            open.losses += 1;
            if open.losses >= MOST_LOSSES {
                self.fail_chunk(*next, &died());
            }
        }
        worker.given.iter().rev().for_each(|id| self.trim(*id));
        self.hand_out();
        let failed_to_start = !worker.excused && (mark == NOT_READY || mark == READY && by_itself(how));
        Some(Gone { name: worker.child.name().to_owned(), how, failed_to_start })
    }

    /// A worker cannot receive the oldest order that it has not done, and ends.
    pub(crate) fn unreadable(&mut self, slot: u32, reason: String) {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.slot == slot) else { return };
        worker.excused = true;
        if let Some(oldest) = worker.given.pop_front() {
            self.fail_chunk(oldest, &TaskError::Failed(reason));
        }
    }

    /// Whether a slot whose worker has ended is to have another one.
    pub(crate) fn wants_workers(&self) -> bool {
        match self.phase {
            Phase::Running => true,
            Phase::Closed => !self.is_idle(),
            Phase::Terminated | Phase::Broken(_) => false,
        }
    }

    /// Puts the rest of a chunk back at the front, without the items that are done.
    fn trim(&mut self, id: u32) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let done = std::mem::take(&mut open.done);
        let mut done = done.into_iter();
        open.chunk.items.retain(|_| !done.next().unwrap_or(false));
        open.done = vec![false; open.chunk.items.len()];
        self.pending.push_front(id);
    }

    /// What a dead worker had begun last.
    fn mark_of(&self, slot: u32) -> u64 {
        // ORDERING: Acquire, pairs with the Release in the worker's `set_mark`.
        self.marks[slot as usize].load(Ordering::Acquire)
    }

    /// Enters a worker; its mark is wiped before it begins.
    pub(crate) fn enter(&mut self, worker: Worker) {
        self.workers.push(worker);
        self.hand_out();
    }

    /// A mark for a worker to be started.
    pub(crate) fn wipe_mark(&self, slot: u32) {
        // ORDERING: Relaxed: the worker is started after this.
        self.marks[slot as usize].store(NOT_READY, Ordering::Relaxed);
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    fn fail_chunk(&mut self, id: u32, error: &TaskError) {
        if let Some(open) = self.open.remove(&id) {
            for (index, _) in &open.chunk.items {
                open.job.settle(*index, Err(error.clone()));
            }
        }
    }

    /// Settles whatever is open.
    pub(crate) fn fail_all(&mut self, error: &TaskError) {
        let ids: Vec<u32> = self.open.keys().copied().collect();
        ids.into_iter().for_each(|id| self.fail_chunk(id, error));
        self.pending.clear();
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

/// How a worker ended.
fn how(child: &Child<()>) -> Option<Ended> {
    child.exitcode().map(|code| if code < 0 { Ended::Signaled(-code) } else { Ended::Exited(code) })
}
