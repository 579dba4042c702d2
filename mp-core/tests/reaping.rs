//! Other parts of the program that reap, kill or ignore ends of children at the worst moment: inside `fork`, when the
//! child exists and its starter does not have its handle yet. There a fork handler of the case's acts.
#![allow(unsafe_code, reason = "fork handlers, SIGCHLD ignored, and the promise that a fork is safe")]

use mp_core::popen::ForkIsSafe;
use mp_core::popen::forkserver::template_pid;
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::pidfd_open;
use mp_core::{Child, Process, StartError, StartMethod};
use mp_testing::{descendants, not_here, parent_in_role, role, state, stay, stop_process};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_reaper_that_is_faster_than_the_start_loses_no_child,
        a_child_whose_end_is_ignored_is_not_lost,
        a_child_killed_before_its_release_never_began,
        an_exit_waits_for_no_daemon_out_of_reach,
        an_exit_does_not_wait_for_a_stopped_template,
    ]
}

/// Has `handler` called in this process within each fork, when the child exists.
fn within_each_fork(handler: extern "C" fn()) {
    // SAFETY: a function of this program; it returns.
    unsafe { libc::pthread_atfork(None, Some(handler), None) };
}

/// Forks a child that says a word.
fn start(word: &File) -> Result<Child<u8>, StartError> {
    // SAFETY: no other thread runs.
    let promise = unsafe { ForkIsSafe::vouch() };
    let work = move || {
        (&mut &*word).write_all(b"!").unwrap();
        7
    };
    Process::fork(work).despite_threads(promise).start()
}

fn word() -> (File, File) {
    let (read, write) = pipe().unwrap();
    (read.into(), write.into())
}

/// The number of words that were written; all writers have ended.
fn said(mut read: File, write: File) -> usize {
    drop(write);
    read.read_to_end(&mut Vec::new()).unwrap()
}

/// Reaps the child as soon as it ends, or sees that it waits: it sleeps at several looks.
extern "C" fn reap_or_see_waiting() {
    let mut asleep = 0;
    while asleep < 20 {
        // SAFETY: the status is not asked for.
        if unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {
            return;
        }
        let children = descendants(std::process::id());
        let Some((child, _)) = children.first() else { return };
        asleep = if state(*child) == Some('S') { asleep + 1 } else { 0 };
        sleep(Duration::from_millis(1));
    }
}

fn no_start_fails_although_its_work_is_done() {
    within_each_fork(reap_or_see_waiting);
    let (read, write) = word();
    for _ in 0..10 {
        let child = start(&write).expect("the child runs");
        assert_eq!(child.join().unwrap(), 7);
    }
    assert_eq!(said(read, write), 10);
}

fn a_reaper_that_is_faster_than_the_start_loses_no_child() {
    no_start_fails_although_its_work_is_done();
}

fn a_child_whose_end_is_ignored_is_not_lost() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    no_start_fails_although_its_work_is_done();
}

static ARMED: AtomicBool = AtomicBool::new(false);

extern "C" fn kill_the_child() {
    // ORDERING: Relaxed: one thread.
    if ARMED.swap(false, Ordering::Relaxed) {
        reap_or_see_waiting();
        let [(child, _)] = descendants(std::process::id())[..] else { return };
        // SAFETY: a child that has not been reaped.
        unsafe { libc::kill(child as i32, libc::SIGKILL) };
        while state(child) != Some('Z') {
            std::thread::yield_now();
        }
    }
}

fn a_child_killed_before_its_release_never_began() {
    within_each_fork(kill_the_child);
    let (read, write) = word();
    // ORDERING: Relaxed: one thread.
    ARMED.store(true, Ordering::Relaxed);
    let killed = start(&write);
    assert!(matches!(killed, Err(StartError::Died)), "{killed:?}");
    assert_eq!(descendants(std::process::id()), []);
    assert_eq!(start(&write).unwrap().join().unwrap(), 7);
    assert_eq!(said(read, write), 1);
}

/// A process that has given up its rights may not signal what it started before. It ends all the same, and then the
/// kernel ends the daemon.
fn an_exit_waits_for_no_daemon_out_of_reach() {
    if let Some(method) = role() {
        let daemon: Child<()> =
            Process::new(|| stay(), ()).daemon().method(method.parse().unwrap()).start().unwrap();
        // SAFETY: no memory is passed.
        let given_up = unsafe { libc::setresuid(65534, 65534, 65534) };
        if given_up != 0 || daemon.kill().is_ok() {
            not_here("only root can give up its rights");
        }
        return;
    }
    for method in StartMethod::ALL {
        let status = parent_in_role(method.name()).stdin(Stdio::null()).status().unwrap();
        if status.code() == Some(77) {
            not_here("only root can give up its rights");
        }
        assert!(status.success(), "{method}: {status}");
    }
}

fn an_exit_does_not_wait_for_a_stopped_template() {
    if role().is_some() {
        Process::new(|| (), ()).method(StartMethod::ForkServer).start().unwrap().join().unwrap();
        let template = template_pid().unwrap();
        assert!(stop_process(template, pidfd_open(template).unwrap().as_fd()));
        return;
    }
    assert!(parent_in_role("parent").stdin(Stdio::null()).status().unwrap().success());
}
