//! Mirrors CPython's `_TestProcess`, cases P01 to P06 and P08 of the conformance list, under each start method.
//!
//! P05 (start twice, join before start, use after close) does not compile: doc-tests of `Process::start` and
//! `Child::close`. A start from another process cannot be written, since a `Process` does not travel.
//!
//! Elsewhere: every way to end (`ends.rs`, `hook.rs`), the end of a parent (`parents_end.rs`), what a child sees
//! (`surroundings.rs`, `descriptors.rs`), names and methods (`relations.rs`), forks alone (`fork.rs`); `wait()` over
//! sentinels in mp-pipe; contexts in the facade.

use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::transfer::Handle;
use mp_core::word::Deadline;
use mp_core::{
    Child, JoinError, Process, Run, StartError, StartMethod, active_children, current_process, finalize,
    parent_process,
};
use mp_testing::{open_descriptors, parent_in_role, role};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        default_names_follow_creation,
        fork_is_refused_while_threads_run,
        a_fork_takes_what_it_captured,
        start_works_from_many_threads,
        a_replaced_template_starts_the_next_child,
        results_survive_the_template,
        descriptors_are_refused_when_there_are_none,
        a_function_that_cannot_be_sent_back_is_an_error,
    ],
    every_method: [
        a_started_process_is_listed_until_it_has_ended,
        a_child_knows_its_name_and_its_parents,
        exit_values_come_back,
        a_panic_comes_back_with_its_place,
        a_panic_is_told_on_stderr_with_the_name,
        signals_end_and_are_reported,
        joining_twice_and_with_a_timeout,
        the_sentinel_becomes_ready_at_the_end,
        daemons_are_killed_and_others_waited_for,
        daemons_die_with_a_killed_parent,
        large_values_need_no_reader,
        handles_travel_as_arguments,
        a_type_of_its_own_runs,
        nested_children_work,
        exit_handlers_run,
        ten_in_turn_leave_no_descriptor,
        the_surroundings_are_the_parents,
        a_failing_serialize_is_an_error_of_start,
        interruptions_reach_every_child,
    ]
}

/// Two ends that no timing can confuse: a child waits until the parent says so.
struct Gate {
    enter: Handle,
    open: Option<File>,
}

impl Gate {
    fn new() -> Gate {
        let (read, write) = pipe().unwrap();
        Gate { enter: Handle::new(read), open: Some(write.into()) }
    }

    fn open(&mut self) {
        self.open = None;
    }
}

fn wait_at(gate: Handle) {
    let mut file = File::from(gate.into_fd().unwrap());
    // Not `read`, which a signal ends: a byte, or the end.
    let _ = file.read_exact(&mut [0]);
}

/// Sleeps for ever, once it has said that it is there.
fn stay(ready: Handle) {
    drop(ready);
    loop {
        std::thread::park();
    }
}

/// Starts a child that stays, and returns when it is in its function. Under `Fork` a child holds copies of the
/// parent's descriptors, so it says so with a byte and not with an end.
fn started_and_staying(daemon: bool) -> Child<()> {
    let (read, write) = pipe().unwrap();
    let child = Process::new(say_and_stay, (Handle::new(write),));
    let child = if daemon { child.daemon() } else { child.not_daemon() };
    let child = child.start().unwrap();
    File::from(read).read_exact(&mut [0]).unwrap();
    child
}

fn say_and_stay(ready: Handle) {
    File::from(ready.clone().into_fd().unwrap()).write_all(b"!").unwrap();
    stay(ready);
}

/// P01
fn a_started_process_is_listed_until_it_has_ended() {
    let mut gate = Gate::new();
    let process = Process::new(wait_at, (gate.enter.clone(),)).name("listed");
    assert!(active_children().is_empty());
    let child = process.start().unwrap();
    assert!(child.is_alive());
    assert_eq!(child.exitcode(), None);
    assert!(child.pid() > 0);
    let listed = active_children();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name(), listed[0].pid()), ("listed", child.pid()));
    // Under `Fork` the child has a copy of the write end, which would keep the gate shut.
    if let Some(mut write) = gate.open.take() {
        write.write_all(b"!").unwrap();
    }
    gate.open();
    child.join().unwrap();
    assert_eq!(child.exitcode(), Some(0));
    assert!(!child.is_alive());
    assert!(active_children().is_empty());
}

/// (own name, own pid, the parent's name, pid and whether it lives)
type Identity = (String, u32, Option<(String, u32, bool)>);

fn identity() -> Identity {
    let parent = parent_process().map(|parent| (parent.name().to_owned(), parent.pid(), parent.is_alive()));
    (current_process().name().to_owned(), current_process().pid(), parent)
}

/// P02
fn a_child_knows_its_name_and_its_parents() {
    assert!(parent_process().is_none());
    let child = Process::new(identity, ()).name("a_name").start().unwrap();
    let pid = child.pid();
    let me = (current_process().name().to_owned(), std::process::id(), true);
    assert_eq!(child.join().unwrap(), ("a_name".to_owned(), pid, Some(me)));
}

fn exit_with(code: i32) {
    std::process::exit(code);
}

/// P03
fn exit_values_come_back() {
    let child = Process::new(|| 5_u8, ()).start().unwrap();
    assert_eq!(child.join().unwrap(), 5);
    assert_eq!(child.exitcode(), Some(0));
    for (code, seen) in [(0, 0), (8, 8), (256, 0), (-1, 255), (300, 44)] {
        let child = Process::new(exit_with, (code,)).start().unwrap();
        assert!(matches!(child.join(), Err(JoinError::Exited(code)) if code == seen), "{code}");
        assert_eq!(child.exitcode(), Some(seen));
    }
}

fn fail(why: String) {
    panic!("no {why}");
}

/// P03
fn a_panic_comes_back_with_its_place() {
    let child = Process::new(fail, ("luck".to_owned(),)).start().unwrap();
    match child.join() {
        Err(JoinError::Panicked { message, location }) => {
            assert_eq!(message, "no luck");
            assert!(location.contains("process.rs:"), "{location}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(child.exitcode(), Some(101));
}

/// P03
fn a_panic_is_told_on_stderr_with_the_name() {
    if role().is_some() {
        let child = Process::new(fail, ("luck".to_owned(),)).name("unlucky").start().unwrap();
        assert!(child.join().is_err());
        return;
    }
    let output = parent_in_role("starts one that panics")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Process unlucky panicked at ") && text.contains("\nno luck\n"), "{text}");
}

/// P04
fn signals_end_and_are_reported() {
    type Send = fn(&Child<()>) -> mp_core::error::OsResult<()>;
    let ways: [(Send, i32); 3] = [(Child::terminate, 15), (Child::kill, 9), (Child::interrupt, 2)];
    for (send, signal) in ways {
        let child = started_and_staying(false);
        send(&child).unwrap();
        assert!(matches!(child.join(), Err(JoinError::Killed(number)) if number == signal));
        assert_eq!(child.exitcode(), Some(-signal));
        // A second join returns at once, and a signal to a dead process reaches no other.
        assert!(child.join().is_err());
        send(&child).unwrap();
    }
}

fn joining_twice_and_with_a_timeout() {
    let child = started_and_staying(false);
    assert!(matches!(child.join_timeout(Duration::from_millis(20)), Err(JoinError::Timeout)));
    assert!(matches!(child.try_join(), Err(JoinError::WouldBlock)));
    let child = child.close().unwrap_err().into_inner();
    child.kill().unwrap();
    let threads: Vec<_> = std::thread::scope(|scope| {
        let join = || matches!(child.join(), Err(JoinError::Killed(9)));
        let handles: Vec<_> = (0..3).map(|_| scope.spawn(join)).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(threads, [true; 3]);
    assert!(matches!(child.join_timeout(Duration::MAX), Err(JoinError::Killed(9))));
    child.close().unwrap();
}

/// P06
fn the_sentinel_becomes_ready_at_the_end() {
    let child = started_and_staying(false);
    let ready = |timeout| wait_for(child.sentinel(), Interest::Read, timeout).unwrap();
    assert!(!ready(Deadline::after(Duration::ZERO)));
    child.kill().unwrap();
    assert!(ready(None));
    let _ = child.join();
}

/// P08
fn daemons_are_killed_and_others_waited_for() {
    if role().is_some() {
        let daemon = started_and_staying(true);
        println!("{}", daemon.pid());
        Process::new(say_late, ()).start().unwrap();
        // No join: the end of this process waits for the second and kills the first.
        return;
    }
    let output = parent_in_role("ends").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1..], ["function ends", "handler ran"], "{text}");
    let daemon: u32 = lines[0].parse().unwrap();
    assert!(!lives(daemon));
}

fn say_late() {
    finalize::at_exit(|| println!("handler ran"));
    // The parent has left main when its end closes this process's view of it: it cannot be seen from here, so
    // the order is shown by the output alone, which the parent's exit waits for.
    println!("function ends");
}

fn lives(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

fn daemons_die_with_a_killed_parent() {
    if role().is_some() {
        let daemon = started_and_staying(true);
        println!("{}", daemon.pid());
        stay(Gate::new().enter);
    }
    let mut parent = parent_in_role("is killed").spawn().unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(parent.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let daemon = pidfd_open(line.trim().parse().unwrap()).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(wait_for(daemon.as_fd(), Interest::Read, None).unwrap());
}

fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// A child with a large result ends whether or not the result was read.
fn large_values_need_no_reader() {
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| at as u8).collect();
    let child = Process::new(echo, (bytes.clone(),)).start().unwrap();
    assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    assert_eq!(child.exitcode(), Some(0));
    assert_eq!(child.join().unwrap(), bytes);
}

fn write_into(file: Handle, text: String) -> Handle {
    File::from(file.clone().into_fd().unwrap()).write_all(text.as_bytes()).unwrap();
    file
}

fn handles_travel_as_arguments() {
    let (read, write) = pipe().unwrap();
    let child = Process::new(write_into, (Handle::new(write), "through".to_owned())).start().unwrap();
    // The descriptor comes back in the result; with it gone, the pipe ends.
    drop(child.join().unwrap());
    drop(child);
    active_children();
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

#[derive(Serialize, Deserialize)]
struct MyProcess {
    upto: u32,
}

impl Run for MyProcess {
    type Output = (u32, String);
    fn run(self) -> (u32, String) {
        ((1..=self.upto).sum(), current_process().name().to_owned())
    }
}

fn a_type_of_its_own_runs() {
    let child = Process::of(MyProcess { upto: 4 }).start().unwrap();
    assert_eq!(child.join().unwrap(), (10, "MyProcess-1".to_owned()));
}

fn grandchild_name() -> String {
    let grandchild = Process::new(identity, ()).start().unwrap();
    grandchild.join().unwrap().0
}

fn nested_children_work() {
    let child = Process::new(grandchild_name, ()).start().unwrap();
    assert_eq!(child.join().unwrap(), "Process-1:1");
}

fn leave_a_note(note: Handle, end: u8) {
    finalize::at_exit(move || File::from(note.into_fd().unwrap()).write_all(b"left").unwrap());
    match end {
        0 => {}
        1 => panic!("the handler runs all the same"),
        _ => std::process::exit(3),
    }
}

/// P08: after a return, a panic and an exit.
fn exit_handlers_run() {
    for end in 0..3 {
        let (read, write) = pipe().unwrap();
        let child = Process::new(leave_a_note, (Handle::new(write), end)).start().unwrap();
        let _ = child.join();
        let mut text = String::new();
        File::from(read).read_to_string(&mut text).unwrap();
        assert_eq!(text, "left");
    }
}

fn ten_in_turn_leave_no_descriptor() {
    Process::new(|| (), ()).start().unwrap().join().unwrap();
    active_children();
    let before = open_descriptors(std::process::id()).len();
    for _ in 0..10 {
        Process::new(|| (), ()).start().unwrap().join().unwrap();
    }
    active_children();
    assert_eq!(open_descriptors(std::process::id()).len(), before);
}

fn my_surroundings() -> (String, Option<String>, Vec<(u32, String)>) {
    let directory = std::env::current_dir().unwrap().display().to_string();
    (directory, std::env::var("MP_TEST_VARIABLE").ok(), open_descriptors(std::process::id()))
}

/// A child sees the parent as it is at `start`, also one whose template began earlier.
fn the_surroundings_are_the_parents() {
    let (before, ..) = Process::new(my_surroundings, ()).start().unwrap().join().unwrap();
    assert_eq!(before, std::env::current_dir().unwrap().display().to_string());
    std::env::set_current_dir("/proc").unwrap();
    let kept_open = File::open("/dev/zero").unwrap();
    let (directory, variable, open) = Process::new(my_surroundings, ()).start().unwrap().join().unwrap();
    assert_eq!(directory, "/proc");
    assert_eq!(variable, std::env::var("MP_TEST_VARIABLE").ok());
    let forked = mp_core::get_start_method().unwrap() == StartMethod::Fork;
    assert_eq!(open.iter().any(|(_, target)| target == "/dev/zero"), forked, "{open:?}");
    drop(kept_open);
}

/// Sleeps until a signal comes, without going on sleeping as the library does.
fn sleep_once() -> Option<i32> {
    let (read, _write) = pipe().unwrap();
    let mut waiting = [nix::poll::PollFd::new(read.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut waiting, nix::poll::PollTimeout::NONE).err().map(|errno| errno as i32)
}

/// What `MP_INTERRUPTS` promises: else a whole run of these tests under it would show nothing.
fn interruptions_reach_every_child() {
    if role().is_some() {
        const EINTR: i32 = 4;
        assert_eq!(sleep_once(), Some(EINTR));
        assert_eq!(Process::new(sleep_once, ()).start().unwrap().join().unwrap(), Some(EINTR));
        return;
    }
    let mut command = parent_in_role("is interrupted");
    assert!(command.env("MP_INTERRUPTS", "1000").stdin(Stdio::null()).status().unwrap().success());
}

struct Unwilling;

impl Serialize for Unwilling {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unwilling"))
    }
}

impl<'de> Deserialize<'de> for Unwilling {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Unwilling)
    }
}

fn a_failing_serialize_is_an_error_of_start() {
    let result = Process::new(|_: Unwilling| (), (Unwilling,)).start();
    if mp_core::get_start_method().unwrap() == StartMethod::Fork {
        // Nothing is serialised: memory is copied.
        result.unwrap().join().unwrap();
    } else {
        assert!(matches!(result, Err(StartError::Arguments(_))));
        assert!(active_children().is_empty());
    }
}

fn a_function_that_cannot_be_sent_back_is_an_error() {
    let child = Process::new(|| Unwilling, ()).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Failed(_))));
    assert_eq!(child.exitcode(), Some(1));
}

fn default_names_follow_creation() {
    let first = Process::new(identity, ());
    let named = Process::new(identity, ()).name("foo_process");
    let third = Process::new(identity, ());
    let name = |child: Child<Identity>| child.join().unwrap().0;
    assert_eq!(name(third.start().unwrap()), "Process-3");
    assert_eq!(name(named.start().unwrap()), "foo_process");
    assert_eq!(name(first.start().unwrap()), "Process-1");
}

fn fork_is_refused_while_threads_run() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receive.recv());
    let refused = Process::new(|| (), ()).method(StartMethod::Fork).start();
    assert!(matches!(refused, Err(StartError::Threads { threads: 2 })), "{refused:?}");
    // The template does not mind.
    Process::new(|| (), ()).method(StartMethod::ForkServer).start().unwrap().join().unwrap();
    drop(send);
    let _ = thread.join();
}

fn a_fork_takes_what_it_captured() {
    let words = ["copied".to_owned(), "memory".to_owned()];
    let child = Process::fork(|| words.join(" ")).start().unwrap();
    assert_eq!(child.join().unwrap(), "copied memory");
    assert_eq!(words.len(), 2);
}

fn double(x: u64) -> u64 {
    2 * x
}

fn start_works_from_many_threads() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for x in thread * 10..thread * 10 + 10 {
                        let child = Process::new(double, (x,)).method(method).start().unwrap();
                        assert_eq!(child.join().unwrap(), 2 * x);
                    }
                });
            }
        });
    }
}

fn kill_template() {
    let template = pidfd_open(mp_core::popen::forkserver::template_pid().unwrap()).unwrap();
    mp_core::sys::process::send_signal(template.as_fd(), 9).unwrap();
    assert!(wait_for(template.as_fd(), Interest::Read, None).unwrap());
}

fn a_replaced_template_starts_the_next_child() {
    for x in 0..20 {
        let child = Process::new(double, (x,)).method(StartMethod::ForkServer).start().unwrap();
        assert_eq!(child.join().unwrap(), 2 * x);
        kill_template();
    }
}

fn wait_and_double(gate: Handle, x: u64) -> u64 {
    wait_at(gate);
    2 * x
}

fn results_survive_the_template() {
    let mut gate = Gate::new();
    let child = Process::new(wait_and_double, (gate.enter.clone(), 21))
        .method(StartMethod::ForkServer)
        .start()
        .unwrap();
    kill_template();
    gate.open();
    assert_eq!(child.join().unwrap(), 42);
    // Linux 6.15 and later keep the status; before, it cannot be known.
    assert!(matches!(child.exitcode(), Some(0) | None));
}

/// With every small limit on descriptors a start either works or is refused, and nothing stays open.
fn descriptors_are_refused_when_there_are_none() {
    for method in StartMethod::ALL {
        let mut refused = 0;
        let mut worked = 0;
        let before = open_descriptors(std::process::id()).len();
        for spare in 0..24 {
            let plugs: Vec<File> = plug_all_but(spare);
            match Process::new(double, (4,)).method(method).start() {
                Ok(child) => {
                    drop(plugs);
                    worked += 1;
                    assert_eq!(child.join().unwrap(), 8);
                }
                Err(StartError::Os(_) | StartError::Parcel(_)) => refused += 1,
                Err(other) => panic!("{method} with {spare} to spare: {other}"),
            }
            active_children();
        }
        assert!(refused > 0 && worked > 0, "{method}: {refused} refused, {worked} worked");
        // What stays open for good: the lifeline, the template's two, the socket of its pre-forked child, and the four
        // files that say whether this process is confined as it was.
        assert!(open_descriptors(std::process::id()).len() <= before + 9);
    }
}

/// Opens files until only `spare` descriptors are left.
fn plug_all_but(spare: usize) -> Vec<File> {
    let mut plugs = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        plugs.push(file);
    }
    let keep = plugs.len().saturating_sub(spare);
    plugs.truncate(keep);
    plugs
}
