//! A pool without threads and without processes of its own: the caller's part, and a worker's, called step by step. The
//! kill sweep steps a process through a worker's part.
//!
//! ```text
//!   one process:  Steps::map ───────────────────────────────► worker_ended ─► results
//!   forks of it:          Worker::take, next ─► run, and the end at any instruction
//! ```
//!
//! What is done here is what a pool does: the same board, dispatch and worker. The caller's part has state in private
//! memory, so one process alone may call `map`, `worker_ended` and the results.

use crate::board;
use crate::buffer::BufferMut;
use crate::call::{Call, Packed};
use crate::error::{NewPoolError, SubmitError};
use crate::generate::{Generate, YieldError, Yielder};
use crate::job::Job;
use crate::line::Line;
use crate::memory::SharedBoard;
use crate::options::TaskOptions;
use crate::record::put_item;
use crate::result::MapResult;
use crate::supervisor::{Shared, WorkerSpec};
use crate::worker;
use mp_core::MemError;
use mp_core::mem::Shareable;
use mp_core::sys::process::Ended;
use mp_core::transfer::Target;
use mp_core::word::{Ordering, Word};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Bytes of a result of the function that is stepped through.
const RESULT: usize = 12;

/// The caller's part.
#[derive(Debug)]
pub struct Steps {
    shared: Arc<Shared>,
    workers: usize,
}

impl Steps {
    /// For so many workers, of which none is started.
    pub fn new(workers: u32) -> Result<Steps, NewPoolError> {
        let spec = WorkerSpec::of_none("SteppedWorker", workers);
        let (shared, _) = Shared::new(spec, workers, None)?;
        shared.dispatch().returned.step();
        Ok(Steps { shared, workers: workers as usize })
    }

    /// Submits items, `chunk_size` to a worker at a time.
    pub fn map<F, T>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
        chunk_size: usize,
        options: TaskOptions,
    ) -> Result<MapResult<F::Output>, SubmitError>
    where
        F: Target<(T,)>,
        F::Output: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned,
    {
        let job = |code| Job::new(code, options);
        let mut call = Call::begin::<F, (T,)>(&self.shared, &function, job)?;
        call.submit(items.into_iter().map(|item| (item,)), Some(chunk_size), self.workers)?;
        Ok(MapResult::new(call.waited()))
    }

    /// A buffer for an argument.
    pub fn buffer<T: Shareable>(&self, len: usize) -> Result<BufferMut<T>, MemError> {
        self.shared.buffer(len)
    }

    /// Submits items that workers take one by one, several in a slot.
    pub fn map_in_runs<F, T>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<MapResult<F::Output>, SubmitError>
    where
        F: Target<(T,)>,
        F::Output: Serialize + DeserializeOwned,
        T: Serialize + DeserializeOwned,
    {
        let job = |code| Job::new(code, TaskOptions::new());
        let mut call = Call::begin::<F, (T,)>(&self.shared, &function, job)?;
        // Items go in runs once it is known what a result takes.
        call.job.saw(RESULT, 1);
        let (mut packed, mut handles) = (Packed::default(), Vec::new());
        for item in items {
            put_item(None, &(item,), &mut packed.bytes, &mut handles).map_err(|error| *error)?;
            packed.items += 1;
        }
        call.submit_batch(packed, 1)?;
        Ok(MapResult::new(call.waited()))
    }

    /// Submits items whose tasks yield values, at most so many ahead of the one that takes them.
    pub fn generate<F, I, T>(
        &self,
        function: F,
        items: I,
        ahead: u32,
    ) -> Result<Generate<I::IntoIter, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        T: Serialize + DeserializeOwned + 'static,
    {
        let job = |code| Job::reporting(code, TaskOptions::new(), true, ahead, None);
        Generate::begin(&self.shared, job, function, items, (ahead, usize::MAX))
    }

    /// What the caller tells a worker whose task yields, which may wait for that: so many values of its turn are taken.
    /// The turns of a worker count from 1. From any process.
    pub fn grant(&self, worker: u32, turn: u32, taken: u32) {
        self.shared.board.grant(board::Turn { worker, number: turn }, taken);
    }

    /// The worker of this index, in the process that calls this.
    pub fn worker(&self, index: u32) -> Result<Worker, NewPoolError> {
        let (line, _) = Line::pair()?;
        let memory = self.shared.dispatch().memory.clone();
        let board = memory.board.clone();
        Ok(Worker { index, board, worker: worker::Worker::new(index, memory, line, None, None, None) })
    }

    /// What the watcher does when it has seen a worker's end.
    pub fn worker_ended(&self, index: u32, pid: u32, how: Ended) {
        let mut dispatch = self.shared.dispatch();
        dispatch.settle_worker(index, pid, Some(how));
        self.shared.tell(&mut dispatch);
    }

    /// What the watcher does to the chunk of a worker that has begun it and is late: gives it up, unless it is done.
    /// Whether the chunk is given up. From any process.
    pub fn condemn(&self, slot: u32) -> bool {
        let has_begun = self.shared.board.running(slot).is_some_and(|running| running.since.is_some());
        has_begun && self.shared.board.condemn(slot).is_some()
    }

    /// What all processes that sleep are told when a worker has ended: to look. From any process.
    pub fn have_all_look(&self) {
        self.shared.board.wake_every_worker();
        self.shared.board.wake_caller();
    }

    /// Waits, as the caller, until a chunk is finished or it is told to look. Takes nothing. From any process.
    pub fn wait_for_finished(&self) {
        let event = self.shared.board.caller_event();
        // ORDERING: Acquire, pairs with the Release of the wake.
        let seen = event.load(Ordering::Acquire);
        // ORDERING: as above.
        while !self.shared.board.has_finished() && event.load(Ordering::Acquire) == seen {
            self.shared.board.sleep_until_finished(seen, u32::MAX, None);
        }
    }

    /// Takes no more items; workers end when there is nothing to take.
    pub fn close(&self) {
        self.shared.close();
        self.shared.board.quit();
    }

    /// Whether nothing of the board and of the arena is in use.
    pub fn is_unused(&self) -> bool {
        self.shared.dispatch().is_unused()
    }
}

/// What a worker has taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken(board::Taken);

/// A worker's part.
pub struct Worker {
    index: u32,
    board: SharedBoard,
    worker: worker::Worker,
}

impl Worker {
    /// Takes a chunk, or an item of a run, if there is one.
    pub fn take(&self) -> Option<Taken> {
        self.board.take(self.index, |_| ()).map(Taken)
    }

    /// Waits for a chunk, and takes it; `None`: there will be none.
    pub fn next(&self) -> Option<Taken> {
        self.board.next(self.index, None, |_| ()).map(Taken)
    }

    /// Does what it has taken, and gives it back; of a run, those after it too. `false`: it is to end.
    pub fn run(&mut self, taken: Taken) -> bool {
        self.worker.run(taken.0)
    }
}
