//! Signals to a child that has hardly begun: what its parent sends it is not lost, and what was not for it
//! does not reach it. Fault row 35; of a spare (`popen/template.rs`) both are forced by stopping it.

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::send_signal;
use mp_core::sys::signal::{SIGINT, SIGSTOP, SIGTERM};
use mp_core::{Child, JoinError, Process};
use mp_testing::{descendants, process_name};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

mp_testing::cases! {
    plain: [
        a_spare_that_has_not_run_keeps_what_its_parent_sends,
        what_came_to_a_spare_is_not_for_the_child,
    ],
    every_method: [
        a_signal_right_after_the_start_ends_it,
    ]
}

fn nothing() {}

fn stay() {
    loop {
        std::thread::park();
    }
}

type Send = fn(&Child<()>) -> mp_core::error::OsResult<()>;
const WAYS: [(Send, i32); 3] = [(Child::terminate, 15), (Child::interrupt, 2), (Child::kill, 9)];

fn a_signal_right_after_the_start_ends_it() {
    for _ in 0..50 {
        for (send, signal) in WAYS {
            let child = Process::new(stay, ()).daemon(true).start().unwrap();
            send(&child).unwrap();
            assert!(matches!(child.join(), Err(JoinError::Killed(number)) if number == signal));
        }
    }
}

/// The next child, once it waits to be one.
fn spare() -> (u32, OwnedFd) {
    Process::new(nothing, ()).start().unwrap().join().unwrap();
    let template = template_pid().unwrap();
    loop {
        let is_spare = |found: &(u32, char)| found.1 == 'S' && process_name(found.0) == "mp-spare";
        let found = descendants(template).into_iter().find(is_spare);
        if let Some((pid, _)) = found {
            return (pid, pidfd_open(pid).unwrap());
        }
        std::thread::yield_now();
    }
}

fn stopped(pid: u32, pidfd: &OwnedFd) {
    send_signal(pidfd.as_fd(), SIGSTOP).unwrap();
    let runs = |stat: String| !stat.rsplit(") ").next().unwrap().starts_with('T');
    while fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(runs) {
        std::thread::yield_now();
    }
}

fn a_spare_that_has_not_run_keeps_what_its_parent_sends() {
    for (send, signal) in WAYS {
        let (pid, pidfd) = spare();
        stopped(pid, &pidfd);
        let child = Process::new(stay, ()).daemon(true).start().unwrap();
        assert_eq!(child.pid(), pid);
        send(&child).unwrap();
        send_signal(pidfd.as_fd(), libc::SIGCONT).unwrap();
        assert!(matches!(child.join(), Err(JoinError::Killed(number)) if number == signal), "{signal}");
    }
}

/// From a terminal, a shell, or this very process, to all of its group.
fn what_came_to_a_spare_is_not_for_the_child() {
    for signal in [SIGINT, SIGTERM] {
        for from_a_shell in [true, false] {
            let (pid, pidfd) = spare();
            if from_a_shell {
                let kill = format!("kill -{signal} {pid}");
                assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
            } else {
                send_signal(pidfd.as_fd(), signal).unwrap();
            }
            let child = Process::new(std::process::id, ()).start().unwrap();
            assert_eq!(child.pid(), pid);
            assert_eq!(child.join().unwrap(), pid);
        }
    }
}
