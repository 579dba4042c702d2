//! The receiving half of an end: a message step by step, kept here when time runs out in the middle.

use crate::end::End;
use crate::error::RecvError;
use crate::frame::{Assembly, Step};
use crate::patience::Patience;
use crate::spin::{nap_and_spin, spin_on};
use mp_core::error::OsResult;
use mp_core::sys::machine::LocalSite;
use mp_core::sys::poll::{Interest, nap};
use mp_core::sys::socket::{self, Mode, would_block};
use mp_core::sys::stream;
use mp_core::transfer::scratch;
use std::mem::take;
use std::os::fd::{AsFd, OwnedFd};

/// What kind of message a receive expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Bytes alone: descriptors that come with them are closed.
    Bytes,
    /// A value, with its descriptors.
    Value,
}

/// What a receive may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) expect: Expect,
    pub(crate) limit: usize,
    pub(crate) patience: Patience,
}

/// A message that has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) payload: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
    /// More descriptors came than are here, and were closed.
    pub(crate) dropped_fds: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Incoming {
    frame: Assembly,
    fds: Vec<OwnedFd>,
    dropped_fds: bool,
    spins: LocalSite,
}

impl Incoming {
    pub(crate) fn at_boundary(&self) -> bool {
        self.frame.at_boundary()
    }

    fn take(&mut self) -> Arrived {
        let (fds, dropped_fds) = (take(&mut self.fds), take(&mut self.dropped_fds));
        Arrived { payload: self.frame.take(), fds, dropped_fds }
    }
}

impl End {
    pub(crate) fn receive(&self, terms: Terms) -> Result<Arrived, RecvError> {
        let mut incoming = terms.patience.lock(&self.receiving).ok_or_else(|| late(terms.patience))?;
        self.complete(&mut incoming, terms)
    }

    /// Receives a message into `room`: straight into it, where it fits.
    pub(crate) fn receive_into(&self, room: &mut [u8], terms: Terms) -> Result<usize, RecvError> {
        let mut incoming = terms.patience.lock(&self.receiving).ok_or_else(|| late(terms.patience))?;
        while incoming.frame.announced().is_none() {
            self.advance(&mut incoming, terms)?;
        }
        let fits = incoming.frame.announced().and_then(|length| usize::try_from(length).ok());
        match fits.filter(|length| *length <= room.len().min(terms.limit)) {
            Some(length) if incoming.frame.before_body() => {
                self.fill(&mut incoming, &mut room[..length], terms.patience)?;
                incoming.take();
                Ok(length)
            }
            _ => {
                let message = self.complete(&mut incoming, terms)?.payload;
                match room.get_mut(..message.len()) {
                    Some(room) => room.copy_from_slice(&message),
                    None => return Err(RecvError::BufferTooShort { message, room: room.len() }),
                }
                Ok(message.len())
            }
        }
    }

    fn complete(&self, incoming: &mut Incoming, terms: Terms) -> Result<Arrived, RecvError> {
        while !self.advance(incoming, terms)? {}
        Ok(incoming.take())
    }

    /// One step towards a whole message; `true` when it is there.
    fn advance(&self, incoming: &mut Incoming, terms: Terms) -> Result<bool, RecvError> {
        let Incoming { frame, fds, dropped_fds, spins } = incoming;
        let (socket, patience) = (self.as_fd(), terms.patience);
        let at_boundary = frame.at_boundary();
        let fresh = || match terms.expect {
            Expect::Bytes => Vec::new(),
            Expect::Value => scratch::decoding(),
        };
        let count = match (frame.step(terms.limit, fresh).map_err(RecvError::of_frame)?, terms.expect) {
            (Step::Whole, _) => return Ok(true),
            (Step::Head(room), Expect::Bytes) => {
                let count = self.read(patience, spins, |mode| stream::receive(socket, room, mode))?;
                frame.filled(count);
                count
            }
            (Step::Head(room), Expect::Value) => {
                let count = self.read(patience, spins, |mode| {
                    let received = socket::receive(socket, room, mode)?;
                    if !received.fds.is_empty() {
                        fds.extend(received.fds);
                    }
                    *dropped_fds |= received.cut;
                    Ok(received.bytes)
                })?;
                frame.filled(count);
                count
            }
            (Step::Body { body, most }, Expect::Value) if !fds.is_empty() => {
                self.read(patience, spins, |mode| {
                    let (count, came) = stream::receive_onto_noticing(socket, body, most, mode)?;
                    *dropped_fds |= came;
                    Ok(count)
                })?
            }
            // Descriptors come beside the length. Where none came there, none belong to this message, and the call that
            // does not look for them is quicker by a third of a microsecond.
            (Step::Body { body, most }, _) => {
                self.read(patience, spins, |mode| stream::receive_onto(socket, body, most, mode))?
            }
        };
        match count {
            0 if at_boundary => Err(RecvError::Closed),
            0 => Err(RecvError::Truncated),
            _ => Ok(false),
        }
    }

    /// Fills the room with a payload; if that fails, keeps what came of it.
    fn fill(&self, incoming: &mut Incoming, room: &mut [u8], patience: Patience) -> Result<(), RecvError> {
        let mut done = 0;
        while done < room.len() {
            let spins = &incoming.spins;
            let rest = &mut room[done..];
            let receive = |mode| stream::receive(self.as_fd(), rest, mode);
            let failure = match self.read(patience, spins, receive) {
                Ok(0) => RecvError::Truncated,
                Ok(count) => {
                    done += count;
                    continue;
                }
                Err(error) => error,
            };
            incoming.frame.begin_body(&room[..done]);
            return Err(failure);
        }
        Ok(())
    }

    /// Receives what there is by this call, or waits for it; 0 bytes are the end.
    #[inline]
    fn read(
        &self,
        patience: Patience,
        spins: &LocalSite,
        mut call: impl FnMut(Mode) -> OsResult<usize>,
    ) -> Result<usize, RecvError> {
        match unless_empty(call(Mode::Now)) {
            Some(received) => Ok(received?),
            None => self.wait_to_read(patience, spins, &mut |mode| unless_empty(call(mode))),
        }
    }

    #[inline(never)]
    fn wait_to_read(
        &self,
        patience: Patience,
        spins: &LocalSite,
        receive: &mut dyn FnMut(Mode) -> Option<OsResult<usize>>,
    ) -> Result<usize, RecvError> {
        if matches!(patience, Patience::Never) {
            return Err(late(patience));
        }
        let nap = |nanos| nap(self.as_fd(), Interest::Read, nanos);
        let looked = spin_on(spins, || receive(Mode::Now))
            .or_else(|sleeps| nap_and_spin(sleeps, patience.deadline(), nap, || receive(Mode::Now)));
        let sleeps = match looked {
            Ok(count) => return Ok(count?),
            Err(sleeps) => sleeps,
        };
        let count = loop {
            match receive(patience.mode()) {
                Some(count) => break count?,
                None if patience.wait(self.as_fd(), Interest::Read)? => {}
                None => return Err(late(patience)),
            }
        };
        sleeps.found();
        Ok(count)
    }
}

/// `None`: nothing has arrived.
#[inline]
fn unless_empty(received: OsResult<usize>) -> Option<OsResult<usize>> {
    match received {
        Err(error) if would_block(&error) => None,
        // The other side closed with messages of ours unread: no less an end.
        Err(error) if socket::is_gone(&error) => Some(Ok(0)),
        other => Some(other),
    }
}

/// No whole message, and no more time.
fn late(patience: Patience) -> RecvError {
    patience.error(RecvError::Empty, RecvError::Timeout)
}
