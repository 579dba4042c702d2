//! Children that are made to stand still, and to go on.

use mp_core::Child;
use mp_core::sys::process::send_signal;
use nix::sys::signal::Signal;
use std::fs;

/// Stops it. Comes back once it stands still, or has ended: `false`.
pub fn stop<R>(child: &Child<R>) -> bool {
    signal(child, Signal::SIGSTOP);
    let path = format!("/proc/{}/stat", child.pid());
    loop {
        let stat = fs::read_to_string(&path).unwrap_or_default();
        match stat.rsplit(") ").next().and_then(|rest| rest.chars().next()) {
            Some('T') => return true,
            None | Some('Z' | 'X') => return false,
            _ => std::thread::yield_now(),
        }
    }
}

/// Lets it go on.
pub fn go_on<R>(child: &Child<R>) {
    signal(child, Signal::SIGCONT);
}

fn signal<R>(child: &Child<R>, signal: Signal) {
    send_signal(child.sentinel(), signal as i32).expect("a child can be sent a signal");
}
