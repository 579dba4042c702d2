//! The end of a pool's parent: its workers end with it, whatever they do, and nothing is left of the pool.
//!
//! | the parent ...                            | its workers ...                                              |
//! |-------------------------------------------|--------------------------------------------------------------|
//! | returns, exits, panics, aborts, is killed, terminated, or interrupted from its terminal | are idle, compute, hold back every signal, are stopped |
//! | is killed at any moment of a pool's life  | start, work, are replaced, end                               |

use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{Ended, become_subreaper, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_pool::Pool;
use mp_testing::{
    all_gone, end_of, no_new_shared_memory, parent_in_role, role, shared_memory_names, stay, stop_process,
    wait_a_random_moment,
};
use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child as Program, ChildStdout, Command};
use std::time::Duration;

mp_testing::cases! {
    every_method: [
        workers_end_with_their_parent_whatever_they_do,
        a_parent_killed_at_any_moment_leaves_nothing,
    ]
}

/// This case again, as a parent in a process group of its own.
struct Parent {
    program: Program,
    pidfd: OwnedFd,
    says: BufReader<ChildStdout>,
}

impl Parent {
    fn start(role: &str) -> Parent {
        let mut command: Command = parent_in_role(role);
        let mut program = command.process_group(0).spawn().unwrap();
        let pidfd = pidfd_open(program.id()).unwrap();
        let says = BufReader::new(program.stdout.take().unwrap());
        Parent { program, pidfd, says }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the parent ended early: {line:?}");
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: i32) {
        send_signal(self.pidfd.as_fd(), signal).unwrap();
    }
}

/// How a parent ends: what it does, what is sent to it, and how that is told.
const WAYS: [(&str, Option<Signal>, Ended); 7] = [
    ("return", None, Ended::Exited(0)),
    ("exit", None, Ended::Exited(3)),
    ("panic", None, Ended::Exited(101)),
    ("abort", None, Ended::Signaled(6)),
    ("SIGKILL", Some(Signal::SIGKILL), Ended::Signaled(9)),
    ("SIGTERM", Some(Signal::SIGTERM), Ended::Signaled(15)),
    ("Ctrl-C", Some(Signal::SIGINT), Ended::Signaled(2)),
];

fn end_like(way: &str) {
    match way {
        "return" => {}
        "exit" => std::process::exit(3),
        "panic" => panic!("the parent panics, as it should"),
        "abort" => std::process::abort(),
        // By a signal from outside.
        _ => stay(),
    }
}

fn say(word: impl std::fmt::Display) {
    // One line, as soon as it is known.
    println!("{word}");
}

/// What a worker does when its parent ends. It says so first.
fn be_busy(with: u32) {
    say(std::process::id());
    match with {
        0 => loop {
            std::hint::spin_loop();
        },
        1 => {
            mp_core::sys::signal::set_blocked(&(1..=64).collect::<Vec<i32>>());
            stay()
        }
        _ => stay(),
    }
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// One worker computes, one holds back every signal, one is stopped, one is idle.
fn a_pool_whose_parent_ends(way: &str) {
    let pool = Pool::new(4).unwrap();
    assert_eq!(pool.map(same, (0..8).map(|_| vec![7; 100_000])).unwrap().len(), 8);
    let _running = (0..3).map(|with| pool.apply_async(be_busy, (with,)).unwrap()).collect::<Vec<_>>();
    // By message, and with a callback.
    let long = pool.apply_async(same, (vec![7; 9 << 20],)).unwrap();
    long.call_back(|_| ());
    assert_eq!(long.get().unwrap().len(), 9 << 20);
    pool.worker_pids().into_iter().for_each(|pid| say(format!("worker {pid}")));
    let mut word = [0];
    std::io::stdin().read_exact(&mut word).unwrap();
    end_like(way);
}

fn workers_end_with_their_parent_whatever_they_do() {
    if let Some(way) = role() {
        return a_pool_whose_parent_ends(&way);
    }
    become_subreaper().unwrap();
    let before = shared_memory_names();
    for (way, signal, expected) in WAYS {
        let mut parent = Parent::start(way);
        let (mut busy, mut workers) = (Vec::new(), Vec::new());
        while busy.len() < 3 || workers.len() < 4 {
            let line = parent.line();
            match line.strip_prefix("worker ") {
                Some(pid) => workers.push(pid.parse::<u32>().unwrap()),
                None => busy.push(line.parse::<u32>().unwrap()),
            }
        }
        assert!(busy.iter().all(|pid| workers.contains(pid)), "{busy:?} of {workers:?}");
        let pidfds: Vec<OwnedFd> = workers.iter().map(|pid| pidfd_open(*pid).unwrap()).collect();
        let at = workers.iter().position(|pid| *pid == busy[2]).unwrap();
        assert!(stop_process(busy[2], pidfds[at].as_fd()));
        parent.program.stdin.as_mut().unwrap().write_all(b"!").unwrap();
        if let Some(signal) = signal {
            // As a terminal does, to the whole group; the workers ignore it.
            let group = nix::unistd::Pid::from_raw(parent.program.id() as i32);
            match signal {
                Signal::SIGINT => nix::sys::signal::killpg(group, signal).unwrap(),
                _ => parent.signal(signal as i32),
            }
        }
        assert_eq!(end_of(&mut parent.program), expected, "{way}");
        for pidfd in &pidfds {
            assert!(wait_for(pidfd.as_fd(), Interest::Read, None).unwrap());
        }
        // The template, and whatever serves a name, too.
        all_gone();
        no_new_shared_memory(&before);
    }
}

/// Pools one after the other, as a program makes them.
fn make_pools_until_killed() {
    say("begins");
    loop {
        let pool = Pool::builder().processes(3).max_tasks_per_child(20).build().unwrap();
        let long = pool.apply_async(same, (vec![7; 9 << 20],)).unwrap();
        assert_eq!(pool.map(|x: u32| x, 0..200).unwrap().len(), 200);
        assert_eq!(long.get().unwrap().len(), 9 << 20);
        pool.close();
        pool.join().unwrap();
    }
}

/// `MP_KILLS` sets how often.
fn a_parent_killed_at_any_moment_leaves_nothing() {
    if role().is_some() {
        return make_pools_until_killed();
    }
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let times = mp_testing::kills(8);
    for _ in 0..times {
        let mut parent = Parent::start("parent");
        assert_eq!(parent.line(), "begins");
        wait_a_random_moment(Duration::from_millis(60));
        parent.signal(SIGKILL);
        assert_eq!(end_of(&mut parent.program), Ended::Signaled(SIGKILL));
        all_gone();
        no_new_shared_memory(&before);
    }
}
