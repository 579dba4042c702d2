//! The sending half of an end: a frame in as few calls as its descriptors allow.

use crate::end::End;
use crate::error::SendError;
use crate::frame::Header;
use crate::looks::look;
use mp_core::error::{CodecError, OsResult};
use mp_core::sys::address::carries_fds;
use mp_core::sys::machine::LocalSite;
use mp_core::sys::poll::{Interest, wait_for};
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
/// Bytes before a value that are left free for what comes before it in its frame: a short header, and the count of
/// handles.
const BEFORE_VALUE: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// A frame was cut off: what followed would be taken for its rest.
    torn: bool,
    looks: LocalSite,
}

impl Outgoing {
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }
}

impl End {
    pub(crate) fn send_bytes(&self, payload: &[u8]) -> Result<(), SendError> {
        let header = Header::of(payload.len() as u64);
        if payload.len() > ONE_PIECE {
            return self.send_frame(header.as_bytes(), payload, &[]);
        }
        let mut frame = scratch::encoding();
        frame.extend_from_slice(header.as_bytes());
        frame.extend_from_slice(payload);
        let result = self.send_frame(&frame, &[], &[]);
        scratch::keep_encoding(frame);
        result
    }

    /// Sends what `pack` appends to the vector it is given.
    pub(crate) fn send_value(
        &self,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<Vec<Handle>, CodecError>,
    ) -> Result<(), SendError> {
        let mut frame = scratch::encoding();
        frame.extend_from_slice(&[0; BEFORE_VALUE]);
        let result = match pack(&mut frame) {
            Ok(handles) => self.send_packed(&mut frame, &handles),
            Err(error) => Err(error.into()),
        };
        scratch::keep_encoding(frame);
        result
    }

    /// `frame` is a value's bytes, and room before them.
    fn send_packed(&self, frame: &mut [u8], handles: &[Handle]) -> Result<(), SendError> {
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
            self.send_frame(frame, &[], handles)
        } else {
            self.send_frame(&[header, &count].concat(), &frame[BEFORE_VALUE..], handles)
        }
    }

    /// Sends what is in two pieces, or in the first alone.
    fn send_frame(&self, head: &[u8], payload: &[u8], handles: &[Handle]) -> Result<(), SendError> {
        let mut outgoing = self.sending.lock();
        if outgoing.torn {
            return Err(SendError::Torn);
        }
        let mut sent = 0;
        let result = self.send_parts(head, payload, handles, &mut sent, &outgoing.looks);
        // A peer that is gone says so again by itself.
        if sent > 0 && !matches!(result, Ok(()) | Err(SendError::Closed(_))) {
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
        sent: &mut usize,
        looks: &LocalSite,
    ) -> Result<(), SendError> {
        let mut chunks = handles.chunks(MOST_FDS).peekable();
        while let Some(chunk) = chunks.next() {
            let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(Handle::as_fd).collect();
            let rest = &head[*sent..];
            let pieces = if chunks.peek().is_some() { [&rest[..1], &[]] } else { [rest, payload] };
            *sent += self.retried(|| socket::send(self.as_fd(), &pieces, &fds, Mode::Block))?;
        }
        let length = head.len() + payload.len();
        while *sent < length {
            let head = head.get(*sent..).unwrap_or_default();
            let payload = &payload[sent.saturating_sub(length - payload.len())..];
            let send = |mode| match (head, payload) {
                (one, []) | ([], one) => stream::send(self.as_fd(), one, mode),
                _ => {
                    let slices = [IoSlice::new(head), IoSlice::new(payload)];
                    stream::send_slices(self.as_fd(), &slices, mode)
                }
            };
            *sent += match look(looks, || unless_full(send(Mode::Now))) {
                Ok(taken) => taken?,
                Err(sleeps) => {
                    let taken = self.retried(|| send(Mode::Block))?;
                    sleeps.found();
                    taken
                }
            };
        }
        Ok(())
    }

    /// Sends also when another process that shares the socket has made it non-blocking.
    fn retried(&self, send: impl Fn() -> OsResult<usize>) -> OsResult<usize> {
        loop {
            match unless_full(send()) {
                None => wait_for(self.as_fd(), Interest::Write, None)?,
                Some(result) => return result,
            };
        }
    }
}

/// `None`: the kernel's buffer has no room.
fn unless_full(sent: OsResult<usize>) -> Option<OsResult<usize>> {
    if sent.as_ref().is_err_and(would_block) { None } else { Some(sent) }
}
