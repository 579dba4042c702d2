//! Processes whose parent has been killed: this process adopts them (as process 1, or as a subreaper), or an init
//! process does that reaps late or never. No status is lost, no call waits for the reaping process, no zombie stays.

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::become_subreaper;
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, Process, StartMethod, active_children};
use mp_testing::{
    add_role, all_gone, descendants, kill, line, not_here, parent_in_role, process_name, read_word, role,
    state, stay, write_word,
};
use std::os::fd::AsFd;
use std::process::{Command, Stdio, exit};

mp_testing::cases! {
    plain: [
        ends_are_known_while_an_init_process_reaps_nothing,
        what_a_killed_template_leaves_is_reaped_by_a_subreaper,
        what_is_left_is_reaped_by_process_1_of_a_container,
    ],
    every_method: [
        services_of_children_are_reaped,
        what_a_killed_child_leaves_is_reaped,
        daemons_of_a_killed_child_are_reaped,
    ]
}

/// Ends when a word is said: even ones return, odd ones exit.
fn ends(x: i32, gate: Handle) -> i32 {
    read_word(&gate);
    if x % 2 == 0 { x } else { exit(x) }
}

/// Children of a template that is killed meanwhile, once they have ended.
fn orphans() -> Vec<Child<i32>> {
    let (read, write) = line();
    let children: Vec<_> = (0..6).map(|x| Process::new(ends, (x, read.clone())).start().unwrap()).collect();
    kill(template_pid().unwrap());
    children.iter().for_each(|_| write_word(&write));
    for child in &children {
        assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    }
    children
}

/// At once, and exactly.
fn expect_exact_ends(children: &[Child<i32>]) {
    for (x, child) in children.iter().enumerate() {
        let joined = child.try_join();
        match joined {
            Ok(value) => assert!(x % 2 == 0 && value == x as i32),
            Err(JoinError::Exited(code)) => assert!(x % 2 == 1 && code == x as i32),
            other => panic!("child {x}: {other:?}"),
        }
        assert_eq!(child.exitcode(), Some(if x % 2 == 0 { 0 } else { x as i32 }));
    }
}

/// The harness is no such init process, so the case itself is.
fn ends_are_known_while_an_init_process_reaps_nothing() {
    if role().is_some() {
        let children = orphans();
        assert!(children.iter().all(|child| !child.is_alive()));
        assert_eq!(active_children(), []);
        expect_exact_ends(&children);
        // And life goes on.
        assert_eq!(Process::new(|| 7, ()).start().unwrap().join().unwrap(), 7);
        return;
    }
    become_subreaper().unwrap();
    let mut parent = parent_in_role("parent").stdout(Stdio::null()).spawn().unwrap();
    let pidfd = pidfd_open(parent.id()).unwrap();
    assert!(wait_for(pidfd.as_fd(), Interest::Read, None).unwrap());
    // Until here nothing was reaped: the six are zombies still.
    let zombies = descendants(std::process::id()).into_iter().filter(|(_, state)| *state == 'Z').count();
    assert!(zombies >= 7, "{zombies}");
    assert!(parent.wait().unwrap().success());
    all_gone();
}

fn what_a_killed_template_leaves_is_reaped_by_a_subreaper() {
    become_subreaper().unwrap();
    a_killed_template_leaves_nothing();
}

fn a_killed_template_leaves_nothing() {
    let children = orphans();
    expect_exact_ends(&children);
    no_zombie_stays();
}

/// The same for process 1 of a process-id namespace, with a `/proc` of its own.
fn what_is_left_is_reaped_by_process_1_of_a_container() {
    if role().is_some() {
        assert_eq!(std::process::id(), 1);
        a_killed_template_leaves_nothing();
        services_are_reaped();
        return;
    }
    let mut container = Command::new("unshare");
    container.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    add_role(container.arg(std::env::current_exe().unwrap()), "process 1");
    // Whether such a container is to be had at all.
    let tried = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if !tried.is_ok_and(|status| status.success()) {
        not_here("no process-id namespace may be made here");
    }
    assert!(container.status().unwrap().success());
}

/// Ends with the process that it is told of.
fn serve(until: Handle) {
    wait_for(until.as_fd(), Interest::Hangup, None).unwrap();
}

fn start_a_service(until: Handle) {
    mp_core::popen::service::start("mp-served", serve, &(until,)).unwrap();
}

fn services_of_children_are_reaped() {
    become_subreaper().unwrap();
    services_are_reaped();
}

fn services_are_reaped() {
    for _ in 0..3 {
        let (read, write) = line();
        Process::new(start_a_service, (read,)).start().unwrap().join().unwrap();
        let is_service = |pid: &u32| process_name(*pid) == "mp-served";
        let services: Vec<u32> =
            descendants(std::process::id()).into_iter().map(|(pid, _)| pid).filter(is_service).collect();
        assert_eq!(services.len(), 1);
        drop(write);
        while state(services[0]).is_some() {
            // A natural moment to reap.
            active_children();
            std::thread::yield_now();
        }
    }
    no_zombie_stays();
}

/// A child that has a child of its own, by a template, and says so.
fn middle(says: Handle) {
    let child = Process::new(|| (), ()).method(StartMethod::ForkServer).start().unwrap();
    child.join().unwrap();
    write_word(&says);
    stay();
}

fn what_a_killed_child_leaves_is_reaped() {
    become_subreaper().unwrap();
    let (read, write) = line();
    let child = Process::new(middle, (write,)).start().unwrap();
    read_word(&read);
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(_))));
    // The child's template, and the fork that it had ready, end by themselves.
    let mine = [template_pid()];
    let is_foreign = |pid: &u32| process_name(*pid) == "mp-template" && !mine.contains(&Some(*pid));
    let all = || descendants(std::process::id()).into_iter().map(|(pid, _)| pid);
    while all().any(|pid| is_foreign(&pid)) {
        active_children();
        std::thread::yield_now();
    }
    no_zombie_stays();
}

/// A child with daemons, which are killed together with it.
fn middle_with_daemons(says: Handle) {
    let daemons: Vec<Child<()>> =
        (0..3).map(|_| Process::new(daemon, (says.clone(),)).daemon().start().unwrap()).collect();
    daemons.iter().for_each(|daemon| assert!(daemon.is_alive()));
    stay();
}

fn daemon(says: Handle) {
    write_word(&says);
    stay();
}

fn daemons_of_a_killed_child_are_reaped() {
    become_subreaper().unwrap();
    let (read, write) = line();
    let child = Process::new(middle_with_daemons, (write,)).start().unwrap();
    (0..3).for_each(|_| {
        read_word(&read);
    });
    let template = template_pid();
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(_))));
    // Nothing is left but this process's own template, and what that has ready.
    let is_left = |pid: &u32| Some(*pid) != template && !process_name(*pid).starts_with("mp-");
    while descendants(std::process::id()).into_iter().any(|(pid, _)| is_left(&pid)) {
        active_children();
        std::thread::yield_now();
    }
}

/// Of what ends, all is reaped in time: at a start, or when the living children are asked for.
fn no_zombie_stays() {
    while descendants(std::process::id()).iter().any(|(_, state)| *state == 'Z') {
        assert_eq!(active_children(), []);
        std::thread::yield_now();
    }
}
