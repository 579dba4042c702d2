//! Copies of a process that a program makes by a fork of its own, past the library.
//!
//! # Safety
//! The one invariant: a copy runs the caller's code only, which takes no lock that another thread may have held.
#![allow(unsafe_code)]

use crate::run::not_here;
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Forks a copy that does `work` and exits, with its exit handlers: with 0, or with 101 after a panic. Gives its id.
pub fn fork_copy(work: impl FnOnce()) -> i32 {
    // SAFETY: the invariant above.
    match unsafe { libc::fork() } {
        0 => {
            let done = catch_unwind(AssertUnwindSafe(work)).is_ok();
            std::process::exit(if done { 0 } else { 101 })
        }
        pid => pid,
    }
}

/// Forks a copy that comes back from this call as the original does, and is on its own then.
pub fn fork_in_two() {
    // SAFETY: the invariant above.
    assert!(unsafe { libc::fork() } >= 0);
}

/// Waits for the end of such a copy; its exit code.
pub fn exit_code_of(pid: i32) -> i32 {
    let mut status = 0;
    loop {
        // SAFETY: writes the status to this stack.
        match unsafe { libc::waitpid(pid, &mut status, 0) } {
            // MP_INTERRUPTS
            -1 => assert_eq!(Errno::last(), Errno::EINTR),
            ended => break assert_eq!(ended, pid),
        }
    }
    assert!(libc::WIFEXITED(status), "{status:#x}");
    libc::WEXITSTATUS(status)
}

/// From here on the first child of this process begins a pid namespace. Where that is not allowed, the case is ignored.
pub fn leave_pid_namespace() {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWPID) {
        not_here(&format!("no pid namespace can be made: {error}"));
    }
}
