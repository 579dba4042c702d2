//! Local sockets and the descriptors that travel over them (`SCM_RIGHTS`).
//!
//! # Safety
//! The one invariant: each number in a received control message is a fresh descriptor of this process and
//! becomes one `OwnedFd`.
#![allow(unsafe_code)]

use super::{named, retried};
use crate::error::{OsError, OsResult};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Descriptors that one message can carry: the kernel's `SCM_MAX_FD`.
pub const MOST_FDS: usize = 253;

/// A pair of connected sockets that keep message boundaries.
pub fn packet_pair() -> OsResult<(OwnedFd, OwnedFd)> {
    pair(SockType::SeqPacket)
}

/// A pair of connected byte-stream sockets.
pub fn stream_pair() -> OsResult<(OwnedFd, OwnedFd)> {
    pair(SockType::Stream)
}

fn pair(kind: SockType) -> OsResult<(OwnedFd, OwnedFd)> {
    named("socketpair", socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC))
}

/// Whether a call may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sleeps until it is done.
    Block,
    /// Fails with `EAGAIN` instead.
    Now,
}

impl Mode {
    fn flags(self) -> MsgFlags {
        match self {
            Mode::Block => MsgFlags::empty(),
            Mode::Now => MsgFlags::MSG_DONTWAIT,
        }
    }
}

/// Sends bytes, in pieces one after the other, with descriptors attached to the first. Gives the count of bytes
/// taken: all of them on a packet socket. A peer that is gone is `EPIPE`, never a signal.
pub fn send(socket: BorrowedFd<'_>, pieces: &[&[u8]], fds: &[BorrowedFd<'_>], mode: Mode) -> OsResult<usize> {
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let flags = mode.flags() | MsgFlags::MSG_NOSIGNAL;
    retried("sendmsg", || sendmsg::<()>(socket.as_raw_fd(), &slices, control, flags, None))
}

/// What one receive brought.
#[derive(Debug)]
pub struct Received {
    /// Bytes written to the buffer; 0 is the end of the stream (or an empty packet).
    pub bytes: usize,
    /// Descriptors that came along, closed by exec.
    pub fds: Vec<OwnedFd>,
    /// The packet was longer than the buffer, or brought more descriptors than could be taken: the rest is lost.
    pub cut: bool,
}

/// Receives into `buffer`, with any descriptors that come along.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<Received> {
    receive_flagged(socket, buffer, mode.flags())
}

/// As [`receive`], and leaves the packet where it is: the descriptors are copies.
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<Received> {
    receive_flagged(socket, buffer, mode.flags() | MsgFlags::MSG_PEEK)
}

fn receive_flagged(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> OsResult<Received> {
    let mut control = nix::cmsg_space!([RawFd; MOST_FDS]);
    let mut slices = [IoSliceMut::new(buffer)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = retried("recvmsg", || {
        recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut control), flags).map(|message| {
            let mut fds = Vec::new();
            for part in message.cmsgs().into_iter().flatten() {
                if let ControlMessageOwned::ScmRights(numbers) = part {
                    // SAFETY: fresh from the kernel, so each is nobody else's.
                    fds.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
                }
            }
            let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
            Received { bytes: message.bytes, fds, cut }
        })
    })?;
    Ok(message)
}

/// Whether an error says that a call would have had to sleep.
pub fn would_block(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EAGAIN))
}

/// Whether an error says that the other side is gone.
pub fn is_gone(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EPIPE | libc::ECONNRESET))
}
