//! The watcher: the thread of a pool's that sees what its workers say, and how they end.
//!
//! ```text
//!   start what is due ─► sleep on the workers' pidfds and lines ─► a line: pass on what it says ─┐
//!     ▲                       │ cannot                            └► an end: settle what it had ─┤
//!     │                       └► break the pool, look by turns until none is left                │
//!     └──────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! # Tested by
//! `mp-pool/tests/pool.rs`, `mp-pool/tests/deaths.rs`

use crate::dispatch::Worker;
use crate::error::TaskError;
use crate::job::Settled;
use crate::limits::MemoryWatch;
use crate::line::{Heard, Line, Said};
use crate::process::WorkerProcess;
use crate::restarts::Restarts;
use crate::supervisor::Shared;
use mp_core::sys::poll::{Interest, poll};
use mp_core::word::Deadline;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker, by its index, as the watcher looks at it.
type Watched = (u32, Arc<dyn WorkerProcess>, Arc<Line>);

impl Shared {
    /// The watcher's life.
    pub(crate) fn watch(&self, mut wakes: File) {
        let (mut restarts, mut memory) = (Restarts::default(), self.spec.memory_limit.map(MemoryWatch::new));
        while !self.is_shut_down() {
            self.wanted_again().into_iter().for_each(|index| restarts.ended(index, Instant::now()));
            for index in restarts.take_due(Instant::now()) {
                self.restart(index, &mut restarts);
            }
            let workers = self.watched();
            let mut waiting: Vec<(BorrowedFd<'_>, Interest)> = vec![(wakes.as_fd(), Interest::Read)];
            for (_, child, line) in &workers {
                waiting.push((child.sentinel(), Interest::Read));
                waiting.push((line.as_fd(), Interest::Read));
            }
            let restart = restarts.next().map(|due| due.saturating_duration_since(Instant::now()));
            let large = memory.as_mut().map(|memory| self.look_at_memory(memory));
            let until =
                restart.into_iter().chain(self.look_at_tasks()).chain(large).min().and_then(Deadline::after);
            let ready = match poll(&waiting, until) {
                Ok(ready) => ready,
                // No worker's end is told of any more (a limit on descriptors, say, is lower than the number of these).
                // The pool is over, and its workers' ends are waited for all the same.
                Err(error) => {
                    self.break_pool(format!("its workers cannot be watched: {error}"));
                    return self.watch_without_waiting();
                }
            };
            let mut looked = None;
            for at in ready {
                let Some(at) = at.checked_sub(1) else {
                    let _ = wakes.read(&mut [0; 64]);
                    continue;
                };
                // Its end and its line are one behind the other.
                if looked.replace(at / 2) != Some(at / 2) {
                    let (index, child, line) = &workers[at / 2];
                    self.look_at(*index, &**child, line, &mut restarts);
                }
            }
        }
    }

    /// The watcher's life in a pool that is over, where no descriptor can be waited for: looks at the workers, which
    /// were killed, until none is left.
    fn watch_without_waiting(&self) {
        const LOOK: Duration = Duration::from_millis(20);
        let mut restarts = Restarts::default();
        while !self.is_shut_down() {
            for (index, child, line) in &self.watched() {
                self.look_at(*index, &**child, line, &mut restarts);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// The workers that there are.
    fn watched(&self) -> Vec<Watched> {
        let of = |worker: &Worker| (worker.index, Arc::clone(&worker.child), Arc::clone(&worker.line));
        self.dispatch().workers.iter().flatten().map(of).collect()
    }

    /// Has tasks end that run too long, and others tried again; how long until one more is due.
    fn look_at_tasks(&self) -> Option<Duration> {
        let mut dispatch = self.dispatch();
        let due = [dispatch.post_delayed(), dispatch.look_at_deadlines()];
        let next = due.into_iter().flatten().min();
        let settled = dispatch.settled;
        self.tell(&mut dispatch);
        drop(dispatch);
        // The thread that leads may wait for what was collected.
        if settled {
            self.board.wake_caller();
        }
        next
    }

    /// Has tasks end whose worker has too much memory; how long until one may.
    fn look_at_memory(&self, memory: &mut MemoryWatch) -> Duration {
        let workers = || {
            let of = |worker: &Worker| Some((worker.index, worker.child.pid()?));
            self.dispatch().workers.iter().flatten().filter_map(of).collect()
        };
        memory.look(workers, |index, used, limit| self.dispatch().condemn_for_memory(index, used, limit))
    }

    /// A worker has said something, or has ended.
    fn look_at(&self, index: u32, child: &dyn WorkerProcess, line: &Line, restarts: &mut Restarts) {
        // Asked first: what it said before its end is there then.
        let ended = !child.is_alive();
        while let Some(said) = line.next() {
            self.hear(index, child, line, said);
        }
        if ended {
            self.worker_ended(index, restarts);
        }
    }

    fn hear(&self, index: u32, child: &dyn WorkerProcess, line: &Line, said: Heard) {
        let mut more = 0;
        let settled = match said {
            Ok((Said::NotReady { reason }, _)) => return self.break_pool(reason),
            Ok((Said::Fetch { slot }, _)) => {
                let message = self.dispatch().message(slot);
                return line.send_arguments(message.as_deref()).unwrap_or_else(|_| drop(child.kill()));
            }
            Ok((Said::Yielded { slot, turn, follows: true }, _)) => {
                return self.dispatch().yields(index, slot, turn);
            }
            Ok((Said::Yielded { slot, turn, follows: false }, message)) => {
                self.dispatch().yields(index, slot, turn);
                Settled::Value(message)
            }
            Ok((Said::Value { failure: None, wanted }, message)) => {
                more = usize::try_from(wanted).unwrap_or(usize::MAX);
                Settled::Value(message)
            }
            Ok((Said::Value { failure: Some(failure), .. }, _)) => {
                Settled::Failed(failure.in_worker(child.name()))
            }
            // Nothing but a value can be lost, a result or one that was announced: it alone has descriptors.
            Err(error) => Settled::Failed(TaskError::Value(format!("it could not be received: {error}"))),
        };
        let mut dispatch = self.dispatch();
        dispatch.message_arrived(index, settled, more);
        self.tell(&mut dispatch);
        drop(dispatch);
        self.board.wake_caller();
    }
}
