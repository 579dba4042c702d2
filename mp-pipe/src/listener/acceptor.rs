//! The acceptor: accepts connections, runs their handshakes, and admits or refuses each. No step of it sleeps.
//!
//! ```text
//!               ┌────────────── the descriptor set that is waited on ─────┐
//!  kernel's     │ the listening socket ──► incoming: its user? capacity?  │
//!  accept ──────┼─►                                │                      │
//!  queue        │ pending 17, 18, 19 … ◄───────────┘   no more than 128,  │
//!               │     │ each a Handshake               or the oldest goes │
//!               │     ├── done ─────────────────────────────────────────► │ admitted
//!               │     └── wrong, closed, late ──────────────────────────► │ refused
//!               │ a timer: the next deadline, or the end of a pause       │
//!               └─────────────────────────────────────────────────────────┘
//! ```
//!
//! The set is one descriptor, the listener's own. It is readable whenever there is a step to do here. So a caller that
//! waits on it and then calls `try_accept` advances handshakes exactly as a caller inside `accept` does.
//!
//! Each step handles one ready member. The kernel returns ready members in turn, so none starves, however many others
//! are ready.
//!
//! # Deadlines
//! A handshake's deadline limits the client, not this program. If no call ran here for longer than the deadline, the
//! client's answer may have waited for us, or the client for ours. So a pending connection that is late is advanced
//! once more first. If it has sent something since, or is only now sent something, its deadline starts again. That can
//! happen once for each message, of which there are at most six.
//!
//! # Out of descriptors
//! The incoming connection stays in the kernel's queue, and the listening socket is left alone for a pause, which
//! doubles each time; the caller gets the error. If descriptors are short again after the pause, the oldest pending
//! connection is dropped.
//!
//! # In a forked child
//! Pending connections belong to the parent, and so does the set. The child makes a set of its own under the same
//! descriptor number and accepts from the same socket.
//!
//! # Tested by
//! tests/listener.rs, tests/hostile.rs, tests/limits.rs

use super::error::AcceptError;
use crate::handshake::socket::advance;
use crate::handshake::{Form, Handshake, HandshakeError};
use crate::patience::Patience;
use mp_core::AuthKey;
use mp_core::error::{OsError, OsResult};
use mp_core::sys::address::{Listening, no_room, not_ours, send_at_once, this_user, user_at_the_other_end};
use mp_core::sys::owning_process::OwningProcess;
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

/// The listening socket's key in the set; the keys of pending connections follow.
const INCOMING: u64 = 0;
/// The first and the longest pause when no descriptor is left.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Steps that a call still does after its deadline: mostly members that were ready when it began.
const AFTER_TIME: u32 = 256;

/// Which connections are admitted.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) key: Option<AuthKey>,
    pub(super) form: Form,
    pub(super) handshake: Duration,
    pub(super) most_pending: usize,
    pub(super) most_open: usize,
    /// Only processes of this process's user.
    pub(super) one_user: bool,
}

/// A connection that was admitted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) socket: OwnedFd,
    pub(super) from: Option<SocketAddr>,
    /// The connection counts as open while this exists.
    pub(super) admission: Arc<()>,
}

#[derive(Debug)]
pub(super) struct Acceptor {
    listening: Listening,
    terms: Terms,
    set: WaitSet,
    state: Mutex<AcceptState>,
    /// One reference for each open connection, and this one.
    open: Arc<()>,
}

#[derive(Debug)]
struct AcceptState {
    /// The process that the set and the pending connections belong to.
    owner: OwningProcess,
    /// Ordered by age, the oldest first.
    pending: BTreeMap<u64, Pending>,
    next: u64,
    timer: Option<Deadline>,
    /// No incoming connection is accepted until then.
    paused: Option<Deadline>,
    pause: Duration,
}

#[derive(Debug)]
struct Pending {
    socket: OwnedFd,
    from: Option<SocketAddr>,
    handshake: Handshake,
    deadline: Option<Deadline>,
    /// What the set waits for on this socket.
    interest: Interest,
}

/// Admitted or refused; `None`: the step decided nothing yet.
type Outcome = Option<Result<Accepted, HandshakeError>>;

impl Acceptor {
    /// Returns the socket if the set cannot be made.
    pub(super) fn new(listening: Listening, terms: Terms) -> Result<Acceptor, (OsError, Listening)> {
        let set =
            WaitSet::new().and_then(|set| set.add(listening.as_fd(), INCOMING, Interest::Read).map(|()| set));
        let set = match set {
            Ok(set) => set,
            Err(error) => return Err((error, listening)),
        };
        let state = AcceptState {
            owner: OwningProcess::current(),
            pending: BTreeMap::new(),
            next: INCOMING + 1,
            timer: None,
            paused: None,
            pause: PAUSE.0,
        };
        Ok(Acceptor { listening, terms, set, state: Mutex::new(state), open: Arc::new(()) })
    }

    /// The next connection that is admitted. `refused` is called for each one refused before it, and may end the call
    /// by returning one of them.
    pub(super) fn next(
        &self,
        patience: Patience,
        mut refused: impl FnMut(HandshakeError) -> Option<HandshakeError>,
    ) -> Result<Accepted, AcceptError> {
        let late = || patience.error(AcceptError::WouldBlock, AcceptError::Timeout);
        let mut state = patience.lock(&self.state).ok_or_else(late)?;
        self.renew_after_fork(&mut state)?;
        let until = patience.deadline();
        let mut after_time = 0;
        loop {
            let ready = self.set.wait(until)?.ok_or_else(late)?;
            let outcome = self.handle(&mut state, ready);
            self.set_timer(&mut state)?;
            match outcome? {
                Some(Ok(accepted)) => return Ok(accepted),
                Some(Err(reason)) => {
                    if let Some(reason) = refused(reason) {
                        return Err(reason.into());
                    }
                }
                None => {}
            }
            if until.is_some_and(Deadline::passed) {
                after_time += 1;
                if after_time == AFTER_TIME {
                    return Err(late());
                }
            }
        }
    }

    /// In a forked child: makes its own set at the first call.
    fn renew_after_fork(&self, state: &mut AcceptState) -> OsResult<()> {
        if state.owner.is_current() {
            return Ok(());
        }
        self.set.renew()?;
        self.set.add(self.listening.as_fd(), INCOMING, Interest::Read)?;
        state.owner = OwningProcess::current();
        // These are copies; the parent still has its own.
        state.pending.clear();
        (state.timer, state.paused) = (None, None);
        Ok(())
    }

    fn handle(&self, state: &mut AcceptState, ready: Ready) -> Result<Outcome, AcceptError> {
        match ready {
            Ready::Member(INCOMING) => self.accept_incoming(state),
            Ready::Member(key) => Ok(self.advance_pending(state, key)?),
            Ready::Alarm => Ok(self.check_deadlines(state)?),
        }
    }

    fn accept_incoming(&self, state: &mut AcceptState) -> Result<Outcome, AcceptError> {
        match self.listening.accept() {
            Ok((socket, from)) => {
                state.pause = PAUSE.0;
                Ok(self.admit(state, socket, from)?)
            }
            // The client has closed again, or another process accepted it.
            Err(error) if would_block(&error) || not_ours(&error) => Ok(None),
            Err(error) if no_room(&error) => {
                let again = state.pause > PAUSE.0;
                if again && self.drop_oldest(state).is_some() {
                    return Ok(Some(Err(HandshakeError::CrowdedOut)));
                }
                self.pause(state)?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn pause(&self, state: &mut AcceptState) -> OsResult<()> {
        self.set.change(self.listening.as_fd(), INCOMING, Interest::Hangup)?;
        state.paused = Deadline::after(state.pause);
        state.pause = (state.pause * 2).min(PAUSE.1);
        Ok(())
    }

    fn admit(&self, state: &mut AcceptState, socket: OwnedFd, from: Option<SocketAddr>) -> OsResult<Outcome> {
        match self.listening {
            Listening::Local(_) => {
                let uid = user_at_the_other_end(socket.as_fd())?;
                if self.terms.one_user && uid != this_user() {
                    return Ok(Some(Err(HandshakeError::OtherUser { uid })));
                }
            }
            Listening::Tcp(_) => {
                if let Err(error) = send_at_once(socket.as_fd()) {
                    return Ok(Some(Err(HandshakeError::Os(error))));
                }
            }
        }
        if self.is_full() {
            return Ok(Some(Err(HandshakeError::TooManyOpen)));
        }
        let Some(key) = &self.terms.key else { return Ok(Some(self.admitted(socket, from))) };
        let is_crowded = state.pending.len() >= self.terms.most_pending;
        let crowded_out = is_crowded && self.drop_oldest(state).is_some();
        let handshake = Handshake::of_listener(key, self.terms.form)?;
        // The listener sends first, as soon as the set reports the socket writable.
        let interest = Interest::Write;
        self.set.add(socket.as_fd(), state.next, interest)?;
        let deadline = Deadline::after(self.terms.handshake);
        state.pending.insert(state.next, Pending { socket, from, handshake, deadline, interest });
        state.next += 1;
        Ok(crowded_out.then_some(Err(HandshakeError::CrowdedOut)))
    }

    /// Advances one handshake.
    fn advance_pending(&self, state: &mut AcceptState, key: u64) -> OsResult<Outcome> {
        let Some(pending) = state.pending.get_mut(&key) else { return Ok(None) };
        let (received, waited_to_send) = (pending.handshake.heard(), pending.interest == Interest::Write);
        match advance(pending.socket.as_fd(), &mut pending.handshake) {
            Ok(Some(interest)) => {
                if interest != pending.interest {
                    self.set.change(pending.socket.as_fd(), key, interest)?;
                    pending.interest = interest;
                }
                let late = pending.deadline.is_some_and(Deadline::passed);
                let sent = waited_to_send && interest == Interest::Read;
                if late && (sent || pending.handshake.heard() > received) {
                    pending.deadline = Deadline::after(self.terms.handshake);
                }
                Ok(None)
            }
            Ok(None) => {
                Ok(self.remove(state, key).map(|pending| self.admitted(pending.socket, pending.from)))
            }
            Err(broken) => Ok(self.remove(state, key).map(|_| Err(broken))),
        }
    }

    fn check_deadlines(&self, state: &mut AcceptState) -> OsResult<Outcome> {
        self.set.alarm(None)?;
        state.timer = None;
        if state.paused.is_some_and(Deadline::passed) {
            self.set.change(self.listening.as_fd(), INCOMING, Interest::Read)?;
            state.paused = None;
        }
        let late = |pending: &Pending| pending.deadline.is_some_and(Deadline::passed);
        let Some(key) = state.pending.iter().find_map(|(key, pending)| late(pending).then_some(*key)) else {
            return Ok(None);
        };
        let outcome = self.advance_pending(state, key)?;
        if outcome.is_none() && state.pending.get(&key).is_some_and(late) {
            return Ok(self.remove(state, key).map(|_| Err(HandshakeError::Timeout)));
        }
        Ok(outcome)
    }

    /// Takes a pending connection out of the set and of the state. Closing its socket alone would not take it out of
    /// the set if another process holds a copy.
    fn remove(&self, state: &mut AcceptState, key: u64) -> Option<Pending> {
        let pending = state.pending.remove(&key)?;
        self.set.remove(pending.socket.as_fd()).expect("each pending socket is in the set");
        Some(pending)
    }

    fn drop_oldest(&self, state: &mut AcceptState) -> Option<Pending> {
        let (&oldest, _) = state.pending.first_key_value()?;
        self.remove(state, oldest)
    }

    fn admitted(&self, socket: OwnedFd, from: Option<SocketAddr>) -> Result<Accepted, HandshakeError> {
        if self.is_full() {
            return Err(HandshakeError::TooManyOpen);
        }
        Ok(Accepted { socket, from, admission: Arc::clone(&self.open) })
    }

    fn is_full(&self) -> bool {
        Arc::strong_count(&self.open) > self.terms.most_open
    }

    /// Sets the timer to the earliest deadline.
    fn set_timer(&self, state: &mut AcceptState) -> OsResult<()> {
        let deadlines = state.pending.values().filter_map(|pending| pending.deadline);
        let first = deadlines.chain(state.paused).min();
        if first != state.timer {
            self.set.alarm(first)?;
            state.timer = first;
        }
        Ok(())
    }
}

/// Readable when there is a step to do.
impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // If it is locked, a call is inside and has renewed the set.
        if let Some(mut state) = self.state.try_lock() {
            // If that fails, the next accept says why.
            let _ = self.renew_after_fork(&mut state);
        }
        self.set.as_fd()
    }
}
