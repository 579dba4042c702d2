//! Fork, for a program of one thread.
//!
//! # Safety
//! The one invariant: this program never has a second thread when it forks or changes its environment, so a child
//! may do all that its parent may. (It is the C library's fork, which gives the child a robust list of its own.)
#![allow(unsafe_code)]

use mp_core::sys::fd::pipe;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{ForkResult, Pid, setpgid};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A child that does `work` and ends with the code that it gives, or 101 if it panics, in an orderly way: what
/// `work` has started is ended or waited for. It dies with its parent.
pub(super) fn fork(work: impl FnOnce() -> i32) -> Pid {
    debug_assert_eq!(fs::read_dir("/proc/self/task").map(Iterator::count).ok(), Some(1));
    // SAFETY: one thread (the invariant above).
    match unsafe { nix::unistd::fork() }.expect("a sweep needs processes") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let _ = set_pdeathsig(Signal::SIGKILL);
            std::process::exit(catch_unwind(AssertUnwindSafe(work)).unwrap_or(101))
        }
    }
}

/// A process that does `work`, and is dead when this returns: it died of SIGKILL, with all that it held.
pub(crate) fn dead(work: impl FnOnce()) {
    let pid = fork(|| {
        work();
        let _ = kill(Pid::this(), Signal::SIGKILL);
        1
    });
    let ended = waitpid(pid, None);
    assert_eq!(
        ended,
        Ok(WaitStatus::Signaled(pid, Signal::SIGKILL, false)),
        "it failed before it was to die"
    );
}

/// Takes all variables out of the environment but those that this program's own helpers need: a start hands them on
/// one by one, and their number would be what its points are about.
pub(super) fn forget_environment() {
    for (name, _) in std::env::vars_os() {
        if name != "PATH" && name != "RUST_BACKTRACE" {
            // SAFETY: one thread (the invariant above).
            unsafe { std::env::remove_var(name) };
        }
    }
}

/// The letter by which the system says what a process does: `S` it sleeps, `T` it is stopped, `R` it runs.
pub(super) fn state(pid: Pid) -> Option<u8> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, and ends at the last `)`.
    text.get(text.iter().rposition(|byte| *byte == b')')? + 2).copied()
}

/// Stops this process, until another one continues it.
pub(crate) fn stand_still() {
    kill(Pid::this(), Signal::SIGSTOP).expect("one may stop oneself");
}

/// A program that is started with this variable stands still before its `main`, and before the hook by which it
/// becomes a child or a template, if there is a byte to read in the pipe that the variable names: one byte, one
/// stop.
const STAND_STILL: &str = "MP_SWEEP_STAND_STILL";

/// Has the next program that this process, or a child of its, executes stand still at its beginning. The pipe is to
/// be kept until then.
pub(crate) fn have_next_program_stand_still() -> (OwnedFd, OwnedFd) {
    let (token, gives) = pipe().expect("a sweep needs descriptors");
    nix::unistd::write(&gives, &[0]).expect("a pipe takes a byte");
    // SAFETY: one thread (the invariant above).
    unsafe { std::env::set_var(STAND_STILL, format!("/proc/{}/fd/{}", Pid::this(), token.as_raw_fd())) };
    (token, gives)
}

#[used]
// SAFETY: the linker's table of what is called before `main`, on the only thread; the type is what is called.
#[unsafe(link_section = ".init_array")]
static AT_THE_BEGINNING: extern "C" fn() = at_the_beginning;

extern "C" fn at_the_beginning() {
    let Some(pipe) = std::env::var_os(STAND_STILL) else { return };
    let token = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(pipe);
    if token.and_then(|mut token| token.read_exact(&mut [0])).is_ok() {
        stand_still();
    }
}

/// Puts this process, and what it will start, into a process group of its own; gives the group's number.
pub(crate) fn lead_a_family() -> u32 {
    let own = Pid::from_raw(0);
    setpgid(own, own).expect("a new process leads no session");
    std::process::id()
}

/// What children this process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Children {
    None,
    Living,
    /// One has ended, and was not reaped.
    Zombie,
}

/// Reads the state, and reaps nothing.
pub(crate) fn children() -> Children {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::StillAlive) => Children::Living,
        Ok(_) => Children::Zombie,
        Err(_) => Children::None,
    }
}
