//! The sending half of an end: a frame in as few calls as its descriptors allow.

use crate::end::End;
use crate::error::SendError;
use crate::frame::Header;
use mp_core::error::OsResult;
use mp_core::sys::address::carries_fds;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::socket::{self, MOST_FDS, Mode, would_block};
use mp_core::sys::stream;
use mp_core::transfer::Handle;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of a length that can carry descriptors: the short header's.
const CARRIERS: usize = 4;
/// Handles that one message can carry.
pub(crate) const MOST_HANDLES: usize = CARRIERS * MOST_FDS;

#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// A frame was cut off: what followed would be taken for its rest.
    torn: bool,
}

impl Outgoing {
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }
}

impl End {
    pub(crate) fn send_bytes(&self, payload: &[u8]) -> Result<(), SendError> {
        self.send_frame(Header::of(payload.len() as u64).as_bytes(), payload, &[])
    }

    pub(crate) fn send_value(&self, postcard: &[u8], handles: &[Handle]) -> Result<(), SendError> {
        if handles.len() > MOST_HANDLES {
            return Err(SendError::TooManyHandles { count: handles.len(), most: MOST_HANDLES });
        }
        if !handles.is_empty() && !carries_fds(self.as_fd())? {
            return Err(SendError::NoHandlesHere { count: handles.len() });
        }
        let count = (handles.len() as u32).to_be_bytes();
        let header = Header::of((count.len() + postcard.len()) as u64);
        let mut head = [0; 16];
        let (header, end) = (header.as_bytes(), header.as_bytes().len() + count.len());
        head[..header.len()].copy_from_slice(header);
        head[header.len()..end].copy_from_slice(&count);
        self.send_frame(&head[..end], postcard, handles)
    }

    fn send_frame(&self, head: &[u8], payload: &[u8], handles: &[Handle]) -> Result<(), SendError> {
        let mut outgoing = self.sending.lock();
        if outgoing.torn {
            return Err(SendError::Torn);
        }
        let mut sent = 0;
        let result = self.send_parts(head, payload, handles, &mut sent);
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
    ) -> Result<(), SendError> {
        let mut chunks = handles.chunks(MOST_FDS).peekable();
        while let Some(chunk) = chunks.next() {
            let fds: Vec<BorrowedFd<'_>> = chunk.iter().map(Handle::as_fd).collect();
            let rest = &head[*sent..];
            let pieces = if chunks.peek().is_some() { [&rest[..1], &[]] } else { [rest, payload] };
            *sent += self.retried(|| socket::send(self.as_fd(), &pieces, &fds, Mode::Block))?;
        }
        let mut slices = [IoSlice::new(head), IoSlice::new(payload)];
        let mut slices = &mut slices[..];
        IoSlice::advance_slices(&mut slices, *sent);
        while !slices.is_empty() {
            let count = self.retried(|| stream::send(self.as_fd(), slices))?;
            *sent += count;
            IoSlice::advance_slices(&mut slices, count);
        }
        Ok(())
    }

    /// Sends also where somebody who shares the socket has made it non-blocking.
    fn retried(&self, send: impl Fn() -> OsResult<usize>) -> OsResult<usize> {
        loop {
            match send() {
                Err(error) if would_block(&error) => wait_for(self.as_fd(), Interest::Write, None)?,
                other => return other,
            };
        }
    }
}
