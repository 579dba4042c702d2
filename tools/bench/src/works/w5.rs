//! W5: starting and joining a child that does nothing, by each start method: from a small parent, and from one
//! that has touched 1 GiB.

use super::measure::rate;
use super::peers::pythons_once;
use super::plain;
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::{Child, Process, StartMethod};
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

/// What does one start and join.
type Once = fn() -> Result<(), String>;

fn ours(method: StartMethod) -> Result<(), String> {
    let child = Process::new(|| (), ()).method(method).start().map_err(|error| error.to_string())?;
    child.join().map_err(|error| error.to_string())
}

fn ours_by_fork() -> Result<(), String> {
    ours(StartMethod::Fork)
}

fn ours_by_forkserver() -> Result<(), String> {
    ours(StartMethod::ForkServer)
}

fn ours_by_spawn() -> Result<(), String> {
    ours(StartMethod::Spawn)
}

fn procspawn() -> Result<(), String> {
    procspawn::spawn((), |()| ()).join().map_err(|error| error.to_string())
}

/// How many a second, over so many.
fn timed(once: Once, times: u64) -> Result<f64, String> {
    // Once for what is made only once: a template, a lifeline.
    once()?;
    let began = Instant::now();
    for _ in 0..times {
        once()?;
    }
    Ok(rate(times, began))
}

fn peer(name: &'static str, once: Once, times: u64) -> Peer {
    Peer::new(name, move || timed(once, times))
}

const TIMES: u64 = 400;

pub(crate) fn start_and_join(python: &Shared) -> Vec<Work> {
    let small = |method: StartMethod, ours: Once, pythons: u64, others: Vec<Peer>| {
        let mut work = Work {
            metric: format!("W5.{method}.small"),
            unit: "processes/s",
            rate: true,
            peers: vec![peer("mp", ours, TIMES)],
        };
        work.peers.extend(others);
        work.peers.push(pythons_once(python, format!("W5.{method}.small {pythons}")));
        work
    };
    let c_fork = || peer("c-fork", plain::fork_and_wait, TIMES);
    let programs = || {
        vec![
            peer("std-process", plain::other_program, TIMES),
            peer("std-process-same", plain::same_program, TIMES),
            peer("procspawn", procspawn, TIMES / 4),
        ]
    };
    vec![
        small(StartMethod::Fork, ours_by_fork, 50, vec![c_fork()]),
        small(StartMethod::ForkServer, ours_by_forkserver, 20, vec![c_fork()]),
        small(StartMethod::Spawn, ours_by_spawn, 4, programs()),
        from_fat_parent(python),
    ]
}

/// ForkServer from a parent with 1 GiB touched, beside a plain fork of that same parent and of a small one.
fn from_fat_parent(python: &Shared) -> Work {
    let fat = Rc::new(RefCell::new(None));
    let asked = |what: What| {
        let fat = Rc::clone(&fat);
        move || FatParent::ask(&mut fat.borrow_mut(), what)
    };
    Work {
        metric: "W5.forkserver.1GiB".to_owned(),
        unit: "processes/s",
        rate: true,
        peers: vec![
            Peer::new("mp", asked(What::ForkServer)),
            Peer::new("c-fork", asked(What::Fork)),
            peer("c-fork-small", plain::fork_and_wait, TIMES),
            pythons_once(python, "W5.forkserver.1GiB 20"),
        ],
    }
}

/// What a fat parent measures.
#[derive(Debug, Clone, Copy)]
enum What {
    Fork,
    ForkServer,
}

/// A process with 1 GiB touched, which answers with one figure a line.
struct FatParent {
    socket: BufReader<UnixStream>,
    _process: Child<()>,
}

impl FatParent {
    fn ask(fat: &mut Option<FatParent>, what: What) -> Result<f64, String> {
        if fat.is_none() {
            *fat = Some(FatParent::start().map_err(|error| error.to_string())?);
        }
        let FatParent { socket, .. } = fat.as_mut().expect("made above");
        let said = writeln!(socket.get_mut(), "{what:?}").map_err(|error| error.to_string());
        said?;
        let mut answer = String::new();
        socket.read_line(&mut answer).map_err(|error| error.to_string())?;
        answer.trim().parse().map_err(|_| answer)
    }

    fn start() -> Result<FatParent, Box<dyn std::error::Error>> {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = mp_core::transfer::Handle::new(theirs.into());
        let process = Process::new(be_fat, (theirs,)).method(StartMethod::Spawn).daemon().start()?;
        Ok(FatParent { socket: BufReader::new(ours), _process: process })
    }
}

fn be_fat(socket: mp_core::transfer::Handle) {
    let fat = std::hint::black_box(vec![1_u8; 1 << 30]);
    let socket = UnixStream::from(socket.into_fd().expect("a handle that just arrived"));
    let mut answers = socket.try_clone().expect("a descriptor to spare");
    for request in BufReader::new(socket).lines().map_while(Result::ok) {
        let figure = match request.as_str() {
            "Fork" => timed(plain::fork_and_wait, 10),
            _ => timed(ours_by_forkserver, TIMES),
        };
        let _ = writeln!(answers, "{}", figure.map_or_else(|why| why, |figure| figure.to_string()));
    }
    // Held until now, so that its pages were this process's all along.
    drop(fat);
}
