//! A handshake on a socket, as far as it goes without waiting.

use super::{Handshake, HandshakeError, Want};
use mp_core::error::OsResult;
use mp_core::sys::poll::Interest;
use mp_core::sys::socket::{self, Mode, would_block};
use mp_core::sys::stream;
use std::os::fd::BorrowedFd;

/// Goes on until it is done (`None`), or has to wait for this. What the other side can have done here without a
/// pause is at most three messages of 256 bytes.
pub(crate) fn advance(
    socket: BorrowedFd<'_>,
    handshake: &mut Handshake,
) -> Result<Option<Interest>, HandshakeError> {
    loop {
        match handshake.want()? {
            Want::Nothing => return Ok(None),
            Want::Write(bytes) => match counted(stream::send(socket, bytes, Mode::Now))? {
                Some(count) => handshake.wrote(count),
                None => return Ok(Some(Interest::Write)),
            },
            // Descriptors that come along are closed by the kernel.
            Want::Read(room) => match counted(stream::receive(socket, room, Mode::Now))? {
                Some(0) => return Err(HandshakeError::Closed),
                Some(count) => handshake.filled(count),
                None => return Ok(Some(Interest::Read)),
            },
        }
    }
}

/// `None`: it would have had to sleep.
fn counted(result: OsResult<usize>) -> Result<Option<usize>, HandshakeError> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if would_block(&error) => Ok(None),
        Err(error) if socket::is_gone(&error) => Err(HandshakeError::Closed),
        Err(error) => Err(HandshakeError::Os(error)),
    }
}
