//! The end of a parent, and what becomes of its children: conformance case P08, fault rows 28, 33 and 34; under each
//! start method.
//!
//! | the parent ...                     | daemons, and theirs | other children            |
//! |------------------------------------|---------------------|---------------------------|
//! | returns from main, exits, panics   | die                 | are waited for            |
//! | is ended by SIGTERM, SIGKILL, abort| die                 | go on                     |
//! | has lost the thread that started   | live on             | live on                   |
//! | is interrupted from its terminal   | die                 | die: all in the foreground|
//!
//! Daemons die whatever they do: in a busy loop, stopped, or holding back every signal.
#![allow(unsafe_code, reason = "a terminal, signals")]

use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::become_subreaper;
use mp_core::transfer::Handle;
use mp_core::word::Deadline;
use mp_core::{Child, JoinError, Process};
use mp_testing::{parent_in_role, role};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mp_testing::cases! {
    every_method: [
        daemons_die_with_their_parent_whatever_they_do,
        other_children_are_waited_for_or_go_on,
        the_thread_that_started_it_may_end,
        the_middle_of_a_tree_takes_its_branch,
        an_interrupt_from_the_terminal_ends_them_all,
        a_handled_interrupt_ends_the_child_alone,
        interrupts_at_any_moment_leave_nothing,
    ]
}

/// This case again, as a parent of its own.
struct Parent {
    program: std::process::Child,
    pidfd: OwnedFd,
    tell: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
}

impl Parent {
    fn start(role: &str) -> Parent {
        Parent::of(parent_in_role(role))
    }

    fn of(mut command: Command) -> Parent {
        let mut program = command.spawn().unwrap();
        let pidfd = pidfd_open(program.id()).unwrap();
        let (tell, says) = (program.stdin.take(), BufReader::new(program.stdout.take().unwrap()));
        Parent { program, pidfd, tell, says }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the parent ended early: {line:?}");
        line.trim_end().to_owned()
    }

    fn ends(&mut self) -> ExitStatus {
        assert!(wait_for(self.pidfd.as_fd(), Interest::Read, None).unwrap());
        self.program.wait().unwrap()
    }

    fn signal(&self, signal: i32) {
        mp_core::sys::process::send_signal(self.pidfd.as_fd(), signal).unwrap();
    }
}

fn has_ended(pidfd: &OwnedFd, until: Option<Deadline>) -> bool {
    wait_for(pidfd.as_fd(), Interest::Read, until).unwrap()
}

fn now() -> Option<Deadline> {
    Deadline::after(Duration::ZERO)
}

/// Writes the identity of this process, in one write, since others write to the same pipe.
fn say_pid(report: &Handle) {
    let line = format!("{}\n", std::process::id());
    File::from(report.clone().into_fd().unwrap()).write_all(line.as_bytes()).unwrap();
}

/// In a daemon and in its own child: writes its identity, and then enters the requested state.
fn be(state: u8, generations: u8, report: Handle) {
    if generations > 0 {
        Process::new(be, (state, generations - 1, report.clone())).start().unwrap();
    }
    say_pid(&report);
    match state {
        0 => loop {
            std::hint::spin_loop();
        },
        // SAFETY: to itself.
        1 => drop(unsafe { libc::raise(libc::SIGSTOP) }),
        _ => mp_core::sys::signal::set_blocked(&(1..=64).collect::<Vec<i32>>()),
    }
    loop {
        std::thread::park();
    }
}

const STATES: u8 = 3;

fn end_like(way: &str) {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    match way {
        "return" => {}
        "exit" => std::process::exit(3),
        "panic" => panic!("the parent panics, as it should"),
        "abort" => std::process::abort(),
        // By a signal from outside.
        _ => loop {
            std::thread::park();
        },
    }
}

/// (how a parent ends, the signal that is sent to it, what its status is)
const WAYS: [(&str, i32, Result<i32, i32>); 6] = [
    ("return", 0, Ok(0)),
    ("exit", 0, Ok(3)),
    ("panic", 0, Ok(101)),
    ("SIGTERM", libc::SIGTERM, Err(libc::SIGTERM)),
    ("SIGKILL", libc::SIGKILL, Err(libc::SIGKILL)),
    ("abort", 0, Err(libc::SIGABRT)),
];

fn assert_ended_like(status: ExitStatus, expected: Result<i32, i32>, way: &str) {
    let seen = status.code().ok_or_else(|| status.signal().unwrap());
    assert_eq!(seen, expected, "{way}");
}

fn daemons_die_with_their_parent_whatever_they_do() {
    if let Some(way) = role() {
        let (read, write) = pipe().unwrap();
        for state in 0..STATES {
            let report = Handle::new(write.try_clone().unwrap());
            Process::new(be, (state, 1, report)).daemon().start().unwrap();
        }
        let lines = BufReader::new(File::from(read)).lines().take(2 * usize::from(STATES));
        lines.for_each(|line| println!("{}", line.unwrap()));
        return end_like(&way);
    }
    become_subreaper().unwrap();
    let mut worst = Duration::ZERO;
    for (way, signal, expected) in WAYS {
        let mut parent = Parent::start(way);
        let family: Vec<OwnedFd> =
            (0..2 * STATES).map(|_| pidfd_open(parent.line().parse().unwrap()).unwrap()).collect();
        assert!(family.iter().all(|member| !has_ended(member, now())));
        match signal {
            0 => drop(parent.tell.take()),
            signal => parent.signal(signal),
        }
        assert_ended_like(parent.ends(), expected, way);
        let ended = Instant::now();
        family.iter().for_each(|member| assert!(has_ended(member, None)));
        worst = worst.max(ended.elapsed());
    }
    eprintln!("{} daemons in {} ends of parents: the last gone {worst:?} after it", 2 * STATES, WAYS.len());
}

/// Says that it is there, waits for the word, and says that it was there to the end.
fn stay_for(word: Handle, report: Handle) {
    say_pid(&report);
    File::from(word.into_fd().unwrap()).read_exact(&mut [0]).unwrap();
    File::from(report.into_fd().unwrap()).write_all(b"to the end\n").unwrap();
}

/// The case's own ends come to the parent under known numbers: it is another program.
fn passed(number: i32) -> Handle {
    // SAFETY: passed by the case for this purpose, and taken once.
    Handle::new(unsafe { mp_core::sys::fd::inherited(number) }.unwrap())
}

fn other_children_are_waited_for_or_go_on() {
    if let Some(way) = role() {
        let child = Process::new(stay_for, (passed(100), passed(101))).not_daemon().start().unwrap();
        assert!(child.is_alive());
        println!("started");
        return end_like(&way);
    }
    become_subreaper().unwrap();
    for (way, signal, expected) in WAYS {
        let (word, give_word) = pipe().unwrap();
        let (report, write) = pipe().unwrap();
        let mut parent = with_descriptors(way, &[(&word, 100), (&write, 101)]);
        drop((word, write));
        let mut report = BufReader::new(File::from(report));
        let mut line = String::new();
        report.read_line(&mut line).unwrap();
        let child = pidfd_open(line.trim().parse().unwrap()).unwrap();
        assert_eq!(parent.line(), "started");
        let mut give_word = File::from(give_word);
        if expected.is_ok() {
            // The end begins, and cannot come before the child's.
            drop(parent.tell.take());
            assert!(!has_ended(&child, now()) && !has_ended(&parent.pidfd, now()));
            give_word.write_all(b"!").unwrap();
            assert_ended_like(parent.ends(), expected, way);
            assert!(has_ended(&child, now()), "{way}: the parent did not wait");
        } else {
            match signal {
                0 => drop(parent.tell.take()),
                signal => parent.signal(signal),
            }
            assert_ended_like(parent.ends(), expected, way);
            assert!(!has_ended(&child, now()), "{way}: the child went with it");
            give_word.write_all(b"!").unwrap();
        }
        line.clear();
        report.read_line(&mut line).unwrap();
        assert_eq!(line, "to the end\n", "{way}");
        assert!(has_ended(&child, None));
    }
}

fn with_descriptors(role: &str, passed: &[(&OwnedFd, i32)]) -> Parent {
    use std::os::fd::AsRawFd;
    let mut command = parent_in_role(role);
    let numbers: Vec<(i32, i32)> = passed.iter().map(|(fd, number)| (fd.as_raw_fd(), *number)).collect();
    let pass = move || {
        for &(from, to) in &numbers {
            // SAFETY: between fork and exec; integer arguments only.
            if unsafe { libc::dup2(from, to) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: only dup2, which a signal handler may call.
    unsafe { command.pre_exec(pass) };
    Parent::of(command)
}

fn echo(requests: Handle, answers: Handle) {
    let mut answers = File::from(answers.into_fd().unwrap());
    let mut requests = File::from(requests.into_fd().unwrap());
    let mut byte = [0];
    while requests.read_exact(&mut byte).is_ok() {
        answers.write_all(&byte).unwrap();
    }
}

/// What ties a child to its parent is the process, not the thread that called `start`: had it been the thread
/// (`PR_SET_PDEATHSIG`), the daemon would be dead when it is asked.
fn the_thread_that_started_it_may_end() {
    let (requests, ask) = pipe().unwrap();
    let (hear, answers) = pipe().unwrap();
    let start = || {
        let process = Process::new(echo, (Handle::new(requests), Handle::new(answers)));
        process.daemon().start().unwrap()
    };
    let forks = mp_core::get_start_method().unwrap() == mp_core::StartMethod::Fork;
    // A fork is refused while threads run; there the starting thread is this one.
    let child = if forks { start() } else { std::thread::scope(|scope| scope.spawn(start).join()).unwrap() };
    let (mut ask, mut hear) = (File::from(ask), File::from(hear));
    for byte in 0..100 {
        ask.write_all(&[byte]).unwrap();
        let mut answer = [0];
        hear.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [byte]);
    }
    assert!(child.is_alive());
}

fn the_middle_of_a_tree_takes_its_branch() {
    become_subreaper().unwrap();
    let (read, write) = pipe().unwrap();
    let top = Process::new(be, (2, 2, Handle::new(write))).daemon().start().unwrap();
    let lines = BufReader::new(File::from(read)).lines().take(3);
    let pids: Vec<u32> = lines.map(|line| line.unwrap().parse().unwrap()).collect();
    assert!(pids.contains(&top.pid()));
    let below: Vec<OwnedFd> =
        pids.iter().filter(|pid| **pid != top.pid()).map(|pid| pidfd_open(*pid).unwrap()).collect();
    assert_eq!(below.len(), 2);
    top.kill().unwrap();
    below.iter().for_each(|member| assert!(has_ended(member, None)));
    assert!(matches!(top.join(), Err(JoinError::Killed(9))));
    // This process, above the one that was killed, goes on.
    Process::new(|| (), ()).start().unwrap().join().unwrap();
}

/// A program of its own session, in the foreground of its own terminal: (it, the terminal's other side)
fn on_a_terminal(role: &str) -> (Parent, File) {
    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = parent_in_role(role);
    command.stdin(Stdio::from(terminal.slave));
    let take_terminal = || {
        // SAFETY: between fork and exec; no memory is passed.
        if unsafe { libc::setsid() } < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: as above; standard input is the terminal.
        match unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: only what a signal handler may call.
    unsafe { command.pre_exec(take_terminal) };
    (Parent::of(command), File::from(terminal.master))
}

const CTRL_C: &[u8] = b"\x03";

fn an_interrupt_from_the_terminal_ends_them_all() {
    if role().is_some() {
        let (read, write) = pipe().unwrap();
        for daemon in [true, false] {
            let report = Handle::new(write.try_clone().unwrap());
            // Parked, with no signal held back.
            let child = Process::new(park, (report,));
            if daemon { child.daemon() } else { child.not_daemon() }.start().unwrap();
        }
        BufReader::new(File::from(read)).lines().take(2).for_each(|line| println!("{}", line.unwrap()));
        loop {
            std::thread::park();
        }
    }
    become_subreaper().unwrap();
    let (mut parent, mut terminal) = on_a_terminal("waits");
    let children = [0; 2].map(|_| pidfd_open(parent.line().parse().unwrap()).unwrap());
    terminal.write_all(CTRL_C).unwrap();
    assert_eq!(parent.ends().signal(), Some(libc::SIGINT));
    children.iter().for_each(|child| assert!(has_ended(child, None)));
    // The template, which heard it too, goes when its parent is gone: the harness counts.
}

fn park(report: Handle) {
    say_pid(&report);
    loop {
        std::thread::park();
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    // ORDERING: Relaxed: only whether it has come.
    INTERRUPTED.store(true, Ordering::Relaxed);
}

fn on_interrupt(action: libc::sighandler_t) {
    // SAFETY: a handler that stores to an atomic, or the default.
    unsafe { libc::signal(libc::SIGINT, action) };
}

/// A fork has its parent's handler; the others never had it.
fn park_interruptible(report: Handle) {
    on_interrupt(libc::SIG_DFL);
    park(report);
}

fn parked() -> Child<()> {
    let (read, write) = pipe().unwrap();
    let child = Process::new(park_interruptible, (Handle::new(write),)).start().unwrap();
    assert!(BufReader::new(File::from(read)).read_line(&mut String::new()).unwrap() > 0);
    child
}

fn a_handled_interrupt_ends_the_child_alone() {
    if role().is_some() {
        on_interrupt(note as *const () as usize);
        let child = parked();
        println!("ready");
        assert!(matches!(child.join(), Err(JoinError::Killed(libc::SIGINT))), "{child:?}");
        // ORDERING: as in `note`. It was sent to both at once, and may reach this one a moment later.
        while !INTERRUPTED.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        // It goes on, and so does its template: the next child starts.
        let _next = parked();
        on_interrupt(libc::SIG_DFL);
        println!("again");
        loop {
            std::thread::park();
        }
    }
    become_subreaper().unwrap();
    let (mut parent, mut terminal) = on_a_terminal("handles");
    assert_eq!(parent.line(), "ready");
    terminal.write_all(CTRL_C).unwrap();
    assert_eq!(parent.line(), "again");
    terminal.write_all(CTRL_C).unwrap();
    assert_eq!(parent.ends().signal(), Some(libc::SIGINT));
}

fn interrupts_at_any_moment_leave_nothing() {
    if role().is_some() {
        println!("ready");
        loop {
            // A child that was interrupted, or could not be started for that.
            if let Ok(child) = Process::new(|| (), ()).start() {
                let _ = child.join();
            }
        }
    }
    become_subreaper().unwrap();
    for round in 0..20_u32 {
        let (mut parent, mut terminal) = on_a_terminal("starts and joins");
        assert_eq!(parent.line(), "ready");
        // Some starts later, and so at another moment of one each time.
        let moment = Instant::now() + Duration::from_micros(u64::from(round) * 731);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        terminal.write_all(CTRL_C).unwrap();
        assert_eq!(parent.ends().signal(), Some(libc::SIGINT));
    }
}
