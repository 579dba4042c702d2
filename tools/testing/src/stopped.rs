//! Processes that are made to stand still, and to go on.

use crate::state;
use mp_core::Child;
use mp_core::sys::process::send_signal;
use nix::sys::signal::Signal;
use std::os::fd::BorrowedFd;

/// Stops it. Comes back once it stands still, or has ended: `false`.
pub fn stop<R>(child: &Child<R>) -> bool {
    stop_process(child.pid(), child.sentinel())
}

/// Like [`stop`], for a process without a [`Child`].
pub fn stop_process(pid: u32, pidfd: BorrowedFd<'_>) -> bool {
    signal(pidfd, Signal::SIGSTOP);
    loop {
        match state(pid) {
            Some('T') => return true,
            None | Some('Z' | 'X') => return false,
            _ => std::thread::yield_now(),
        }
    }
}

/// Lets it go on.
pub fn go_on<R>(child: &Child<R>) {
    signal(child.sentinel(), Signal::SIGCONT);
}

/// Like [`go_on`], for a process without a [`Child`].
pub fn go_on_process(pidfd: BorrowedFd<'_>) {
    signal(pidfd, Signal::SIGCONT);
}

fn signal(pidfd: BorrowedFd<'_>, signal: Signal) {
    send_signal(pidfd, signal as i32).expect("a child can be sent a signal");
}
