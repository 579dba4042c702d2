//! Kills at random moments: of a parent, its template, one of its children. Prints how many it tried.
//!
//! A family is a process that starts and joins children through a template, round after round. Whichever process of it
//! is killed, the rest must come to an end by itself: a killed parent takes its daemons and its template along; a
//! parent whose template or child was killed joins every child with a true answer and ends in order.
//!
//! `MP_KILLS=2000` sets the number; the default fits the gate.

use mp_core::sys::process::{Ended, become_subreaper};
use mp_core::sys::signal::SIGKILL;
use mp_core::{Child, JoinError, Process, StartError, StartMethod};
use mp_testing::{
    all_gone, descendants, end_of, kill_if_it_lives, process_name, random, wait_a_random_moment,
};
use std::io::Read;
use std::process::{Child as Program, Command, Stdio};
use std::time::Duration;

mp_testing::cases! { plain: [whichever_process_is_killed_the_rest_comes_to_an_end] }

const FAMILY: &str = "MP_TEST_FAMILY";
const ROUNDS: u64 = 12;

fn whichever_process_is_killed_the_rest_comes_to_an_end() {
    if std::env::var_os(FAMILY).is_some() {
        return family();
    }
    become_subreaper().unwrap();
    let kills = mp_testing::kills(150);
    let (mut parents, mut templates, mut children, mut too_late) = (0, 0, 0, 0);
    for _ in 0..kills {
        let mut parent = start_family();
        wait_a_random_moment(LIFE);
        let victim = choose(parent.id()).filter(|(_, pid)| kill_if_it_lives(*pid));
        let status = end_of_family(&mut parent);
        let expected = match victim {
            Some((Member::Parent, _)) => {
                parents += 1;
                Ended::Signaled(SIGKILL)
            }
            Some((Member::Template, _)) => {
                templates += 1;
                Ended::Exited(0)
            }
            Some((Member::Child, _)) => {
                children += 1;
                Ended::Exited(0)
            }
            None => {
                too_late += 1;
                Ended::Exited(0)
            }
        };
        assert_eq!(status, expected);
        all_gone();
    }
    eprintln!(
        "{kills} kills: {parents} of parents, {templates} of templates, {children} of children, \
         {too_late} too late; 0 hangs, 0 left behind"
    );
}

fn start_family() -> Program {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1)).env(FAMILY, "1").stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// About as long as a family takes when it is left alone.
const LIFE: Duration = Duration::from_millis(15);

enum Member {
    Parent,
    Template,
    Child,
}

/// The parent, its template, or any child, each as likely.
fn choose(parent: u32) -> Option<(Member, u32)> {
    let below = descendants(parent).into_iter().map(|(pid, _)| pid);
    let (templates, children): (Vec<u32>, Vec<u32>) =
        below.partition(|pid| process_name(*pid) == "mp-template");
    match random(3) {
        0 => Some((Member::Parent, parent)),
        1 => templates.first().map(|pid| (Member::Template, *pid)),
        _ => children.get(random(children.len().max(1) as u64) as usize).map(|pid| (Member::Child, *pid)),
    }
}

/// Waits for the family's parent; prints what it said if it did not do well.
fn end_of_family(parent: &mut Program) -> Ended {
    let ended = end_of(parent);
    if !matches!(ended, Ended::Exited(0) | Ended::Signaled(SIGKILL)) {
        let mut said = String::new();
        parent.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        eprintln!("{said}");
    }
    ended
}

fn square(x: u64) -> u64 {
    x * x
}

fn stay() {
    loop {
        std::thread::park();
    }
}

/// What the killed and the killing are tried on.
fn family() {
    for round in 0..ROUNDS {
        let method = if round % 4 == 3 { StartMethod::Spawn } else { StartMethod::ForkServer };
        let daemon = Process::new(stay, ()).daemon().method(method).start();
        let child = Process::new(square, (round,)).method(method).start();
        if let Some(child) = started(child) {
            match child.join() {
                Ok(value) => assert_eq!(value, round * round),
                Err(JoinError::Killed(9) | JoinError::Lost) => {}
                Err(other) => panic!("{other}"),
            }
        }
        if let Some(daemon) = started(daemon) {
            daemon.kill().unwrap();
            assert!(matches!(daemon.join(), Err(JoinError::Killed(9) | JoinError::Lost)));
        }
    }
    // The last one is left to this process's end.
    let _ = Process::new(stay, ()).daemon().start();
}

/// A start that was cut short says so, and started nothing.
fn started<R>(result: Result<Child<R>, StartError>) -> Option<Child<R>> {
    match result {
        Ok(child) => Some(child),
        Err(StartError::Died | StartError::Parcel(_)) => None,
        Err(other) => panic!("{other}"),
    }
}
