//! The receiving half of an end: a message step by step, kept here when time runs out in the middle.

use crate::end::End;
use crate::error::RecvError;
use crate::frame::{Assembly, Step};
use crate::patience::Patience;
use crate::spin::{Sleeps, spin_for};
use mp_core::error::OsResult;
use mp_core::sys::machine::LocalSite;
use mp_core::sys::poll::Interest;
use mp_core::sys::socket::{self, Mode, would_block};
use mp_core::sys::stream;
use mp_core::transfer::scratch;
use std::mem::take;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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
    /// The payload is the first `count` bytes.
    pub(crate) buffer: Vec<u8>,
    pub(crate) count: usize,
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
        let (buffer, count) = self.frame.take();
        let (fds, dropped_fds) = (take(&mut self.fds), take(&mut self.dropped_fds));
        Arrived { buffer, count, fds, dropped_fds }
    }
}

impl End {
    pub(crate) fn receive(&self, terms: Terms) -> Result<Arrived, RecvError> {
        let mut incoming = terms.patience.lock(&self.receiving).ok_or(late(terms.patience))?;
        self.complete(&mut incoming, terms)
    }

    /// Receives a message into `room`: straight into it, where it fits.
    pub(crate) fn receive_into(&self, room: &mut [u8], terms: Terms) -> Result<usize, RecvError> {
        let mut incoming = terms.patience.lock(&self.receiving).ok_or(late(terms.patience))?;
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
                let Arrived { mut buffer, count, .. } = self.complete(&mut incoming, terms)?;
                buffer.truncate(count);
                if count > room.len() {
                    return Err(RecvError::BufferTooShort { message: buffer, room: room.len() });
                }
                room[..count].copy_from_slice(&buffer);
                Ok(count)
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
        let at_boundary = frame.at_boundary();
        let fresh = || match terms.expect {
            Expect::Bytes => Vec::new(),
            Expect::Value => scratch::decoding(),
        };
        let (room, beside) =
            match (frame.step(terms.limit, fresh).map_err(RecvError::of_frame)?, terms.expect) {
                (Step::Whole, _) => return Ok(true),
                (Step::Head(room) | Step::Body(room), Expect::Bytes) => (room, Beside::Ignored),
                (Step::Head(room), Expect::Value) => (room, Beside::Taken(fds, dropped_fds)),
                // Descriptors come beside the length. Where none came there, none belong to this message, and the call
                // that does not look for them is quicker by a third of a microsecond.
                (Step::Body(room), Expect::Value) if fds.is_empty() => (room, Beside::Ignored),
                (Step::Body(room), Expect::Value) => (room, Beside::Noticed(dropped_fds)),
            };
        match self.read(room, beside, terms.patience, spins)? {
            0 if at_boundary => return Err(RecvError::Closed),
            0 => return Err(RecvError::Truncated),
            count => frame.filled(count),
        }
        Ok(false)
    }

    /// Fills the room with a payload; if that fails, keeps what came of it.
    fn fill(&self, incoming: &mut Incoming, room: &mut [u8], patience: Patience) -> Result<(), RecvError> {
        let mut done = 0;
        while done < room.len() {
            let spins = &incoming.spins;
            let failure = match self.read(&mut room[done..], Beside::Ignored, patience, spins) {
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

    /// Receives what there is, or waits for it; 0 bytes are the end.
    fn read(
        &self,
        room: &mut [u8],
        mut beside: Beside<'_>,
        patience: Patience,
        spins: &LocalSite,
    ) -> Result<usize, RecvError> {
        let mut receive = |mode| match beside.receive(self.as_fd(), room, mode) {
            Err(error) if would_block(&error) => None,
            // The other side closed with messages of ours unread: no less an end.
            Err(error) if socket::is_gone(&error) => Some(Ok(0)),
            other => Some(other),
        };
        let sleeps = match patience {
            Patience::Never => None,
            Patience::Forever | Patience::Until(_) => match spin_for(spins, || receive(Mode::Now)) {
                Ok(count) => return Ok(count?),
                Err(sleeps) => Some(sleeps),
            },
        };
        let came = loop {
            match receive(patience.mode()) {
                Some(count) => break count?,
                None if patience.wait(self.as_fd(), Interest::Read)? => {}
                None => return Err(late(patience)),
            }
        };
        sleeps.into_iter().for_each(Sleeps::found);
        Ok(came)
    }
}

/// No whole message, and no more time.
fn late(patience: Patience) -> RecvError {
    patience.error(RecvError::Empty, RecvError::Timeout)
}

/// What becomes of descriptors that come beside the bytes.
enum Beside<'a> {
    /// The kernel closes them.
    Ignored,
    /// The kernel closes them, and that there were some is put here.
    Noticed(&'a mut bool),
    /// They are put here; and whether some could not be.
    Taken(&'a mut Vec<OwnedFd>, &'a mut bool),
}

impl Beside<'_> {
    fn receive(&mut self, socket: BorrowedFd<'_>, room: &mut [u8], mode: Mode) -> OsResult<usize> {
        match self {
            Beside::Ignored => stream::receive(socket, room, mode),
            Beside::Noticed(dropped) => {
                let (bytes, came) = stream::receive_noticing(socket, room, mode)?;
                **dropped |= came;
                Ok(bytes)
            }
            Beside::Taken(fds, dropped) => {
                let received = socket::receive(socket, room, mode)?;
                fds.extend(received.fds);
                **dropped |= received.cut;
                Ok(received.bytes)
            }
        }
    }
}
