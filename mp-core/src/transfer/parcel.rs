//! A message as packets: short ones inline, long ones in a memfd, any number of descriptors.
//!
//! ```text
//!  packet 1:  [ bytes: u64 | handles: u32 | where: u8 | inline bytes … ]  + up to 250 descriptors
//!  packet n:  [ 0 ]                                                     + up to 250 more
//! ```
//!
//! A long message goes by memfd, so that sending never waits for the receiver: a child can leave a result of
//! any size and exit.

use super::handle::Handle;
use super::message::Message;
use crate::error::{MemError, OsError};
use crate::sys::memory::{PAGE, file_identity, is_sealed, reserve, sealed_file, whole_pages};
use crate::sys::socket::{self, Mode, Received};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// Bytes that still travel inside the packet.
const INLINE: usize = 32 << 10;
/// Descriptors per packet; the kernel takes 253.
const FDS: usize = 250;
const HEAD: usize = 13;

const IN_PACKET: u8 = 0;
const IN_MEMORY: u8 = 1;

/// Why a parcel could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParcelError {
    /// The other side is gone.
    #[error("the other side is gone")]
    Closed,
    /// What arrived is not a parcel.
    #[error("malformed parcel: {0}")]
    Malformed(&'static str),
    /// No memory for a long message.
    #[error(transparent)]
    Memory(MemError),
    /// The system refused.
    #[error(transparent)]
    Os(OsError),
}

impl From<OsError> for ParcelError {
    fn from(error: OsError) -> Self {
        if socket::is_gone(&error) { ParcelError::Closed } else { ParcelError::Os(error) }
    }
}

impl From<MemError> for ParcelError {
    fn from(error: MemError) -> Self {
        match error {
            MemError::Os(error) => error.into(),
            other => ParcelError::Memory(other),
        }
    }
}

/// Sends a message over a packet socket.
pub fn send_parcel(socket: BorrowedFd<'_>, message: &Message) -> Result<(), ParcelError> {
    let long = message.bytes.len() > INLINE;
    let memory = if long { Some(in_memory(&message.bytes)?) } else { None };
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&(message.bytes.len() as u64).to_le_bytes());
    head[8..12].copy_from_slice(&(message.handles.len() as u32).to_le_bytes());
    head[12] = if long { IN_MEMORY } else { IN_PACKET };
    let inline = if long { &[][..] } else { &message.bytes };
    let fds: Vec<BorrowedFd<'_>> =
        memory.iter().map(OwnedFd::as_fd).chain(message.handles.iter().map(Handle::as_fd)).collect();
    let mut packets = fds.chunks(FDS);
    socket::send(socket, &[&head, inline], packets.next().unwrap_or(&[]), Mode::Block)?;
    for fds in packets {
        socket::send(socket, &[&[0]], fds, Mode::Block)?;
    }
    Ok(())
}

fn in_memory(bytes: &[u8]) -> Result<OwnedFd, MemError> {
    let file = sealed_file("mp-message", whole_pages(bytes.len()))?;
    reserve(file.as_fd(), 0, whole_pages(bytes.len()))?;
    let file = File::from(file);
    file.write_all_at(bytes, 0).map_err(|source| OsError { call: "pwrite", source })?;
    Ok(file.into())
}

/// Receives the next message. With [`Mode::Now`], `EAGAIN` if there is none yet.
pub fn receive_parcel(socket: BorrowedFd<'_>, mode: Mode) -> Result<Message, ParcelError> {
    let mut buffer = vec![0; HEAD + INLINE];
    let first = packet(socket, &mut buffer, mode)?;
    if first.bytes < HEAD {
        return Err(ParcelError::Malformed("shorter than its head"));
    }
    let bytes = u64::from_le_bytes(buffer[..8].try_into().expect("eight bytes")) as usize;
    let handles = u32::from_le_bytes(buffer[8..12].try_into().expect("four bytes")) as usize;
    let long = buffer[12] == IN_MEMORY;
    let wanted = handles.saturating_add(usize::from(long));
    let mut fds = first.fds;
    while fds.len() < wanted {
        let more = packet(socket, &mut [0], mode)?;
        if more.fds.is_empty() {
            return Err(ParcelError::Malformed("descriptors are missing"));
        }
        fds.extend(more.fds);
    }
    if fds.len() > wanted {
        return Err(ParcelError::Malformed("more descriptors than announced"));
    }
    let bytes = if long {
        from_memory(fds.remove(0), bytes)?
    } else {
        let inline = &buffer[HEAD..first.bytes];
        if inline.len() != bytes {
            return Err(ParcelError::Malformed("its length is not the one announced"));
        }
        inline.to_vec()
    };
    Ok(Message { bytes, handles: fds.into_iter().map(Handle::new).collect() })
}

fn packet(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> Result<Received, ParcelError> {
    let received = socket::receive(socket, buffer, mode)?;
    match received {
        Received { cut: true, .. } => Err(ParcelError::Malformed("it was cut off")),
        Received { bytes: 0, .. } => Err(ParcelError::Closed),
        whole => Ok(whole),
    }
}

fn from_memory(file: OwnedFd, bytes: usize) -> Result<Vec<u8>, ParcelError> {
    let (_, _, size) = file_identity(file.as_fd())?;
    if !is_sealed(file.as_fd()) || bytes as u64 > size || size > (bytes + PAGE) as u64 {
        return Err(ParcelError::Malformed("its memory is not of the announced size"));
    }
    let mut content = vec![0; bytes];
    let read = File::from(file).read_exact_at(&mut content, 0);
    read.map_err(|source| OsError { call: "pread", source })?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;
    use crate::sys::socket::packet_pair;

    fn there_and_back(message: &Message) -> Message {
        let (here, there) = packet_pair().unwrap();
        send_parcel(here.as_fd(), message).unwrap();
        receive_parcel(there.as_fd(), Mode::Block).unwrap()
    }

    #[test]
    fn short_and_long_messages_arrive_without_a_reader_waiting() {
        for length in [0, 1, INLINE, INLINE + 1, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            assert_eq!(there_and_back(&Message { bytes: bytes.clone(), handles: vec![] }).bytes, bytes);
        }
    }

    #[test]
    fn more_descriptors_than_one_packet_takes() {
        let (read, _write) = pipe().unwrap();
        let handles: Vec<Handle> = (0..600).map(|_| Handle::new(read.try_clone().unwrap())).collect();
        let back = there_and_back(&Message { bytes: vec![1; INLINE + 1], handles });
        assert_eq!(back.handles.len(), 600);
    }

    #[test]
    fn an_end_is_told_from_a_malformed_parcel() {
        let (here, there) = packet_pair().unwrap();
        socket::send(here.as_fd(), &[b"short"], &[], Mode::Block).unwrap();
        assert!(matches!(receive_parcel(there.as_fd(), Mode::Block), Err(ParcelError::Malformed(_))));
        drop(here);
        assert!(matches!(receive_parcel(there.as_fd(), Mode::Block), Err(ParcelError::Closed)));
    }
}
