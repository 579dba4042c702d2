//! The sending half of an end: a frame in as few calls as its descriptors allow.

use crate::end::End;
use crate::error::SendError;
use crate::frame::Header;
use crate::patience::Patience;
use crate::spin::spin_for;
use mp_core::error::{CodecError, OsResult};
use mp_core::sys::address::carries_fds;
use mp_core::sys::machine::LocalSite;
use mp_core::sys::poll::Interest;
use mp_core::sys::socket::{self, MOST_FDS, Mode, would_block};
use mp_core::sys::stream;
use mp_core::transfer::{Handle, scratch};
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of a length that can carry descriptors: the short header's.
const CARRIERS: usize = 4;
/// Handles that one message can carry.
pub(crate) const MOST_HANDLES: usize = CARRIERS * MOST_FDS;
/// A frame of bytes up to so long is copied into one piece: the call that sends one is quicker than the one that sends
/// two, by more than copying takes.
const ONE_PIECE: usize = 4096;
/// Where a frame of up to so many bytes finds no room, a dozen or more like it wait for the reader. Spinning gains
/// nothing then, and each attempt takes the socket's cache lines from the reader. The kernel wakes a sleeper when three
/// quarters of the buffer are free, so that it sleeps once for many frames. A longer frame is read while it is sent.
const QUEUED: usize = 16 << 10;
/// Bytes before a value that are left free for what comes before it in its frame: a short header, and the count of
/// handles.
const BEFORE_VALUE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// A frame was cut off: what followed would be taken for its rest.
    torn: bool,
    /// What is left of a frame whose time was over in the middle. It goes out before any other.
    rest: Option<Rest>,
    spins: LocalSite,
}

/// The end of a frame, and the descriptors that have not been sent.
#[derive(Debug)]
struct Rest {
    bytes: Vec<u8>,
    handles: Vec<Handle>,
}

/// How much of a frame has been sent.
#[derive(Debug, Default)]
struct Sent {
    bytes: usize,
    handles: usize,
}

impl Outgoing {
    /// Whether the next byte begins a frame, and there can be one.
    pub(crate) fn at_boundary(&self) -> bool {
        !self.torn && self.rest.is_none()
    }
}

impl End {
    pub(crate) fn send_bytes(&self, payload: &[u8], patience: Patience) -> Result<(), SendError> {
        let header = Header::of(payload.len() as u64);
        if payload.len() > ONE_PIECE {
            return self.send_frame(header.as_bytes(), payload, &[], patience);
        }
        let mut frame = scratch::encoding();
        frame.extend_from_slice(header.as_bytes());
        frame.extend_from_slice(payload);
        let result = self.send_frame(&frame, &[], &[], patience);
        scratch::keep_encoding(frame);
        result
    }

    /// Sends what `pack` appends to the vector it is given.
    pub(crate) fn send_value(
        &self,
        patience: Patience,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Handle>, CodecError>,
    ) -> Result<(), SendError> {
        let mut frame = scratch::encoding();
        frame.extend_from_slice(&[0; BEFORE_VALUE]);
        let result = match pack(&mut frame) {
            Ok(handles) => self.send_packed(&mut frame, &handles, patience),
            Err(error) => Err(error.into()),
        };
        scratch::keep_encoding(frame);
        result
    }

    /// `frame` is a value's bytes, and room before them.
    fn send_packed(&self, frame: &mut [u8], handles: &[Handle], patience: Patience) -> Result<(), SendError> {
        if handles.len() > MOST_HANDLES {
            return Err(SendError::TooManyHandles { count: handles.len(), most: MOST_HANDLES });
        }
        if !handles.is_empty() && !carries_fds(self.as_fd())? {
            return Err(SendError::NoHandlesHere { count: handles.len() });
        }
        let count = (handles.len() as u32).to_be_bytes();
        let header = Header::of((frame.len() - BEFORE_VALUE + count.len()) as u64);
        let header = header.as_bytes();
        if header.len() + count.len() == BEFORE_VALUE {
            frame[..header.len()].copy_from_slice(header);
            frame[header.len()..BEFORE_VALUE].copy_from_slice(&count);
            self.send_frame(frame, &[], handles, patience)
        } else {
            self.send_frame(&[header, &count].concat(), &frame[BEFORE_VALUE..], handles, patience)
        }
    }

    /// Sends what is left of an earlier message.
    pub(crate) fn flush(&self, patience: Patience) -> Result<(), SendError> {
        self.send_rest(&mut *patience.lock(&self.sending).ok_or_else(|| late(patience))?, patience)
    }

    /// Sends what is in two pieces, or in the first alone.
    fn send_frame(
        &self,
        head: &[u8],
        payload: &[u8],
        handles: &[Handle],
        patience: Patience,
    ) -> Result<(), SendError> {
        let mut outgoing = patience.lock(&self.sending).ok_or_else(|| late(patience))?;
        self.send_rest(&mut outgoing, patience)?;
        let mut sent = Sent::default();
        match self.send_parts(head, payload, handles, &mut sent, &outgoing.spins, patience) {
            Err(SendError::Full | SendError::Timeout) if sent.bytes > 0 => {
                let head_left = head.get(sent.bytes..).unwrap_or_default();
                let payload_left = &payload[sent.bytes.saturating_sub(head.len())..];
                let bytes = [head_left, payload_left].concat();
                outgoing.rest = Some(Rest { bytes, handles: handles[sent.handles..].to_vec() });
                Err(SendError::Partial)
            }
            result => self.unless_torn(&mut outgoing, sent.bytes > 0, result),
        }
    }

    fn send_rest(&self, outgoing: &mut Outgoing, patience: Patience) -> Result<(), SendError> {
        if outgoing.torn {
            return Err(SendError::Torn);
        }
        let Some(mut rest) = outgoing.rest.take() else { return Ok(()) };
        let mut sent = Sent::default();
        let result = self.send_parts(&rest.bytes, &[], &rest.handles, &mut sent, &outgoing.spins, patience);
        if matches!(result, Err(SendError::Full | SendError::Timeout)) {
            rest.bytes.drain(..sent.bytes);
            rest.handles.drain(..sent.handles);
            outgoing.rest = Some(rest);
            return result;
        }
        self.unless_torn(outgoing, true, result)
    }

    /// What failed after a frame had begun ends this direction.
    fn unless_torn(
        &self,
        outgoing: &mut Outgoing,
        begun: bool,
        result: Result<(), SendError>,
    ) -> Result<(), SendError> {
        // The next call reports again that the peer has ended.
        if begun && !matches!(result, Ok(()) | Err(SendError::Closed(_))) {
            outgoing.torn = true;
            stream::end_sending(self.as_fd());
        }
        result
    }

    fn send_parts(
        &self,
        head: &[u8],
        payload: &[u8],
        handles: &[Handle],
        sent: &mut Sent,
        spins: &LocalSite,
        patience: Patience,
    ) -> Result<(), SendError> {
        let mut chunks = handles.chunks(MOST_FDS).peekable();
        while let Some(chunk) = chunks.next() {
            let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(Handle::as_fd).collect();
            let rest = &head[sent.bytes..];
            let pieces = if chunks.peek().is_some() { [&rest[..1], &[]] } else { [rest, payload] };
            sent.bytes +=
                self.retried(patience, || socket::send(self.as_fd(), &pieces, &fds, patience.mode()))?;
            sent.handles += chunk.len();
        }
        let length = head.len() + payload.len();
        while sent.bytes < length {
            let head = head.get(sent.bytes..).unwrap_or_default();
            let payload = &payload[sent.bytes.saturating_sub(length - payload.len())..];
            let send = |mode| match (head, payload) {
                (one, []) | ([], one) => stream::send(self.as_fd(), one, mode),
                _ => {
                    let slices = [IoSlice::new(head), IoSlice::new(payload)];
                    stream::send_slices(self.as_fd(), &slices, mode)
                }
            };
            if length <= QUEUED || matches!(patience, Patience::Never) {
                sent.bytes += self.retried(patience, || send(patience.mode()))?;
                continue;
            }
            sent.bytes += match spin_for(spins, || unless_full(send(Mode::Now))) {
                Ok(taken) => taken?,
                Err(sleeps) => {
                    let taken = self.retried(patience, || send(patience.mode()))?;
                    sleeps.found();
                    taken
                }
            };
        }
        Ok(())
    }

    /// Sends when there is room, within the time.
    fn retried(&self, patience: Patience, send: impl Fn() -> OsResult<usize>) -> Result<usize, SendError> {
        loop {
            match unless_full(send()) {
                Some(result) => return Ok(result?),
                None if patience.wait(self.as_fd(), Interest::Write)? => {}
                None => return Err(late(patience)),
            }
        }
    }
}

/// No room, and no more time.
fn late(patience: Patience) -> SendError {
    patience.error(SendError::Full, SendError::Timeout)
}

/// `None`: the kernel's buffer has no room.
fn unless_full(sent: OsResult<usize>) -> Option<OsResult<usize>> {
    if sent.as_ref().is_err_and(would_block) { None } else { Some(sent) }
}
