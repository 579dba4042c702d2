//! The host's side of a link: one worker, made as the pool says, and what the pool submits to it.
//!
//! ```text
//!   Start ──► a pool of one worker, which has no successor ──► Started, Ready
//!   Submit ──► that pool's board ──► Begun ──► Done
//!   the worker has ended, whatever ended it ──► Done of what it had ──► WorkerDied ──► serve returns
//! ```
//!
//! # When a process dies
//! The worker: the pool here says which item it had begun. This process: its worker is a daemon, and ends with it. The
//! pool's: nothing is heard any more, and the worker is killed.
//! # Tested by
//! `mp-pool/tests/backend.rs`, and the test programs that have `mock` cases

use super::Link;
use super::channel::BEAT;
use super::message::{Start, ToHost, ToPool};
use super::peer::{Lost, Peer};
use crate::board::Life;
use crate::dispatch::{Batch, Dispatch, Phase};
use crate::error::{Failure, NewPoolError, TaskError};
use crate::idle::Idle;
use crate::job::{Job, Piece, Settled};
use crate::options::TaskOptions;
use crate::output::OutputSpec;
use crate::pool::Pool;
use crate::process::WorkerProcess;
use crate::record::{put_failure, put_value_head, take_code};
use crate::supervisor::{Alone, WorkerSpec};
use mp_core::transfer::Message;
use mp_core::word::Deadline;
use std::sync::Arc;
use std::time::Duration;

/// How long a task is waited for before the link is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// The error of [`serve`]. No worker is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The link was closed, or silent for five seconds, or carried what this program does not say.
    #[error("the link to the pool is lost, so its worker was killed")]
    Lost,
    /// The worker could not be started. The pool counts it as one that died before its first task.
    #[error(transparent)]
    Start(#[from] NewPoolError),
}

impl From<Lost> for ServeError {
    fn from(_: Lost) -> ServeError {
        ServeError::Lost
    }
}

/// Starts the worker that a pool asks for over this link, serves it, and returns when it has ended. To be called by the
/// same program as the pool's, by a thread for each link.
///
/// The worker is a process of this host, and ends with this one. A link that is lost ends it.
///
/// # Errors
/// [`ServeError`].
///
/// Not in Python. Ray: `ray start --address`; Dask: `dask worker`.
pub fn serve(link: impl Link + 'static) -> Result<(), ServeError> {
    let mut peer = Peer::new(Box::new(link), None);
    let (start, arguments) = loop {
        match peer.hear(BEAT)? {
            Some((ToHost::Start(start), arguments)) => break (start, arguments),
            Some(_) => return Err(ServeError::Lost),
            None => {}
        }
    };
    let pool = match Pool::start(spec_of(start, arguments), 1, None) {
        Ok(pool) => pool,
        Err(error) => {
            peer.say(&ToPool::WorkerDied { how: None, before_ready: true }, &[]);
            peer.flush();
            return Err(error.into());
        }
    };
    let worker = pool.shared().dispatch().workers[0].as_ref().map(|worker| Arc::clone(&worker.child));
    let mut host = Host { peer, pool, worker, task: None, is_ready: false, wants_end: false };
    host.live()?;
    host.peer.flush();
    Ok(())
}

fn spec_of(start: Start, arguments: Vec<u8>) -> WorkerSpec {
    WorkerSpec {
        name: start.name,
        initializer: start.initializer.map(|code| (code, Message { bytes: arguments, handles: Vec::new() })),
        // The pool has looked at the state that its tasks want.
        state: None,
        places: vec![start.place],
        most_tasks: start.most_tasks,
        recycling: start.recycling,
        idle: Idle::default(),
        output: OutputSpec::default(),
        trace: None,
        memory_limit: None,
        outlasts_sigterm: start.outlasts_sigterm,
        board: 1,
        method: start.method,
        blocked: Vec::new(),
        backend: None,
        alone: Some(Alone { index: start.index }),
        is_stepped: false,
    }
}

struct Host {
    peer: Peer,
    pool: Pool,
    worker: Option<Arc<dyn WorkerProcess>>,
    task: Option<Task>,
    is_ready: bool,
    /// There will be no task.
    wants_end: bool,
}

struct Task {
    number: u64,
    job: Arc<Job>,
}

/// Whether the worker has ended, and what it had is settled.
fn is_gone(dispatch: &Dispatch) -> bool {
    dispatch.is_vacant(0)
}

impl Host {
    /// Until the worker has ended, and the pool was told.
    fn live(&mut self) -> Result<(), ServeError> {
        if let Some(pid) = self.worker.as_ref().and_then(|worker| worker.pid()) {
            self.peer.say(&ToPool::Started { pid }, &[]);
        }
        loop {
            let gone = is_gone(&self.pool.shared().dispatch());
            if !self.is_ready && self.pool.shared().board.life(0) != Life::Starting {
                self.is_ready = true;
                self.peer.say(&ToPool::Ready, &[]);
            }
            self.settle(gone);
            if gone {
                self.tell_end();
                return Ok(());
            }
            // A task is waited for at the board.
            let wait = match (&self.task, self.is_ready && !self.wants_end) {
                (Some(_), _) => Duration::ZERO,
                (None, true) => BEAT / 2,
                (None, false) => LOOK / 2,
            };
            if let Some((said, bytes)) = self.peer.hear(wait)? {
                self.obey(said, &bytes);
            }
            if let Some(Task { job, .. }) = &self.task {
                let is_over = |dispatch: &Dispatch| job.is_settled() || is_gone(dispatch);
                drop(self.pool.shared().wait_until(Some(job), Deadline::after(LOOK), is_over));
            }
        }
    }

    fn obey(&mut self, said: ToHost, bytes: &[u8]) {
        match said {
            ToHost::Start(_) => {}
            ToHost::Submit { task, items } => self.submit(task, items, bytes),
            // One that cannot be signalled ends after its task.
            ToHost::Terminate => drop(self.worker.as_ref().map(|worker| worker.terminate())),
            ToHost::Kill => drop(self.worker.as_ref().map(|worker| worker.kill())),
            ToHost::Stop => {
                self.wants_end = true;
                self.pool.close();
            }
        }
    }

    fn submit(&mut self, number: u64, items: u32, bytes: &[u8]) {
        let mut rest = bytes;
        take_code(&mut rest);
        let (code, arguments) = bytes.split_at(bytes.len() - rest.len());
        let job = Job::reporting(code.into(), TaskOptions::new(), false, 0, None);
        let batch = Batch::new(&job, 0, items, items.max(1), arguments.to_vec());
        let submitted = self.pool.shared().dispatch().submit(batch);
        job.end_input();
        if submitted.is_err() {
            // The pool here is broken, and its worker about to end.
            return self.peer.say(&ToPool::Done { task: number, done: 0, begun: false }, &[]);
        }
        self.task = Some(Task { number, job });
        self.peer.say(&ToPool::Begun { task: number }, &[]);
    }

    /// Tells what became of the task, once that is known.
    fn settle(&mut self, gone: bool) {
        let Some(Task { number, job }) = self.task.take() else { return };
        if gone {
            // What the worker had not begun.
            self.pool.shared().withdraw(&job);
        }
        if !job.is_settled() {
            self.task = Some(Task { number, job });
            return;
        }
        let (done, begun, records) = outcome(job.take_pieces());
        self.peer.say(&ToPool::Done { task: number, done, begun }, &records);
    }

    fn tell_end(&mut self) {
        let dispatch = self.pool.shared().dispatch();
        let (phase, how) = (dispatch.phase.clone(), dispatch.last_end);
        drop(dispatch);
        if let Phase::Broken(reason) = phase {
            self.peer.say(&ToPool::NotReady { reason }, &[]);
        }
        let before_ready = !self.is_ready;
        self.peer.say(&ToPool::WorkerDied { how, before_ready }, &[]);
    }
}

/// How many items are done, whether one more was begun, and the records of the done ones.
fn outcome(mut pieces: Vec<Piece>) -> (u32, bool, Vec<u8>) {
    pieces.sort_unstable_by_key(|piece| piece.first);
    let (mut done, mut records) = (0, Vec::new());
    for piece in pieces {
        match piece.outcome {
            Settled::Short(value) => put_value(value.as_slice(), &mut records),
            Settled::Records(bytes, _) => records.extend_from_slice(&bytes),
            Settled::Lent(lent) => records.extend_from_slice(&lent.record()),
            Settled::Value(Message { bytes, handles }) if handles.is_empty() => {
                put_value(&bytes, &mut records)
            }
            // No end of an item, and refused where the workers are on other hosts.
            Settled::Yielded(_) => {}
            Settled::Value(_) | Settled::Lending(..) => {
                let reason = "result: what it holds of this host's memory or descriptors cannot leave it: return values";
                put_failure(&Failure::Failed(reason.to_owned()), &mut records);
            }
            Settled::Failed(TaskError::WorkerDied { .. }) => return (done, true, records),
            Settled::Failed(TaskError::Cancelled | TaskError::Terminated | TaskError::Broken(_)) => break,
            Settled::Failed(TaskError::Panicked { message, location, .. }) => {
                put_failure(&Failure::Panicked { message, location }, &mut records);
            }
            Settled::Failed(TaskError::Failed(reason)) => put_failure(&Failure::Failed(reason), &mut records),
            Settled::Failed(other) => put_failure(&Failure::Failed(other.to_string()), &mut records),
        }
        done += piece.items;
    }
    (done, false, records)
}

fn put_value(value: &[u8], records: &mut Vec<u8>) {
    put_value_head(value.len(), records);
    records.extend_from_slice(value);
}
