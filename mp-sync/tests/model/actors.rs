//! The actors that use the real objects: two threads and a child, each through its own handles.

use crate::machine::{Answer, Lockable, Op, PERMITS};
use mp_core::transfer::{pack, unpack};
use mp_core::{Child, Process};
use mp_pipe::{Connection, pipe};
use mp_sync::{AcquireError, Barrier, BoundedSemaphore, Event, Lock, Permit, RLock, Semaphore};
use serde::{Deserialize, Serialize};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What an actor is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    Op(Op),
    /// One handle more: a clone, or what arrives when one is sent.
    Clone,
    Travel,
    /// One handle less, unless it is the last.
    Close,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Objects {
    lock: Lock,
    rlock: RLock,
    semaphore: Semaphore,
    bounded: BoundedSemaphore,
    event: Event,
    barriers: [Barrier; 2],
}

macro_rules! kept {
    ($taken:expr) => {
        match $taken {
            Ok(guard) => {
                guard.keep();
                Answer::Yes
            }
            Err(AcquireError::OwnerDied(_)) => panic!("no holder has died"),
            Err(_) => Answer::No,
        }
    };
}

impl Objects {
    pub(crate) fn new() -> Objects {
        Objects {
            lock: Lock::new().unwrap(),
            rlock: RLock::new().unwrap(),
            semaphore: Semaphore::new(PERMITS).unwrap(),
            bounded: BoundedSemaphore::new(PERMITS).unwrap(),
            event: Event::new().unwrap(),
            barriers: [Barrier::new(1).unwrap(), Barrier::new(2).unwrap()],
        }
    }

    fn answer(&self, op: Op) -> Answer {
        match op {
            Op::TryAcquire(which) => self.acquire(which, None),
            Op::AcquireZero(which) => self.acquire(which, Some(Duration::ZERO)),
            Op::Acquire(which) => self.acquire(which, Some(Duration::MAX)),
            Op::Release(which) => self.release(which),
            Op::Locked(which) => Answer::of(match which {
                Lockable::Lock => self.lock.locked(),
                Lockable::RLock => self.rlock.locked(),
                Lockable::Semaphore => self.semaphore.locked(),
                Lockable::Bounded => self.bounded.locked(),
            }),
            Op::Value => Answer::Number(self.semaphore.get_value()),
            Op::BoundedValue => Answer::Number(self.bounded.get_value()),
            Op::Depth => Answer::Number(self.rlock.depth()),
            Op::Set => done(|| self.event.set()),
            Op::Clear => done(|| self.event.clear()),
            Op::IsSet => Answer::of(self.event.is_set()),
            Op::Wait => Answer::of(self.event.wait_timeout(Duration::ZERO)),
            Op::Meet(which) => {
                let met = self.barriers[which as usize].wait_timeout(Duration::ZERO);
                met.map_or(Answer::Broken, |met| Answer::Number(met.index()))
            }
            Op::Abort(which) => done(|| self.barriers[which as usize].abort()),
            Op::Reset(which) => done(|| self.barriers[which as usize].reset()),
            Op::Broken(which) => Answer::of(self.barriers[which as usize].broken()),
            Op::Waiting(which) => Answer::Number(self.barriers[which as usize].n_waiting()),
        }
    }

    /// `None`: not even with a timeout.
    fn acquire(&self, which: Lockable, timeout: Option<Duration>) -> Answer {
        macro_rules! permit {
            ($semaphore:expr) => {{
                let permit = timeout
                    .map_or_else(|| $semaphore.try_acquire(), |timeout| $semaphore.acquire_timeout(timeout));
                Answer::of(permit.map(Permit::keep).is_ok())
            }};
        }
        match (which, timeout) {
            (Lockable::Lock, None) => kept!(self.lock.try_acquire()),
            (Lockable::Lock, Some(timeout)) => kept!(self.lock.acquire_timeout(timeout)),
            (Lockable::RLock, None) => kept!(self.rlock.try_acquire()),
            (Lockable::RLock, Some(timeout)) => kept!(self.rlock.acquire_timeout(timeout)),
            (Lockable::Semaphore, _) => permit!(self.semaphore),
            (Lockable::Bounded, _) => permit!(self.bounded),
        }
    }

    fn release(&self, which: Lockable) -> Answer {
        let released = match which {
            Lockable::Lock => self.lock.release().is_ok(),
            Lockable::RLock => self.rlock.release().is_ok(),
            Lockable::Semaphore => self.semaphore.release().is_ok(),
            Lockable::Bounded => self.bounded.release().is_ok(),
        };
        if released { Answer::Done } else { Answer::Refused }
    }

    fn travelled(&self) -> Objects {
        let message = pack(self).unwrap();
        unpack(&message.bytes, message.handles).unwrap()
    }
}

fn done(act: impl FnOnce()) -> Answer {
    act();
    Answer::Done
}

#[derive(Serialize, Deserialize)]
enum Request {
    /// These from now on.
    Begin(Objects),
    Do {
        what: What,
        handle: usize,
    },
    /// Gives back what the actor holds.
    End,
    /// A forked child would wait for an end that it has a copy of.
    Leave,
}

fn act(requests: Connection<Answer, Request>) {
    let mut handles: Vec<Objects> = Vec::new();
    while let Ok(request) = requests.recv() {
        let answer = match request {
            Request::Begin(objects) => done(|| handles = vec![objects]),
            Request::Do { what, handle } => {
                let at = handle % handles.len();
                match what {
                    What::Op(op) => handles[at].answer(op),
                    What::Clone => done(|| handles.push(handles[at].clone())),
                    What::Travel => done(|| handles.push(handles[at].travelled())),
                    What::Close if handles.len() == 1 => Answer::Done,
                    What::Close => done(|| drop(handles.remove(at))),
                }
            }
            Request::Leave => return,
            Request::End => done(|| {
                while handles[0].lock.release().is_ok() || handles[0].rlock.release().is_ok() {}
                handles.clear();
            }),
        };
        requests.send(&answer).unwrap();
    }
}

/// Actors 0 and 1 are threads, actor 2 is a child.
pub(crate) struct Actors {
    asked: Vec<Connection<Request, Answer>>,
    threads: Vec<JoinHandle<()>>,
    child: Child<()>,
}

pub(crate) const ACTORS: usize = 3;

impl Actors {
    pub(crate) fn new() -> Actors {
        let (asked, there) = pipe().unwrap();
        // Before there are threads.
        let child = Process::new(act, (there,)).start().unwrap();
        let mut actors = Actors { asked: Vec::new(), threads: Vec::new(), child };
        for _ in 0..ACTORS - 1 {
            let (asked, there) = pipe().unwrap();
            actors.asked.push(asked);
            actors.threads.push(thread::spawn(|| act(there)));
        }
        actors.asked.push(asked);
        actors
    }

    fn ask(&self, actor: usize, request: &Request) -> Answer {
        self.asked[actor].send(request).unwrap();
        self.asked[actor].recv().unwrap()
    }

    pub(crate) fn begin(&self) -> Objects {
        let objects = Objects::new();
        for actor in 0..ACTORS {
            self.ask(actor, &Request::Begin(objects.clone()));
        }
        objects
    }

    pub(crate) fn answer(&self, actor: usize, handle: usize, what: What) -> Answer {
        self.ask(actor, &Request::Do { what, handle })
    }

    /// Everything is released; then no actor holds anything.
    pub(crate) fn end(&self, objects: &Objects) {
        for actor in 0..ACTORS {
            self.ask(actor, &Request::End);
        }
        assert!(!objects.lock.locked() && !objects.rlock.locked());
    }

    pub(crate) fn join(self) {
        self.asked.iter().for_each(|asked| asked.send(&Request::Leave).unwrap());
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.child.join().unwrap();
    }
}
