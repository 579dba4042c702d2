//! The pool's side of a worker on another host: a thread that takes from the board in its place.
//!
//! ```text
//!   start ──► Ready ──► take a slot ──► Submit ──► Begun ──► Done ──► results, under the dispatch's lock ─┐
//!                           ▲                                                                              │
//!                           └──────────────────────────────────────────────────────────────────────────────┘
//!   at any point: WorkerDied, or the link is lost ──► this worker has ended
//! ```
//!
//! The thread leaves the board before the worker counts as ended, so what it had taken is settled as a dead process's
//! would be.
//!
//! | the worker ends                 | what it had                                                              |
//! |---------------------------------|--------------------------------------------------------------------------|
//! | its host says so                | results that stand, the item begun (`WorkerDied`), the rest goes to others |
//! | link lost, nothing submitted    | goes to others                                                           |
//! | link lost, a chunk submitted    | each item may have been begun: `WorkerDied`                              |
//!
//! # When a process dies
//! The worker: above. The host's process: as a lost link. This process: its hosts hear nothing, and kill the workers.
//! # Tested by
//! `mp-pool/tests/backend.rs`, and the test programs that have `mock` cases

use super::channel::BEAT;
use super::message::{Start, ToHost, ToPool};
use super::peer::{Lost, Peer};
use crate::board::Life;
use crate::error::Failure;
use crate::line::{Line, Said};
use crate::process::WorkerProcess;
use crate::record::put_failure;
use crate::supervisor::{Shared, WorkerSpec};
use crate::thread;
use mp_core::process::caught;
use mp_core::sys::clock::monotonic_millis;
use mp_core::sys::process::random_bytes;
use mp_core::transfer::Part;
use mp_core::word::Deadline;
use mp_core::{Ended, OsError};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How soon a wish of the pool (the deadline is over, cancel, terminate) is sent to the host while a task is out.
const LOOK: Duration = Duration::from_millis(10);

/// What the pool wants of the worker, the strongest last.
const NOTHING: u32 = 0;
const TERMINATE: u32 = 1;
const KILL: u32 = 2;

/// A worker on another host, as the pool holds it.
#[derive(Debug)]
pub(crate) struct RemoteWorker {
    name: Arc<str>,
    /// 0: it is not known yet.
    pid: AtomicU32,
    wish: AtomicU32,
    end: OnceLock<Option<Ended>>,
    /// Readable once it has ended.
    sentinel: OwnedFd,
    ending: File,
}

impl WorkerProcess for RemoteWorker {
    fn name(&self) -> &str {
        &self.name
    }

    fn pid(&self) -> Option<u32> {
        // ORDERING: Relaxed: a number by itself.
        Some(self.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    fn is_alive(&self) -> bool {
        self.end.get().is_none()
    }

    fn end(&self) -> Option<Ended> {
        *self.end.get()?
    }

    fn sentinel(&self) -> BorrowedFd<'_> {
        self.sentinel.as_fd()
    }

    fn kill(&self) -> Result<(), OsError> {
        // ORDERING: Relaxed, here and below: the thread reads it again and again.
        self.wish.fetch_max(KILL, Ordering::Relaxed);
        Ok(())
    }

    fn terminate(&self) -> Result<(), OsError> {
        self.wish.fetch_max(TERMINATE, Ordering::Relaxed);
        Ok(())
    }

    fn cpu_time(&self) -> Option<Duration> {
        None
    }
}

impl RemoteWorker {
    /// Opens the link, and begins to serve it. What the worker says beside results goes over `line`.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        spec: &WorkerSpec,
        backend: &super::Behind,
        index: u32,
        name: &Arc<str>,
        line: Line,
    ) -> Result<Arc<RemoteWorker>, std::io::Error> {
        let mut session = [0; 8];
        random_bytes(&mut session).map_err(std::io::Error::from)?;
        let (sentinel, ending) = mp_core::sys::fd::pipe().map_err(std::io::Error::from)?;
        // It is the program's.
        let link = caught(|| backend.0.open(index as usize));
        let link = link.map_err(|panic| std::io::Error::other(panic.to_string()))?;
        let peer = Peer::new(link?, Some(u64::from_le_bytes(session)));
        let worker = Arc::new(RemoteWorker {
            name: Arc::clone(name),
            pid: AtomicU32::new(0),
            wish: AtomicU32::new(NOTHING),
            end: OnceLock::new(),
            sentinel,
            ending: ending.into(),
        });
        let shared = Arc::clone(shared);
        let remote = Remote {
            index,
            worker: Arc::clone(&worker),
            shared,
            peer,
            line,
            wished: NOTHING,
            tasks: 0,
            before_ready: true,
            under_way: None,
            idle: spec.idle.of(index),
            left: false,
        };
        let start = ToHost::Start(Start {
            name: name.to_string(),
            index,
            initializer: spec.initializer.as_ref().map(|(code, _)| *code),
            place: spec.places[index as usize % spec.places.len()],
            most_tasks: spec.most_tasks,
            recycling: spec.recycling,
            outlasts_sigterm: spec.outlasts_sigterm,
            method: spec.method,
        });
        let arguments =
            spec.initializer.as_ref().map(|(_, arguments)| arguments.bytes.clone()).unwrap_or_default();
        thread::spawn("mp-pool-link", move || remote.live(&start, &arguments))?;
        Ok(worker)
    }
}

impl Shared {
    /// Whether its workers are on other hosts.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.spec.backend.is_some()
    }

    /// A worker on another host has done the first items of a slot: see `dispatch/elsewhere.rs`.
    pub(crate) fn came_back(&self, slot: u32, index: u32, done: u32, records: Vec<u8>) -> bool {
        let mut dispatch = self.dispatch();
        let goes_on = dispatch.came_back(slot, index, done, records);
        self.tell(&mut dispatch);
        drop(dispatch);
        self.board.wake_caller();
        goes_on
    }
}

/// What the thread has.
struct Remote {
    index: u32,
    worker: Arc<RemoteWorker>,
    shared: Arc<Shared>,
    peer: Peer,
    line: Line,
    /// What the host was told of the pool's wish.
    wished: u32,
    /// Tasks submitted.
    tasks: u64,
    before_ready: bool,
    /// The slot and the items of which it is not known what became.
    under_way: Option<(u32, u32)>,
    /// How long it may have nothing to do.
    idle: Option<Duration>,
    /// It has said on the board that it leaves for want of work.
    left: bool,
}

/// Why nothing more comes from the worker.
enum End {
    Died(Option<Ended>),
    Lost,
}

impl From<Lost> for End {
    fn from(_: Lost) -> End {
        End::Lost
    }
}

impl Remote {
    fn live(mut self, start: &ToHost, arguments: &[u8]) {
        // A backend's link is the program's own code: one that panics is a lost one.
        let end = caught(|| self.work(start, arguments));
        let how = match end.unwrap_or(End::Lost) {
            End::Died(how) => how,
            End::Lost => {
                self.lose();
                None
            }
        };
        let life = if self.before_ready { Life::Starting } else { self.life() };
        self.shared.board.live(self.index, life);
        let Remote { worker, peer, line, shared, .. } = self;
        // Last: the pool takes the worker as dead from here on, and its index may be another one's.
        let _ = worker.end.set(how);
        let _ = (&worker.ending).write(&[0]);
        drop((peer, line, shared));
    }

    fn life(&self) -> Life {
        match self.tasks {
            _ if self.left => Life::Left,
            0 => Life::Ready,
            _ => Life::Working,
        }
    }

    /// Until nothing more comes. Nothing is taken from the board then.
    fn work(&mut self, start: &ToHost, arguments: &[u8]) -> End {
        match self.serve(start, arguments) {
            Err(end) => end,
            // The host says how the worker ends.
            Ok(()) => self.end(),
        }
    }

    fn serve(&mut self, start: &ToHost, arguments: &[u8]) -> Result<(), End> {
        self.peer.say(start, arguments);
        while self.before_ready {
            self.hear(BEAT)?;
        }
        self.shared.board.live(self.index, Life::Ready);
        let mut since = Instant::now();
        loop {
            let mut taken = self.shared.board.next_until(self.index, Deadline::after(BEAT));
            if taken.is_none() && self.idle.is_some_and(|idle| since.elapsed() >= idle) {
                taken = self.shared.board.last_look(self.index);
                self.left = taken.is_none();
            }
            match taken {
                _ if self.left => break,
                // Results are settled here and not measured, so nothing is dealt in runs.
                Some(taken) => {
                    if !self.run(taken.slot)? {
                        self.peer.say(&ToHost::Kill, &[]);
                        return Ok(());
                    }
                    since = Instant::now();
                }
                None if self.shared.board.is_ending(self.index) => break,
                None => {}
            }
            self.hear(Duration::ZERO)?;
        }
        self.peer.say(&ToHost::Stop, &[]);
        Ok(())
    }

    /// Has a chunk done; `false`: it was given up, and so is the worker.
    fn run(&mut self, slot: u32) -> Result<bool, End> {
        // Everything was failed meanwhile.
        let Some(sent) = self.shared.dispatch().taken(slot) else { return Ok(false) };
        self.tasks += 1;
        self.shared.board.live(self.index, Life::Working);
        let (number, board) = (self.tasks, self.shared.board.clone());
        self.under_way = Some((slot, sent.items));
        let outcome = self.outcome(number, sent.items, &sent.bytes, || {
            let marks = board.marks(slot);
            if sent.timed {
                marks.start(monotonic_millis());
            }
            marks.begin(0);
        });
        let marks = board.marks(slot);
        match outcome {
            Ok((done, begun, records)) => {
                self.under_way = None;
                let goes_on = self.shared.came_back(slot, self.index, done, records);
                if done < sent.items {
                    // The end of the worker, which is told next, is the end of this item.
                    if begun {
                        marks.begin(0)
                    } else {
                        marks.end(0, 0, 0)
                    }
                    return Err(self.end());
                }
                Ok(goes_on)
            }
            Err(end) => Err(end),
        }
    }

    /// The link is lost: of what was submitted it is not known how far it came, and no item is begun twice.
    fn lose(&self) {
        match self.under_way {
            None => {}
            // The end of the worker is the end of this task, which may be tried again if that is asked.
            Some((slot, 1)) => self.shared.board.marks(slot).begin(0),
            Some((slot, items)) => {
                // ORDERING: Relaxed: a number by itself.
                let pid = self.worker.pid.load(Ordering::Relaxed);
                let mut records = Vec::new();
                (0..items).for_each(|_| put_failure(&Failure::Lost { pid }, &mut records));
                self.shared.came_back(slot, self.index, items, records);
            }
        }
    }

    /// Submits a task, and waits for what becomes of it: how many items are done, whether one more was begun when the
    /// worker died, and the results.
    fn outcome(
        &mut self,
        number: u64,
        items: u32,
        bytes: &[u8],
        begun: impl Fn(),
    ) -> Result<(u32, bool, Vec<u8>), End> {
        self.peer.say(&ToHost::Submit { task: number, items }, bytes);
        loop {
            match self.hear(LOOK)? {
                Some((ToPool::Begun { task }, _)) if task == number => begun(),
                Some((ToPool::Done { task, done, begun }, records)) if task == number => {
                    return Ok((done.min(items), begun, records));
                }
                _ => {}
            }
        }
    }

    /// How the worker ended, which its host is about to say.
    fn end(&mut self) -> End {
        loop {
            if let Err(end) = self.hear(LOOK) {
                return end;
            }
        }
    }

    /// Tells the host of the pool's wishes, and hears it.
    fn hear(&mut self, wait: Duration) -> Result<Option<(ToPool, Vec<u8>)>, End> {
        // ORDERING: Relaxed: see `kill`.
        let wish = self.worker.wish.load(Ordering::Relaxed);
        if wish > std::mem::replace(&mut self.wished, wish) {
            self.peer.say(if wish == KILL { &ToHost::Kill } else { &ToHost::Terminate }, &[]);
        }
        let heard = self.peer.hear(wait)?;
        match &heard {
            // ORDERING: Relaxed: see `pid`.
            Some((ToPool::Started { pid }, _)) => self.worker.pid.store(*pid, Ordering::Relaxed),
            Some((ToPool::Ready, _)) => self.before_ready = false,
            Some((ToPool::NotReady { reason }, _)) => {
                let _ = self.line.send(&Said::NotReady { reason: reason.clone() }, Part::EMPTY);
            }
            Some((ToPool::WorkerDied { how, before_ready }, _)) => {
                self.before_ready = *before_ready;
                // So that the host hears that this was heard, and does not wait for it.
                let _ = self.peer.hear::<ToPool>(Duration::ZERO);
                return Err(End::Died(*how));
            }
            _ => {}
        }
        Ok(heard)
    }
}
