//! Fork, for a program of one thread.
//!
//! # Safety
//! The one invariant: this program never has a second thread when it forks, so a child may do all that its parent
//! may. (It is the C library's fork, which gives the child a robust list of its own.)
#![allow(unsafe_code)]

use mp_core::sys::process::exit_now;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A child that does `work` and ends with the code that it gives, or 101 if it panics. It dies with its parent.
pub(super) fn fork(work: impl FnOnce() -> i32) -> Pid {
    debug_assert_eq!(fs::read_dir("/proc/self/task").map(Iterator::count).ok(), Some(1));
    // SAFETY: one thread (the invariant above).
    match unsafe { nix::unistd::fork() }.expect("a sweep needs processes") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let _ = set_pdeathsig(Signal::SIGKILL);
            exit_now(catch_unwind(AssertUnwindSafe(work)).unwrap_or(101))
        }
    }
}

/// The letter by which the system says what a process does: `S` it sleeps, `T` it is stopped, `R` it runs.
pub(super) fn state(pid: Pid) -> Option<u8> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything, and ends at the last `)`.
    text.get(text.iter().rposition(|byte| *byte == b')')? + 2).copied()
}
