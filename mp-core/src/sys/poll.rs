//! Waiting for descriptors: `poll(2)`, with the remaining time after each interruption.
//!
//! # Safety
//! The one invariant: a descriptor handed to `pidfd_open`'s result is fresh from the kernel.
#![allow(unsafe_code)]

use super::fd::above_standard;
use super::futex::on_time;
use crate::error::{OsError, OsResult};
use crate::word::Deadline;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, ppoll};
use nix::sys::time::TimeSpec;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// What to wait for on a descriptor. An end of the other side counts as ready for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Either.
    Both,
    /// Neither: only that the other side has gone.
    Hangup,
}

/// Descriptors to wait for, once or again and again.
#[derive(Debug)]
pub struct Polled<'a>(Vec<PollFd<'a>>);

impl<'a> Polled<'a> {
    /// These, each with what to wait for.
    pub fn new(fds: impl IntoIterator<Item = (BorrowedFd<'a>, Interest)>) -> Polled<'a> {
        Polled(fds.into_iter().map(|(fd, interest)| PollFd::new(fd, flags(interest))).collect())
    }

    /// Waits until at least one is ready; returns the indices of the ready ones in order, or none at the deadline.
    pub fn wait(&mut self, until: Option<Deadline>) -> OsResult<Vec<usize>> {
        let count = loop {
            let left = until.map(Deadline::remaining);
            match nix::poll::poll(&mut self.0, timeout(left)) {
                Ok(0) if left.is_none_or(|left| left > Duration::ZERO) => {}
                Ok(count) => break count as usize,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(OsError::new("poll", errno as i32)),
            }
        };
        let ready = |(at, fd): (usize, &PollFd<'_>)| fd.any().unwrap_or(true).then_some(at);
        Ok(self.0.iter().enumerate().filter_map(ready).take(count).collect())
    }
}

/// Waits until at least one is ready; returns the indices of the ready ones, or none at the deadline.
pub fn poll(fds: &[(BorrowedFd<'_>, Interest)], until: Option<Deadline>) -> OsResult<Vec<usize>> {
    Polled::new(fds.iter().copied()).wait(until)
}

/// Waits for one descriptor; `false` at the deadline.
pub fn wait_for(fd: BorrowedFd<'_>, interest: Interest, until: Option<Deadline>) -> OsResult<bool> {
    Ok(!poll(&[(fd, interest)], until)?.is_empty())
}

/// Sleeps until the descriptor is ready, for so many nanoseconds at most: as exactly as the system can. A signal ends
/// it, too.
pub fn nap(fd: BorrowedFd<'_>, interest: Interest, nanos: u32) {
    let mut fds = [PollFd::new(fd, flags(interest))];
    let most = TimeSpec::from_duration(Duration::from_nanos(nanos.into()));
    // An error is the same as a nap that was too short: the caller looks, and waits by a call that tells it.
    on_time(|| {
        let _ = ppoll(&mut fds, Some(most), None);
    });
}

fn flags(interest: Interest) -> PollFlags {
    match interest {
        Interest::Read => PollFlags::POLLIN,
        Interest::Write => PollFlags::POLLOUT,
        Interest::Both => PollFlags::POLLIN | PollFlags::POLLOUT,
        Interest::Hangup => PollFlags::empty(),
    }
}

/// Rounded up to a millisecond, so that a wait never ends before its time.
pub(super) fn timeout(left: Option<Duration>) -> PollTimeout {
    let Some(left) = left else { return PollTimeout::NONE };
    let millis = left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    PollTimeout::try_from(millis as i32).unwrap_or(PollTimeout::MAX)
}

/// A descriptor for a process: readable when it has ended, and never another process's.
pub fn pidfd_open(pid: u32) -> OsResult<OwnedFd> {
    pidfd(pid, 0)
}

/// The same for a thread, whichever of its process's threads it is. Before Linux 6.9: `EINVAL`.
pub(super) fn pidfd_open_thread(tid: u32) -> OsResult<OwnedFd> {
    pidfd(tid, libc::PIDFD_THREAD)
}

fn pidfd(pid: u32, flags: libc::c_uint) -> OsResult<OwnedFd> {
    // SAFETY: integer arguments only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, flags) };
    if fd < 0 {
        return Err(OsError::last("pidfd_open"));
    }
    // SAFETY: new from the kernel, so no other code owns it; it is closed by exec, as pidfds always are.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

/// A namespace of the process behind a pidfd, by the number of its `ioctl`. From Linux 6.11 on.
pub(super) fn pidfd_namespace(pidfd: BorrowedFd<'_>, number: libc::c_ulong) -> OsResult<OwnedFd> {
    use std::os::fd::AsRawFd;
    /// `PIDFS_IOCTL_MAGIC`, as `_IO` shifts it.
    const PIDFS: libc::c_ulong = 0xFF << 8;
    // SAFETY: such a call takes no argument and changes no memory.
    let fd = unsafe { libc::ioctl(pidfd.as_raw_fd(), (PIDFS | number) as libc::Ioctl, 0) };
    if fd < 0 {
        return Err(OsError::last("ioctl(PIDFD_GET_NAMESPACE)"));
    }
    // SAFETY: as in `pidfd`.
    above_standard(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The process id behind a pidfd; nothing when that process has been reaped.
pub fn pidfd_pid(pidfd: BorrowedFd<'_>) -> Option<u32> {
    use std::os::fd::AsRawFd;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid: u32 = text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    // 0: it is in none of the process-id namespaces that are seen from here.
    (pid != 0).then_some(pid)
}
