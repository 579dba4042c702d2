//! Every way for a child to end, and what its starter hears of it, under each start method. Conformance case P03,
//! fault rows 36 and 37.
//!
//! | end of the child                | `join()`                        | `exitcode()` |
//! |---------------------------------|---------------------------------|--------------|
//! | return                          | the value                       | 0            |
//! | panic, with any payload         | `Panicked{message, location}`   | 101          |
//! | panic while the value is dropped| `Panicked`                      | 101          |
//! | `exit(n)`                       | `Exited(n & 255)`               | n & 255      |
//! | exec of another program         | `Exited` of that program        | its code     |
//! | `abort`                         | `Killed(6)`                     | -6           |
//! | a wild write                    | `Killed(11)`                    | -11          |
//! | a fatal signal                  | `Killed(n)`                     | -n           |
//!
//! A stack overflow and `panic = "abort"` are in `hook.rs`; what came before an end stays committed, for that is what
//! the tests of locks and queues show.
#![allow(unsafe_code, reason = "wild writes and signals")]

use mp_core::sys::fd::pipe;
use mp_core::sys::memory::sealed_file;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::socket;
use mp_core::transfer::{Handle, set_longest_message};
use mp_core::{Child, JoinError, Process, StartMethod, parent_process};
use nix::sys::socket::{SockType, getsockopt, sockopt::SockType as SocketType};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

mp_testing::cases! {
    plain: [],
    every_method: [
        returns_and_exits_are_told_apart,
        panics_arrive_with_message_and_place,
        crashes_are_killed_by_their_signal,
        every_fatal_signal_is_named,
        another_program_in_its_place_ends_as_that_one,
        other_code_that_reaps_it_loses_no_value,
        an_end_that_a_tracer_is_told_first_is_not_lost,
        joins_of_many_threads_agree,
        a_parents_end_is_seen_by_its_child,
        a_last_message_that_cost_its_sender_nothing_is_an_error,
        a_result_beyond_the_limit_is_an_error,
    ]
}

fn nothing() {}

/// Says over its outcome socket that a long message lies in a file of this size, of which nothing is reserved.
fn announces(size: u64) {
    let file = sealed_file("lie", size as usize).unwrap();
    let mut head = vec![1];
    head.extend(1_u64.to_le_bytes());
    head.extend(0_u32.to_le_bytes());
    head.extend((size - 1).to_le_bytes());
    head.extend(0_u32.to_le_bytes());
    for number in 3..64 {
        // SAFETY: asked what it is, and sent to if it is a packet socket; it stays open to the end of this process.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        if matches!(getsockopt(&fd, SocketType), Ok(SockType::SeqPacket)) {
            socket::send(fd, &[&head], &[file.as_fd()], socket::Mode::Block).unwrap();
        }
    }
    mp_core::sys::process::exit_now(0);
}

/// Row 50: a parent that believed it would end by an allocation of a TiB.
fn a_last_message_that_cost_its_sender_nothing_is_an_error() {
    for size in [1 << 20, 1 << 40] {
        let child = Process::new(announces, (size,)).start().unwrap();
        let Err(JoinError::Failed(reason)) = child.join() else { panic!("{child:?}") };
        assert!(reason.contains("its memory was not reserved"), "{reason}");
        assert_eq!(child.exitcode(), Some(0));
    }
}

fn long_result(bytes: usize) -> Vec<u8> {
    vec![7; bytes]
}

/// Row 50
fn a_result_beyond_the_limit_is_an_error() {
    set_longest_message(1 << 20);
    let long = |bytes| Process::new(long_result, (bytes,)).start().unwrap().join();
    assert_eq!(long(1 << 19).unwrap().len(), 1 << 19);
    let Err(JoinError::Failed(reason)) = long(1 << 20) else {
        panic!("the message is longer than its value")
    };
    assert!(
        reason.contains("the 1048576 that this process receives: allow more with set_longest_message"),
        "{reason}"
    );
    set_longest_message(u64::MAX);
    assert_eq!(long(1 << 21).unwrap().len(), 1 << 21);
}

fn exits(code: i32) {
    std::process::exit(code)
}

fn returns_and_exits_are_told_apart() {
    let child = Process::new(nothing, ()).start().unwrap();
    assert!(matches!(child.join(), Ok(())));
    assert_eq!(child.exitcode(), Some(0));
    for code in [0, 1, 7, 101, 255, 256, 257, -1, i32::MIN, i32::MAX] {
        let child = Process::new(exits, (code,)).start().unwrap();
        let seen = code & 255;
        assert!(matches!(child.join(), Err(JoinError::Exited(code)) if code == seen), "{code}: {child:?}");
        assert_eq!(child.exitcode(), Some(seen));
    }
}

fn panics_with_text() {
    panic!("plain text")
}

fn panics_with_a_string(number: u32) {
    panic!("number {number}")
}

fn panics_with_anything() {
    std::panic::panic_any(17_u64)
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped")
    }
}

fn panics_while_dropping() {
    let _bomb = Bomb;
}

fn panics_in_a_thread_of_its_own() -> String {
    let ended = std::thread::spawn(|| panic!("only the thread")).join();
    *ended.unwrap_err().downcast::<&str>().map(|text| Box::new((*text).to_owned())).unwrap()
}

fn panics_arrive_with_message_and_place() {
    let expect = |child: Child<()>, text: &str| match child.join() {
        Err(JoinError::Panicked { message, location }) => {
            assert!(message.contains(text), "{message}");
            assert!(location.starts_with("mp-core/tests/ends.rs:"), "{location}");
            assert_eq!(child.exitcode(), Some(101));
        }
        other => panic!("{text}: {other:?}"),
    };
    expect(Process::new(panics_with_text, ()).start().unwrap(), "plain text");
    expect(Process::new(panics_with_a_string, (5,)).start().unwrap(), "number 5");
    expect(Process::new(panics_with_anything, ()).start().unwrap(), "not text");
    expect(Process::new(panics_while_dropping, ()).start().unwrap(), "dropped");
    // What a thread of the child's does is the child's affair.
    let child = Process::new(panics_in_a_thread_of_its_own, ()).start().unwrap();
    assert_eq!(child.join().unwrap(), "only the thread");
}

fn expect_killed(child: &Child<()>, signal: i32) {
    assert!(
        matches!(child.join(), Err(JoinError::Killed(number)) if number == signal),
        "{signal}: {child:?}"
    );
    assert_eq!(child.exitcode(), Some(-signal));
}

fn aborts() {
    std::process::abort()
}

fn writes_wildly() {
    let nowhere = std::hint::black_box(std::ptr::dangling_mut::<u64>());
    // SAFETY: none: that is what it is for. The process ends here.
    unsafe { nowhere.write_volatile(1) }
}

fn crashes_are_killed_by_their_signal() {
    expect_killed(&Process::new(aborts, ()).start().unwrap(), libc::SIGABRT);
    expect_killed(&Process::new(writes_wildly, ()).start().unwrap(), libc::SIGSEGV);
}

fn signals_itself(signal: i32) {
    // SAFETY: the default action, and no core file of this test.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 }) };
    // SAFETY: as above.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: to itself.
    unsafe { libc::raise(signal) };
}

fn every_fatal_signal_is_named() {
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    for signal in
        (1..=31).filter(|signal| !harmless.contains(signal)).chain([libc::SIGRTMIN(), libc::SIGRTMAX()])
    {
        expect_killed(&Process::new(signals_itself, (signal,)).start().unwrap(), signal);
    }
    // These do not end a process, and it goes on to return.
    for signal in [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH] {
        Process::new(signals_itself, (signal,)).start().unwrap().join().unwrap();
    }
}

fn becomes_another_program() {
    panic!("{}", Command::new("/bin/sh").args(["-c", "exit 7"]).exec());
}

fn another_program_in_its_place_ends_as_that_one() {
    let child = Process::new(becomes_another_program, ()).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Exited(7))), "{child:?}");
    assert_eq!(child.exitcode(), Some(7));
}

fn square(x: u64) -> u64 {
    x * x
}

/// Another part of the program takes the exit status away, as a reaper of all children does. (The template's children
/// are not this process's to take.)
fn other_code_that_reaps_it_loses_no_value() {
    let child = Process::new(square, (7,)).start().unwrap();
    assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    // SAFETY: the status is not asked for.
    let reaped = unsafe { libc::waitpid(child.pid() as i32, std::ptr::null_mut(), 0) };
    let of_template = mp_core::get_start_method().unwrap() == StartMethod::ForkServer;
    assert_eq!(reaped, if of_template { -1 } else { child.pid() as i32 });
    assert!(!child.is_alive());
    assert_eq!(child.join().unwrap(), 49);
    // Linux 6.15 and later keep the status; earlier ones do not.
    assert!(matches!(child.exitcode(), Some(0) | None), "{child:?}");
    let child = Process::new(exits, (3,)).start().unwrap();
    assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    // SAFETY: as above.
    unsafe { libc::waitpid(child.pid() as i32, std::ptr::null_mut(), 0) };
    assert!(matches!(child.join(), Err(JoinError::Exited(3) | JoinError::Lost)), "{child:?}");
}

fn waits(gate: Handle) -> u64 {
    // Not `read`, which a signal ends.
    File::from(gate.into_fd().unwrap()).read_exact(&mut [0]).unwrap();
    49
}

fn waits_and_may_be_traced(says: Handle, gate: Handle) -> u64 {
    // SAFETY: integers only. (Where only ancestors may trace.)
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    File::from(says.into_fd().unwrap()).write_all(b"!").unwrap();
    waits(gate)
}

/// As `strace -p`, but slow to look at what it is told.
fn traces(pid: u32, says: Handle, gate: Handle) -> i32 {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: no memory is passed.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid as i32, nothing, nothing) }, 0);
    File::from(says.into_fd().unwrap()).write_all(b"!").unwrap();
    waits(gate);
    // SAFETY: the status is not asked for.
    unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) }
}

/// A tracer gets the end of a child before its parent does, although the sentinel is ready.
fn an_end_that_a_tracer_is_told_first_is_not_lost() {
    let ((hears, says), (gate, _open)) = (pipe().unwrap(), pipe().unwrap());
    let traced = Process::new(waits_and_may_be_traced, (Handle::new(says), Handle::new(gate)));
    let child = traced.start().unwrap();
    File::from(hears).read_exact(&mut [0]).unwrap();
    let ((hears, says), (gate, open)) = (pipe().unwrap(), pipe().unwrap());
    let tracer = Process::new(traces, (child.pid(), Handle::new(says), Handle::new(gate))).start().unwrap();
    File::from(hears).read_exact(&mut [0]).unwrap();
    child.kill().unwrap();
    assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    // A template's child is the template's, or the kernel's, to reap: there a report is waited for.
    if mp_core::get_start_method().unwrap() != StartMethod::ForkServer {
        assert!(matches!(child.try_join(), Err(JoinError::WouldBlock)));
        assert!(child.is_alive() && child.exitcode().is_none());
    }
    File::from(open).write_all(b"!").unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(libc::SIGKILL))), "{child:?}");
    assert_eq!(child.exitcode(), Some(-libc::SIGKILL));
    assert_eq!(tracer.join().unwrap(), child.pid() as i32);
}

fn joins_of_many_threads_agree() {
    let (gate, open) = pipe().unwrap();
    let child = Process::new(waits, (Handle::new(gate),)).start().unwrap();
    assert!(matches!(child.try_join(), Err(JoinError::WouldBlock)));
    assert!(matches!(child.join_timeout(Duration::from_millis(1)), Err(JoinError::Timeout)));
    std::thread::scope(|scope| {
        let joins: Vec<_> = (0..4)
            .map(|number| {
                let child = &child;
                scope.spawn(move || match number {
                    0 => child.join_timeout(Duration::MAX),
                    _ => child.join(),
                })
            })
            .collect();
        File::from(open).write_all(b"!").unwrap();
        for join in joins {
            assert_eq!(join.join().unwrap().unwrap(), 49);
        }
    });
    assert_eq!(child.try_join().unwrap(), 49);
}

/// A grandchild of this case whose parent is killed, and which tells what it saw.
fn watches_its_parent(report: Handle) {
    let parent = parent_process().unwrap();
    let mut report = File::from(report.into_fd().unwrap());
    let still_there = parent.is_alive() && parent.join_timeout(Duration::from_millis(1)).is_err();
    writeln!(report, "{} {} {still_there}", parent.name(), parent.pid()).unwrap();
    let ended = parent.join().is_ok();
    writeln!(report, "{ended} {}", parent.is_alive()).unwrap();
}

fn parent_of_a_watcher(report: Handle) {
    Process::new(watches_its_parent, (report,)).start().unwrap();
    loop {
        std::thread::park();
    }
}

fn a_parents_end_is_seen_by_its_child() {
    // What outlives its parent is this case's to reap.
    mp_core::sys::process::become_subreaper().unwrap();
    let (read, write) = pipe().unwrap();
    let middle = Process::new(parent_of_a_watcher, (Handle::new(write),));
    let middle = middle.name("middle").not_daemon().start().unwrap();
    let mut report = std::io::BufReader::new(File::from(read));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut report, &mut line).unwrap();
    assert_eq!(line, format!("middle {} true\n", middle.pid()));
    middle.kill().unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut report, &mut line).unwrap();
    assert_eq!(line, "true false\n");
    assert!(matches!(middle.join(), Err(JoinError::Killed(9))));
}
