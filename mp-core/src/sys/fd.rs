//! Descriptors: copies, pipes, closing by range, and the lifeline's signal.
//!
//! # Safety
//! The one invariant: a number becomes an `OwnedFd` only where the kernel has just given it to us, or where
//! the caller vouches that no other code owns it.
#![allow(unsafe_code)]

use super::named;
use crate::error::{OsError, OsResult};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// The same open file under a number above 2. Where a standard descriptor is closed, the kernel gives its number to
/// the next file: what is printed would go there, and a child would have it as its own standard descriptor.
pub(super) fn above_standard(fd: OwnedFd) -> OsResult<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    // std takes a number from 3 up.
    fd.try_clone().map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })
}

/// A pipe: (read end, write end), closed by exec.
pub fn pipe() -> OsResult<(OwnedFd, OwnedFd)> {
    let (read, write) = named("pipe2", pipe2(OFlag::O_CLOEXEC))?;
    Ok((above_standard(read)?, above_standard(write)?))
}

fn open(call: &'static str, path: &str, flags: OFlag) -> OsResult<OwnedFd> {
    above_standard(named(call, nix::fcntl::open(path, flags | OFlag::O_CLOEXEC, Mode::empty()))?)
}

/// Opens the file of a descriptor once more, so that the copy has settings of its own (`O_ASYNC` and the like
/// belong to the open file, which plain duplicates share).
pub fn reopen_for_reading(fd: BorrowedFd<'_>) -> OsResult<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    open("open(/proc/self/fd)", &path, OFlag::O_RDONLY | OFlag::O_NONBLOCK)
}

/// The current directory, as a descriptor.
pub fn current_dir() -> OsResult<OwnedFd> {
    open("open(.)", ".", OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// Which directory it is: the same one has the same, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Directory {
    device: u64,
    inode: u64,
}

impl Directory {
    /// The current one; `None` if it may not be looked at.
    pub fn current() -> Option<Directory> {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(".").ok().map(|here| Directory { device: here.dev(), inode: here.ino() })
    }
}

/// `/dev/null`, for reading and writing.
pub fn dev_null() -> OsResult<OwnedFd> {
    open("open(/dev/null)", "/dev/null", OFlag::O_RDWR)
}

/// Changes the current directory to an open one.
pub fn change_dir(dir: BorrowedFd<'_>) -> OsResult<()> {
    named("fchdir", nix::unistd::fchdir(dir))
}

/// One of the three standard descriptors, if it is open.
pub fn standard(number: RawFd) -> Option<BorrowedFd<'static>> {
    debug_assert!((0..=2).contains(&number));
    // SAFETY: the three standard descriptors are never closed by this library, and the call below tells
    // whether this one is open.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(fd, FcntlArg::F_GETFD).is_ok().then_some(fd)
}

/// Puts an open file at a standard number (0, 1 or 2); what was there is closed.
pub fn put_at_standard(fd: BorrowedFd<'_>, number: RawFd) -> OsResult<()> {
    // SAFETY: duplicates onto one of the standard numbers, which no code owns.
    let done = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    if done < 0 { Err(OsError::last("dup2")) } else { Ok(()) }
}

/// Has a number of this process's own mean another open file from now on; what it meant before is closed here. For
/// a forked child, whose descriptors mean its parent's files.
pub fn put_over(file: &OwnedFd, number: BorrowedFd<'_>) -> OsResult<()> {
    // SAFETY: the number is open, as the caller's borrow shows, and stays so: the call replaces it in one step.
    let done = unsafe { libc::dup3(file.as_raw_fd(), number.as_raw_fd(), libc::O_CLOEXEC) };
    if done < 0 { Err(OsError::last("dup3")) } else { Ok(()) }
}

/// Makes standard input empty: `/dev/null`, or a pipe without a writer where there is none.
/// In a process with one thread, or another thread's new file could take the number in between.
pub fn empty_standard_input() {
    close_standard(0);
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR, Mode::empty());
    // The lowest number that is free is 0. Kept by an exec, as a standard descriptor is.
    match null.or_else(|_| pipe2(OFlag::empty()).map(|(read, _write)| read)) {
        Ok(at_0) if at_0.as_raw_fd() == 0 => _ = at_0.into_raw_fd(),
        _ => {}
    }
}

/// Closes one of the standard numbers: the parent has nothing open there either.
pub fn close_standard(number: RawFd) {
    // SAFETY: no code owns the standard numbers.
    unsafe { libc::close(number) };
}

/// Takes over a descriptor that was inherited through exec under a known number.
///
/// # Safety
/// No other code in this process owns the number.
pub unsafe fn inherited(number: RawFd) -> OsResult<OwnedFd> {
    // SAFETY: F_SETFD on any number is harmless; it fails if the number is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, FdFlag::FD_CLOEXEC.bits()) } < 0 {
        return Err(OsError::last("fcntl(F_SETFD)"));
    }
    // SAFETY: open, as was just checked, and owned by no other code, as the caller vouches.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The descriptors from `first` up that this process would hand on to a program that it executes. Another thread may
/// open more of them meanwhile.
pub fn kept_by_exec(first: RawFd) -> OsResult<Vec<RawFd>> {
    let failed = |source| OsError { call: "open(/proc/self/fd)", source };
    let names = std::fs::read_dir("/proc/self/fd").map_err(failed)?;
    let numbers = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // SAFETY: F_GETFD on any number is harmless.
    let flags = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) };
    // One that is not open any more has all flags.
    Ok(numbers.filter(|&number| number >= first && flags(number) & libc::FD_CLOEXEC == 0).collect())
}

/// Sends `signal` to this process as soon as no process can write to the pipe any more.
///
/// These settings belong to the open file, so each process needs a pipe end of its own
/// ([`reopen_for_reading`]). Check the pipe once more after arming: an end that came before
/// sends nothing.
pub fn signal_on_hangup(fd: BorrowedFd<'_>, signal: i32) -> OsResult<()> {
    let call = |name: &'static str, command: libc::c_int, argument: libc::c_int| {
        // SAFETY: integer arguments only, on an open descriptor.
        let done = unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) };
        if done < 0 { Err(OsError::last(name)) } else { Ok(()) }
    };
    call("fcntl(F_SETOWN)", libc::F_SETOWN, std::process::id() as libc::c_int)?;
    // F_SETSIG: missing from the libc crate on some targets; the number is the kernel's on all of ours.
    call("fcntl(F_SETSIG)", 10, signal)?;
    call("fcntl(F_SETFL)", libc::F_SETFL, libc::O_ASYNC | libc::O_NONBLOCK)
}

/// How many bytes a pipe holds when it is full. Each process that has it open may change that.
pub fn pipe_size(pipe: BorrowedFd<'_>) -> OsResult<usize> {
    named("fcntl(F_GETPIPE_SZ)", fcntl(pipe, FcntlArg::F_GETPIPE_SZ)).map(|bytes| bytes as usize)
}

/// Sets or clears `O_NONBLOCK`.
pub fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> OsResult<()> {
    let flags = named("fcntl(F_GETFL)", fcntl(fd.as_fd(), FcntlArg::F_GETFL))?;
    let mut flags = OFlag::from_bits_retain(flags);
    flags.set(OFlag::O_NONBLOCK, on);
    named("fcntl(F_SETFL)", fcntl(fd, FcntlArg::F_SETFL(flags))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_exec_keeps_is_known() {
        let (closed, kept) = pipe().unwrap();
        fcntl(&kept, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let found = kept_by_exec(3).unwrap();
        assert!(found.contains(&kept.as_raw_fd()) && !found.contains(&closed.as_raw_fd()), "{found:?}");
        assert!(!kept_by_exec(kept.as_raw_fd() + 1).unwrap().contains(&kept.as_raw_fd()));
    }
}
