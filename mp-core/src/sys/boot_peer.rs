//! The peer of the boot socket that the environment names: the variable may hold anything.
//!
//! # Safety
//! The one invariant: the descriptor is only queried, never closed: it may belong to other code.
#![allow(unsafe_code)]

use super::named;
use super::poll::{Interest, pidfd_open, wait_for};
use crate::error::{OsError, OsResult};
use crate::word::Deadline;
use nix::errno::Errno;
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

/// The process that made the socket pair of an inherited descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootPeer {
    /// This process's parent, of the same user.
    Parent,
    /// A process of this user that has ended: its children have another parent now.
    Gone,
    /// Another process, or the descriptor is not a local packet socket.
    Stranger,
}

/// Checks a descriptor by its number, which need not be open. An error means that the system did not answer: a filter
/// on system calls may refuse even those that never fail.
pub fn boot_peer(number: RawFd) -> OsResult<BootPeer> {
    if number < 0 {
        return Ok(BootPeer::Stranger);
    }
    // SAFETY: F_GETFD on any number is harmless.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        let error = OsError::last("fcntl(F_GETFD)");
        return if error.errno() == Some(libc::EBADF) { Ok(BootPeer::Stranger) } else { Err(error) };
    }
    // SAFETY: open, as was just seen; nothing else runs in a process that asks this.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    match getsockopt(&fd, sockopt::SockType) {
        Ok(SockType::SeqPacket) => {}
        // No socket, one of a kind that has no name here, or a mere path.
        Ok(_) | Err(Errno::ENOTSOCK | Errno::EINVAL | Errno::EBADF) => return Ok(BootPeer::Stranger),
        Err(errno) => return Err(OsError::new("getsockopt(SO_TYPE)", errno as i32)),
    }
    // Of a socket that is not a local one, the kernel gives a user that there is not.
    let peer = named("getsockopt(SO_PEERCRED)", getsockopt(&fd, sockopt::PeerCredentials))?;
    // Read before anything else about it: a parent that ends later is still known by its number.
    let parent = answered("getppid", std::os::unix::process::parent_id())?;
    let user = super::address::this_user();
    if peer.uid() != user {
        return answered("geteuid", user).map(|_| BootPeer::Stranger);
    }
    if peer.pid() as u32 == parent {
        return Ok(BootPeer::Parent);
    }
    let at_once = Deadline::after(Duration::ZERO);
    let closed = wait_for(fd.as_fd(), Interest::Hangup, at_once)?;
    let ended = match pidfd_open(peer.pid() as u32) {
        Ok(pidfd) => wait_for(pidfd.as_fd(), Interest::Read, at_once)?,
        Err(error) => error.errno() == Some(libc::ESRCH),
    };
    Ok(if closed || ended { BootPeer::Gone } else { BootPeer::Stranger })
}

/// A number of a process or a user. The C library takes it that such a call never fails, and passes on what the kernel
/// returns: a negative error number where it was refused.
fn answered(call: &'static str, number: u32) -> OsResult<u32> {
    match (number as i32).wrapping_neg() {
        errno @ 1..4096 => Err(OsError::new(call, errno)),
        _ => Ok(number),
    }
}
