//! Signals to a child that has hardly begun: what its parent sends it is not lost, and what was not for it
//! does not reach it. Fault row 35; of a pre-forked child (`popen/template.rs`) both are forced by stopping it. And
//! signals to the whole group, which a template and its pre-forked children outlive from their first instruction on.
#![allow(unsafe_code, reason = "handlers, and a constructor")]

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::send_signal;
use mp_core::sys::signal::{SIGINT, SIGKILL, SIGSTOP, SIGTERM};
use mp_core::{Child, JoinError, Process, StartError};
use mp_testing::{descendants, parent_in_role, process_name, role};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use std::sync::atomic::{AtomicU32, Ordering};

mp_testing::cases! {
    plain: [
        a_spare_that_has_not_run_keeps_what_its_parent_sends,
        what_came_to_a_spare_is_not_for_the_child,
        a_request_to_end_is_not_lost_behind_another_one,
        signals_to_the_group_end_no_later_child,
        signals_while_the_template_begins_do_not_fail_the_start,
        a_killed_spare_is_replaced,
        a_template_that_ends_early_is_told_with_its_exit_code,
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
            let child = Process::new(stay, ()).daemon().start().unwrap();
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
        let child = Process::new(stay, ()).daemon().start().unwrap();
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

/// The kernel keeps one signal of a number: the parent's comes second, and is dropped.
fn a_request_to_end_is_not_lost_behind_another_one() {
    for (send, signal) in [WAYS[0], WAYS[1]] {
        let (pid, pidfd) = spare();
        stopped(pid, &pidfd);
        send_signal(pidfd.as_fd(), signal).unwrap();
        let child = Process::new(stay, ()).daemon().start().unwrap();
        assert_eq!(child.pid(), pid);
        send(&child).unwrap();
        send_signal(pidfd.as_fd(), libc::SIGCONT).unwrap();
        assert!(matches!(child.join(), Err(JoinError::Killed(number)) if number == signal), "{signal}");
    }
}

static HEARD: AtomicU32 = AtomicU32::new(0);

extern "C" fn hear(_: libc::c_int) {
    // ORDERING: Relaxed: one thread.
    HEARD.fetch_add(1, Ordering::Relaxed);
}

fn handle(signal: i32) {
    // SAFETY: the handler adds to a number.
    assert_ne!(unsafe { libc::signal(signal, hear as *const () as usize) }, libc::SIG_ERR);
}

/// Each that ends a process by default and that others send, one of the real-time signals among them.
const DEADLY: [i32; 9] = [
    libc::SIGHUP,
    SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    SIGTERM,
    libc::SIGXCPU,
    40,
];

/// A running child has the default disposition and ends. Whatever comes later must not.
fn signals_to_the_group_end_no_later_child() {
    nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0)).unwrap();
    for signal in DEADLY {
        handle(signal);
        let (first, _) = spare();
        let template = template_pid().unwrap();
        // SAFETY: this process's group, which it leads.
        assert_eq!(unsafe { libc::kill(0, signal) }, 0);
        for _ in 0..3 {
            let child = Process::new(std::process::id, ()).start().unwrap();
            let pid = child.pid();
            assert_eq!(child.join().unwrap(), pid, "signal {signal}");
        }
        assert_eq!(template_pid(), Some(template), "signal {signal}");
        assert_ne!(first, 0);
    }
    // ORDERING: as above.
    assert!(HEARD.load(Ordering::Relaxed) >= DEADLY.len() as u32);
}

/// What the constructor below does in a program that finds this, and a number, in its environment.
const RAISE: &str = "MP_TEST_RAISE";
const EXIT: &str = "MP_TEST_EXIT";

extern "C" fn construct() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(signal) = number(RAISE) {
        // SAFETY: this process.
        unsafe { libc::kill(std::process::id() as i32, signal) };
    }
    if let Some(code) = number(EXIT) {
        std::process::exit(code);
    }
}

#[used]
// SAFETY: called once, by the dynamic linker or the hook.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

fn with_variable<R>(name: &str, value: i32, work: impl FnOnce() -> R) -> R {
    // SAFETY: one thread.
    unsafe { std::env::set_var(name, value.to_string()) };
    let result = work();
    // SAFETY: as above.
    unsafe { std::env::remove_var(name) };
    result
}

/// As Ctrl-C does, in a program that handles it: it reaches the template before this has set anything up.
fn signals_while_the_template_begins_do_not_fail_the_start() {
    for signal in DEADLY {
        match role() {
            None => assert!(parent_in_role(&signal.to_string()).status().unwrap().success(), "{signal}"),
            Some(role) if role == signal.to_string() => {
                handle(signal);
                let child =
                    with_variable(RAISE, signal, || Process::new(std::process::id, ()).start().unwrap());
                assert_eq!(child.join().unwrap(), child.pid(), "{signal}");
            }
            Some(_) => {}
        }
    }
}

fn a_killed_spare_is_replaced() {
    for _ in 0..20 {
        let (pid, pidfd) = spare();
        send_signal(pidfd.as_fd(), SIGKILL).unwrap();
        assert!(wait_for(pidfd.as_fd(), Interest::Read, None).unwrap());
        let child = Process::new(std::process::id, ()).start().unwrap();
        assert_ne!(child.pid(), pid);
        assert_eq!(child.join().unwrap(), child.pid());
    }
}

fn a_template_that_ends_early_is_told_with_its_exit_code() {
    let refused = with_variable(EXIT, 7, || Process::new(nothing, ()).start().unwrap_err());
    assert!(matches!(refused, StartError::EndedEarly { code: 7 }), "{refused:?}");
    Process::new(nothing, ()).start().unwrap().join().unwrap();
}
