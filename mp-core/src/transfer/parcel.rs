//! A message, or two in one, as packets: short ones inline, long ones in a memfd, any number of descriptors.
//!
//! ```text
//!  packet 1:  [ where: u8 | bytes, handles of the first | bytes, handles of the second | inline bytes … ]
//!                                                                         + up to 250 descriptors
//!  packet n:  [ 0 ]                                                       + up to 250 more
//! ```
//!
//! Two messages, since what is passed on (arguments, a result) has been packed by code that does not know what
//! is said about it (a job, an outcome); in one packet, since each costs both sides a system call.
//!
//! A long message goes by memfd, so that sending never waits for the receiver: a child can leave a result of
//! any size and exit.

use super::handle::Handle;
use super::message::Message;
use super::scratch;
use crate::error::{MemError, OsError};
use crate::sys::memory::{
    PAGE, available_memory, file_identity, is_sealed, reserve, sealed_file, taken_bytes, whole_pages,
};
use crate::sys::socket::{self, Mode, Received};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that still travel inside the packet.
const INLINE: usize = 32 << 10;
/// Descriptors per packet; the kernel takes 253.
const FDS: usize = 250;
/// Where the bytes are; then bytes (u64) and handles (u32) of each of the two messages, little-endian.
const HEAD: usize = 1 + 2 * (8 + 4);

const IN_PACKET: u8 = 0;
const IN_MEMORY: u8 = 1;

/// Why a parcel could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParcelError {
    /// Every process has closed the other end.
    #[error("the other end is closed: the process there has ended")]
    Closed,
    /// The bytes that arrived are not a message of this library.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// A message longer than [`set_longest_message`] lets this process receive. It is discarded.
    #[error(
        "a message of {bytes} bytes is longer than the {most} that this process receives: allow more with \
         set_longest_message"
    )]
    TooLong {
        /// The message's length.
        bytes: u64,
        /// The longest that is received.
        most: u64,
    },
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

/// One of the two messages of a parcel, wherever its bytes are.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// As in [`Message::bytes`].
    pub bytes: &'a [u8],
    /// As in [`Message::handles`].
    pub handles: &'a [Handle],
}

impl Part<'_> {
    /// No message.
    pub const EMPTY: Part<'static> = Part { bytes: &[], handles: &[] };
}

impl<'a> From<&'a Message> for Part<'a> {
    fn from(message: &'a Message) -> Part<'a> {
        Part { bytes: &message.bytes, handles: &message.handles }
    }
}

/// Sends a message over a packet socket.
pub fn send_parcel(socket: BorrowedFd<'_>, message: &Message) -> Result<(), ParcelError> {
    send_parts(socket, message.into(), Part::EMPTY)
}

/// Sends two messages in one parcel, for [`receive_parts`]. A short one without handles allocates nothing.
#[inline]
pub fn send_parts(socket: BorrowedFd<'_>, first: Part<'_>, second: Part<'_>) -> Result<(), ParcelError> {
    let long = first.bytes.len() + second.bytes.len() > INLINE;
    let memory = if long { Some(in_memory([first.bytes, second.bytes])?) } else { None };
    let mut head = [if long { IN_MEMORY } else { IN_PACKET }; HEAD];
    for (place, part) in head[1..].chunks_exact_mut(12).zip([first, second]) {
        place[..8].copy_from_slice(&(part.bytes.len() as u64).to_le_bytes());
        place[8..].copy_from_slice(&(part.handles.len() as u32).to_le_bytes());
    }
    let inline = if long { [&[][..]; 2] } else { [first.bytes, second.bytes] };
    let handles = first.handles.iter().chain(second.handles).map(Handle::as_fd);
    let fds: Vec<BorrowedFd<'_>> = memory.iter().map(OwnedFd::as_fd).chain(handles).collect();
    let mut packets = fds.chunks(FDS);
    socket::send(socket, &[&head, inline[0], inline[1]], packets.next().unwrap_or(&[]), Mode::Block)?;
    for fds in packets {
        socket::send(socket, &[&[0]], fds, Mode::Block)?;
    }
    Ok(())
}

fn in_memory(parts: [&[u8]; 2]) -> Result<OwnedFd, MemError> {
    let size = whole_pages(parts[0].len() + parts[1].len());
    let file = sealed_file("mp-message", size)?;
    reserve(file.as_fd(), 0, size)?;
    let file = File::from(file);
    for (bytes, at) in parts.into_iter().zip([0, parts[0].len()]) {
        file.write_all_at(bytes, at as u64).map_err(|source| OsError { call: "pwrite", source })?;
    }
    Ok(file.into())
}

/// Receives the next message. With [`Mode::Now`], `EAGAIN` if there is none yet.
pub fn receive_parcel(socket: BorrowedFd<'_>, mode: Mode) -> Result<Message, ParcelError> {
    match receive_parts(socket, mode)? {
        (message, second) if second.bytes.is_empty() && second.handles.is_empty() => Ok(message),
        _ => Err(ParcelError::Malformed("two messages where one is expected")),
    }
}

/// Receives the next two messages, sent by [`send_parts`].
pub fn receive_parts(socket: BorrowedFd<'_>, mode: Mode) -> Result<(Message, Message), ParcelError> {
    receive_both(socket, mode, Without::Lost)
}

/// As [`receive_parts`] with [`Mode::Now`]; messages whose descriptors cannot be taken now, since this process may have
/// no more, stay where they are. The error is `EMFILE` then.
pub fn receive_parts_or_leave(socket: BorrowedFd<'_>) -> Result<(Message, Message), ParcelError> {
    receive_both(socket, Mode::Now, Without::Left)
}

/// What becomes of a parcel without descriptors to take its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Lost,
    Left,
}

fn receive_both(
    socket: BorrowedFd<'_>,
    mode: Mode,
    without: Without,
) -> Result<(Message, Message), ParcelError> {
    let mut buffer = scratch::decoding();
    if buffer.len() < HEAD + INLINE {
        buffer.resize(HEAD + INLINE, 0);
    }
    let received = receive_into(socket, &mut buffer[..HEAD + INLINE], mode, without);
    scratch::keep_decoding(buffer);
    received
}

fn receive_into(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    mode: Mode,
    without: Without,
) -> Result<(Message, Message), ParcelError> {
    let arrived = match without {
        Without::Lost => packet(socket::receive(socket, buffer, mode)?)?,
        Without::Left => packet(take_or_leave(socket, buffer)?)?,
    };
    if arrived.bytes < HEAD {
        return Err(ParcelError::Malformed("shorter than its head"));
    }
    let long = buffer[0] == IN_MEMORY;
    let [first, second] = lengths(&buffer[..HEAD]);
    let bytes = first.0.checked_add(second.0).ok_or(ParcelError::Malformed("an impossible length"))?;
    let wanted = first.1.saturating_add(second.1).saturating_add(usize::from(long));
    let mut fds = arrived.fds;
    while fds.len() < wanted {
        let more = packet(socket::receive(socket, &mut [0], mode)?)?;
        if more.fds.is_empty() {
            return Err(ParcelError::Malformed("descriptors are missing"));
        }
        fds.extend(more.fds);
    }
    if fds.len() > wanted {
        return Err(ParcelError::Malformed("more descriptors than announced"));
    }
    let (first_bytes, second_bytes) = if long {
        from_memory(fds.remove(0), first.0, bytes)?
    } else {
        let inline = &buffer[HEAD..arrived.bytes];
        if inline.len() != bytes {
            return Err(ParcelError::Malformed("its length is not the one announced"));
        }
        let (first, second) = inline.split_at(first.0);
        (first.to_vec(), second.to_vec())
    };
    let second_handles = fds.split_off(first.1).into_iter().map(Handle::new).collect();
    let first_handles = fds.into_iter().map(Handle::new).collect();
    Ok((
        Message { bytes: first_bytes, handles: first_handles },
        Message { bytes: second_bytes, handles: second_handles },
    ))
}

/// Bytes and handles of each of the two messages, from a packet's head.
fn lengths(head: &[u8]) -> [(usize, usize); 2] {
    [1, 1 + 12].map(|at| {
        let bytes = u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let handles = u32::from_le_bytes(head[at + 8..at + 12].try_into().expect("four bytes"));
        (bytes as usize, handles as usize)
    })
}

/// Takes the first packet of a parcel, if all its descriptors can be taken: it is looked at first.
fn take_or_leave(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Received, ParcelError> {
    let arrived = socket::peek(socket, buffer, Mode::Now)?;
    if arrived.lost_fds {
        return Err(socket::no_descriptor_left().into());
    }
    if arrived.bytes >= HEAD {
        let [first, second] = lengths(&buffer[..HEAD]);
        let wanted = first.1.saturating_add(second.1);
        // Those of the packets that follow: so many numbers are free.
        drop(spare_descriptors(socket, wanted.saturating_sub(arrived.fds.len()))?);
    }
    socket::discard(socket, Mode::Now)?;
    Ok(arrived)
}

/// So many descriptors more than there are; an error if this process may not have them.
fn spare_descriptors(any: BorrowedFd<'_>, count: usize) -> Result<Vec<OwnedFd>, ParcelError> {
    let copy = |_| any.try_clone_to_owned();
    let spare: std::io::Result<Vec<OwnedFd>> = (0..count).map(copy).collect();
    spare.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source }.into())
}

fn packet(received: Received) -> Result<Received, ParcelError> {
    match received {
        Received { lost_fds: true, .. } => Err(socket::no_descriptor_left().into()),
        Received { cut: true, .. } => Err(ParcelError::Malformed("it was cut off")),
        Received { bytes: 0, .. } => Err(ParcelError::Closed),
        whole => Ok(whole),
    }
}

static LONGEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// Sets how many bytes a message from a relative may have: the arguments or the result of a process, a call to a
/// manager and its answer. One that is longer is [`ParcelError::TooLong`]. By default there is no limit but the memory
/// that is left: a sender can announce no more than it has taken for itself.
///
/// For this process; a forked child has its parent's. Messages over connections have a limit of their own
/// (`Connection::with_limit`), and those in a queue its ceiling.
///
/// Python has no such limit.
pub fn set_longest_message(bytes: u64) {
    // ORDERING: Relaxed: a number by itself.
    LONGEST.store(bytes, Ordering::Relaxed);
}

/// Reads both messages, the first of `first` bytes. Nothing that the sender says is believed before it is compared with
/// what the sender has really taken, with the limit, and with what is left: a sparse file costs its maker nothing.
fn from_memory(file: OwnedFd, first: usize, bytes: usize) -> Result<(Vec<u8>, Vec<u8>), ParcelError> {
    let (_, _, size) = file_identity(file.as_fd())?;
    let long = bytes as u64;
    if !is_sealed(file.as_fd()) || long > size || size - long > PAGE as u64 {
        return Err(ParcelError::Malformed("its memory is not of the announced size"));
    }
    if long > taken_bytes(file.as_fd())? {
        return Err(ParcelError::Malformed("its memory was not reserved"));
    }
    // ORDERING: Relaxed, as in `set_longest_message`.
    let most = LONGEST.load(Ordering::Relaxed);
    if long > most {
        return Err(ParcelError::TooLong { bytes: long, most });
    }
    let available = available_memory();
    let no_memory = || MemError::NoMemory { asked: long, available };
    if long > available {
        return Err(no_memory().into());
    }
    let mut file = File::from(file);
    // Its position is the sender's too, which may have left it anywhere.
    file.rewind().map_err(|source| OsError { call: "lseek", source })?;
    let mut read = |bytes: usize| -> Result<Vec<u8>, ParcelError> {
        let mut content = Vec::new();
        content.try_reserve_exact(bytes).map_err(|_| no_memory())?;
        let read = (&mut file).take(bytes as u64).read_to_end(&mut content);
        match read.map_err(|source| OsError { call: "read", source })? {
            read if read == bytes => Ok(content),
            _ => Err(ParcelError::Malformed("its memory ends too early")),
        }
    };
    Ok((read(first)?, read(bytes - first)?))
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

    /// Sends the head of a long message of `bytes` bytes, with a file of that size of which so many are reserved.
    fn announce(socket: BorrowedFd<'_>, bytes: usize, reserved: usize) {
        let file = sealed_file("test", whole_pages(bytes)).unwrap();
        if reserved > 0 {
            reserve(file.as_fd(), 0, reserved).unwrap();
        }
        let mut head = [0; HEAD];
        head[0] = IN_MEMORY;
        head[1..9].copy_from_slice(&1_u64.to_le_bytes());
        head[13..21].copy_from_slice(&(bytes as u64 - 1).to_le_bytes());
        socket::send(socket, &[&head], &[file.as_fd()], Mode::Block).unwrap();
    }

    #[test]
    fn a_length_that_cost_its_sender_nothing_is_refused() {
        let (here, there) = packet_pair().unwrap();
        for (bytes, reserved) in [(1 << 40, 0), (1 << 40, 1 << 20), (1 << 20, 0), (1 << 20, (1 << 20) - PAGE)]
        {
            announce(here.as_fd(), bytes, reserved);
            let received = receive_parts(there.as_fd(), Mode::Block);
            assert!(
                matches!(received, Err(ParcelError::Malformed("its memory was not reserved"))),
                "{received:?}"
            );
        }
        announce(here.as_fd(), 1 << 20, 1 << 20);
        let (first, second) = receive_parts(there.as_fd(), Mode::Block).unwrap();
        assert_eq!((first.bytes.len(), second.bytes.len()), (1, (1 << 20) - 1));
    }

    #[test]
    fn lengths_that_overflow_are_refused() {
        let (here, there) = packet_pair().unwrap();
        for (first, second) in [(u64::MAX, 1), (u64::MAX, 0), (u64::MAX - 4095, 0), (1 << 63, 1 << 63)] {
            let file = sealed_file("test", PAGE).unwrap();
            let mut head = [0; HEAD];
            head[0] = IN_MEMORY;
            head[1..9].copy_from_slice(&u64::to_le_bytes(first));
            head[13..21].copy_from_slice(&u64::to_le_bytes(second));
            socket::send(here.as_fd(), &[&head], &[file.as_fd()], Mode::Block).unwrap();
            assert!(matches!(receive_parts(there.as_fd(), Mode::Block), Err(ParcelError::Malformed(_))));
        }
    }

    #[test]
    fn where_the_sender_left_the_position_does_not_matter() {
        let (here, there) = packet_pair().unwrap();
        let long = vec![7; 100_000];
        let file = in_memory([&long, &[]]).unwrap();
        let mut file = File::from(file);
        file.seek(std::io::SeekFrom::End(0)).unwrap();
        let mut head = [0; HEAD];
        head[0] = IN_MEMORY;
        head[1..9].copy_from_slice(&(long.len() as u64).to_le_bytes());
        socket::send(here.as_fd(), &[&head], &[file.as_fd()], Mode::Block).unwrap();
        assert_eq!(receive_parcel(there.as_fd(), Mode::Block).unwrap().bytes, long);
    }

    #[test]
    fn two_messages_arrive_as_two() {
        let (here, there) = packet_pair().unwrap();
        let (read, write) = pipe().unwrap();
        for length in [3, INLINE, 1 << 20] {
            let first =
                Message { bytes: vec![1; length], handles: vec![Handle::new(read.try_clone().unwrap())] };
            let handles = [&read, &write].map(|fd| Handle::new(fd.try_clone().unwrap())).into();
            let second = Message { bytes: vec![2; 2 * length], handles };
            send_parts(here.as_fd(), (&first).into(), (&second).into()).unwrap();
            let back = receive_parts(there.as_fd(), Mode::Block).unwrap();
            assert_eq!((&back.0.bytes, back.0.handles.len()), (&first.bytes, 1));
            assert_eq!((&back.1.bytes, back.1.handles.len()), (&second.bytes, 2));
            send_parts(here.as_fd(), (&first).into(), (&second).into()).unwrap();
            assert!(matches!(receive_parcel(there.as_fd(), Mode::Block), Err(ParcelError::Malformed(_))));
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
