//! The calls on a byte stream that carry no descriptors. They allocate nothing, unlike those in `socket`, which
//! can.

use super::retried;
use super::socket::Mode;
use crate::error::OsResult;
use nix::sys::socket::{MsgFlags, Shutdown, recv, recvmsg, sendmsg, shutdown};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sends bytes; gives how many were taken. With [`Mode::Block`] it sleeps until some are.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], mode: Mode) -> OsResult<usize> {
    retried("send", || nix::sys::socket::send(socket.as_raw_fd(), bytes, mode.sending()))
}

/// Sends from the slices, in order, as one message; as [`send`] else, and a little slower.
pub fn send_slices(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>], mode: Mode) -> OsResult<usize> {
    retried("sendmsg", || sendmsg::<()>(socket.as_raw_fd(), slices, &[], mode.sending(), None))
}

/// Receives into the room: with [`Mode::Block`] all of it, but for an end or a signal. 0 bytes are the end of
/// the stream. Descriptors that come along are closed by the kernel.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, room: &mut [u8], mode: Mode) -> OsResult<usize> {
    retried("recv", || recv(socket.as_raw_fd(), room, receiving(mode)))
}

/// Receives like [`receive`], and returns whether descriptors came along: a little slower.
pub fn receive_noticing(socket: BorrowedFd<'_>, room: &mut [u8], mode: Mode) -> OsResult<(usize, bool)> {
    let mut slices = [IoSliceMut::new(room)];
    retried("recvmsg", || {
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, None, receiving(mode))?;
        Ok((message.bytes, message.flags.contains(MsgFlags::MSG_CTRUNC)))
    })
}

fn receiving(mode: Mode) -> MsgFlags {
    match mode {
        Mode::Block => MsgFlags::MSG_WAITALL,
        Mode::Now => MsgFlags::MSG_DONTWAIT,
    }
}

/// Says that no more bytes will come: the other side sees the end of the stream.
pub fn end_sending(socket: BorrowedFd<'_>) {
    // Fails only if the other side has ended, and then no process needs the message.
    let _ = shutdown(socket.as_raw_fd(), Shutdown::Write);
}
