//! Dispatch: which items are where, and what has become of those that came back. Private to the pool, behind one lock.
//!
//! ```text
//!   submit ──► pending batches ──post──► open slots ──collect──► pieces of results, in the job
//!                     ▲                      │
//!                     └── not begun ─────────┤ its worker died (deaths.rs)
//!                                            └──► begun: WorkerDied
//! ```
//!
//! | file         | what                                                            |
//! |--------------|-----------------------------------------------------------------|
//! | `post.rs`    | from a batch to slots: how many items, where their bytes go      |
//! | `collect.rs` | from finished slots to results                                   |
//! | `runs.rs`    | slots whose items are taken one by one                           |
//! | `deaths.rs`  | what a worker's death costs; the end of all                      |
//! | `deadlines.rs` | tasks that run too long                                        |
//! | `retries.rs` | tasks that are tried again                                      |
//! | `ranks.rs`   | tasks of different priorities                                   |
//! | `elsewhere.rs` | slots of workers on other hosts                               |
//! | `counts.rs`  | what is counted for each worker                                 |
//! | `generators.rs` | tasks that yield many results                                |
//! | `idle.rs`    | workers that have left for want of work                         |
//! | `leases.rs`  | what is lent of the arena to buffers                            |
//!
//! The board's words are the truth about which worker has a slot. What is here is what a slot stands for.

mod collect;
mod counts;
mod deadlines;
mod deaths;
mod elsewhere;
mod generators;
mod idle;
mod leases;
mod post;
mod ranks;
mod retries;
mod runs;

use crate::arena::{Arena, Block};
use crate::board::Shape;
use crate::buffer::{Leases, Lending};
use crate::error::{NewPoolError, SubmitError};
use crate::hook::{Callback, Hook};
use crate::job::{Job, Piece, Settled};
use crate::lent::Returned;
use crate::line::Line;
use crate::memory::Memory;
use crate::process::WorkerProcess;
use crate::record::{put_block_heads, put_length};
use crate::trace::Trace;
pub(crate) use counts::Counts;
use deadlines::{Deadlines, Timed};
use generators::Generators;
pub(crate) use generators::{TurnOf, Values, Yielded};
use idle::Left;
use leases::Lent;
use mp_core::Ended;
use mp_core::transfer::Message;
use ranks::Ranks;
pub(crate) use retries::History;
use retries::{Again, Delayed};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What the pool is up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Takes no more tasks; its workers end when they have none left.
    Closed,
    Terminated,
    Broken(String),
}

impl Phase {
    /// Whether it takes more.
    pub(crate) fn check(&self) -> Result<(), SubmitError> {
        match self {
            Phase::Running => Ok(()),
            Phase::Closed | Phase::Terminated => Err(SubmitError::Closed),
            Phase::Broken(reason) => Err(SubmitError::Broken(reason.clone())),
        }
    }
}

/// A worker, as the pool holds it.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its place on the board, which its successor takes over.
    pub(crate) index: u32,
    pub(crate) child: Arc<dyn WorkerProcess>,
    pub(crate) line: Arc<Line>,
    /// Messages with results that came over it, or were lost.
    pub(crate) messages: u32,
    /// The next one is no result, but a value that the task in this slot has yielded, in this turn.
    pub(crate) yields: Option<(u32, u32)>,
    /// It could not be killed: this process has given up the right, or may not make the call. It ends after its task.
    pub(crate) out_of_reach: bool,
}

impl Worker {
    pub(crate) fn kill(&mut self) {
        // For good: one that has ended meanwhile, unseen, can be signalled.
        self.out_of_reach |= self.child.kill().is_err();
    }
}

/// Items of one job that are not on the board, packed one after the other.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) job: Arc<Job>,
    /// Position of the next one among the call's items.
    pub(crate) first: u32,
    pub(crate) items: u32,
    /// How many may go to a worker together.
    pub(crate) chunk: u32,
    pub(crate) bytes: Vec<u8>,
    /// Where the next one begins.
    pub(crate) at: usize,
    /// The arguments of the one item, if they do not go through shared memory.
    pub(crate) message: Option<Arc<Message>>,
    /// What the one item's arguments need of the arena.
    pub(crate) leases: Option<Leases>,
    /// Of the next one.
    pub(crate) history: History,
}

impl Batch {
    /// Items that were never on the board, or that no worker has begun.
    pub(crate) fn new(job: &Arc<Job>, first: u32, items: u32, chunk: u32, bytes: Vec<u8>) -> Batch {
        let job = Arc::clone(job);
        Batch {
            job,
            first,
            items,
            chunk,
            bytes,
            at: 0,
            message: None,
            leases: None,
            history: History::default(),
        }
    }
}

/// What a slot on the board stands for.
#[derive(Debug)]
struct Open {
    job: Arc<Job>,
    first: u32,
    items: u32,
    chunk: u32,
    /// Where its arguments are, after the code, and where its results.
    arguments: (usize, usize),
    results: usize,
    block: Option<Block>,
    message: Option<Arc<Message>>,
    leases: Option<Leases>,
    history: History,
    /// Counts the slots that were posted.
    turn: u64,
    timed: Timed,
    /// Why the caller has given it up, once a worker has it.
    given_up: Option<GivenUp>,
    /// Its items are taken one by one.
    run: Option<runs::OpenRun>,
}

/// An item whose value is to come by a message.
#[derive(Debug)]
struct Awaited {
    job: Arc<Job>,
    item: u32,
    /// What it may name.
    lending: Option<Arc<Lending>>,
    /// What is tried again if a failure comes.
    again: Option<Box<Again>>,
}

/// Why a worker is killed for a task that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GivenUp {
    Cancelled,
    Overran,
    OutOfMemory { used: u64, limit: u64 },
}

/// Callbacks wait in their jobs.
#[derive(Default)]
struct Callbacks {
    /// How many hooks wait.
    waiting: usize,
    /// Their jobs are settled.
    due: VecDeque<Callback>,
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (self.waiting, self.due.len()).fmt(f)
    }
}

/// A message with a result: the worker's number, and the message's.
type MessageId = (u32, u32);

#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) phase: Phase,
    pub(crate) memory: Memory,
    /// By index.
    pub(crate) workers: Vec<Option<Worker>>,
    /// By index: the number, which no other worker has, and the name of the worker that was started last. It may work
    /// before its start has returned, and so before it is entered above.
    pub(crate) latest: Vec<(u32, Arc<str>)>,
    /// By index.
    pub(crate) counts: Vec<Counts>,
    /// How the worker ended that ended last.
    pub(crate) last_end: Option<Ended>,
    /// By index: whether a worker is being started.
    pub(crate) starting: Vec<bool>,
    /// By index: whether the worker was dismissed since it was started. Its end is no failure then.
    pub(crate) dismissed: Vec<bool>,
    arena: Arena,
    /// Blocks of the arena that results and buffers are in.
    pub(crate) returned: Arc<Returned>,
    /// By slot.
    open: Vec<Option<Open>>,
    in_flight: usize,
    /// The slot that was posted last.
    last_slot: u32,
    free: Vec<u32>,
    pending: VecDeque<Batch>,
    next_lane: u32,
    /// By lane: where its head was when that was last read.
    heads: Vec<u32>,
    /// Why workers were given up with an item of a run, by their index.
    given_up_in_runs: HashMap<u32, GivenUp>,
    /// Hints to runs for which the lanes had no room.
    undealt: Vec<u32>,
    // Buffers.
    finished: Vec<u32>,
    buffer: Vec<u8>,
    /// Items whose values are still to come by message.
    awaited: HashMap<MessageId, Awaited>,
    /// Messages of slots that are not collected yet.
    arrived: HashMap<MessageId, (Settled, usize)>,
    generators: Generators,
    callbacks: Callbacks,
    deadlines: Deadlines,
    delayed: Delayed,
    ranks: Ranks,
    left: Left,
    lent: Lent,
    /// Free slots that tasks without priorities leave.
    spare: usize,
    /// Slots that were posted so far.
    turns: u64,
    /// Jobs that were numbered so far.
    jobs: u64,
    /// What has not begun by the end of its worker is not begun any more.
    pub(crate) abandoned: bool,
    /// A job was settled, or the board has room again, since this was last asked.
    pub(crate) settled: bool,
    /// A thread waits at the board for all threads that wait.
    pub(crate) led: Option<Leader>,
    /// Threads of the program's that wait.
    pub(crate) waiting: usize,
    /// Those of them that sleep until the one that leads tells them.
    pub(crate) following: usize,
    /// Jobs that report what becomes of their items, and are not settled.
    pub(crate) reporting: usize,
    pub(crate) trace: Option<Box<Trace>>,
}

/// Which thread waits at the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leader {
    Caller,
    Feeder,
}

impl Dispatch {
    /// For so many workers on so many CPUs.
    pub(crate) fn new(workers: u32, cpus: u32) -> Result<Dispatch, NewPoolError> {
        let memory = Memory::create(Shape::for_workers(workers, cpus))?;
        let shape = *memory.board.shape();
        Ok(Dispatch {
            phase: Phase::Running,
            arena: Arena::new(memory.arena_len()),
            returned: Arc::default(),
            memory,
            workers: (0..workers).map(|_| None).collect(),
            latest: (0..workers).map(|_| (0, "".into())).collect(),
            counts: vec![Counts::default(); workers as usize],
            last_end: None,
            starting: vec![false; workers as usize],
            dismissed: vec![false; workers as usize],
            open: (0..shape.slots).map(|_| None).collect(),
            in_flight: 0,
            last_slot: 0,
            free: (0..shape.slots).rev().collect(),
            pending: VecDeque::new(),
            next_lane: 0,
            heads: vec![0; shape.lanes as usize],
            given_up_in_runs: HashMap::new(),
            undealt: Vec::new(),
            finished: Vec::new(),
            buffer: Vec::new(),
            awaited: HashMap::new(),
            arrived: HashMap::new(),
            generators: Generators::default(),
            callbacks: Callbacks::default(),
            deadlines: Deadlines::default(),
            delayed: Delayed::default(),
            ranks: Ranks::default(),
            left: Left::default(),
            lent: Lent::default(),
            spare: shape.spare() as usize,
            turns: 0,
            jobs: 0,
            abandoned: false,
            settled: false,
            led: None,
            waiting: 0,
            reporting: 0,
            following: 0,
            trace: None,
        })
    }

    /// Takes items of a call.
    pub(crate) fn submit(&mut self, batch: Batch) -> Result<(), SubmitError> {
        self.phase.check()?;
        batch.job.expect(batch.items as usize);
        if self.is_full() {
            self.collect();
        }
        self.enqueue(batch);
        self.post();
        Ok(())
    }

    /// Takes an item that is bytes by itself.
    pub(crate) fn submit_block(
        &mut self,
        job: &Arc<Job>,
        first: u32,
        content: &[u8],
    ) -> Result<(), SubmitError> {
        self.phase.check()?;
        job.expect(1);
        let mut heads = Vec::new();
        put_block_heads(content.len(), put_length, &mut heads);
        self.submit_expected(job, first, &heads, content)
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.pending.is_empty() && self.awaited.is_empty() && self.delayed.is_empty()
    }

    /// Whether no slot and no byte of the arena is in use.
    #[cfg(feature = "steps")]
    pub(crate) fn is_unused(&mut self) -> bool {
        self.returned.give_back(&mut self.arena);
        self.is_idle() && self.free.len() == self.open.len() && self.arena.is_unused()
    }

    /// Whether there is more than the board holds.
    pub(crate) fn is_full(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the feeder is wanted, if no thread waits for results.
    pub(crate) fn wants_feeder(&self) -> bool {
        self.is_full() || self.callbacks.waiting > 0 || self.has_callback() || self.reporting > 0
    }

    /// Settles items of a job.
    pub(super) fn settle(&mut self, job: &Job, piece: Piece) {
        if job.settle(piece) {
            self.settled = true;
            if self.callbacks.waiting > 0 {
                for hook in job.take_hooks() {
                    self.callbacks.waiting -= 1;
                    self.run(hook);
                }
            }
            self.end_report(job);
        }
    }

    /// A job that is settled reports no more.
    pub(crate) fn end_report(&mut self, job: &Job) {
        self.reporting -= usize::from(job.ends_report());
    }

    fn run(&mut self, hook: Hook) {
        self.callbacks.due.extend(hook.settled());
    }

    /// Has this done when the job is settled, whose input has ended.
    pub(crate) fn when_settled(&mut self, job: &Job, hook: Hook) {
        if job.is_settled() {
            self.run(hook);
        } else {
            self.callbacks.waiting += 1;
            self.callbacks.waiting -= job.keep_hook(hook);
        }
    }

    pub(crate) fn has_callback(&self) -> bool {
        !self.callbacks.due.is_empty()
    }

    /// A callback whose job is settled.
    pub(crate) fn next_callback(&mut self) -> Option<Callback> {
        self.callbacks.due.pop_front()
    }
}
