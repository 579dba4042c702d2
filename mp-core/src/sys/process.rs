//! Making, ending and reaping processes.
//!
//! # Safety
//! The one invariant: `fork` is the C library's (a raw `clone` would leave the child with its parent's thread
//! id and robust list), and only where the caller vouches that no other thread runs.
#![allow(unsafe_code)]

pub use super::ancestry::{adopts_orphans, become_subreaper, begin_session, parent_id};
use super::named;
use crate::error::{OsError, OsResult};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{wait, waitpid};
use nix::unistd::Pid;
use std::ffi::{CStr, OsString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{env, fs, ptr};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Ended {
    /// It exited with this code (0 to 255).
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
}

impl Ended {
    /// From the status word of `wait(2)`.
    pub(super) fn from_wait_status(status: i32) -> Ended {
        if libc::WIFSIGNALED(status) {
            Ended::Signaled(libc::WTERMSIG(status))
        } else {
            Ended::Exited(libc::WEXITSTATUS(status))
        }
    }
}

/// The calling thread's id.
pub fn gettid() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one, with the child's id.
    Parent(u32),
}

/// Forks.
///
/// # Safety
/// No other thread may run in this process, or the child may do only what is safe in a signal handler.
#[inline]
pub unsafe fn fork() -> OsResult<Forked> {
    // SAFETY: the caller vouches for it.
    match unsafe { libc::fork() } {
        -1 => Err(OsError::last("fork")),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid as u32)),
    }
}

/// How many threads run in this process.
pub fn thread_count() -> OsResult<usize> {
    use std::os::unix::fs::MetadataExt;
    // Each is a folder there, so each is a link to it, besides the two that every folder has.
    let tasks = fs::metadata("/proc/self/task").map(|folder| folder.nlink() as usize);
    match tasks.map_err(|source| OsError { call: "stat /proc/self/task", source })? {
        links @ 3.. => Ok(links - 2),
        _ => {
            let entries = fs::read_dir("/proc/self/task");
            Ok(entries.map_err(|source| OsError { call: "read /proc/self/task", source })?.count())
        }
    }
}

/// Counts threads like [`thread_count`], without threads that were joined: the system may list one for a moment longer.
pub fn threads_that_stay() -> OsResult<usize> {
    let mut looks = 0;
    loop {
        let threads = thread_count()?;
        if threads == 1 || looks == MOST_LOOKS {
            return Ok(threads);
        }
        looks += 1;
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// How often threads are counted again before the rest counts as permanent.
const MOST_LOOKS: u32 = 50;

/// Whether the C library knows that no second thread was ever started: `false` means that it must be counted.
pub fn is_surely_single_threaded() -> bool {
    static SAYS: OnceLock<Option<&'static AtomicU8>> = OnceLock::new();
    let says = SAYS.get_or_init(|| {
        // SAFETY: looks a name up; a library without it (an older one, or musl) gives null.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__libc_single_threaded".as_ptr()) };
        // SAFETY: null, or the C library's own `char`, which lives as long as the process.
        unsafe { found.cast::<AtomicU8>().as_ref() }
    });
    // ORDERING: Relaxed: only this thread could change it from true, by starting another.
    says.is_some_and(|says| says.load(Ordering::Relaxed) != 0)
}

/// Ends the process at once: no exit handlers, no destructors, no flushing.
#[inline]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { libc::_exit(code) }
}

/// In a program whose coverage is measured by `cargo llvm-cov`: writes this process's counters. The runtime does it
/// in an exit handler, and a child ends without those of the C library.
#[inline]
pub fn write_coverage() {
    #[cfg(coverage)]
    {
        unsafe extern "C" {
            fn __llvm_profile_write_file() -> libc::c_int;
        }
        // SAFETY: of the runtime that is linked into a program built for coverage; it may be called at any time.
        unsafe { __llvm_profile_write_file() };
    }
}

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaped {
    /// It runs.
    Running,
    /// It ended, and its entry is gone from the process table.
    Ended(Ended),
    /// It is not a child of this process, or it was reaped elsewhere.
    NotOurs,
}

/// Asks for the end of the child behind a pidfd, without sleeping.
pub fn reap(pidfd: BorrowedFd<'_>) -> OsResult<Reaped> {
    wait_id(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, libc::WNOHANG).map(|(_, reaped)| reaped)
}

/// Waits for the end of the child behind a pidfd, and reaps it. (A pidfd reports the end; a tracer of the child
/// is told first all the same, and then it is not to be reaped yet.)
pub fn outlive(pidfd: BorrowedFd<'_>) -> OsResult<Reaped> {
    wait_id(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, 0).map(|(_, reaped)| reaped)
}

/// Kills and reaps a child that no other code knows. It takes no descriptor: there may be none left.
pub fn end_child(pid: u32) {
    let child = Pid::from_raw(pid as libc::pid_t);
    // The number is the child's until it is reaped, which is below.
    let _ = kill(child, Signal::SIGKILL);
    while waitpid(child, None) == Err(Errno::EINTR) {}
}

/// How the process behind a pidfd has ended, which is a child that ends by itself or has ended: waits for it.
pub fn end_of(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    match outlive(pidfd) {
        Ok(Reaped::Ended(ended)) => Some(ended),
        // Another part of the program that waits for any child, or the kernel, was faster.
        _ => remembered_end(pidfd),
    }
}

/// Asks for the end of any child, without sleeping.
pub fn reap_any() -> OsResult<Option<(u32, Ended)>> {
    Ok(match wait_id(libc::P_ALL, 0, libc::WNOHANG)? {
        (pid, Reaped::Ended(ended)) => Some((pid, ended)),
        _ => None,
    })
}

/// Waits until no child is left, and reaps each that is not reaped elsewhere.
pub fn outlive_children() {
    // EINVAL: it was ended by a real-time signal, for which nix has no name.
    while matches!(wait(), Ok(_) | Err(Errno::EINTR | Errno::EINVAL)) {}
}

/// What the system says of a process that is not there.
pub const NO_SUCH_PROCESS: i32 = libc::ESRCH;

fn wait_id(kind: libc::idtype_t, id: libc::id_t, or_not: libc::c_int) -> OsResult<(u32, Reaped)> {
    // SAFETY: all zero is a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: writes the result to this stack.
        let done = unsafe { libc::waitid(kind, id, &mut info, libc::WEXITED | or_not) };
        if done == 0 {
            break;
        }
        match OsError::last("waitid") {
            error if error.errno() == Some(libc::EINTR) => {}
            error if error.errno() == Some(libc::ECHILD) => return Ok((0, Reaped::NotOurs)),
            error => return Err(error),
        }
    }
    // SAFETY: waitid fills these fields; with nothing to report it leaves the id zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    Ok(match (pid, info.si_code) {
        (0, _) => (0, Reaped::Running),
        (pid, libc::CLD_EXITED) => (pid as u32, Reaped::Ended(Ended::Exited(status))),
        (pid, _) => (pid as u32, Reaped::Ended(Ended::Signaled(status))),
    })
}

/// The kernel's `struct pidfd_info`, as far as its first version goes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong =
    0xC000_0000 | ((size_of::<PidfdInfo>() as libc::c_ulong) << 16) | 0xFF0B;

/// The exit status of the process of a pidfd, whichever process reaped it: Linux 6.15 and later keep it.
pub fn remembered_end(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel fills at most the size that is part of the request's number.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| Ended::from_wait_status(info.exit_code))
}

/// Sends a signal to the process behind a pidfd. One that has ended already is not an error.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> OsResult<()> {
    send_signal_with(pidfd, signal, ptr::null())
}

/// `info`: null, or a whole `siginfo_t`.
pub(super) fn send_signal_with(
    pidfd: BorrowedFd<'_>,
    signal: i32,
    info: *const libc::siginfo_t,
) -> OsResult<()> {
    // SAFETY: the kernel reads what it is given, if anything.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    match done {
        0 => Ok(()),
        _ => match OsError::last("pidfd_send_signal") {
            error if error.errno() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        },
    }
}

/// Has `handler` called when the process exits by `exit` or by returning from `main`.
pub fn at_exit(handler: extern "C" fn()) {
    // SAFETY: a function of the main image, which is never unloaded.
    unsafe { libc::atexit(handler) };
}

/// Has `handler` called in each forked child, first thing.
pub(super) fn at_fork_in_child(handler: extern "C" fn()) {
    // SAFETY: as for `at_exit`; the handler does only what a forked child may do.
    unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

/// Has handlers called around each fork: before it, and after it in the process that forked and in its child.
pub fn at_fork(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: functions of the image that this is part of; they do only what may be done around a fork.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Names the calling process (its main thread) in process lists: the first 15 bytes are shown.
#[inline]
pub fn set_title(name: &str) {
    // On the stack, as all that a fresh child does should be: its first write to a page of the heap copies it.
    let mut text = [0_u8; 16];
    for (to, from) in text[..15].iter_mut().zip(name.bytes().filter(|&byte| byte != 0)) {
        *to = from;
    }
    if let Ok(text) = CStr::from_bytes_until_nul(&text) {
        let _ = nix::sys::prctl::set_name(text);
    }
}

/// Writes to the standard error output, past every buffer and lock.
pub fn write_stderr(text: &[u8]) {
    // SAFETY: writes bytes of a live slice. A failure cannot be reported.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Writes out what the C library has in the buffers of its streams.
pub fn flush_c_output() {
    // SAFETY: null means all streams; it may be called at any time. A failure cannot be reported.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Fills a buffer from the system's random source.
pub fn random_bytes(buffer: &mut [u8]) -> OsResult<()> {
    // So many come at once and whole, whatever signals do.
    for part in buffer.chunks_mut(256) {
        // SAFETY: writes into a live slice.
        let done = unsafe { libc::getrandom(part.as_mut_ptr().cast(), part.len(), 0) };
        if done != part.len() as isize {
            return Err(OsError::last("getrandom"));
        }
    }
    Ok(())
}

/// The CPUs that are online.
pub fn online_cpus() -> OsResult<usize> {
    let count = named("sysconf", nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN))?;
    Ok(count.unwrap_or(1).max(1) as usize)
}

/// Makes the environment what it is told to be, leaving alone what is right already.
///
/// # Safety
/// No other thread may run: the environment has no lock that C code respects.
pub unsafe fn replace_environment(wanted: &[(OsString, OsString)]) {
    let surplus = env::vars_os().filter(|(name, _)| !wanted.iter().any(|(other, _)| other == name));
    for (name, _) in surplus.collect::<Vec<_>>() {
        // SAFETY: the caller vouches for a single thread.
        unsafe { env::remove_var(name) };
    }
    for (at, (name, value)) in wanted.iter().enumerate() {
        // Of a name that is there twice the first value is the one that a program finds.
        if wanted[..at].iter().any(|(other, _)| other == name) {
            continue;
        }
        if env::var_os(name).as_ref() != Some(value) {
            // SAFETY: the caller vouches for a single thread.
            unsafe { env::set_var(name, value) };
        }
    }
}

/// Whether the environment is this one, in this order. With one thread it is read where it lies: a copy costs as
/// much as a start's whole request.
pub fn is_environment(known: &[(OsString, OsString)]) -> bool {
    if !is_surely_single_threaded() {
        return env::vars_os().eq(known.iter().cloned());
    }
    unsafe extern "C" {
        static mut environ: *const *const libc::c_char;
    }
    // SAFETY: no other thread can change it.
    let mut at = unsafe { environ };
    let mut expected = known.iter();
    loop {
        // SAFETY: null, or a list that ends in null, of which this is an entry.
        let entry = unsafe { at.as_ref() }.copied().filter(|entry| !entry.is_null());
        let (entry, (name, value)) = match (entry, expected.next()) {
            (None, None) => return true,
            (Some(entry), Some(pair)) => (entry, pair),
            _ => return false,
        };
        // SAFETY: an entry is a string that ends in null.
        let entry = unsafe { CStr::from_ptr(entry) }.to_bytes();
        let rest = entry.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        if rest != Some(value.as_bytes()) {
            return false;
        }
        // SAFETY: not yet at the null that ends the list.
        at = unsafe { at.add(1) };
    }
}

/// Takes a variable out of the environment and gives its value.
///
/// # Safety
/// As for [`replace_environment`].
pub unsafe fn take_variable(name: &str) -> Option<OsString> {
    let value = env::var_os(name)?;
    // SAFETY: the caller vouches for a single thread.
    unsafe { env::remove_var(name) };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::super::fd::{pipe, set_nonblocking};
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsFd, IntoRawFd};

    #[test]
    fn what_the_c_library_keeps_is_written_out() {
        let (read, write) = pipe().unwrap();
        set_nonblocking(read.as_fd(), true).unwrap();
        let (mut read, mut text) = (File::from(read), [0; 8]);
        // SAFETY: the stream owns the descriptor from here on.
        let stream = unsafe { libc::fdopen(write.into_raw_fd(), c"w".as_ptr()) };
        assert!(!stream.is_null());
        // SAFETY: a stream that is open, and a text with its end.
        unsafe { libc::fputs(c"kept".as_ptr(), stream) };
        assert!(read.read(&mut text).is_err());
        flush_c_output();
        assert_eq!((read.read(&mut text).unwrap(), &text[..4]), (4, &b"kept"[..]));
        // SAFETY: it is open, and not used any more.
        unsafe { libc::fclose(stream) };
    }
}
