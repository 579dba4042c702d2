//! The door: newcomers, who is let in, and who is not. One thing at a time, and none of them sleeps.
//!
//! ```text
//!               ┌─────────────── the set that is waited for ──────────────┐
//!  kernel's     │ the socket that listens ──► newcomer: his user? room?   │
//!  queue ───────┼─►                                │                      │
//!               │ pending 17, 18, 19 … ◄───────────┘   no more than 128,  │
//!               │     │ each a Handshake               or the oldest goes │
//!               │     ├── done ─────────────────────────────────────────► │ let in
//!               │     └── wrong, gone, too late ────────────────────────► │ refused
//!               │ an alarm: the next deadline, or the end of a pause      │
//!               └─────────────────────────────────────────────────────────┘
//! ```
//!
//! The set is a descriptor, the listener's own. It is ready whenever there is something to do here, so that somebody
//! who waits for it and then calls `try_accept` lets handshakes go on just as somebody inside `accept` does.
//!
//! Every look handles one ready thing, and the kernel gives them in turn, so nobody is passed over however many others
//! are at it.
//!
//! # Whose time it is
//! The handshake's time is the client's. Where nobody has been here for longer than that, his answer may have waited
//! for us, or he for ours: so one who is late is looked at once more, and if he has said something since, or is only
//! now told something, his time begins anew. That can happen with each message, of which there are six at most.
//!
//! # Where there are no descriptors left
//! The newcomer stays in the kernel's queue, and the socket is not looked at for a pause, which doubles each time; the
//! caller is told. If it is so again after the pause, and somebody is pending, the oldest goes.
//!
//! # In a forked child
//! Whoever was pending is the parent's, and so is the set. The child makes one of its own, under the same number, and
//! accepts from the same socket.
//! # Tried by
//! tests/listener.rs, tests/hostile.rs, tests/limits.rs

use super::error::{AcceptError, Refused};
use crate::handshake::socket::advance;
use crate::handshake::{Form, Handshake};
use crate::incoming::Patience;
use mp_core::AuthKey;
use mp_core::error::{OsError, OsResult};
use mp_core::sys::address::{Listening, no_room, not_ours, send_at_once, this_user, user_at_the_other_end};
use mp_core::sys::poll::Interest;
use mp_core::sys::socket::would_block;
use mp_core::sys::waitset::{Ready, WaitSet};
use mp_core::word::Deadline;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The key, in the set, of the socket that listens; those of the pending follow.
const NEWCOMERS: u64 = 0;
/// The first pause where there are no descriptors left, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Things that a call handles after its time is over, before it says so: what was ready at its beginning, mostly.
const AFTER_TIME: u32 = 256;

/// Who is let in.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) key: Option<AuthKey>,
    pub(super) form: Form,
    pub(super) handshake: Duration,
    pub(super) most_pending: usize,
    pub(super) most_open: usize,
    /// Processes of our own user only.
    pub(super) one_user: bool,
}

/// Somebody who was let in.
#[derive(Debug)]
pub(super) struct Guest {
    pub(super) socket: OwnedFd,
    pub(super) from: Option<SocketAddr>,
    /// Counts as open while it lives.
    pub(super) admission: Arc<()>,
}

#[derive(Debug)]
pub(super) struct Door {
    listening: Listening,
    terms: Terms,
    set: WaitSet,
    hall: Mutex<Hall>,
    /// One for each open connection, and this.
    open: Arc<()>,
}

#[derive(Debug)]
struct Hall {
    /// Whose it is.
    pid: u32,
    /// By age: the first is the oldest.
    pending: BTreeMap<u64, Pending>,
    next: u64,
    alarm: Option<Deadline>,
    /// No newcomers until then.
    paused: Option<Deadline>,
    pause: Duration,
}

#[derive(Debug)]
struct Pending {
    socket: OwnedFd,
    from: Option<SocketAddr>,
    handshake: Handshake,
    deadline: Option<Deadline>,
    /// What the set waits for.
    interest: Interest,
}

/// Let in or not; `None`: there is more to do before either.
type Outcome = Option<Result<Guest, Refused>>;

impl Door {
    /// Gives the socket back if there can be no door.
    pub(super) fn new(listening: Listening, terms: Terms) -> Result<Door, (OsError, Listening)> {
        let set = WaitSet::new()
            .and_then(|set| set.add(listening.as_fd(), NEWCOMERS, Interest::Read).map(|()| set));
        let set = match set {
            Ok(set) => set,
            Err(error) => return Err((error, listening)),
        };
        let hall = Hall {
            pid: std::process::id(),
            pending: BTreeMap::new(),
            next: NEWCOMERS + 1,
            alarm: None,
            paused: None,
            pause: PAUSE.0,
        };
        Ok(Door { listening, terms, set, hall: Mutex::new(hall), open: Arc::new(()) })
    }

    /// The next who is let in; `refused` hears of the others before him, and may end the call with one of them.
    pub(super) fn next(
        &self,
        patience: Patience,
        mut refused: impl FnMut(Refused) -> Option<Refused>,
    ) -> Result<Result<Guest, Refused>, AcceptError> {
        let mut hall = patience.lock(&self.hall).ok_or(AcceptError::TimedOut)?;
        self.settle(&mut hall)?;
        let until = match patience {
            Patience::Forever => None,
            Patience::Until(deadline) => Some(deadline),
            Patience::Never => Deadline::after(Duration::ZERO),
        };
        let mut after_time = 0;
        loop {
            let ready = self.set.wait(until)?.ok_or(AcceptError::TimedOut)?;
            let outcome = self.handle(&mut hall, ready);
            self.set_alarm(&mut hall)?;
            match outcome? {
                Some(Ok(guest)) => return Ok(Ok(guest)),
                Some(Err(reason)) => {
                    if let Some(reason) = refused(reason) {
                        return Ok(Err(reason));
                    }
                }
                None => {}
            }
            if until.is_some_and(Deadline::passed) {
                after_time += 1;
                if after_time == AFTER_TIME {
                    return Err(AcceptError::TimedOut);
                }
            }
        }
    }

    /// In a forked child that comes here for the first time.
    fn settle(&self, hall: &mut Hall) -> OsResult<()> {
        if hall.pid == std::process::id() {
            return Ok(());
        }
        self.set.renew()?;
        self.set.add(self.listening.as_fd(), NEWCOMERS, Interest::Read)?;
        hall.pid = std::process::id();
        // Copies of the parent's: it still has its own.
        hall.pending.clear();
        (hall.alarm, hall.paused) = (None, None);
        Ok(())
    }

    fn handle(&self, hall: &mut Hall, ready: Ready) -> Result<Outcome, AcceptError> {
        match ready {
            Ready::Member(NEWCOMERS) => self.newcomer(hall),
            Ready::Member(key) => Ok(self.listen_to(hall, key)?),
            Ready::Alarm => Ok(self.look_at_the_clock(hall)?),
        }
    }

    fn newcomer(&self, hall: &mut Hall) -> Result<Outcome, AcceptError> {
        match self.listening.accept() {
            Ok((socket, from)) => {
                hall.pause = PAUSE.0;
                Ok(self.admit(hall, socket, from)?)
            }
            // He has gone again, or another process was faster.
            Err(error) if would_block(&error) || not_ours(&error) => Ok(None),
            Err(error) if no_room(&error) => {
                let again = hall.pause > PAUSE.0;
                if again && self.dismiss_oldest(hall).is_some() {
                    return Ok(Some(Err(Refused::CrowdedOut)));
                }
                self.pause(hall)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn pause(&self, hall: &mut Hall) -> OsResult<()> {
        self.set.change(self.listening.as_fd(), NEWCOMERS, Interest::Hangup)?;
        hall.paused = Deadline::after(hall.pause);
        hall.pause = (hall.pause * 2).min(PAUSE.1);
        Ok(())
    }

    fn admit(&self, hall: &mut Hall, socket: OwnedFd, from: Option<SocketAddr>) -> OsResult<Outcome> {
        match self.listening {
            Listening::Local(_) => {
                let uid = user_at_the_other_end(socket.as_fd())?;
                if self.terms.one_user && uid != this_user() {
                    return Ok(Some(Err(Refused::OtherUser { uid })));
                }
            }
            Listening::Tcp(_) => {
                if let Err(error) = send_at_once(socket.as_fd()) {
                    return Ok(Some(Err(Refused::Os(error))));
                }
            }
        }
        if self.is_full() {
            return Ok(Some(Err(Refused::TooManyOpen)));
        }
        let Some(key) = &self.terms.key else { return Ok(Some(self.let_in(socket, from))) };
        let is_crowded = hall.pending.len() >= self.terms.most_pending;
        let crowded_out = is_crowded && self.dismiss_oldest(hall).is_some();
        let handshake = Handshake::of_listener(key, self.terms.form)?;
        // The first word is ours. It is said as soon as the set says that it can be.
        let interest = Interest::Write;
        self.set.add(socket.as_fd(), hall.next, interest)?;
        let deadline = Deadline::after(self.terms.handshake);
        hall.pending.insert(hall.next, Pending { socket, from, handshake, deadline, interest });
        hall.next += 1;
        Ok(crowded_out.then_some(Err(Refused::CrowdedOut)))
    }

    /// Goes on with one handshake.
    fn listen_to(&self, hall: &mut Hall, key: u64) -> OsResult<Outcome> {
        let Some(pending) = hall.pending.get_mut(&key) else { return Ok(None) };
        let (heard, waited_to_speak) = (pending.handshake.heard(), pending.interest == Interest::Write);
        match advance(pending.socket.as_fd(), &mut pending.handshake) {
            Ok(Some(interest)) => {
                if interest != pending.interest {
                    self.set.change(pending.socket.as_fd(), key, interest)?;
                    pending.interest = interest;
                }
                let late = pending.deadline.is_some_and(Deadline::passed);
                let spoke = waited_to_speak && interest == Interest::Read;
                if late && (spoke || pending.handshake.heard() > heard) {
                    pending.deadline = Deadline::after(self.terms.handshake);
                }
                Ok(None)
            }
            Ok(None) => Ok(self.dismiss(hall, key).map(|pending| self.let_in(pending.socket, pending.from))),
            Err(broken) => Ok(self.dismiss(hall, key).map(|_| Err(broken.into()))),
        }
    }

    fn look_at_the_clock(&self, hall: &mut Hall) -> OsResult<Outcome> {
        self.set.alarm(None)?;
        hall.alarm = None;
        if hall.paused.is_some_and(Deadline::passed) {
            self.set.change(self.listening.as_fd(), NEWCOMERS, Interest::Read)?;
            hall.paused = None;
        }
        let late = |pending: &Pending| pending.deadline.is_some_and(Deadline::passed);
        let Some(key) = hall.pending.iter().find_map(|(key, pending)| late(pending).then_some(*key)) else {
            return Ok(None);
        };
        let outcome = self.listen_to(hall, key)?;
        if outcome.is_none() && hall.pending.get(&key).is_some_and(late) {
            return Ok(self.dismiss(hall, key).map(|_| Err(Refused::TimedOut)));
        }
        Ok(outcome)
    }

    /// Takes one out. A copy of his socket in another process would keep it in the set.
    fn dismiss(&self, hall: &mut Hall, key: u64) -> Option<Pending> {
        let pending = hall.pending.remove(&key)?;
        self.set.remove(pending.socket.as_fd()).expect("whoever is pending is in the set");
        Some(pending)
    }

    fn dismiss_oldest(&self, hall: &mut Hall) -> Option<Pending> {
        let (&oldest, _) = hall.pending.first_key_value()?;
        self.dismiss(hall, oldest)
    }

    fn let_in(&self, socket: OwnedFd, from: Option<SocketAddr>) -> Result<Guest, Refused> {
        if self.is_full() {
            return Err(Refused::TooManyOpen);
        }
        Ok(Guest { socket, from, admission: Arc::clone(&self.open) })
    }

    fn is_full(&self) -> bool {
        Arc::strong_count(&self.open) > self.terms.most_open
    }

    /// For the first thing that has a time.
    fn set_alarm(&self, hall: &mut Hall) -> OsResult<()> {
        let deadlines = hall.pending.values().filter_map(|pending| pending.deadline);
        let first = deadlines.chain(hall.paused).min();
        if first != hall.alarm {
            self.set.alarm(first)?;
            hall.alarm = first;
        }
        Ok(())
    }
}

/// Ready when there is something to do.
impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Whoever has it is inside, so it has been settled.
        if let Some(mut hall) = self.hall.try_lock() {
            // If that fails, the next accept says why.
            let _ = self.settle(&mut hall);
        }
        self.set.as_fd()
    }
}
