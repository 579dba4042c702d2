//! The calls on a byte stream that carry no descriptors. They allocate nothing, unlike those in `socket`, which
//! can.
//!
//! # Safety
//! The one invariant: a vector is only made longer by bytes of its spare room that the kernel says it has written.
#![allow(unsafe_code)]

use super::retried;
use super::socket::Mode;
use crate::error::OsResult;
use nix::errno::Errno;
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

/// Receives like [`receive`], and appends to the vector, at most so many bytes. The room for them is not zeroed first.
#[inline]
pub fn receive_onto(socket: BorrowedFd<'_>, onto: &mut Vec<u8>, most: usize, mode: Mode) -> OsResult<usize> {
    onto.reserve(most);
    let (room, flags) = (onto.spare_capacity_mut(), receiving(mode).bits());
    let room = &mut room[..most];
    let count = retried("recv", || {
        // SAFETY: the kernel writes at most so many bytes there, which were reserved.
        Errno::result(unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) })
    })? as usize;
    // SAFETY: the kernel has written as many bytes of the spare room, from its beginning.
    unsafe { onto.set_len(onto.len() + count) };
    Ok(count)
}

/// Receives like [`receive_onto`], and returns whether descriptors came along: a little slower.
pub fn receive_onto_noticing(
    socket: BorrowedFd<'_>,
    onto: &mut Vec<u8>,
    most: usize,
    mode: Mode,
) -> OsResult<(usize, bool)> {
    let before = onto.len();
    onto.resize(before + most, 0);
    let mut slices = [IoSliceMut::new(&mut onto[before..])];
    let received = retried("recvmsg", || {
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, None, receiving(mode))?;
        Ok((message.bytes, message.flags.contains(MsgFlags::MSG_CTRUNC)))
    });
    onto.truncate(before + received.as_ref().map_or(0, |(count, _)| *count));
    received
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
