//! What a child is and may do is what its parent is and may at `start`, not what it was when the template began:
//! signals, limits, CPUs, priority, group, session, rights. `surroundings.rs` tries what it finds around it.
//!
//! Each case starts a child first, and so the template; then it changes the parent; then it asks a second child.
//!
//! | what                                     | Fork | Spawn | ForkServer | case                                  |
//! |------------------------------------------|------|-------|------------|---------------------------------------|
//! | signals held back                        | yes  | yes   | yes        | `signals_held_back_are_the_parents`   |
//! | signals ignored, and ignored no more     | yes  | yes   | yes        | `signals_ignored_*`, `requests_*`     |
//! | ends of children ignored                 | yes  | yes   | yes        | `ends_of_children_*`                  |
//! | resource limits                          | yes  | yes   | yes        | `limits_*`                            |
//! | CPUs, nice                               | yes  | yes   | yes        | `cpus_*`, `nice_*`                    |
//! | process group                            | yes  | yes   | yes        | `process_group_is_the_parents`        |
//! | session                                  | yes  | yes   | yes (1)    | `session_is_the_parents`              |
//! | user, groups, capabilities               | yes  | yes   | yes (1)    | `rights_are_the_parents`              |
//!
//! 1. Had by birth: a parent that has others than at its last start gets a new template, and the old one goes on with
//!    the children that it has.
#![allow(unsafe_code)]

use mp_core::Process;
use mp_core::sys::fd::pipe;
use mp_core::sys::signal::{SIGCHLD, SIGINT, SIGPIPE, SIGTERM, set_blocked};
use mp_core::transfer::Handle;
use mp_testing::{in_child, not_here};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Pid, Uid, getpgrp, getsid, setgid, setgroups, setpgid, setsid, setuid};
use std::fs::{self, File};
use std::io::{Read, Write};

mp_testing::cases! {
    every_method: [
        signals_held_back_are_the_parents,
        signals_ignored_are_the_parents,
        signals_ignored_no_more_are_not_ignored,
        requests_to_end_that_the_parent_ignores,
        ends_of_children_that_the_parent_ignores,
        limits_lowered,
        limits_raised_again,
        cpus_are_the_parents,
        nice_is_the_parents,
        process_group_is_the_parents,
        session_is_the_parents,
        rights_are_the_parents,
    ]
}

/// The first child, and with it the template: whatever follows comes after its beginning.
fn begin() {
    in_child(|| ());
}

/// One of the sets of signals in a thread's status: bit 0 is signal 1.
fn signals(set: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

fn bits(numbers: &[i32]) -> u64 {
    numbers.iter().fold(0, |bits, number| bits | 1 << (number - 1))
}

/// The first real-time signal that the C library leaves to programs has a number above 32 and no name.
const REALTIME: i32 = 40;

fn signals_held_back_are_the_parents() {
    set_blocked(&[libc::SIGUSR1]);
    begin();
    let held = [libc::SIGUSR2, libc::SIGCHLD, libc::SIGTERM, REALTIME];
    set_blocked(&held);
    assert_eq!(signals("SigBlk"), bits(&held));
    assert_eq!(in_child(|| signals("SigBlk")), bits(&held));
}

/// SIG_IGN or SIG_DFL for a signal.
fn dispose(signal: i32, how: libc::sighandler_t) {
    // SAFETY: no handler of ours runs.
    assert_ne!(unsafe { libc::signal(signal, how) }, libc::SIG_ERR);
}

/// As `nohup` ignores SIGHUP. SIGPIPE is ignored in every Rust program.
fn signals_ignored_are_the_parents() {
    begin();
    for signal in [libc::SIGHUP, libc::SIGUSR1, REALTIME] {
        dispose(signal, libc::SIG_IGN);
    }
    let expected = bits(&[libc::SIGHUP, libc::SIGUSR1, REALTIME, SIGPIPE]);
    assert_eq!(signals("SigIgn") & expected, expected);
    assert_eq!(in_child(|| signals("SigIgn")), signals("SigIgn"));
}

fn signals_ignored_no_more_are_not_ignored() {
    dispose(libc::SIGHUP, libc::SIG_IGN);
    begin();
    for signal in [libc::SIGHUP, SIGPIPE] {
        dispose(signal, libc::SIG_DFL);
    }
    let ignored = in_child(|| signals("SigIgn"));
    assert_eq!(ignored & bits(&[libc::SIGHUP, SIGPIPE]), 0, "{ignored:x}");
    assert_eq!(ignored, signals("SigIgn"));
}

/// A template ignores them for itself, and so must not give them on.
fn requests_to_end_that_the_parent_ignores() {
    let ours = [SIGINT, SIGTERM];
    ours.iter().for_each(|&signal| dispose(signal, libc::SIG_DFL));
    begin();
    assert_eq!(in_child(|| signals("SigIgn")) & bits(&ours), 0);
    ours.iter().for_each(|&signal| dispose(signal, libc::SIG_IGN));
    assert_eq!(in_child(|| signals("SigIgn")) & bits(&ours), bits(&ours));
}

/// The kernel reaps the children of such a parent, its template included. The value arrives all the same.
fn ends_of_children_that_the_parent_ignores() {
    dispose(SIGCHLD, libc::SIG_IGN);
    begin();
    assert_eq!(in_child(|| signals("SigIgn")) & bits(&[SIGCHLD]), bits(&[SIGCHLD]));
}

fn limits() -> String {
    fs::read_to_string("/proc/self/limits").unwrap()
}

/// For each a soft limit below the usual one.
const LIMITED: [(Resource, u64); 3] =
    [(Resource::RLIMIT_NOFILE, 64), (Resource::RLIMIT_CORE, 4096), (Resource::RLIMIT_STACK, 4 << 20)];

fn limits_lowered() {
    begin();
    let before = limits();
    for (which, soft) in LIMITED {
        setrlimit(which, soft, getrlimit(which).unwrap().1).unwrap();
    }
    setrlimit(Resource::RLIMIT_MEMLOCK, 4096, 8192).unwrap();
    assert_ne!(limits(), before);
    assert_eq!(in_child(limits), limits());
}

fn limits_raised_again() {
    for (which, soft) in LIMITED {
        setrlimit(which, soft, getrlimit(which).unwrap().1).unwrap();
    }
    begin();
    let before = limits();
    for (which, _) in LIMITED {
        let hard = getrlimit(which).unwrap().1;
        setrlimit(which, hard, hard).unwrap();
    }
    assert_ne!(limits(), before);
    assert_eq!(in_child(limits), limits());
}

fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap()).collect()
}

fn cpus_are_the_parents() {
    let all = cpus();
    let [.., last] = all[..] else { unreachable!("it runs on one") };
    if all.len() == 1 {
        not_here("needs two CPUs");
    }
    begin();
    let mut one = CpuSet::new();
    one.set(last).unwrap();
    sched_setaffinity(Pid::from_raw(0), &one).unwrap();
    assert_eq!(in_child(cpus), [last]);
}

fn nice() -> i32 {
    // SAFETY: no memory is passed.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn nice_is_the_parents() {
    let nicer = nice() + 3;
    if nicer > 19 {
        not_here("is started with the highest niceness");
    }
    begin();
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nicer) }, 0);
    assert_eq!(in_child(nice), nicer);
}

fn process_group_is_the_parents() {
    begin();
    let group = || getpgrp().as_raw();
    let before = group();
    setpgid(Pid::from_raw(0), Pid::from_raw(0)).unwrap();
    assert_ne!(group(), before);
    assert_eq!(in_child(group), std::process::id() as i32);
}

fn session_is_the_parents() {
    let session = || getsid(None).unwrap().as_raw();
    begin();
    // A child of the first template lives on: it is not waited for.
    let (gate, mut open) = pipe().map(|(read, write)| (Handle::new(read), File::from(write))).unwrap();
    let early = Process::new(wait_at, (gate,)).start().unwrap();
    let before = session();
    setsid().unwrap();
    assert_ne!(session(), before);
    assert_eq!(in_child(session), session());
    assert_eq!(in_child(session), session());
    open.write_all(&[0]).unwrap();
    early.join().unwrap();
}

fn wait_at(gate: Handle) {
    File::from(gate.into_fd().unwrap()).read_exact(&mut [0]).unwrap();
}

/// Else a parent that gives up the rights of root after its first start would go on to have children with them.
fn rights_are_the_parents() {
    if !nix::unistd::geteuid().is_root() {
        not_here("needs root, to become another user");
    }
    let rights = || -> Vec<String> {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = |line: &&str| ["Uid", "Gid", "Groups", "Cap"].iter().any(|name| line.starts_with(name));
        status.lines().filter(line).map(str::to_owned).collect()
    };
    begin();
    let before = rights();
    setgroups(&[Gid::from_raw(1_000_001)]).unwrap();
    setgid(Gid::from_raw(1_000_002)).unwrap();
    setuid(Uid::from_raw(1_000_003)).unwrap();
    assert_ne!(rights(), before);
    assert_eq!(in_child(rights), rights());
    // A daemon opens its parent's lifeline again, which the user of before had made.
    let daemon = Process::new(rights, ()).daemon().start().unwrap();
    assert_eq!(daemon.join().unwrap(), rights());
}
