//! Local sockets and the descriptors that travel over them (`SCM_RIGHTS`).
//!
//! # Safety
//! The one invariant: each number in a received control message is a fresh descriptor of this process and
//! becomes one `OwnedFd`.
#![allow(unsafe_code)]

use super::address::{this_user, user_at_the_other_end};
use super::fd::above_standard;
use super::{named, retried};
use crate::error::{OsError, OsResult};
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg,
    setsockopt, socketpair, sockopt,
};
use std::io::IoSlice;
use std::mem::MaybeUninit;
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
    let (one, other) =
        named("socketpair", socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC))?;
    Ok((above_standard(one)?, above_standard(other)?))
}

/// Has the kernel keep as much of what this socket sends as any process may ask for: twice `net.core.wmem_max`.
pub fn widen(socket: BorrowedFd<'_>) -> OsResult<()> {
    // What is too much is cut down to that, and doubled, for the kernel's own bookkeeping.
    named("setsockopt(SO_SNDBUF)", setsockopt(&socket, sockopt::SndBuf, &(1 << 30)))
}

/// How many may have connected and not been accepted yet.
const QUEUE: i32 = 128;

/// A packet socket that others find by an abstract name: one that no file has, and that is free again as soon as
/// no process has the socket open. `EADDRINUSE` if the name is taken. It never sleeps.
pub fn listen_abstract(name: &str) -> OsResult<OwnedFd> {
    listen_abstract_for(name, QUEUE)
}

/// Listens like [`listen_abstract`], with this many connections that were not accepted yet.
pub fn listen_abstract_for(name: &str, queue: i32) -> OsResult<OwnedFd> {
    let (socket, address) = abstract_socket(name)?;
    named("bind", socket::bind(socket.as_raw_fd(), &address))?;
    let queue = named("listen", Backlog::new(queue))?;
    named("listen", socket::listen(&socket, queue))?;
    Ok(socket)
}

/// Connects to the packet socket that has an abstract name. It never sleeps: `EAGAIN` if too many wait there.
pub fn connect_abstract(name: &str) -> OsResult<OwnedFd> {
    let (socket, address) = abstract_socket(name)?;
    named("connect", socket::connect(socket.as_raw_fd(), &address))?;
    Ok(socket)
}

fn abstract_socket(name: &str) -> OsResult<(OwnedFd, UnixAddr)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = named("socket", socket::socket(AddressFamily::Unix, SockType::SeqPacket, flags, None))?;
    Ok((above_standard(socket)?, named("bind", UnixAddr::new_abstract(name.as_bytes()))?))
}

/// The next connection to a listening socket; `EAGAIN` if there is none.
pub fn accept(listener: BorrowedFd<'_>) -> OsResult<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let number = retried("accept4", || socket::accept4(listener.as_raw_fd(), flags))?;
    // SAFETY: new from the kernel, so no other code owns it.
    above_standard(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether the process that connected, or that listened, acts for the same user as this one.
pub fn peer_is_ours(socket: BorrowedFd<'_>) -> OsResult<bool> {
    Ok(user_at_the_other_end(socket)? == this_user())
}

/// `SO_PEERPIDFD`, since Linux 6.5.
const PEER_PIDFD: libc::c_int = 77;

/// A pidfd of the process that connected, as the kernel noted it then; `None` before Linux 6.5, and if it has been
/// reaped.
pub fn peer_pidfd(socket: BorrowedFd<'_>) -> Option<OwnedFd> {
    let (mut number, mut size): (RawFd, libc::socklen_t) = (-1, size_of::<RawFd>() as _);
    let (socket, level) = (socket.as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: the kernel writes one number, whose size it is told.
    let done =
        unsafe { libc::getsockopt(socket, level, PEER_PIDFD, (&raw mut number).cast(), &raw mut size) };
    if done != 0 || number < 0 {
        return None;
    }
    // SAFETY: new from the kernel, so no other code owns it; pidfds are closed by exec.
    above_standard(unsafe { OwnedFd::from_raw_fd(number) }).ok()
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
    /// For a send: no SIGPIPE when the other side has ended.
    pub(super) fn sending(self) -> MsgFlags {
        self.flags() | MsgFlags::MSG_NOSIGNAL
    }

    fn flags(self) -> MsgFlags {
        match self {
            Mode::Block => MsgFlags::empty(),
            Mode::Now => MsgFlags::MSG_DONTWAIT,
        }
    }
}

/// Sends bytes, in pieces one after the other, with descriptors attached to the first. Gives the count of bytes
/// taken: all of them on a packet socket. A peer that is gone is `EPIPE`, never a signal. Without descriptors it
/// allocates nothing.
#[inline]
pub fn send<const N: usize>(
    socket: BorrowedFd<'_>,
    pieces: &[&[u8]; N],
    fds: &[BorrowedFd<'_>],
    mode: Mode,
) -> OsResult<usize> {
    let slices = pieces.map(IoSlice::new);
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let flags = mode.sending();
    retried("sendmsg", || sendmsg::<()>(socket.as_raw_fd(), &slices, control, flags, None))
}

/// Sends no more: the other side reads an end behind what it was sent, and may still send.
pub fn end_sending(socket: BorrowedFd<'_>) -> OsResult<()> {
    named("shutdown", socket::shutdown(socket.as_raw_fd(), socket::Shutdown::Write))
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
    /// Descriptors are among what is lost: this process may have no more.
    pub lost_fds: bool,
}

/// Receives into `buffer`, with any descriptors that come along.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<Received> {
    receive_flagged(socket, buffer, mode.flags())
}

/// Receives like [`receive`], and leaves the packet on the socket: the descriptors are copies.
pub fn peek(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<Received> {
    receive_flagged(socket, buffer, mode.flags() | MsgFlags::MSG_PEEK)
}

/// The bytes of the first packet, which is left where it is, and of its descriptors nothing. Gives their count; 0
/// is an empty packet too.
pub fn peek_bytes(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<usize> {
    let flags = mode.flags() | MsgFlags::MSG_PEEK;
    retried("recv", || socket::recv(socket.as_raw_fd(), buffer, flags))
}

/// The bytes of the first packet; descriptors that came along are closed. Gives their count; 0 is the end of the
/// stream too.
pub fn take(socket: BorrowedFd<'_>, buffer: &mut [u8], mode: Mode) -> OsResult<usize> {
    retried("recv", || socket::recv(socket.as_raw_fd(), buffer, mode.flags()))
}

/// Takes the first packet away. Its descriptors are closed, without a moment in which this process has them.
pub fn discard(socket: BorrowedFd<'_>, mode: Mode) -> OsResult<()> {
    retried("recv", || socket::recv(socket.as_raw_fd(), &mut [0; 1], mode.flags())).map(|_| ())
}

/// Room for one control message with the most descriptors, aligned for its header.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL]);

// SAFETY: arithmetic only.
const CONTROL: usize = unsafe { libc::CMSG_SPACE((MOST_FDS * size_of::<RawFd>()) as u32) } as usize;

fn receive_flagged(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: MsgFlags) -> OsResult<Received> {
    // Not zeroed: the kernel says how much of it is written.
    let mut control = Control([MaybeUninit::uninit(); CONTROL]);
    let mut slice = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeros is a message header that points nowhere.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut slice;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = CONTROL as _;
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let bytes = retried("recvmsg", || {
        // SAFETY: the header points at the caller's buffer and at `control`, with their lengths.
        Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags.bits()) })
    })?;
    let cut = message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
    // Most messages bring none.
    let fds = if message.msg_controllen == 0 {
        Vec::new()
    } else {
        descriptors(&message).into_iter().map(above_standard).collect::<OsResult<_>>()?
    };
    let lost_fds = message.msg_flags & libc::MSG_CTRUNC != 0;
    Ok(Received { bytes: bytes as usize, fds, cut, lost_fds })
}

/// The descriptors that came, also when others could not be taken: nix gives none of them then, and they would
/// stay open.
#[allow(clippy::unnecessary_cast, reason = "lengths are 32 bits wide in musl's headers")]
fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut fds = Vec::new();
    // SAFETY: the kernel has filled in the control buffer and its length.
    let mut part = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: null, or a header in the control buffer.
    while let Some(header) = unsafe { part.as_ref() } {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: arithmetic only.
            let before = unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: the content follows its header.
            let numbers = unsafe { libc::CMSG_DATA(part) }.cast::<RawFd>();
            for at in 0..(header.cmsg_len as usize - before) / size_of::<RawFd>() {
                // SAFETY: within the content, whose length the kernel gave.
                let number = unsafe { numbers.add(at) };
                // SAFETY: as above.
                let number = unsafe { number.read_unaligned() };
                // SAFETY: new from the kernel, so no other code owns it.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: a header in the control buffer, as the kernel has filled it in.
        part = unsafe { libc::CMSG_NXTHDR(message, part) };
    }
    fds
}

/// What [`Received::lost_fds`] means, as an error.
pub fn no_descriptor_left() -> OsError {
    OsError::new("recvmsg", libc::EMFILE)
}

/// Whether an error says that there is no descriptor left, in this process or in the system.
pub fn is_want_of_descriptors(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether an error says that a call would have had to sleep.
pub fn would_block(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EAGAIN))
}

/// Whether an error says that the other side is gone.
pub fn is_gone(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EPIPE | libc::ECONNRESET))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn name(of: &str) -> String {
        format!("mp-core-test-{}-{of}", std::process::id())
    }

    #[test]
    fn an_abstract_name_is_one_listeners_and_free_after_it() {
        let name = name("one");
        assert_eq!(connect_abstract(&name).unwrap_err().errno(), Some(libc::ECONNREFUSED));
        let listener = listen_abstract(&name).unwrap();
        assert_eq!(listen_abstract(&name).unwrap_err().errno(), Some(libc::EADDRINUSE));
        drop(listener);
        listen_abstract(&name).unwrap();
    }

    #[test]
    fn packets_go_both_ways_and_both_are_ours() {
        let name = name("ways");
        let listener = listen_abstract(&name).unwrap();
        assert!(would_block(&accept(listener.as_fd()).unwrap_err()));
        let caller = connect_abstract(&name).unwrap();
        send(caller.as_fd(), &[b"there"], &[], Mode::Now).unwrap();
        let called = accept(listener.as_fd()).unwrap();
        let mut bytes = [0; 9];
        assert_eq!(receive(called.as_fd(), &mut bytes, Mode::Now).unwrap().bytes, 5);
        send(called.as_fd(), &[b"back"], &[], Mode::Now).unwrap();
        assert_eq!(receive(caller.as_fd(), &mut bytes, Mode::Now).unwrap().bytes, 4);
        assert_eq!(&bytes, b"backe\0\0\0\0");
        assert!(peer_is_ours(caller.as_fd()).unwrap() && peer_is_ours(called.as_fd()).unwrap());
    }

    #[test]
    fn a_full_queue_of_callers_keeps_no_process() {
        let name = name("full");
        let _listener = listen_abstract(&name).unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            match connect_abstract(&name) {
                Ok(caller) => waiting.push(caller),
                Err(error) => break error,
            }
        };
        assert!(would_block(&refused), "{refused}, after {}", waiting.len());
    }

    #[test]
    fn a_packet_is_looked_at_and_discarded_without_its_descriptors() {
        use super::super::poll::{Interest, wait_for};
        use crate::word::Deadline;
        let (one, other) = packet_pair().unwrap();
        let (read, write) = super::super::fd::pipe().unwrap();
        for packet in [b"first", b"other"] {
            send(one.as_fd(), &[packet], &[write.as_fd()], Mode::Now).unwrap();
        }
        drop(write);
        let has_ended =
            || wait_for(read.as_fd(), Interest::Hangup, Deadline::after(std::time::Duration::ZERO));
        for packet in [b"first", b"other"] {
            let mut bytes = [0; 9];
            assert_eq!(peek_bytes(other.as_fd(), &mut bytes, Mode::Now).unwrap(), 5);
            assert_eq!(&bytes[..5], packet);
            assert!(!has_ended().unwrap());
            discard(other.as_fd(), Mode::Now).unwrap();
        }
        assert!(has_ended().unwrap());
        assert!(would_block(&peek_bytes(other.as_fd(), &mut [0], Mode::Now).unwrap_err()));
        assert!(would_block(&discard(other.as_fd(), Mode::Now).unwrap_err()));
    }

    #[test]
    fn a_waiter_sees_that_the_other_process_ends() {
        let name = name("goes");
        let listener = listen_abstract(&name).unwrap();
        let caller = connect_abstract(&name).unwrap();
        drop(listener);
        let heard = receive(caller.as_fd(), &mut [0], Mode::Block);
        assert!(heard.as_ref().map_or_else(is_gone, |received| received.bytes == 0), "{heard:?}");
    }
}
