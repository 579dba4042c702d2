//! A handshake on a socket, as far as it goes without waiting.

use super::{AuthenticationError, Handshake, Want};
use mp_core::error::{OsError, OsResult};
use mp_core::sys::poll::Interest;
use mp_core::sys::socket::{self, Mode, would_block};
use mp_core::sys::stream;
use std::os::fd::BorrowedFd;

/// Why a handshake cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error("closed")]
    Closed,
    #[error(transparent)]
    Os(OsError),
}

/// Goes on until it is done (`None`), or has to wait for this. What the other side can have done here without a
/// pause is at most three messages of 256 bytes.
pub(crate) fn advance(socket: BorrowedFd<'_>, handshake: &mut Handshake) -> Result<Option<Interest>, Broken> {
    loop {
        match handshake.want()? {
            Want::Nothing => return Ok(None),
            Want::Write(bytes) => match counted(stream::send(socket, bytes, Mode::Now))? {
                Some(count) => handshake.wrote(count),
                None => return Ok(Some(Interest::Write)),
            },
            // Descriptors that come along are closed by the kernel.
            Want::Read(room) => match counted(stream::receive(socket, room, Mode::Now))? {
                Some(0) => return Err(Broken::Closed),
                Some(count) => handshake.filled(count),
                None => return Ok(Some(Interest::Read)),
            },
        }
    }
}

/// `None`: it would have had to sleep.
fn counted(result: OsResult<usize>) -> Result<Option<usize>, Broken> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if would_block(&error) => Ok(None),
        Err(error) if socket::is_gone(&error) => Err(Broken::Closed),
        Err(error) => Err(Broken::Os(error)),
    }
}
