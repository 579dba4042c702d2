//! Pools in the server: any client submits tasks, and their results come to objects of their own.
//!
//! ```text
//!   Submit ──► the pool's board ──► a worker ──► callback, on a thread of the pool ──► inbox ──► results object
//!     └─ gives the results object at once: Get, Wait and Take wait beside it
//! ```
//! No thread waits for a task. The pool ends, and its workers are killed, when no proxy of it is left and no result
//! that is still to come and that a client can still ask for.
//!
//! # When a process dies
//! A *client*: its references to results are given back; its tasks go on, and what they give is dropped. A *worker*:
//! its task fails, and the pool replaces it. The *server*: the workers are its daemons.

use super::Server;
use super::hosted::failure;
use super::jobs::{Outcome, Ticket, Work};
use super::table::Body;
use crate::object::{Caller, ClientId, Kept, Results};
use crate::protocol::{
    Arrived, Call, Element, Failure, Gather, Kind, ObjectId, PoolCall, Reply, ResultsCall, Wait,
};
use mp_core::process::call_caught;
use mp_core::transfer::{Code, Message};
use mp_pool::{MapError, NewPoolError, Pool, SubmitError, TaskError};
use std::collections::HashMap;

/// The body of a pool.
#[derive(Debug)]
pub(super) struct Workers {
    /// None once it is ending.
    pool: Option<Pool>,
    is_closed: bool,
    has_ended: bool,
    running: u64,
}

/// Results that are still to come: how many, and what keeps their pool meanwhile.
#[derive(Debug, Default)]
pub(super) struct Coming(HashMap<ObjectId, (u64, Kept)>);

impl Coming {
    fn came(&mut self, results: ObjectId, count: u64) {
        if let Some((left, _)) = self.0.get_mut(&results) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.0.remove(&results);
            }
        }
    }

    /// No client can ask for them any more.
    pub(super) fn forget(&mut self, results: ObjectId) {
        self.0.remove(&results);
    }
}

/// A task, in a worker. A panic is a value here, as any other.
fn run_task(code: Code, arguments: Message) -> Result<Message, Failure> {
    call_caught(&code, arguments).map_err(failure)
}

impl Server {
    /// Starts a pool, on another thread.
    pub(super) fn start_pool(&mut self, client: ClientId, serial: u64, workers: u64) -> Result<(), Failure> {
        let work: Work = Box::new(move || {
            let workers = usize::try_from(workers).unwrap_or(usize::MAX);
            Outcome::Pool(Pool::new(workers).map_err(Failure::from))
        });
        self.jobs.give(Ticket::of(client, serial), work)
    }

    pub(super) fn enter_pool(&mut self, client: ClientId, pool: Pool) -> Result<ObjectId, Failure> {
        let workers = Workers { pool: Some(pool), is_closed: false, has_ended: false, running: 0 };
        self.enter(client, Kind::Pool, Body::Pool(workers))
    }

    pub(super) fn call_pool(
        &mut self,
        caller: Caller,
        serial: u64,
        object: ObjectId,
        wait: Wait,
        call: Call,
    ) -> Option<Result<Reply, Failure>> {
        let Some(Body::Pool(workers)) = self.table.get(object).map(|entry| &mut entry.body) else {
            return Some(Err(Failure::NoSuchObject));
        };
        Some(match call {
            Call::Pool(PoolCall::Submit { .. }) if !self.clients.is_relative(caller.client) => {
                Err(Failure::NoRelative)
            }
            Call::Pool(PoolCall::Submit { code, tasks, gather }) => {
                self.submit(caller.client, object, code, tasks, gather).map(Reply::Created)
            }
            Call::Pool(PoolCall::Close) => {
                workers.is_closed = true;
                workers.pool.iter().for_each(Pool::close);
                self.end_idle_pool(object);
                Ok(Reply::Done)
            }
            Call::Pool(PoolCall::Terminate) => {
                workers.is_closed = true;
                workers.pool.iter().for_each(Pool::terminate);
                self.end_idle_pool(object);
                Ok(Reply::Done)
            }
            Call::Pool(PoolCall::Processes) => {
                Ok(Reply::Count(workers.pool.as_ref().map_or(0, |pool| pool.processes() as u64)))
            }
            Call::Pool(PoolCall::Join) if workers.has_ended => Ok(Reply::Done),
            Call::Pool(PoolCall::Join) if !workers.is_closed => Err(Failure::PoolRuns),
            Call::Pool(PoolCall::Join) if wait == Wait::Never => Err(Failure::WouldBlock),
            call @ Call::Pool(PoolCall::Join) => {
                self.park_call(caller, serial, object, wait, call);
                return None;
            }
            _ => Err(Failure::WrongKind),
        })
    }

    /// Hands tasks to a pool; gives the object that their results come to.
    fn submit(
        &mut self,
        client: ClientId,
        pool: ObjectId,
        code: Code,
        tasks: Vec<Message>,
        gather: Gather,
    ) -> Result<ObjectId, Failure> {
        let ended = || Failure::PoolEnded("it was closed".to_owned());
        let count = tasks.len() as u64;
        let kept = Kept::new(&self.counts, pool).ok_or(Failure::NoSuchObject)?;
        let kind = if gather == Gather::Together { Kind::Results } else { Kind::Iterator };
        let body = Results::new(count, gather == Gather::AsTheyCome);
        let results = self.enter(client, kind, Body::Own(Box::new(body)))?;
        let caller = Caller { client, thread: 0 };
        let inbox = self.jobs.inbox();
        let put = move |count, arrived| {
            // Which pool, and which results.
            let ticket = Ticket { caller, serial: pool, object: Some((results, false)) };
            inbox.put(ticket, Outcome::Tasks(count, arrived));
        };
        let Some(Body::Pool(Workers { pool: Some(workers), is_closed: false, running, .. })) =
            self.table.get(pool).map(|entry| &mut entry.body)
        else {
            self.clients.release(&self.counts, client, results);
            return Err(ended());
        };
        let submitted = match gather {
            Gather::Together => {
                let all = workers.starmap_async(run_task, tasks.into_iter().map(|task| (code, task)));
                all.map(|all| {
                    all.call_back(move |done| put(count, Arrived::All(all_of(done))));
                    *running += count;
                })
            }
            Gather::InOrder | Gather::AsTheyCome => (0..).zip(tasks).try_for_each(|(place, task)| {
                let put = put.clone();
                let one = workers.apply_async(run_task, (code, task))?;
                one.call_back(move |done| put(1, Arrived::One(place, one_of(done))));
                *running += 1;
                Ok(())
            }),
        };
        if let Err(error) = submitted {
            self.clients.release(&self.counts, client, results);
            return Err(error.into());
        }
        if count > 0 {
            self.coming.0.insert(results, (count, kept));
        }
        Ok(results)
    }

    /// Tasks have ended.
    pub(super) fn tasks_ended(&mut self, pool: ObjectId, results: ObjectId, count: u64, arrived: Arrived) {
        if let Some(Body::Pool(workers)) = self.table.get(pool).map(|entry| &mut entry.body) {
            workers.running = workers.running.saturating_sub(count);
        }
        if let Some(Body::Own(body)) = self.table.get(results).map(|entry| &mut entry.body) {
            let mut call = Call::Results(ResultsCall::Arrive(arrived));
            let _ = body.attempt(Caller { client: 0, thread: 0 }, &mut call);
            self.retry(results);
        }
        self.coming.came(results, count);
        self.end_idle_pool(pool);
    }

    /// A pool that takes no more tasks and has none ends.
    fn end_idle_pool(&mut self, object: ObjectId) {
        if let Some(Body::Pool(workers)) = self.table.get(object).map(|entry| &mut entry.body)
            && workers.is_closed
            && workers.running == 0
            && let Some(pool) = workers.pool.take()
        {
            self.end_pool(object, pool);
        }
    }

    /// Waits for the end of its workers, on another thread.
    pub(super) fn end_pool(&mut self, object: ObjectId, pool: Pool) {
        let work: Work = Box::new(move || {
            drop(pool);
            Outcome::PoolEnded
        });
        // Without a thread it is dropped here, which waits for killed workers alone.
        let _ = self.jobs.give(Ticket::of(0, object), work);
    }

    pub(super) fn pool_ended(&mut self, object: ObjectId) {
        let Some(entry) = self.table.get(object) else { return };
        if let Body::Pool(workers) = &mut entry.body {
            workers.has_ended = true;
        }
        for number in std::mem::take(&mut entry.waiting) {
            if let Some(parked) = self.calls.remove(number) {
                self.reply(parked.caller.client, parked.serial, Ok(Reply::Done));
            }
        }
    }

    /// The last reference to a pool is gone.
    pub(super) fn forget_pool(&mut self, object: ObjectId, mut workers: Workers) {
        if let Some(pool) = workers.pool.take() {
            self.end_pool(object, pool);
        }
    }
}

fn one_of(done: Result<Result<Message, Failure>, TaskError>) -> Element {
    Ok(done.map_err(Failure::from)??.into())
}

fn all_of(done: Result<Vec<Result<Message, Failure>>, MapError>) -> Result<Vec<Element>, Failure> {
    match done {
        Ok(all) => Ok(all.into_iter().map(|one| one_of(Ok(one))).collect()),
        Err(MapError::Item { error, .. }) => Err(error.into()),
        Err(other) => Err(Failure::Codec(other.to_string())),
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Failure {
        let text = error.to_string();
        match error {
            TaskError::Panicked { message, location, .. } => Failure::Panicked { message, location },
            TaskError::WorkerDied { .. } | TaskError::OutOfMemory { .. } => Failure::WorkerDied(text),
            TaskError::Terminated | TaskError::Closed | TaskError::Broken(_) | TaskError::Cancelled => {
                Failure::PoolEnded(text)
            }
            _ => Failure::Codec(text),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Failure {
        match error {
            SubmitError::Task(error) => error.into(),
            SubmitError::Closed | SubmitError::Broken(_) => Failure::PoolEnded(error.to_string()),
            other => Failure::Codec(other.to_string()),
        }
    }
}

impl From<NewPoolError> for Failure {
    fn from(error: NewPoolError) -> Failure {
        match error {
            NewPoolError::Os(error) => error.into(),
            other => Failure::PoolEnded(other.to_string()),
        }
    }
}
