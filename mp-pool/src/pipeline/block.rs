//! The steps of one block: which of them may start, which run, and for how long.
//!
//! ```text
//!   Waiting ── all that it comes after is done ──► Ready ── a worker is free ──► Running ──► Ended
//!                (condition, arguments packed)       ▲                              │
//!                                                    └── its retry, after the pause ┘
//! ```
//!
//! One thread decides all of it: the one that runs the pipeline. Each attempt has a thread of its own, which calls the
//! function or starts the process and joins it, and sends what happens.

use super::account::Account;
use super::context::{Context, Values};
use super::in_process::Leash;
use super::outcome::{Mode, Outcome, guarded};
use super::parallel::Block;
use super::report::TaskReport;
use super::step::Job;
use mp_core::transfer::Message;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, Scope};
use std::time::Instant;

/// What an attempt's thread says: of which step, and what.
type Said = (usize, News);

enum News {
    /// It runs, in this process.
    Began(u32),
    /// It has ended: the values, and their bytes if they crossed.
    Ended(Result<(Values, Option<usize>), Outcome>),
}

enum State {
    Waiting,
    Ready { not_before: Option<Instant> },
    Running(Running),
    Ended,
}

struct Running {
    leash: Arc<Leash>,
    began: Instant,
    /// Known once it runs.
    pid: Option<u32>,
    /// When its process gets SIGTERM.
    deadline: Option<Instant>,
    /// When its process gets SIGKILL.
    kill_at: Option<Instant>,
}

/// A step at work.
struct Place<'b> {
    job: &'b Job,
    state: State,
    report: TaskReport,
    /// The context that it sees.
    view: Context,
    /// Its packed arguments, if it is to run in a process.
    arguments: Option<Message>,
    values: Option<Values>,
    /// Attempts, those that ended before they had started included.
    tries: usize,
}

pub(super) struct BlockRun<'r, 'p, 'b> {
    account: &'r mut Account<'p>,
    block: &'b Block,
    places: Vec<Place<'b>>,
    said: (Sender<Said>, Receiver<Said>),
}

impl<'r, 'p, 'b> BlockRun<'r, 'p, 'b> {
    pub(super) fn new(account: &'r mut Account<'p>, block: &'b Block) -> Self {
        let place = |job: &'b Job| Place {
            job,
            state: State::Waiting,
            report: TaskReport {
                name: job.settings.name.clone(),
                mode: block.mode,
                outcome: Outcome::NotStarted(String::new()),
                attempts: Vec::new(),
                bytes_in: None,
                bytes_out: None,
            },
            view: Context::new(),
            arguments: None,
            values: None,
            tries: 0,
        };
        BlockRun { account, block, places: block.jobs.iter().map(place).collect(), said: mpsc::channel() }
    }

    /// Runs the block: what became of each step, and what it has written.
    pub(super) fn run<'s>(mut self, scope: &'s Scope<'s, '_>) -> (Vec<TaskReport>, Vec<Option<Values>>) {
        loop {
            // All that can be prepared is, before anything of it starts.
            while (0..self.places.len()).any(|at| self.prepare_if_it_may(at)) {}
            self.start_what_may(scope);
            if !self.wait() {
                break;
            }
        }
        let places = std::mem::take(&mut self.places).into_iter();
        places.map(|place| (place.report, place.values)).unzip()
    }

    /// Prepares a step that waits, or ends it, if what it comes after has ended. Whether it did.
    fn prepare_if_it_may(&mut self, at: usize) -> bool {
        if !matches!(self.places[at].state, State::Waiting) {
            return false;
        }
        if let Some(name) = self.account.stopped_by.clone() {
            self.settle(at, Outcome::NotStarted(format!("{name} had failed")));
            return true;
        }
        let job = self.places[at].job;
        for after in job.settings.after.iter().filter_map(|name| self.place_of(name)) {
            let before = &self.places[after];
            let outcome = match (&before.state, &before.report.outcome) {
                (State::Ended, Outcome::Done) => continue,
                (State::Ended, Outcome::Skipped) => Outcome::Skipped,
                (State::Ended, _) => Outcome::NotStarted(format!("{} is not done", before.report.name)),
                _ => return false,
            };
            self.settle(at, outcome);
            return true;
        }
        match self.prepare(at) {
            Ok(()) => self.places[at].state = State::Ready { not_before: None },
            Err(outcome) => self.settle(at, outcome),
        }
        true
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.places.iter().position(|place| place.report.name == name)
    }

    /// Its view of the context, its condition, its arguments.
    fn prepare(&mut self, at: usize) -> Result<(), Outcome> {
        let (job, view) = (self.places[at].job, self.view(at));
        if let Some(condition) = &job.settings.condition
            && !guarded(|| condition(&view))?
        {
            return Err(Outcome::Skipped);
        }
        if let Some(remote) = &job.remote {
            let arguments = guarded(|| (remote.pack)(&view))?;
            self.places[at].report.bytes_in = Some(arguments.bytes.len());
            self.places[at].arguments = Some(arguments);
        }
        self.places[at].view = view;
        Ok(())
    }

    /// The context before the block, and what was written by the steps that it comes after, and they.
    fn view(&self, at: usize) -> Context {
        let mut before = vec![false; self.places.len()];
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            let after = self.places[at].job.settings.after.iter().filter_map(|name| self.place_of(name));
            for at in after {
                if !std::mem::replace(&mut before[at], true) {
                    open.push(at);
                }
            }
        }
        let mut view = self.account.context.clone();
        for (place, _) in self.places.iter().zip(before).filter(|(_, is_before)| *is_before) {
            let items = place.values.iter().flat_map(|values| &values.0);
            for (key, item) in place.job.settings.keys.iter().zip(items) {
                view.put(key.clone(), item.clone());
            }
        }
        view
    }

    fn start_what_may<'s>(&mut self, scope: &'s Scope<'s, '_>) {
        for at in 0..self.places.len() {
            let State::Ready { not_before } = self.places[at].state else { continue };
            if self.account.stopped_by.is_some() {
                self.give_up(at);
            } else if self.running().count() < self.block.max_workers
                && not_before.is_none_or(|moment| moment <= Instant::now())
            {
                self.start(at, scope);
            }
        }
    }

    /// A step that was ready and is not to start any more: its last attempt stands, if there was one.
    fn give_up(&mut self, at: usize) {
        let name = self.account.stopped_by.clone().unwrap_or_default();
        let last = self.places[at].report.attempts.last().map(|attempt| attempt.outcome.clone());
        self.settle(at, last.unwrap_or_else(|| Outcome::NotStarted(format!("{name} had failed"))));
    }

    fn running(&self) -> impl Iterator<Item = &Running> {
        self.places.iter().filter_map(|place| match &place.state {
            State::Running(running) => Some(running),
            _ => None,
        })
    }

    fn start<'s>(&mut self, at: usize, scope: &'s Scope<'s, '_>) {
        let (place, began) = (&mut self.places[at], Instant::now());
        let (leash, name) = (Arc::new(Leash::default()), place.report.name.clone());
        let deadline = place.job.settings.deadline.and_then(|deadline| began.checked_add(deadline));
        let running = Running { leash: Arc::clone(&leash), began, pid: None, deadline, kill_at: None };
        place.state = State::Running(running);
        place.tries += 1;
        let (work, remote) = (Arc::clone(&place.job.work), place.job.remote.clone());
        let (view, arguments, said) = (place.view.clone(), place.arguments.clone(), self.said.0.clone());
        let thread = Builder::new().name(name.replace('\0', " "));
        let here = std::process::id();
        if self.block.mode == Mode::Here {
            self.hear(at, News::Began(here));
            let ended = guarded(|| work(&view));
            return self.hear(at, News::Ended(ended.map(|values| (values, None))));
        }
        let attempt = move || {
            let began = |pid| drop(said.send((at, News::Began(pid))));
            let ended = guarded(|| match (remote, arguments) {
                (Some(remote), Some(arguments)) => {
                    let (values, bytes) = remote.run(&name, arguments, &leash, began)?;
                    Ok((values, Some(bytes)))
                }
                _ => {
                    began(here);
                    Ok((work(&view)?, None))
                }
            });
            // The receiver is gone only if the thread that runs the pipeline panics.
            drop(said.send((at, News::Ended(ended))));
        };
        if let Err(error) = thread.spawn_scoped(scope, attempt) {
            self.settle(at, Outcome::NotStarted(format!("no thread could be started for it: {error}")));
        }
    }

    /// Waits for the next thing to happen; `false`: all have ended.
    fn wait(&mut self) -> bool {
        let running = self.running().count();
        let pauses = self.places.iter().filter_map(|place| match &place.state {
            // It cannot start before a worker is free, which is heard.
            State::Ready { not_before } => not_before.filter(|_| running < self.block.max_workers),
            State::Running(running) => earliest(running.deadline, running.kill_at),
            _ => None,
        });
        let said = match pauses.min() {
            Some(moment) => self.said.1.recv_timeout(moment.saturating_duration_since(Instant::now())),
            None if running > 0 => self.said.1.recv().map_err(RecvTimeoutError::from),
            None => return self.places.iter().any(|place| !matches!(place.state, State::Ended)),
        };
        if let Ok((at, news)) = said {
            self.hear(at, news);
        }
        self.end_what_is_late();
        true
    }

    fn hear(&mut self, at: usize, news: News) {
        let place = &mut self.places[at];
        let State::Running(running) = &mut place.state else { return };
        match news {
            News::Began(pid) => {
                running.pid = Some(pid);
                self.account.started(&place.report);
            }
            News::Ended(ended) => {
                let (pid, began) = (running.pid, running.began);
                let outcome = match ended {
                    Ok((values, bytes)) => {
                        place.values = Some(values);
                        place.report.bytes_out = bytes;
                        Outcome::Done
                    }
                    Err(outcome) => outcome,
                };
                if let Some(pid) = pid {
                    place.report.attempted(&outcome, pid, began);
                }
                match place.job.settings.retries.pause(place.tries, &outcome) {
                    Some(pause) if self.account.stopped_by.is_none() => {
                        place.state = State::Ready { not_before: Instant::now().checked_add(pause) };
                        self.account.retried(&place.report, &outcome);
                    }
                    _ => self.settle(at, outcome),
                }
            }
        }
    }

    /// The step has ended. If that stops the rest, the processes of the others are ended.
    fn settle(&mut self, at: usize, outcome: Outcome) {
        let place = &mut self.places[at];
        place.state = State::Ended;
        place.report.outcome = outcome;
        let had_failed = self.account.stopped_by.is_some();
        self.account.settled(&place.report);
        if had_failed || self.account.stopped_by.is_none() {
            return;
        }
        for place in &mut self.places {
            if let State::Running(running) = &mut place.state {
                running.deadline = None;
                running.leash.terminate(Outcome::Cancelled);
                running.kill_at = Instant::now().checked_add(place.job.settings.grace);
            }
        }
    }

    fn end_what_is_late(&mut self) {
        let now = Instant::now();
        for place in &mut self.places {
            let State::Running(running) = &mut place.state else { continue };
            if running.deadline.is_some_and(|moment| moment <= now) {
                running.deadline = None;
                running.leash.terminate(Outcome::TimedOut);
                running.kill_at = now.checked_add(place.job.settings.grace);
            }
            if running.kill_at.is_some_and(|moment| moment <= now) {
                running.kill_at = None;
                running.leash.kill();
            }
        }
    }
}

/// A consumer of the progress panicked: the threads of the attempts are waited for, so their processes are killed.
impl Drop for BlockRun<'_, '_, '_> {
    fn drop(&mut self) {
        self.running().for_each(|running| running.leash.kill());
    }
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
